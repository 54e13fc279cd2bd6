"""EASE: the closed-form linear item-to-item model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.matrix import EMPTY, ItemMatrix, consumption, known_items

DAY_S = 86_400.0


@dataclass
class Linear:
    """EASE (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019), B = I - P diag(P)^-1.

    ``half_life`` weights the newest history entries most at scoring; ``window_days`` learns from
    recent behaviour only.
    """

    ridge: float = 300.0
    half_life: float | None = 60.0
    window_days: float | None = None
    name: str = "linear"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def fit(self, training: Training) -> None:
        seen = training.interactions
        if self.window_days is not None:
            seen = seen.between(training.at - self.window_days * DAY_S, training.at)
        items = known_items(seen)
        x = consumption(seen, items)
        gram = np.asarray((x.T @ x).todense(), dtype=np.float64)
        diagonal = np.diag_indices(len(items))
        gram[diagonal] += self.ridge
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        weights[diagonal] = 0
        self.matrix = ItemMatrix(items, weights.astype(np.float32))

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.matrix.scores(histories, self.half_life)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        return self.matrix.contributions(history, self.half_life, items)

    def state(self) -> Arrays:
        return self.matrix.state()

    def restore(self, state: Arrays) -> None:
        self.matrix = ItemMatrix.of(state)
