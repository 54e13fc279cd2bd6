"""Films whose scenes are known, made of real and of generated clips.

A scene has several shots of one place: other stretches of one clip, seen whole or from nearer, or
two clips in turn, as talks are cut. The clips are parted by name: thresholds were set on ``tune``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import _films as films
import av
import numpy as np

from segue.datasets.fetch import cache_folder

VERSION = 1
SIZE = 320, 180
MOST_S = 12.0  # of a clip that one scene is taken from
ALIKE = 3  # scenes between two of one place, at least
WAYS = ("one", "talk", "single")
WAY_SHARES = (0.45, 0.35, 0.2)
ENDS = ("cut", "dissolve", "fade")
END_SHARES = (0.6, 0.25, 0.15)
Frames = list[np.ndarray]


@dataclass(frozen=True)
class Act:
    """One film: ``part`` is tune or test."""

    name: str
    part: str
    seed: int
    scenes: int = 20


@dataclass(frozen=True)
class Truth:
    """Frames at which scenes begin, how each begins, and at which every shot does."""

    starts: tuple[int, ...]
    kinds: tuple[str, ...]
    ways: tuple[str, ...]
    shots: tuple[int, ...]
    frames: int


ACTS = (
    *(Act(f"scenes tune {n}", "tune", 100 + n) for n in range(3)),
    *(Act(f"scenes test {n}", "test", 200 + n) for n in range(5)),
)


def places(part: str) -> dict[str, list[films.Stretch]]:
    """Stretches by place; generated clips go to a part by the hash of their place."""
    known = films.STRETCHES[part]
    made = [s for s in films.stretches("fresh") if part_of(s.place) == part]
    out: dict[str, list[films.Stretch]] = {}
    for stretch in (*known, *made):
        out.setdefault(stretch.where, []).append(stretch)
    return out


def part_of(place: str) -> str:
    return "tune" if hashlib.sha256(place.encode()).digest()[0] % 2 else "test"


def made(act: Act) -> tuple[Path, Truth]:
    """The film and its scenes; made once and kept in the cache."""
    folder = cache_folder() / "bench" / "films"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{act.name.replace(' ', '-')}.mp4"
    notes = path.with_suffix(".json")
    recipe = {"version": VERSION} | asdict(act)
    if not notes.is_file() or json.loads(notes.read_text())["recipe"] != recipe:
        truth = _written(act, path)
        notes.write_text(json.dumps({"recipe": recipe, "truth": asdict(truth)}))
    kept = json.loads(notes.read_text())["truth"]
    return path, Truth(**{k: v if k == "frames" else tuple(v) for k, v in kept.items()})


class _Clip:
    """Frames of a stretch at twice the size of the film, to be seen whole or from nearer."""

    def __init__(self, stretch: films.Stretch, rng: np.random.Generator) -> None:
        room = stretch.end_s - stretch.start_s
        length = min(room, MOST_S)
        start = stretch.start_s + float(rng.uniform(0.0, room - length))
        piece = films.Stretch(stretch.clip, start, start + length)
        self._frames = films.frames_of(piece, (2 * SIZE[0], 2 * SIZE[1]))

    def shot(self, count: int, setup: int, rng: np.random.Generator) -> Frames:
        """``count`` frames in order; setup 0 is the whole picture, 1 to 3 are parts of it."""
        count = min(count, len(self._frames))
        at = int(rng.integers(0, len(self._frames) - count + 1))
        return [seen(frame, setup) for frame in self._frames[at : at + count]]


def seen(frame: np.ndarray, setup: int) -> np.ndarray:
    """(1.5 h, w) of a YUV 4:2:0 picture of twice the size."""
    width, height = SIZE
    luma = frame[: 2 * height]
    chroma = frame[2 * height :].reshape(2, height, width)
    if setup == 0:
        y, uv = _halved(luma), np.stack([_halved(plane) for plane in chroma])
    else:
        x, down = ((0, 60), (width, 60), (width // 2, 0))[setup - 1]
        y = luma[down : down + height, x : x + width]
        uv = chroma[:, down // 2 : (down + height) // 2, x // 2 : (x + width) // 2]
    return np.concatenate([y, uv.reshape(height // 2, width)])


def _halved(plane: np.ndarray) -> np.ndarray:
    rows, columns = plane.shape
    parts = plane.reshape(rows // 2, 2, columns // 2, 2).astype(np.uint16)
    return np.asarray((parts.sum(axis=(1, 3)) + 2) >> 2, np.uint8)


def _scene(clips: list[films.Stretch], way: str, rng: np.random.Generator) -> Iterator[Frames]:
    """The shots of one scene."""
    sources = [_Clip(stretch, rng) for stretch in clips]
    shots = 1 if way == "single" else int(rng.integers(2, 6)) + (way == "talk")
    setups = [int(rng.integers(0, 4)) for _ in sources]
    for number in range(shots):
        source = number % len(sources)
        if way == "one" and number:
            setups[source] = (setups[source] + int(rng.integers(1, 4))) % 4
        length = round(float(rng.uniform(1.4, 3.2)) * films.RATE)
        yield sources[source].shot(length, setups[source], rng)


def _scenes(act: Act, rng: np.random.Generator) -> Iterator[tuple[str, list[Frames]]]:
    known = places(act.part)
    recent: list[set[str]] = []
    for _ in range(act.scenes):
        way = str(rng.choice(WAYS, p=WAY_SHARES))
        barred = set().union(*recent[-ALIKE:])
        free = sorted(set(known) - barred)
        some = [str(w) for w in rng.choice(free, 2 if way == "talk" else 1, replace=False)]
        recent.append(set(some))
        clips = [known[w][int(rng.integers(len(known[w])))] for w in some]
        yield way, list(_scene(clips, way, rng))


def _joined(act: Act, notes: dict[str, list]) -> Iterator[np.ndarray]:
    """The film's frames in order; where scenes and shots begin is noted as they pass."""
    rng = np.random.default_rng(act.seed)
    number, tail, kind = 0, [], "start"
    black = np.concatenate([np.full((SIZE[1], SIZE[0]), 16), np.full((SIZE[1] // 2, SIZE[0]), 128)])
    black = black.astype(np.uint8)
    for way, shots in _scenes(act, rng):
        span = min(len(tail), len(shots[0]) - 10)
        if kind == "dissolve":
            mixed = [films.mix(a, b, (n + 1) / (span + 1))
                     for n, (a, b) in enumerate(zip(tail, shots[0], strict=False))]  # fmt: skip
            shots[0] = shots[0][span:]
        elif kind == "fade":
            mixed = [films.mix(a, black, (n + 1) / (span + 1)) for n, a in enumerate(tail[:span])]
            mixed += [black] * 5
            mixed += [films.mix(black, b, (n + 1) / (span + 1))
                      for n, b in enumerate(shots[0][:span])]  # fmt: skip
            shots[0] = shots[0][span:]
        else:
            mixed = []
        yield from mixed
        middle = number + len(mixed) // 2
        number += len(mixed)
        notes["starts"].append(middle)
        notes["kinds"].append(kind)
        notes["ways"].append(way)
        kind = str(rng.choice(ENDS, p=END_SHARES))
        seconds = {"cut": 0.0, "dissolve": rng.uniform(0.5, 1.2), "fade": rng.uniform(0.4, 0.8)}
        span = min(round(float(seconds[kind]) * films.RATE), len(shots[-1]) - 10)
        for index, shot in enumerate(shots):
            notes["shots"].append(number if index else middle)
            body = shot[: len(shot) - span] if index == len(shots) - 1 else shot
            yield from body
            number += len(body)
        tail = shots[-1][len(shots[-1]) - span :] if span else []
    notes["frames"].append(number)


def _written(act: Act, path: Path) -> Truth:
    notes: dict[str, list] = {k: [] for k in ("starts", "kinds", "ways", "shots", "frames")}
    part = path.with_name(f"part-{path.name}")
    with av.open(str(part), "w") as out:
        stream = out.add_stream("libx264", rate=films.RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number, picture in enumerate(_joined(act, notes)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, films.RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    part.replace(path)
    (frames,) = notes.pop("frames")
    return Truth(**{k: tuple(v) for k, v in notes.items()}, frames=frames)
