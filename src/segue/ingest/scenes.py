"""From boundaries to shots with their look, and from shots to scenes. Numpy alone."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.ingest.media import Scene, Shot
from segue.ingest.shots import CHROMA, CHROMA_DIM, LUMA, LUMA_DIM, Boundary, weighted

MOST_SAMPLES = 8  # frames that speak for a shot
NEIGHBOURS_S = 0.2  # frames farther apart say nothing of motion
MOTION_STEP_S = 0.04
COLOURS = 5
COLOUR_STEP = 48  # levels that count as one colour
TINTS = 8, 16, 16  # shades of brightness and of both colour differences: coarser ones mix places
TINT_LEVELS = (16, 235), (64, 192), (64, 192)
AT_EDGE_S, AT_EDGE = 0.3, 0.2  # of a shot, or this share: a dissolve there shows its neighbour


@dataclass(frozen=True)
class SceneSettings:
    """When shots belong together.

    They were set on the films "tune" of ``benchmarks/understand/bench_scenes.py``.
    """

    min_shot_s: float = 0.25
    same_colours: float = 0.55  # share of colours in common: one place, seen otherwise perhaps
    reach: int = 4  # a shot is compared with so many before it
    span_s: float = 15.0  # which began no longer ago: a return after longer swallowed other places


def spans(
    found: Sequence[Boundary], end_s: float, min_shot_s: float
) -> Iterator[tuple[float, float, str]]:
    """(start_s, end_s, kind of boundary before it); shots too short to be any are not opened."""
    last, kind = 0.0, "start"
    for boundary in sorted(found, key=lambda b: b.time_s):
        if boundary.time_s - last >= min_shot_s and end_s - boundary.time_s >= min_shot_s:
            yield last, boundary.time_s, kind
            last, kind = boundary.time_s, boundary.kind
    yield last, end_s, kind


def look_of(
    times: NDArray[np.float64], frames: NDArray[np.uint8], start_s: float, end_s: float
) -> Shot:
    """A shot's brightness, motion and colours from the frames that were decoded of it."""
    here = slice(*np.searchsorted(times, (start_s - 1e-6, end_s - 1e-6)))
    at, inside = times[here], frames[here]
    if not len(at):
        return Shot(start_s, end_s)
    some = inside[np.linspace(0, len(at) - 1, min(MOST_SAMPLES, len(at))).round().astype(int)]
    return Shot(
        start_s,
        end_s,
        brightness=round(float(some[:, :LUMA_DIM].mean()) / 255, 4),
        motion=_motion(at, inside),
        colours=_colours(some),
    )


