"""SLIM: a sparse linear item-to-item model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.core.checks import above, at_least
from segue.core.protocols import Trial
from segue.core.types import Floats, Rows, Training
from segue.recommend import counts
from segue.recommend.counts import Ints, Pairs
from segue.recommend.matrix import (
    DENSE_ITEMS,
    EMPTY,
    ItemMatrix,
    OverMatrix,
    StrongGram,
    consumption,
    known_items,
)

SWEEPS = 50  # over the items of one regression, at most
SMALLEST = 1e-4  # change of a weight in a sweep that still calls for another


@dataclass
class Slim(OverMatrix):
    """SLIM with feature selection (fsSLIM; Ning & Karypis, ICDM 2011), by coordinate descent.

    Each item's column is regressed on its ``near`` most alike items with the elastic net: ``l1``
    (how many weights stay) and ``l2`` (how large they are) are in consumptions. ``signed`` lets
    weights be negative. The ``k`` strongest weights of each item are kept.
    """

    l1: float = 1.0
    l2: float = 500.0
    k: int = 300
    near: int = 300
    signed: bool = False
    half_life: float | None = None
    dense_items: int = DENSE_ITEMS
    name: str = "slim"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def __post_init__(self) -> None:
        at_least(self, 0, "l1", "l2")
        at_least(self, 1, "k", "near")
        above(self, 0, "half_life")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "l1": trial.suggest_float("l1", 0.1, 50.0, log=True),
            "l2": trial.suggest_float("l2", 1.0, 2000.0, log=True),
            "near": trial.suggest_int("near", 50, 600, log=True),
            "signed": trial.suggest_categorical("signed", [False, True]),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
        }

    def fit(self, training: Training) -> None:
        items = known_items(training.interactions)
        pairs = Pairs.of(consumption(training.interactions, items))
        m = len(items)
        strong = StrongGram.of(pairs, self.near, whole=m <= self.dense_items)
        weights: Floats = np.zeros(strong.chosen.shape, dtype=np.float32)
        _descend(*strong.parts, self.l1, self.l2, self.signed, weights)
        if weights.shape[1] > self.k:
            floor = np.partition(np.abs(weights), -self.k, axis=1)[:, -self.k]
            weights[np.abs(weights) < floor[:, None]] = 0
        values = strong.values(weights)
        self.matrix = ItemMatrix(items, values.toarray() if m <= self.dense_items else values)


@counts.compiled
def _descend(
    chosen: Ints, square: Floats, row_ptr: Rows, columns: Ints, cells: Floats, chance: Floats,
    l1: float, l2: float, signed: bool, weights: Floats,
) -> None:  # fmt: skip
    m, n = chosen.shape
    place = np.full(m, -1, dtype=np.int32)
    gram = np.empty((n + 1, n + 1), dtype=np.float32)
    for item in range(m):
        size = np.sum(chosen[item] >= 0)
        members = np.append(chosen[item, :size], np.int32(item))
        local = gram[: size + 1, : size + 1]
        if len(square):
            counts.gather(members, square, local)
        else:
            counts.local_gram(members, row_ptr, columns, cells, chance, place, local)
        solve(local, l1, l2, signed, weights[item, :size])


@counts.compiled
def solve(gram: Floats, l1: float, l2: float, signed: bool, weights: Floats) -> None:
    """Fill ``weights`` (n,): the elastic net of the last row of ``gram`` on the others.

    Minimises |y - Xw|^2 / 2 + l2 |w|^2 / 2 + l1 |w|_1, given X'X and X'y (Friedman et al., 2010).
    """
    n = len(weights)
    left = gram[n, :n].copy()  # X'(y - Xw)
    for _ in range(SWEEPS):
        largest = np.float32(0)
        for i in range(n):
            size, old = gram[i, i], weights[i]
            if size <= 0:
                continue
            pull = left[i] + size * old
            new = max(abs(pull) - l1, 0.0) / (size + l2)
            if pull < 0:
                new = -new if signed else 0.0
            change = np.float32(new - old)
            if change != 0:
                weights[i] = new
                for j in range(n):
                    left[j] -= change * gram[i, j]
                largest = np.maximum(largest, np.abs(change))
        if largest < SMALLEST:
            break
