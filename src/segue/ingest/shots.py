"""Shot boundaries and scenes from small frames: cuts, dissolves and fades. Numpy alone.

A film reaches this module as *stretches*: runs of neighbouring frames that were decoded because
something changes there, each frame a short vector of blurred brightness and colour. A cut is one
step that towers over the steps around it and lasts; a dissolve is a stretch whose frames are
blends of its two ends, in order; a fade leaves a nearly uniform picture in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from segue.core.errors import BadSettings

Small = NDArray[np.uint8]  # (SMALL_DIM,): luma blocks, then two planes of colour blocks
Floats = NDArray[np.float32]

LUMA = (18, 32)  # rows, columns
CHROMA = (9, 16)
LUMA_DIM = LUMA[0] * LUMA[1]
CHROMA_DIM = CHROMA[0] * CHROMA[1]
SMALL_DIM = LUMA_DIM + 2 * CHROMA_DIM
ROUGH = 4  # a first look takes every so many blocks
AT_ONCE = 64  # windows whose frames are held beside each other, 31 kB each


@dataclass(frozen=True)
class ShotSettings:
    """Thresholds; differences are mean levels of 0-255, brightness plus colour.

    They were tuned on the clips of the part "tune" in ``benchmarks/understand/_films.py``.
    """

    min_cut: float = 12.0
    cut_ratio: float = 2.2  # the step over the larger ones on the calmer side of it
    lively_ratio: float = 1.35  # and on the livelier side
    near_frames: int = 8
    sure_step_s: float = 0.085  # frames farther apart than two at 25 a second: the cut is between
    lasting: float = 0.6  # share of the step that remains when three frames a side are averaged
    min_blend: float = 12.0
    blend_frames: int = 3  # fewest steps across a dissolve
    blend_residual: float = 0.45  # what is no blend of the ends, relative to their difference
    blend_bend: float = 0.16  # root mean square distance from a straight course
    steady: float = 0.45  # change outside a dissolve, relative to the change across it
    blend_spans_s: tuple[float, ...] = (0.36, 0.5, 0.75, 1.1, 1.5)
    same_structure: float = 0.8  # correlation of the ends: above it the picture is the same one
    blend_structure: float = 0.65  # the same for a dissolve: pans end in what they began with
    blend_doubt: float = 0.66  # most of residual + half the correlation
    blend_contrast: float = 0.7  # contrast kept along the way: 0 in a dissolve, 1 in a pan
    uniform_level: float = 7.0  # standard deviation of brightness in a nearly uniform picture
    black_level: float = 40.0
    max_black_s: float = 2.0  # a longer uniform stretch is a shot of its own
    min_shot_s: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low = min(value) if isinstance(value, tuple) else value
            if not low > 0:
                raise BadSettings(f"shot setting {field.name} must be > 0, got {value}")


@dataclass(frozen=True, slots=True)
class Boundary:
    """A change of shot at ``time_s``; a dissolve or fade takes from ``start_s`` to ``end_s``."""

    time_s: float
    start_s: float
    end_s: float
    kind: str  # cut | dissolve | fade


@dataclass(frozen=True)
class Stretch:
    """Neighbouring frames. ``times_s`` (n,) rising; ``frames`` (n, SMALL_DIM) uint8."""

    times_s: NDArray[np.float64]
    frames: NDArray[np.uint8]


def weighted(frames: NDArray[np.uint8]) -> Floats:
    """(n, SMALL_DIM) float32 whose absolute differences add up to levels of 0-255."""
    out = frames.astype(np.float32)
    out[:, :LUMA_DIM] /= LUMA_DIM
    out[:, LUMA_DIM:] /= 2 * CHROMA_DIM
    return out


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of two small frames in brightness, plus that in colour; 0-510."""
    steps = np.abs(a.astype(np.int16) - b)
    luma, chroma = steps[:LUMA_DIM].sum(), steps[LUMA_DIM:].sum()
    return float(luma) / LUMA_DIM + float(chroma) / (2 * CHROMA_DIM)


def boundaries(stretch: Stretch, settings: ShotSettings | None = None) -> list[Boundary]:
    """Boundaries within one stretch, in order of time."""
    use = ShotSettings() if settings is None else settings
    if len(stretch.times_s) < 3:
        return []
    frames = weighted(stretch.frames)
    fades = _fades(stretch, use)
    cuts = _cuts(stretch.times_s, frames, stretch.frames, use)
    blends = _blends(stretch.times_s, frames, stretch.frames, use)
    return _settle(fades, cuts, blends, use)


