"""Implicit-feedback matrix factorisation: items by alternating least squares, people folded in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.core.checks import above, at_least
from segue.core.protocols import Arrays, Trial
from segue.core.types import Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.alternate import alternate
from segue.recommend.factors import MAX_ITEMS, NO_FACTORS, ItemFactors
from segue.recommend.matrix import consumption, known_items, recency

LEAST_RIDGE = 1e-6
SLICE = 512  # people solved at once: 512 x 64 x 64 float64 are 17 MB


@dataclass
class Als:
    """Weighted ALS (Hu, Koren & Volinsky, ICDM 2008), eqs. 3-5.

    Consuming means preference 1 with confidence ``1 + alpha * weight``; all else preference 0 with
    confidence 1. A rejected entry is preference -1 with confidence ``1 + alpha * |weight|``. A
    person is the exact solution for the history given,
    u = A^-1 sum_e c_e p_e y_e with A = Y'Y + sum_e (c_e - 1) y_e y_e' + lambda I, lambda being
    ``regularization`` times the mean number of people of an item: the best lambda grew so from
    MovieLens-100K to -1M.
    """

    factors: int = 32
    regularization: float = 0.4
    alpha: float = 1.0
    iterations: int = 15
    half_life: float | None = 60.0
    seed: int = 0
    name: str = "als"
    vectors: ItemFactors = field(default=NO_FACTORS, repr=False)
    ridge: float = field(default=1.0, repr=False)  # lambda
    gram: Doubles = field(default_factory=lambda: np.zeros((1, 1)), repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "factors", "iterations")
        above(self, 0, "regularization")
        at_least(self, 0, "alpha")
        above(self, 0, "half_life")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "factors": trial.suggest_categorical("factors", (16, 32, 64, 96)),
            "regularization": trial.suggest_float("regularization", 0.02, 2.0, log=True),
            "alpha": trial.suggest_float("alpha", 0.5, 40.0, log=True),
            "half_life": trial.suggest_categorical("half_life", (None, 10.0, 20.0, 60.0, 200.0)),
        }

    def fit(self, training: Training) -> None:
        items = known_items(training.interactions, MAX_ITEMS)
        taken = consumption(training.interactions, items)
        ridge = max(self.regularization * taken.nnz / max(len(items), 1), LEAST_RIDGE)
        values = alternate(
            taken,
            factors=min(self.factors, max(len(items), 1)),
            alpha=self.alpha,
            ridge=ridge,
            rounds=self.iterations,
            seed=self.seed,
        )
        self._take(ItemFactors(items, values), ridge)

    def _take(self, vectors: ItemFactors, ridge: float) -> None:
        self.vectors, self.ridge = vectors, ridge
        wide = vectors.values.astype(np.float64)
        self.gram = wide.T @ wide + ridge * np.eye(wide.shape[1])

    def _equations(self, histories: Histories) -> tuple[Doubles, Doubles, Rows, Rows]:
        """A (n_users, dim, dim), signed confidence of each known entry, its index, the starts."""
        kept, at, starts = self.vectors.known(histories)
        weight = recency(histories, self.half_life)[kept].astype(np.float64)
        left = np.repeat(self.gram[None], histories.n_users, axis=0)
        y = self.vectors.values[at].astype(np.float64)
        scaled = y * (self.alpha * np.abs(weight))[:, None]
        for user in range(histories.n_users):
            own = slice(starts[user], starts[user + 1])
            left[user] += y[own].T @ scaled[own]
        signed = np.sign(weight) * (1 + self.alpha * np.abs(weight))
        return left, signed, kept, starts

    def people(self, histories: Histories) -> Floats:
        """(n_users, dim) float32: each person's exact factors, 0 without a known entry."""
        out = np.zeros((histories.n_users, self.gram.shape[0]), dtype=np.float32)
        for start in range(0, histories.n_users, SLICE):
            users = np.arange(start, min(start + SLICE, histories.n_users), dtype=np.intp)
            part = histories.take(users)
            left, signed, kept, starts = self._equations(part)
            y = self.vectors.of(part.items[kept]) * signed[:, None]
            ahead = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0)])
            right = ahead[starts[1:]] - ahead[starts[:-1]]
            out[users] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        return out

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        people = self.people(histories)
        return self.vectors.spread(people @ self.vectors.values.T, histories.n_items)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        """(n_entries, len(items)): c_e p_e y_e' A^-1 y_i, which add up to the score."""
        left, signed, kept, _ = self._equations(history)
        solved = np.linalg.solve(left[0], self.vectors.of(items).astype(np.float64).T)
        out = np.zeros((len(history.items), len(items)), dtype=np.float32)
        out[kept] = signed[:, None] * (self.vectors.of(history.items[kept]) @ solved)
        return out

    def state(self) -> Arrays:
        return {**self.vectors.state(), "ridge": np.array([self.ridge])}

    def restore(self, state: Arrays) -> None:
        self._take(ItemFactors.from_state(state), float(state["ridge"][0]))