def _motion(times: NDArray[np.float64], frames: NDArray[np.uint8]) -> float | None:
    """Mean change in 40 ms, levels of 0-255; None where no two frames are neighbours."""
    gaps = np.diff(times)
    near = np.flatnonzero((gaps > 0) & (gaps <= NEIGHBOURS_S))
    if not near.size:
        return None
    near = near[:: max(1, near.size // 200)]
    steps = np.abs(weighted(frames[near + 1]) - weighted(frames[near])).sum(axis=1)
    return round(float(np.mean(steps / gaps[near]) * MOTION_STEP_S), 3)


def rgb(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, blocks, 3) uint8 from small frames (ITU-R BT.601, limited range)."""
    rows, columns = LUMA[0] // CHROMA[0], LUMA[1] // CHROMA[1]
    luma = frames[:, :LUMA_DIM].reshape(-1, CHROMA[0], rows, CHROMA[1], columns)
    y = (luma.mean(axis=(2, 4)).reshape(-1, CHROMA_DIM) - 16) * 1.164
    u = frames[:, LUMA_DIM : LUMA_DIM + CHROMA_DIM].astype(np.float32) - 128
    v = frames[:, LUMA_DIM + CHROMA_DIM :].astype(np.float32) - 128
    planes = (y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u)
    return np.asarray(np.clip(np.stack(planes, axis=-1), 0, 255), np.uint8)


def _colours(frames: NDArray[np.uint8]) -> tuple[tuple[str, float], ...]:
    """The commonest colours as (#rrggbb, share of the picture), largest share first."""
    pixels = rgb(frames).reshape(-1, 3)
    bins = [tuple(row) for row in (pixels // COLOUR_STEP).tolist()]
    out = []
    keys = np.array(bins)
    for key, count in Counter(bins).most_common(COLOURS):
        mean = pixels[(keys == key).all(axis=1)].mean(axis=0).round().astype(int)
        out.append(("#{:02x}{:02x}{:02x}".format(*mean), round(count / len(bins), 3)))
    return tuple(out)


def scenes(
    shots: Sequence[Shot],
    kinds: Sequence[str],
    times: NDArray[np.float64],
    frames: NDArray[np.uint8],
    settings: SceneSettings | None = None,
) -> list[Scene]:
    """Runs of shots: one that looks like an earlier one joins it, with all between them.

    ``kinds`` names the boundary before each shot; nothing joins across a fade.
    """
    if not shots:
        return []
    use = SceneSettings() if settings is None else settings
    tints = [_tints(_inside(shot, times, frames)) for shot in shots]
    first = list(range(len(shots)))  # the shot that begins each shot's scene
    for now in range(1, len(shots)):
        for then in range(now - 1, max(-1, now - 1 - use.reach), -1):
            if kinds[then + 1] == "fade" or shots[now].start_s - shots[then].start_s > use.span_s:
                break
            if float(np.minimum(tints[now], tints[then]).sum()) > use.same_colours:
                first[now] = first[then]
    for now in range(len(shots) - 2, -1, -1):  # shots between two that belong together
        if first[now + 1] <= now:
            first[now] = min(first[now], first[now + 1])
    starts = [n for n in range(len(shots)) if first[n] == n]
    ends = [*starts[1:], len(shots)]
    return [Scene(shots[a].start_s, shots[b - 1].end_s) for a, b in zip(starts, ends, strict=True)]


def _inside(shot: Shot, times: NDArray[np.float64], frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, SMALL_DIM) a few frames spread over a shot, one at least."""
    edge_s = min(AT_EDGE_S, AT_EDGE * (shot.end_s - shot.start_s))
    low, high = np.searchsorted(times, (shot.start_s + edge_s - 1e-6, shot.end_s - edge_s - 1e-6))
    if high <= low:
        low, high = np.searchsorted(times, (shot.start_s - 1e-6, shot.end_s - 1e-6))
    low = min(low, max(0, len(times) - 1))
    picks = np.linspace(low, max(low, high - 1), MOST_SAMPLES).round().astype(int)
    some: NDArray[np.uint8] = frames[np.unique(picks)]
    return some


def _tints(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Histogram of colours that adds up to 1; each block is shared out between its neighbours, so
    that a little more light moves it a little."""
    rows, columns = LUMA[0] // CHROMA[0], LUMA[1] // CHROMA[1]
    luma = frames[:, :LUMA_DIM].reshape(-1, CHROMA[0], rows, CHROMA[1], columns)
    blocks = np.stack(
        [
            luma.mean(axis=(2, 4)).reshape(-1, CHROMA_DIM),
            frames[:, LUMA_DIM : LUMA_DIM + CHROMA_DIM],
            frames[:, LUMA_DIM + CHROMA_DIM :],
        ],
        axis=-1,
    ).reshape(-1, 3)
    low, high = np.array(TINT_LEVELS, dtype=np.float64).T
    at = np.clip((blocks - low) / (high - low), 0.0, 1.0) * (np.array(TINTS) - 1)
    below = np.minimum(at.astype(np.int64), np.array(TINTS) - 2)
    share = at - below
    out = np.zeros(int(np.prod(TINTS)))
    for corner in itertools.product((0, 1), repeat=3):
        near = np.where(np.array(corner) == 1, share, 1.0 - share).prod(axis=1)
        bins = np.ravel_multi_index(tuple((below + corner).T), TINTS)
        out += np.bincount(bins, weights=near, minlength=len(out))
    return out / len(blocks)