def _settle(
    fades: list[Boundary], cuts: list[Boundary], blends: list[Boundary], use: ShotSettings
) -> list[Boundary]:
    """One boundary for each change: a fade over what leads into it, a cut over a blend."""
    kept = list(fades)
    for some in (cuts, blends):
        for one in some:
            apart = all(
                one.end_s + use.min_shot_s <= other.start_s
                or one.start_s >= other.end_s + use.min_shot_s
                for other in kept
            )
            if apart:
                kept.append(one)
    return sorted(kept, key=lambda boundary: boundary.time_s)


def _cuts(
    times: NDArray[np.float64], frames: Floats, raw: NDArray[np.uint8], use: ShotSettings
) -> list[Boundary]:
    steps = np.abs(np.diff(frames, axis=0)).sum(axis=1)  # steps[i]: from frame i to i + 1
    found = []
    for at in np.flatnonzero(steps >= use.min_cut):
        left = _usual(steps[max(0, at - use.near_frames) : at])
        right = _usual(steps[at + 1 : at + use.near_frames + 1])
        before = frames[max(0, at - 2) : at + 1].mean(axis=0)
        after = frames[at + 1 : at + 4].mean(axis=0)
        lasting = float(np.abs(after - before).sum())
        calm, lively = min(left, right), max(left, right)
        jumps = steps[at] >= max(use.cut_ratio * calm, use.lively_ratio * lively)
        lasts = lasting >= use.lasting * steps[at]
        if jumps and lasts and structure(raw[at], raw[at + 1]) < use.same_structure:
            found.append(cut_between(float(times[at]), float(times[at + 1]), use))
    return found


def cut_between(before_s: float, after_s: float, use: ShotSettings) -> Boundary:
    """A cut between two frames: at the second, unless others were left out between them."""
    wide = after_s - before_s > use.sure_step_s
    time_s = before_s + 0.6 * (after_s - before_s) if wide else after_s
    return Boundary(time_s, before_s, after_s, "cut")


def _usual(steps: Floats) -> float:
    """Mean of the three largest: repeated frames of slow clips would hide in a mean of all."""
    return float(np.sort(steps)[-3:].mean()) if steps.size else 0.0


def _fades(stretch: Stretch, use: ShotSettings) -> list[Boundary]:
    """A short black or otherwise uniform stretch between two pictures is one boundary."""
    luma = stretch.frames[:, :LUMA_DIM].astype(np.float32)
    level, spread = luma.mean(axis=1), luma.std(axis=1)
    blank = (spread < use.uniform_level) & (level < use.black_level)
    found = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], blank.astype(np.int8), [0]])))
    times = stretch.times_s
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        inside = first > 0 and end < len(times)
        length_s = float(times[end - 1] - times[first])
        if not inside or length_s > use.max_black_s:
            continue
        start, stop = _slope(level, spread, first, -1), _slope(level, spread, end - 1, 1)
        middle = float(times[first] + times[end - 1]) / 2
        found.append(Boundary(middle, float(times[start]), float(times[stop]), "fade"))
    return found


def _slope(level: Floats, spread: Floats, at: int, way: int) -> int:
    """The frame at which the way out of a uniform picture ends: contrast no longer grows."""
    reach = at
    while 0 <= reach + way < len(level):
        step = spread[reach + way] - spread[reach]
        if step < 0.02 * spread[reach] and reach != at:
            break
        reach += way
    return reach


