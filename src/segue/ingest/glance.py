"""A decoded frame as a short vector: blurred brightness and colour. Runs in the sandboxed child."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.ingest.shots import CHROMA, LUMA, SMALL_DIM, Small

# Pixel formats whose planes are brightness, blue and red difference, a byte a sample.
PLANAR = frozenset(
    f"{range_}{layout}p" for range_ in ("yuv", "yuvj") for layout in ("420", "422", "444", "411")
)
OTHER_SIZE = 128, 72  # anything else is scaled to this by libswscale first
ROWS_A_BLOCK, COLUMNS_A_BLOCK = 4, 8  # samples that make up a block's mean


def small(frame: Any) -> Small:
    """(SMALL_DIM,) uint8: block means of brightness and of both colour differences."""
    if frame.format.name not in PLANAR:
        frame = frame.reformat(width=OTHER_SIZE[0], height=OTHER_SIZE[1], format="yuv444p")
    out = np.empty(SMALL_DIM, np.uint8)
    at = 0
    for plane, (rows, columns) in zip(frame.planes, (LUMA, CHROMA, CHROMA), strict=True):
        out[at : at + rows * columns] = _blocks(plane, rows, columns)
        at += rows * columns
    return out


def sharpness(frame: Any) -> float:
    """Mean step between neighbours in every eighth row: low for blur and for empty pictures."""
    if frame.format.name not in PLANAR:
        frame = frame.reformat(format="gray")
    rows = _samples(frame.planes[0])[::8].astype(np.int16)
    return float(np.abs(np.diff(rows, axis=1)).mean()) if rows.shape[1] > 1 else 0.0


def _samples(plane: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(plane, np.uint8)
    return data[: plane.height * plane.line_size].reshape(plane.height, -1)[:, : plane.width]


def _blocks(plane: Any, rows: int, columns: int) -> NDArray[np.uint8]:
    samples = _samples(plane)
    height, width = samples.shape
    some = samples[:: max(1, height // (rows * ROWS_A_BLOCK)),
                   :: max(1, width // (columns * COLUMNS_A_BLOCK))].astype(np.float32)  # fmt: skip
    means = _averaging(some.shape[0], rows) @ some @ _averaging(some.shape[1], columns).T
    return np.asarray(means + 0.5, np.uint8).ravel()


@lru_cache(maxsize=64)
def _averaging(length: int, parts: int) -> NDArray[np.float32]:
    """(parts, length) float32: each row takes the mean of its block (of one sample at least)."""
    out = np.zeros((parts, length), np.float32)
    for part in range(parts):
        first = part * length // parts
        end = max(first + 1, (part + 1) * length // parts)
        out[part, first:end] = 1.0 / (end - first)
    return out
