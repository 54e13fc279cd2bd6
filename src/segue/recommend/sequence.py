"""What comes next: items that follow one another in people's histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.matrix import EMPTY, ItemMatrix, known_items

DAY_S = 86_400.0


@dataclass
class Successors:
    """Counts of "b within ``reach`` steps after a", weighted 1/lag and damped for popularity."""

    reach: int = 5
    shrink: float = 20.0
    half_life: float | None = 3.0
    window_days: float | None = None
    name: str = "successors"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def fit(self, training: Training) -> None:
        seen = training.interactions
        if self.window_days is not None:
            seen = seen.between(training.at - self.window_days * DAY_S, training.at)
        items = known_items(seen)
        histories = seen.histories()
        lookup = np.full(seen.n_items, -1, dtype=np.intp)
        lookup[items] = np.arange(len(items))
        at, user = lookup[histories.items], histories.user_of
        kept = (at >= 0) & (histories.weights >= 0)
        at, user = at[kept], user[kept]
        counts = sp.csr_matrix((len(items), len(items)), dtype=np.float32)
        for lag in range(1, self.reach + 1):
            same = user[:-lag] == user[lag:]
            pairs = (at[:-lag][same], at[lag:][same])
            ones = np.full(len(pairs[0]), 1 / lag, dtype=np.float32)
            counts = counts + sp.csr_matrix((ones, pairs), shape=counts.shape)
        out = np.asarray(counts.sum(axis=1)).ravel() + self.shrink
        into = np.asarray(counts.sum(axis=0)).ravel() + self.shrink
        dense = np.asarray(counts.todense(), dtype=np.float32)
        dense /= np.sqrt(out)[:, None] * np.sqrt(into)[None, :]
        np.fill_diagonal(dense, 0)
        self.matrix = ItemMatrix(items, dense)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.matrix.scores(histories, self.half_life)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        return self.matrix.contributions(history, self.half_life, items)

    def state(self) -> Arrays:
        return self.matrix.state()

    def restore(self, state: Arrays) -> None:
        self.matrix = ItemMatrix.of(state)
