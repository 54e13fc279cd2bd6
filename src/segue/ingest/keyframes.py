"""Which pictures stand for a video: one a scene, more for a long scene, the best as poster."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageStat

from segue.ingest.film import Candidate
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Scene, Shot

SHORT = 8  # pictures that a short film gets too, but
LEAST_STEP_S = 0.4  # no closer together
EDGE = 0.08  # share of a stretch at either end where a dissolve may still go on


@dataclass(frozen=True, slots=True)
class Target:
    """A picture to find: of scene ``scene``, within a stretch of one of its shots.

    ``main``: there, or else anywhere in the scene.
    """

    scene: int
    start_s: float
    end_s: float
    main: bool

    @property
    def wanted_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def targets(scenes: Sequence[Scene], shots: Sequence[Shot], limits: MediaLimits) -> list[Target]:
    """Of each keyframe, in order of time.

    The longest scenes get one each, in the shot that holds their middle; what is left goes to
    other shots, and to all of them by length: a copy that was cut has other middles.
    """
    longest = sorted(range(len(scenes)), key=lambda n: scenes[n].start_s - scenes[n].end_s)
    chosen = set(longest[: limits.max_keyframes])
    scene_ends, shot_ends = [s.end_s for s in scenes], [s.end_s for s in shots]
    of_scene = [_span_at(scene_ends, (shot.start_s + shot.end_s) / 2) for shot in shots]
    main = {n: _span_at(shot_ends, (scenes[n].start_s + scenes[n].end_s) / 2) for n in chosen}
    counts = dict.fromkeys(main.values(), 1)
    spare = min(limits.spread_keyframes, limits.max_keyframes - len(counts))
    lengths = [shot.end_s - shot.start_s for shot in shots]
    every_s = min(limits.keyframe_every_s, max(LEAST_STEP_S, sum(lengths) / SHORT))
    while spare > 0:
        widest = max(
            (n for n in range(len(shots)) if of_scene[n] in chosen),
            key=lambda n: lengths[n] / (counts.get(n, 0) + 1),
        )
        if widest in counts and lengths[widest] < (counts[widest] + 1) * every_s:
            break
        counts[widest] = counts.get(widest, 0) + 1
        spare -= 1
    held, out = set(main.values()), []
    for number in sorted(counts):
        step_s = lengths[number] / counts[number]
        for part in range(counts[number]):
            start_s = shots[number].start_s + part * step_s
            main_part = number in held and part == counts[number] // 2
            out.append(Target(of_scene[number], start_s, start_s + step_s, main_part))
    return out


def _span_at(ends_s: Sequence[float], time_s: float) -> int:
    """The span, by its end, that holds the time; the last where none does."""
    return min(bisect_right(ends_s, time_s), len(ends_s) - 1)


def choose(
    candidates: Sequence[Candidate], start_s: float, wanted_s: float, end_s: float
) -> list[Candidate]:
    """Candidates within the stretch, best first: sharp, not black, near the wanted time."""
    length_s = max(end_s - start_s, 1e-3)
    inside = [c for c in candidates if start_s - 1e-3 <= c.time_s < end_s]
    most = max((c.merit for c in inside), default=0.0) or 1.0

    def rank(candidate: Candidate) -> float:
        away = abs(candidate.time_s - wanted_s) / length_s
        at_edge = min(candidate.time_s - start_s, end_s - candidate.time_s) < EDGE * length_s
        return candidate.merit / most - away - 0.2 * at_edge

    return sorted(inside, key=rank, reverse=True)


def pictures(
    shots: Sequence[Shot],
    scenes: Sequence[Scene],
    candidates: Sequence[Candidate],
    picture_of: Callable[[Candidate], bytes | None],
    limits: MediaLimits,
) -> tuple[list[Asset], list[Shot], list[Scene]]:
    """Poster and keyframes, and shots and scenes with the position of theirs."""
    frames: list[Asset] = []
    of_scene: dict[int, list[tuple[float, int]]] = {}
    for target in targets(scenes, shots, limits):
        scene = scenes[target.scene]
        near = choose(candidates, target.start_s, target.wanted_s, target.end_s)
        if target.main and not near:
            near = choose(candidates, scene.start_s, target.wanted_s, scene.end_s)
        for candidate in near[:3]:
            data = picture_of(candidate)
            if data is not None:
                away = abs(candidate.time_s - (scene.start_s + scene.end_s) / 2)
                of_scene.setdefault(target.scene, []).append((away, len(frames)))
                frames.append(Asset("keyframe", "jpg", data, round(candidate.time_s, 3)))
                break
    marked = [replace(s, keyframe=min(of_scene.get(n, [(0.0, None)]))[1])
              for n, s in enumerate(scenes)]  # fmt: skip
    inside = [[n for n, f in enumerate(frames) if s.start_s <= (f.time_s or 0.0) < s.end_s]
              for s in shots]  # fmt: skip
    told = [replace(s, keyframe=within[0] if within else None)
            for s, within in zip(shots, inside, strict=True)]  # fmt: skip
    return [*poster(frames), *frames], told, marked


def poster(frames: Sequence[Asset]) -> list[Asset]:
    """The picture with most contrast, so not a fade to black."""
    if not frames:
        return []
    best = max(frames, key=lambda frame: _contrast(frame.data))
    return [replace(best, kind="poster")]


def _contrast(data: bytes) -> float:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        picture.draft("L", (160, 160))
        return float(ImageStat.Stat(picture.convert("L")).stddev[0])
