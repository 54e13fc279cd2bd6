"""Ratings as raters see them: in rows of the fit, with one spare row for every later item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadInput
from segue.core.protocols import Arrays
from segue.core.types import Doubles, Floats, Histories, Rows, Training


@dataclass(frozen=True)
class Given:
    """CSR over users: what each rated, oldest first."""

    starts: Rows  # (n_users + 1,)
    items: Rows  # (nnz,) in [0, n_items]; n_items is the spare row
    values: Doubles  # (nnz,)

    @property
    def n_users(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> Rows:
        """(n_users,)"""
        return np.diff(self.starts)

    @property
    def user_of(self) -> Rows:
        """(nnz,)"""
        return np.repeat(np.arange(self.n_users, dtype=np.intp), self.counts)


def given(histories: Histories, n_items: int) -> Given:
    """The entries that carry a rating."""
    if histories.values is None:
        nothing = np.zeros(0, dtype=np.intp)
        starts = np.zeros(histories.n_users + 1, dtype=np.intp)
        return Given(starts, nothing, np.zeros(0))
    rated = np.isfinite(histories.values)
    starts = np.concatenate([[0], np.cumsum(rated)])[histories.indptr].astype(np.intp)
    items = np.minimum(histories.items[rated], n_items)
    return Given(starts, items, histories.values[rated].astype(np.float64))


@dataclass(frozen=True)
class Scale:
    """Range and mean of the ratings fitted on."""

    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    n_items: int = 0

    def clip(self, ratings: Doubles) -> Floats:
        return np.clip(ratings, self.low, self.high).astype(np.float32)

    def columns(self, n_items: int) -> Rows:
        """(n_items,) row of the fit for each item of a (grown) catalogue."""
        return np.minimum(np.arange(n_items, dtype=np.intp), self.n_items)

    def state(self) -> Arrays:
        return {"scale": np.array([self.low, self.high, self.mean, self.n_items])}

    @staticmethod
    def of(state: Arrays) -> Scale:
        low, high, mean, n_items = (float(v) for v in state["scale"])
        return Scale(low, high, mean, int(n_items))


def rated(training: Training) -> tuple[Histories, Given, Scale]:
    """All that people rated; refuses data without ratings."""
    histories = training.interactions.histories()
    n_items = training.interactions.n_items
    ratings = given(histories, n_items)
    if not len(ratings.values):
        raise BadInput("a rater needs ratings, got no event with a value; import some first")
    values = ratings.values
    scale = Scale(float(values.min()), float(values.max()), float(values.mean()), n_items)
    return histories, ratings, scale
