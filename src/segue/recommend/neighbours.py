"""Item-kNN: items consumed by the same people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.matrix import EMPTY, ItemMatrix, consumption, known_items


@dataclass
class Neighbours:
    """Cosine of co-consumption, shrunk, of each item's ``k`` nearest (Sarwar et al., WWW 2001)."""

    k: int = 80
    shrink: float = 20.0
    half_life: float | None = 60.0
    name: str = "neighbours"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def fit(self, training: Training) -> None:
        seen = training.interactions
        items = known_items(seen)
        x = consumption(seen, items)
        # Long histories say less about each pair: a user's evidence falls with the root of length.
        length = np.asarray(x.sum(axis=1)).ravel()
        x = x.multiply((1 / np.sqrt(np.maximum(length, 1)))[:, None]).tocsr().astype(np.float32)
        together = np.asarray((x.T @ x).todense(), dtype=np.float32)
        norm = np.sqrt(np.diag(together))
        cosine = together / (norm[:, None] * norm[None, :] + self.shrink / 100 + 1e-9)
        np.fill_diagonal(cosine, 0)
        if len(items) > self.k:
            # Of each candidate (column) only its nearest history items (rows) count.
            floor = np.partition(cosine, -self.k, axis=0)[-self.k]
            cosine[cosine < floor] = 0
        self.matrix = ItemMatrix(items, np.ascontiguousarray(cosine, dtype=np.float32))

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.matrix.scores(histories, self.half_life)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        return self.matrix.contributions(history, self.half_life, items)

    def state(self) -> Arrays:
        return self.matrix.state()

    def restore(self, state: Arrays) -> None:
        self.matrix = ItemMatrix.of(state)
