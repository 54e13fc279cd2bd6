"""Item-kNN of ratings: what a person thought of the most similar items, above the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.protocols import Arrays, Trial
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.given import Given, given, rated
from segue.recommend.ratings_mean import MeanRatings

MAX_ITEMS = 6_000  # the pairwise sums are dense: 144 MB each; rarer items keep their baseline


@dataclass
class KnnRatings:
    """Shrunk correlation of baseline residuals (Koren, KDD 2008, section 2.2).

    s_ij = (n_ij / (n_ij + ``shrink``) |rho_ij|)^``power``, signed as rho; r = b_ui +
    sum_j s_ij e_uj / (sum_j |s_ij| + ``damp``) over those of the ``k`` nearest items j of i that
    the person rated, e being the residuals of the baseline.
    """

    k: int = 200
    shrink: float = 100.0
    damp: float = 0.5
    power: float = 1.5
    name: str = "item-knn ratings"
    base: MeanRatings = field(default_factory=MeanRatings, repr=False)
    items: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp), repr=False)
    near: sp.csr_matrix = field(default_factory=lambda: sp.csr_matrix((1, 1)), repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "k")
        at_least(self, 0, "shrink")
        above(self, 0, "damp", "power")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "k": trial.suggest_int("k", 20, 400, log=True),
            "shrink": trial.suggest_float("shrink", 10.0, 300.0, log=True),
            "damp": trial.suggest_float("damp", 0.03, 3.0, log=True),
            "power": trial.suggest_float("power", 0.7, 2.5),
        }

    def fit(self, training: Training) -> None:
        _, ratings, scale = rated(training)
        self.base.fit(training)
        count = np.bincount(ratings.items, minlength=scale.n_items)
        items = np.sort(np.argsort(-count, kind="stable")[:MAX_ITEMS])
        self.items = items[count[items] > 0].astype(np.intp)
        self.near = _nearest(_similar(self._residuals(ratings), self.shrink, self.power), self.k)

    def _residuals(self, ratings: Given) -> sp.csr_matrix:
        """(n_users, m) over :attr:`items`."""
        lookup = np.full(self.base.scale.n_items + 1, -1, dtype=np.intp)
        lookup[self.items] = np.arange(len(self.items))
        at = lookup[ratings.items]
        kept = at >= 0
        cells = (ratings.user_of[kept], at[kept])
        shape = (ratings.n_users, len(self.items))
        return sp.csr_matrix((self.base.residuals(ratings)[kept], cells), shape=shape)

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        ratings = given(histories, self.base.scale.n_items)
        out = self.base.baseline(ratings, histories.n_items)
        rest = self._residuals(ratings)
        rated_at = sp.csr_matrix((np.ones_like(rest.data), rest.indices, rest.indptr), rest.shape)
        total = (rest @ self.near).toarray()
        weight = (rated_at @ abs(self.near)).toarray() + self.damp
        out[:, self.items] += total / weight
        return self.base.scale.clip(out)

    def state(self) -> Arrays:
        return {
            **self.base.state(),
            "items": self.items,
            "near": self.near.data,
            "near_rows": self.near.indices,
            "near_starts": self.near.indptr,
        }

    def restore(self, state: Arrays) -> None:
        self.base.restore(state)
        self.items = np.ascontiguousarray(state["items"], dtype=np.intp)
        size = (len(self.items), len(self.items))
        parts = (state["near"], state["near_rows"], state["near_starts"])
        self.near = sp.csr_matrix(parts, shape=size)


def _similar(rest: sp.csr_matrix, shrink: float, power: float) -> Floats:
    """(m, m) signed similarities, 0 on the diagonal; in place, for each array is dense."""
    rest = rest.astype(np.float32)
    once = sp.csr_matrix((np.ones_like(rest.data), rest.indices, rest.indptr), rest.shape)
    out = (rest.T @ rest).toarray()
    squares = (rest.power(2).T @ once).toarray()  # of i over the people who rated both
    squares *= squares.T
    out /= np.maximum(np.sqrt(squares, out=squares), 1e-9, out=squares)
    common = (once.T @ once).toarray()
    out *= common
    common += shrink
    out /= np.maximum(common, 1e-9, out=common)
    np.fill_diagonal(out, 0)
    return np.asarray(np.sign(out) * np.abs(out) ** power, dtype=np.float32)


def _nearest(similar: Floats, k: int) -> sp.csr_matrix:
    """Of each item (column) only its ``k`` nearest stay."""
    if len(similar) > k:
        floor = np.partition(np.abs(similar), -k, axis=0)[-k]
        similar[np.abs(similar) < floor] = 0
    return sp.csr_matrix(similar)