def _blends(
    times: NDArray[np.float64], frames: Floats, raw: NDArray[np.uint8], use: ShotSettings
) -> list[Boundary]:
    """Windows whose frames run along the line from the first to the last one."""
    found: list[tuple[float, Boundary]] = []
    rough = np.ascontiguousarray(frames[:, ::ROUGH]) * ROUGH
    for span_s in use.blend_spans_s:
        ends = np.searchsorted(times, times + span_s - 1e-3)
        reach = np.minimum(ends, len(times) - 1)
        # A cheap first look at all windows: are the ends apart, and the middle a blend of them?
        last = rough[reach]
        apart = np.abs(last - rough).sum(axis=1)
        middle = rough[(np.arange(len(times)) + reach) // 2]
        off = np.abs(middle - (rough + last) / 2).sum(axis=1)
        likely = (apart >= use.min_blend / 2) & (off < 0.75 * apart)
        starts = np.flatnonzero(likely[1:-1]) + 1
        fits = (ends[starts] <= len(times) - 2) & (ends[starts] - starts >= use.blend_frames)
        for some in np.array_split(starts[fits], 1 + fits.sum() // AT_ONCE):
            scores, residuals = _blend_scores(times, frames, some, ends[some], use)
            for at in np.flatnonzero(scores):
                start, end = int(some[at]), int(ends[some[at]])
                alike = structure(raw[start], raw[end])
                told = alike < use.blend_structure and residuals[at] + alike / 2 < use.blend_doubt
                if told and contrast_kept(raw[start : end + 1]) < use.blend_contrast:
                    first_s, last_s = float(times[start]), float(times[end])
                    one = Boundary((first_s + last_s) / 2, first_s, last_s, "dissolve")
                    found.append((float(scores[at]), one))
    kept: list[Boundary] = []
    for _, one in sorted(found, key=lambda pair: -pair[0]):
        if all(one.end_s <= o.start_s or one.start_s >= o.end_s for o in kept):
            kept.append(one)
    return kept


def _blend_scores(
    times: NDArray[np.float64],
    frames: Floats,
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    use: ShotSettings,
) -> tuple[Floats, Floats]:
    """(scores, residuals), each (n,), of windows; a score is 0.0 where there is no dissolve."""
    first = (frames[start - 1] + frames[start]) / 2
    last = (frames[end] + frames[end + 1]) / 2
    line = last - first
    size = np.abs(line).sum(axis=1)
    inner = np.rint(start[:, None] + (end - start)[:, None] * np.linspace(0, 1, 9)).astype(np.int64)
    away = frames[inner] - first[:, None]
    share = (away @ line[:, :, None])[:, :, 0] / np.maximum((line * line).sum(axis=1), 1e-6)[
        :, None
    ]
    straight = (times[inner] - times[start][:, None]) / (times[end] - times[start])[:, None]
    bend = np.sqrt(np.mean((share - straight) ** 2, axis=1))
    ordered = np.diff(share, axis=1).min(axis=1) >= -0.1
    margin = np.maximum(2, (end - start) // 3)
    before = np.abs(first - frames[np.maximum(0, start - margin)]).sum(axis=1)
    after = np.abs(frames[np.minimum(len(frames) - 1, end + margin)] - last).sum(axis=1)
    drift = np.maximum(before, after) / np.maximum(size, 1e-6)
    good = (size >= use.min_blend) & (bend <= use.blend_bend) & ordered & (drift <= use.steady)
    residual = np.ones(len(start), np.float32)
    off = np.abs(away[good] - share[good][:, :, None] * line[good][:, None]).sum(axis=2)
    residual[good] = off.max(axis=1, initial=0.0) / size[good]
    score = size * (1.0 - drift) * (1.0 - residual) * (1.0 - bend)
    score[~good | (residual > use.blend_residual)] = 0.0
    return score.astype(np.float32), residual


def contrast_kept(frames: NDArray[np.uint8]) -> float:
    """How much of the contrast that blending the first into the last frame would cost is there.

    The variance of brightness runs along a parabola in a dissolve (Alattar, ISCAS 1993): half-way
    between unlike pictures half of it is left. In a pan, where pictures are no blends however even
    their course, it stays: 0 and 1, and near those in practice.
    """
    inner = frames[np.rint(np.linspace(0, len(frames) - 1, 9)).astype(np.int64), :LUMA_DIM]
    luma = inner.astype(np.float32)
    luma -= luma.mean(axis=1, keepdims=True)
    variance = (luma**2).mean(axis=1)
    share = np.linspace(0.0, 1.0, 9)
    plain = (1 - share) * variance[0] + share * variance[-1]
    cost = share * (1 - share) * (variance[0] + variance[-1] - 2 * (luma[0] * luma[-1]).mean())
    return float((variance - plain + cost)[1:-1].sum() / max(float(cost[1:-1].sum()), 1e-6))


def structure(a: Small, b: Small) -> float:
    """Correlation of the brightness of two pictures, -1 to 1; 0 where one of them is uniform."""
    pair = np.stack([a[:LUMA_DIM], b[:LUMA_DIM]]).astype(np.float32)
    pair -= pair.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(pair, axis=1)
    return float(pair[0] @ pair[1] / (sizes[0] * sizes[1])) if sizes.min() > 1.0 else 0.0
