"""A random walk of three steps: from an item to its people, and to what else they consumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.core.checks import above, at_least
from segue.core.protocols import Trial
from segue.core.types import Floats, Training
from segue.recommend.counts import Pairs
from segue.recommend.matrix import (
    DENSE_ITEMS,
    EMPTY,
    ItemMatrix,
    OverMatrix,
    consumption,
    freshness,
    known_items,
    nearest,
)


@dataclass
class Walk(OverMatrix):
    """RP3beta (Paudel et al., ACM TiiS 2017), as an item matrix.

    ``alpha`` is the power of each step's probability; ``beta`` the power of a candidate's
    popularity that its strength is divided by (0: none); ``fresh_days`` halves a person's say with
    each so many days since they were last active; ``k`` history items of each candidate count.
    """

    k: int = 1000
    alpha: float = 1.0
    beta: float = 0.2
    half_life: float | None = 20.0
    fresh_days: float | None = 30.0
    dense_items: int = DENSE_ITEMS
    name: str = "walk"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "k")
        above(self, 0, "alpha")
        at_least(self, 0, "beta")
        above(self, 0, "half_life", "fresh_days")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "k": trial.suggest_int("k", 50, 3000, log=True),
            "alpha": trial.suggest_float("alpha", 0.3, 1.5),
            "beta": trial.suggest_float("beta", 0.0, 0.9),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
            "fresh_days": trial.suggest_categorical("fresh_days", [None, 10.0, 30.0, 100.0]),
        }

    def fit(self, training: Training) -> None:
        items = known_items(training.interactions)
        pairs = Pairs.of(consumption(training.interactions, items))
        weights = np.maximum(pairs.lengths, 1) ** -self.alpha * freshness(training, self.fresh_days)
        leaving = (pairs.counts**-self.alpha).astype(np.float32)
        damping = (pairs.counts**-self.beta).astype(np.float32)

        def scale(block: Floats, first: int, last: int) -> None:
            block *= damping[first:last, None] * leaving

        self.matrix = ItemMatrix(items, nearest(pairs, weights, scale, self.k, self.dense_items))
