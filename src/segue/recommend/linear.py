"""EASE: the closed-form linear item-to-item model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg.lapack as lapack
import scipy.sparse as sp

from segue.core.checks import above, at_least, within
from segue.core.errors import BadInput
from segue.core.protocols import Trial
from segue.core.types import DAY_S, Doubles, Floats, Rows, Training
from segue.recommend import counts
from segue.recommend.counts import Ints, Pairs
from segue.recommend.matrix import (
    DENSE_ITEMS,
    EMPTY,
    ItemMatrix,
    OverMatrix,
    StrongGram,
    Values,
    consumption,
    known_items,
)


@dataclass
class Linear(OverMatrix):
    """EASE (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019), B = I - P diag(P)^-1.

    ``dropout`` in [0, 1) adds dropout / (1 - dropout) of an item's count to its ridge, as if so
    much of every history were hidden in training (EDLAE: Steck, NeurIPS 2020). ``damping``
    divides a candidate's column by its count to that power. ``half_life`` weights the newest
    history entries most at scoring; ``window_days`` learns from recent behaviour only.
    Beyond ``dense_items`` each item is regressed on its ``near`` most alike items alone.
    """

    ridge: float = 1000.0
    half_life: float | None = None
    window_days: float | None = None
    dropout: float = 0.5
    damping: float = 0.0
    near: int = 200
    dense_items: int = DENSE_ITEMS
    name: str = "linear"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def __post_init__(self) -> None:
        above(self, 0, "ridge")
        within(self, 0, 1, "dropout")
        at_least(self, 1, "near")
        above(self, 0, "half_life", "window_days")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "ridge": trial.suggest_float("ridge", 10.0, 3000.0, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.8),
            "damping": trial.suggest_float("damping", -0.2, 0.3),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
        }

    def fit(self, training: Training) -> None:
        seen = training.interactions
        if self.window_days is not None:
            seen = seen.between(training.at - self.window_days * DAY_S, training.at)
        items = known_items(seen)
        pairs = Pairs.of(consumption(seen, items))
        taken = pairs.counts
        penalty = self.ridge + self.dropout / (1 - self.dropout) * taken
        if len(items) <= self.dense_items:
            values = ease(pairs.gram(np.ones(len(pairs.indptr) - 1)), penalty)
        else:
            values = local_ease(pairs, penalty, self.near)
        if self.damping:
            factor = (taken**-self.damping).astype(np.float32)
            if isinstance(values, np.ndarray):
                values *= factor
            else:
                values.data *= factor[values.indices]
        self.matrix = ItemMatrix(items, values)


def ease(gram: Floats, penalty: Doubles) -> Values:
    """(m, m) float32 values of EASE; overwrites ``gram``.

    Cholesky in float32: on MovieLens-1M 1e-5 of the size of the weights away from float64, in
    half its time.
    """
    if not len(gram):
        return gram
    diagonal = np.diag_indices(len(gram))
    gram[diagonal] += penalty.astype(np.float32)
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1)  # .T: LAPACK's order, no copy
    if failed:
        raise BadInput(
            f"the ridge is too small for this data (penalty {penalty.min():g}); raise it"
        )
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    values: Floats = inverse.T
    counts.mirror(values)
    values /= -np.diag(values)
    values[diagonal] = 0
    return values


def local_ease(pairs: Pairs, penalty: Doubles, near: int) -> sp.csr_matrix:
    """(m, m) CSR: EASE's regression of each item, on its ``near`` most alike items only.

    For one item EASE is the ridge regression of its column on all others; leaving out those that
    are hardly ever consumed together with it changes little (compared with the exact one in the
    tests), and memory grows with the items, not with their square.
    """
    strong = StrongGram.of(pairs, near)
    weights = np.zeros(strong.chosen.shape, dtype=np.float32)
    _regress(*strong.parts, penalty, weights)
    return strong.values(weights)


@counts.compiled
def _regress(
    chosen: Ints, square: Floats, row_ptr: Rows, columns: Ints, cells: Floats, chance: Floats,
    penalty: Doubles, weights: Floats,
) -> None:  # fmt: skip
    m, n = chosen.shape
    place = np.full(m, -1, dtype=np.int32)
    gram = np.empty((n + 1, n + 1), dtype=np.float32)
    for item in range(m):
        size = np.sum(chosen[item] >= 0)
        members = np.append(chosen[item, :size], np.int32(item))
        local = gram[: size + 1, : size + 1]
        counts.local_gram(members, row_ptr, columns, cells, chance, place, local)
        others = local[:size, :size].astype(np.float64)
        for i in range(size):
            others[i, i] += penalty[members[i]]
        weights[item, :size] = np.linalg.solve(others, local[:size, size].astype(np.float64))
