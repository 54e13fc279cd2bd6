"""Which pictures stand for a video: one a scene, more for a long scene, the best as poster."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

from PIL import Image, ImageStat

from segue.ingest.film import Candidate
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Scene, Shot

EDGE = 0.08  # share of a stretch at either end where a dissolve may still go on


def targets(scenes: Sequence[Scene], limits: MediaLimits) -> list[tuple[int, float, float, float]]:
    """(scene, start_s, wanted_s, end_s) of each keyframe, in order of time."""
    longest = sorted(range(len(scenes)), key=lambda n: scenes[n].start_s - scenes[n].end_s)
    chosen = sorted(longest[: limits.max_keyframes])
    spare = min(limits.spread_keyframes, limits.max_keyframes - len(chosen) + 1)
    lengths = [scenes[n].end_s - scenes[n].start_s for n in chosen]
    long_s = sum(s for s in lengths if s > 2 * limits.keyframe_every_s)
    out = []
    for number, length_s in zip(chosen, lengths, strict=True):
        count = 1
        if length_s > 2 * limits.keyframe_every_s:
            fair = int(spare * length_s / long_s)
            count = max(1, min(int(length_s / limits.keyframe_every_s), fair))
        step_s = length_s / count
        for part in range(count):
            start_s = scenes[number].start_s + part * step_s
            out.append((number, start_s, start_s + step_s / 2, start_s + step_s))
    return out


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
    for number, start_s, wanted_s, end_s in targets(scenes, limits):
        for candidate in choose(candidates, start_s, wanted_s, end_s)[:3]:
            data = picture_of(candidate)
            if data is not None:
                middle_s = (scenes[number].start_s + scenes[number].end_s) / 2
                away = abs(candidate.time_s - middle_s)
                of_scene.setdefault(number, []).append((away, len(frames)))
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
