"""Films whose shot boundaries are known: stretches of real clips joined by cuts, dissolves, fades.

Every stretch lies inside one shot. They were found by eye on contact sheets, and by the largest
differences between neighbouring frames; cuts of the clips' own lie between the stretches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import _generated
import av
import numpy as np

from segue.datasets.demo import demo_media
from segue.datasets.fetch import cache_folder, get

RATE = 25
VERSION = 1  # of the recipe below: films of another are made anew
BLACK_FRAMES = (2, 8)
SHARES = (0.55, 0.3, 0.15)  # of cuts, dissolves, fades


@dataclass(frozen=True)
class Stretch:
    """Seconds of a clip within one shot. Two of one ``place`` are never neighbours."""

    clip: str
    start_s: float
    end_s: float
    place: str = ""

    @property
    def where(self) -> str:
        return self.place or f"{self.clip} {self.start_s}"


@dataclass(frozen=True)
class Boundary:
    """Frames [first, end) of a transition; of a cut the first frame of the new shot alone."""

    kind: str  # cut | dissolve | fade
    first: int
    end: int


@dataclass(frozen=True)
class Film:
    """How one film is joined and encoded."""

    name: str
    part: str  # tune | test: which clips
    seed: int
    codec: str = "libx264"
    suffix: str = ".mp4"
    size: tuple[int, int] = (640, 360)
    gop: int = 250
    options: tuple[tuple[str, str], ...] = (("preset", "veryfast"), ("crf", "23"))
    bit_rate: int = 0
    boundaries: int = 40
    longest_s: float = 4.0
    shares: tuple[float, float, float] = SHARES


SCENECUT = (("preset", "veryfast"), ("crf", "23"))
FIXED = (*SCENECUT, ("sc_threshold", "0"))
FILMS = (
    Film("tune, x264 scenecut", "tune", 1),
    Film("tune, x264 fixed GOP 50", "tune", 2, gop=50, options=FIXED),
    Film("tune, mpeg4", "tune", 3, "mpeg4", ".avi", gop=12, options=(), bit_rate=1_500_000),
    Film("720p x264 scenecut", "test", 11, size=(1280, 720)),
    Film("720p x264 fixed GOP 50", "test", 12, size=(1280, 720), gop=50, options=FIXED),
    Film("360p x264 medium, crf 28", "test", 13, options=(("preset", "medium"), ("crf", "28"))),
    Film("360p x264 fixed GOP 250", "test", 14, suffix=".mkv", options=FIXED),
    Film("mpeg4 GOP 12", "test", 15, "mpeg4", ".avi", (480, 360), 12, (), 1_200_000),
    Film("mpeg2 GOP 15", "test", 16, "mpeg2video", ".mpg", (426, 240), 15, (), 1_500_000),
    Film("vp8", "test", 17, "libvpx", ".webm", (640, 360), 128,
         (("deadline", "realtime"), ("cpu-used", "8")), 1_000_000),
    Film("270p x264 ultrafast, 300 kb/s", "test", 18, size=(480, 270),
         options=(("preset", "ultrafast"),), bit_rate=300_000),
)  # fmt: skip
FRESH = (  # of clips by video models, which no setting of shots was made on
    Film("fresh, 720p x264 fixed GOP 50", "fresh", 31, size=(1280, 720), gop=50, options=FIXED),
    Film("fresh, 360p x264 scenecut", "fresh", 32),
    Film("fresh, 360p x264 fixed GOP 250", "fresh", 33, suffix=".mkv", options=FIXED),
    Film("fresh, mpeg4 GOP 12", "fresh", 34, "mpeg4", ".avi", (480, 360), 12, (), 1_200_000),
)
FISH, FACE, DESK = "fish", "face", "Jon Peirce"
MOSTLY_CUTS = (0.92, 0.05, 0.03)  # films and programmes have few gradual changes
LONG = (
    Film("long 720p x264 scenecut", "test", 21, size=(1280, 720), options=SCENECUT,
         boundaries=48, longest_s=14.0, shares=MOSTLY_CUTS),
    Film("long 720p x264 fixed GOP 50", "test", 21, size=(1280, 720), gop=50, options=FIXED,
         boundaries=48, longest_s=14.0, shares=MOSTLY_CUTS),
)  # fmt: skip
STRETCHES = {
    "tune": (
        Stretch("WolfgangLanger_Pexels", 0.0, 16.0, FACE),
        Stretch("bikes", 1.24, 2.96),
        Stretch("bikes", 3.08, 5.4),
        Stretch("bikes", 5.52, 7.4),
        Stretch("bikes", 7.52, 9.6),
        Stretch("cityCC0", 0.0, 4.5),
        Stretch("cityCC0", 4.8, 7.4),
        Stretch("testMovie", 0.0, 7.6, DESK),
        Stretch("tree", 0.0, 29.0, "tree"),
        Stretch("intro", 7.5, 12.5),
        Stretch("intro", 15.0, 20.0),
        Stretch("intro", 22.2, 25.4),
        Stretch("intro", 28.2, 32.0),
        Stretch("wannaworktogether", 107.5, 112.5),
    ),
    "test": (
        Stretch("bigbuckbunny", 0.0, 5.2),
        Stretch("carphone_pristine", 0.0, 3.9),
        Stretch("default", 0.0, 9.9, "lettering"),
        Stretch("earth", 0.0, 30.0, "earth"),
        Stretch("jwpIntro", 0.0, 5.6, DESK),
        Stretch("no_face", 0.0, 3.6),
        Stretch("test_A", 0.0, 17.5, FISH),
        Stretch("vtest", 0.0, 79.0, "street"),
        Stretch("display-dual-monitors", 5.5, 30.0, "screen"),
        Stretch("intro", 35.2, 40.0),
        Stretch("intro", 43.4, 47.8),
        Stretch("intro", 49.6, 52.2),
        Stretch("intro", 54.0, 58.4),
        Stretch("intro", 60.4, 63.6),
        Stretch("wannaworktogether", 130.0, 134.0),
        Stretch("wannaworktogether", 146.4, 150.0),
    ),
}


def stretches(part: str) -> tuple[Stretch, ...]:
    """Those of a part: ``tune`` and ``test`` are known clips, ``fresh`` are others."""
    if part != "fresh":
        return STRETCHES[part]
    return tuple(
        Stretch(name, 0.0, _generated.length_s(path), _generated.PLACES[name])
        for name, path in _generated.clips().items()
    )


def clips() -> dict[str, Path]:
    """The clips by name."""
    found = {p.stem: p for p in sorted((demo_media().folder / "video").iterdir())}
    found |= {p.stem: p for p in sorted(get("pictures-opencv").glob("*.avi"))}
    return found | _generated.clips() | {"intro": get("media-fillets") / "intro.mpg"}


def made(film: Film) -> tuple[Path, tuple[Boundary, ...]]:
    """The film and its boundaries; made once and kept in the cache."""
    folder = cache_folder() / "bench" / "films"
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() else "-" for c in film.name)
    path, notes = folder / f"{stem}{film.suffix}", folder / f"{stem}.json"
    recipe = json.loads(json.dumps({"version": VERSION} | asdict(film)))
    if film.shares == SHARES:
        del recipe["shares"]  # films made before there was a choice are the same
    if not notes.is_file() or json.loads(notes.read_text())["recipe"] != recipe:
        truth = _join(film, path)
        kept = {"recipe": recipe, "truth": [asdict(boundary) for boundary in truth]}
        notes.write_text(json.dumps(kept))
    return path, tuple(Boundary(**row) for row in json.loads(notes.read_text())["truth"])


def _plan(film: Film) -> list[tuple[Stretch, str, int]]:
    """(stretch as cut to length, kind of the boundary after it, its frames)."""
    rng = np.random.default_rng(film.seed)
    plan: list[tuple[Stretch, str, int]] = []
    last, known = "", stretches(film.part)
    for _ in range(film.boundaries + 1):
        choices = [s for s in known if s.where != last]
        stretch = choices[int(rng.integers(len(choices)))]
        last = stretch.where
        room = stretch.end_s - stretch.start_s
        length_s = float(min(room, rng.uniform(1.7, film.longest_s)))
        start_s = stretch.start_s + float(rng.uniform(0.0, room - length_s))
        kind = str(rng.choice(["cut", "dissolve", "fade"], p=film.shares))
        seconds = {"cut": 0.0, "dissolve": rng.uniform(0.5, 1.5), "fade": rng.uniform(0.4, 0.8)}
        piece = replace(stretch, start_s=start_s, end_s=start_s + length_s)
        plan.append((piece, kind, round(float(seconds[kind]) * RATE)))
    return plan


def timed(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the first frame, picture) of a clip."""
    if path.suffix == ".webp":
        yield from _generated.frames(path)
        return
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        first_s = float((stream.start_time or 0) * (stream.time_base or 0))
        for frame in container.decode(stream):
            yield float(frame.time or 0.0) - first_s, frame


