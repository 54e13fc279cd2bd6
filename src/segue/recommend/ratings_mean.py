"""The baseline of rating prediction: how an item and a person differ from the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.core.checks import above
from segue.core.protocols import Arrays, Trial
from segue.core.types import Doubles, Floats, Histories, Profile, Training
from segue.recommend.given import Given, Scale, given, rated

ROUNDS = 10


@dataclass
class MeanRatings:
    """r = mu + b_i + b_u by alternating ridge (Koren, KDD 2008, section 2.1)."""

    item_ridge: float = 5.0
    user_ridge: float = 5.0
    name: str = "mean ratings"
    scale: Scale = field(default_factory=Scale, repr=False)
    item_bias: Doubles = field(default_factory=lambda: np.zeros(1), repr=False)

    def __post_init__(self) -> None:
        above(self, 0, "item_ridge", "user_ridge")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "item_ridge": trial.suggest_float("item_ridge", 0.5, 50.0, log=True),
            "user_ridge": trial.suggest_float("user_ridge", 0.5, 50.0, log=True),
        }

    def fit(self, training: Training) -> None:
        _, ratings, self.scale = rated(training)
        self.item_bias = np.zeros(self.scale.n_items + 1)
        count = np.bincount(ratings.items, minlength=len(self.item_bias))
        for _ in range(ROUNDS):
            rest = ratings.values - self.scale.mean - self.people(ratings)[ratings.user_of]
            total = np.bincount(ratings.items, rest, minlength=len(count))
            self.item_bias = total / (count + self.item_ridge)

    def people(self, ratings: Given) -> Doubles:
        """(n_users,) how much each person rates above what their items get."""
        rest = ratings.values - self.scale.mean - self.item_bias[ratings.items]
        total = np.bincount(ratings.user_of, rest, minlength=ratings.n_users)
        return np.asarray(total / (ratings.counts + self.user_ridge))

    def residuals(self, ratings: Given) -> Doubles:
        """(nnz,) what the baseline leaves of each rating."""
        base = self.scale.mean + self.item_bias[ratings.items]
        return np.asarray(ratings.values - base - self.people(ratings)[ratings.user_of])

    def baseline(self, ratings: Given, n_items: int) -> Doubles:
        """(n_users, n_items) before clipping."""
        of_items = self.item_bias[self.scale.columns(n_items)]
        return self.scale.mean + of_items[None, :] + self.people(ratings)[:, None]

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        ratings = given(histories, self.scale.n_items)
        return self.scale.clip(self.baseline(ratings, histories.n_items))

    def state(self) -> Arrays:
        return {**self.scale.state(), "item_bias": self.item_bias}

    def restore(self, state: Arrays) -> None:
        self.scale = Scale.of(state)
        self.item_bias = np.ascontiguousarray(state["item_bias"], dtype=np.float64)