def frames_of(piece: Stretch, size: tuple[int, int]) -> list[np.ndarray]:
    """(1.5 h, w) uint8 YUV 4:2:0 pictures at ``RATE``, nearest earlier frame of the clip."""
    wanted = round((piece.end_s - piece.start_s) * RATE)
    out: list[np.ndarray] = []
    newest = None
    for time_s, frame in timed(clips()[piece.clip]):
        at = time_s - piece.start_s
        while newest is not None and len(out) < wanted and len(out) / RATE < at:
            out.append(newest)
        if len(out) >= wanted:
            break
        if at > -0.2:  # the clip's own pace may be as slow as 10 frames a second
            newest = frame.to_ndarray(format="yuv420p", width=size[0], height=size[1])
    last = out[-1] if out else newest
    return out + ([] if last is None else [last] * (wanted - len(out)))


def _pictures(film: Film, truth: list[Boundary]) -> Iterator[np.ndarray]:
    """The film's frames in order; boundaries are noted as they pass."""
    rng = np.random.default_rng(film.seed + 1000)
    plan, number, head = _plan(film), 0, 0
    black = np.full((film.size[1] * 3 // 2, film.size[0]), 16, np.uint8)
    black[film.size[1] :] = 128
    here = frames_of(plan[0][0], film.size)
    for index, (_, kind, span) in enumerate(plan):
        last = index == len(plan) - 1
        after = [] if last else frames_of(plan[index + 1][0], film.size)
        span = 0 if last else min(span, len(here) - head - 10, len(after) - 10)
        body = here[head : len(here) - span]
        yield from body
        number += len(body)
        tail, head = here[len(here) - span :], span
        if last:
            return
        if kind == "cut":
            truth.append(Boundary("cut", number, number + 1))
        elif kind == "dissolve":
            yield from (
                mix(a, b, (n + 1) / (span + 1))
                for n, (a, b) in enumerate(zip(tail, after, strict=False))
            )
            truth.append(Boundary("dissolve", number, number + span))
            number += span
        else:
            hold = int(rng.integers(*BLACK_FRAMES))
            yield from (mix(a, black, (n + 1) / (span + 1)) for n, a in enumerate(tail))
            yield from (black for _ in range(hold))
            yield from (mix(black, b, (n + 1) / (span + 1)) for n, b in enumerate(after[:span]))
            truth.append(Boundary("fade", number, number + 2 * span + hold))
            number += 2 * span + hold
        here = after


def mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    mixed = a.astype(np.int32) * round(256 * (1 - share)) + b.astype(np.int32) * round(256 * share)
    return np.asarray((mixed + 128) >> 8, dtype=np.uint8)


def _join(film: Film, path: Path) -> list[Boundary]:
    truth: list[Boundary] = []
    part = path.with_name(f"part-{path.name}")
    with av.open(str(part), "w") as out:
        stream = out.add_stream(film.codec, rate=RATE)
        stream.width, stream.height = film.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = film.gop
        stream.thread_count = 1
        if film.bit_rate:
            stream.bit_rate = film.bit_rate
        stream.options = dict(film.options)
        for number, picture in enumerate(_pictures(film, truth)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    part.replace(path)
    return truth
