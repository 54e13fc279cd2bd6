"""User-kNN without users: a history is compared with groups of alike people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.errors import BadInput
from segue.core.protocols import Arrays, Trial
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.factors import truncated_svd
from segue.recommend.matrix import consumption, freshness, known_items, lookup, product, recency

LEAST_PEOPLE = 5  # a group never speaks for fewer
MOST_GROUPS = 2_000
MOST_ITEMS = 2_000  # of one group's profile: 16 kB, 32 MB in all


@dataclass
class People:
    """User-kNN (Herlocker et al., SIGIR 1999) over averages of at least ``people`` alike people.

    Groups of alike people (Domingo-Ferrer & Mateo-Sanz, TKDE 2002) are made by halving along the
    first principal direction of a ``dim``-dimensional projection, at the median, so that none is
    smaller than ``people``. Kept of each are shares of its people by item, nothing of a person.
    An item's score is the sum over the ``k`` groups closest to the history (cosine, to the power
    ``sharpness``) of closeness times share, divided by the item's popularity to the power
    ``damping``. ``fresh_days`` halves a person's say with each so many days since they were last
    active.
    """

    people: int = 8
    k: int = 100
    sharpness: float = 1.0
    damping: float = 0.0
    dim: int = 32
    half_life: float | None = 20.0
    fresh_days: float | None = 30.0
    name: str = "people"
    items: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp), repr=False)
    groups: sp.csr_matrix = field(
        default_factory=lambda: sp.csr_matrix((0, 0), dtype=np.float32), repr=False
    )
    lengths: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)
    factors: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def __post_init__(self) -> None:
        if self.people < LEAST_PEOPLE:
            raise BadInput(f"people must be >= {LEAST_PEOPLE}, got {self.people}")
        at_least(self, 1, "k", "dim")
        above(self, 0, "half_life", "fresh_days")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "k": trial.suggest_int("k", 5, 500, log=True),
            "sharpness": trial.suggest_float("sharpness", 0.5, 6.0),
            "damping": trial.suggest_float("damping", 0.0, 0.5),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
            "fresh_days": trial.suggest_categorical("fresh_days", [None, 10.0, 30.0, 100.0]),
        }

    def fit(self, training: Training) -> None:
        self.items = known_items(training.interactions)
        x = consumption(training.interactions, self.items)
        active = np.flatnonzero(np.diff(x.indptr) > 0)
        x, fresh = x[active], freshness(training, self.fresh_days)[active]
        count = np.asarray(x.sum(axis=0)).ravel()
        self.factors = (count**-self.damping).astype(np.float32)
        if len(active) < LEAST_PEOPLE:
            self._take(sp.csr_matrix((0, len(self.items)), dtype=np.float32))
            return
        size = max(self.people, -(-len(active) // MOST_GROUPS))
        group = halved(self._projected(x, count), size)
        n = int(group.max()) + 1
        total = np.bincount(group, fresh, minlength=n)
        shares = fresh / total[group]
        means = sp.csr_matrix((shares, (group, np.arange(len(group)))), shape=(n, len(group))) @ x
        self._take(_strongest(means.tocsr().astype(np.float32)))

    def _projected(self, x: sp.csr_matrix, count: Floats) -> Floats:
        """(n, dim) unit rows: where people stand among tastes, popular items damped."""
        dim = min(self.dim, min(x.shape) - 1)
        if dim < 1:
            return np.zeros((x.shape[0], 1), dtype=np.float32)
        damped = x.multiply(1 / np.sqrt(np.maximum(count, 1.0))[None, :]).tocsr()
        left, strength, _ = truncated_svd(damped, dim)
        places = left * strength
        length = np.linalg.norm(places, axis=1, keepdims=True)
        return np.asarray(places / np.maximum(length, 1e-9), dtype=np.float32)

    def _take(self, groups: sp.csr_matrix) -> None:
        groups.sort_indices()
        self.groups = groups
        lengths = np.sqrt(np.asarray(groups.multiply(groups).sum(axis=1)).ravel())
        self.lengths = np.maximum(lengths, 1e-9).astype(np.float32)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        if not self.groups.shape[0] or not len(self.items):
            return out
        ends, close, weights = self._closest(histories)
        found = np.zeros((histories.n_users, len(self.items)), dtype=np.float32)
        product(ends, close, weights[None], self.groups, found[None])
        out[:, self.items] = found * self.factors
        return out

    def _closest(self, histories: Histories) -> tuple[Rows, Rows, Floats]:
        """CSR over users of the ``k`` closest groups and how close they are, in [0, 1]."""
        where = lookup(self.items)
        at = where[np.minimum(histories.items, len(where) - 1)]
        kept = at >= 0
        weights = recency(histories, self.half_life)[kept]
        given = sp.csr_matrix(
            (weights, (histories.user_of[kept], at[kept])),
            shape=(histories.n_users, len(self.items)),
        )
        length = np.sqrt(np.asarray(given.multiply(given).sum(axis=1)).ravel())
        cosine = np.asarray((given @ self.groups.T).toarray(), dtype=np.float32)
        cosine /= np.maximum(length, 1e-9)[:, None] * self.lengths
        k = min(self.k, self.groups.shape[0])
        close = np.sort(np.argpartition(-cosine, k - 1, axis=1)[:, :k], axis=1)
        power = np.maximum(np.take_along_axis(cosine, close, axis=1), 0) ** self.sharpness
        ends = np.arange(0, histories.n_users * k + 1, k, dtype=np.intp)
        return ends, close.ravel().astype(np.intp), power.ravel().astype(np.float32)

    def state(self) -> Arrays:
        return {
            "items": self.items,
            "row_ptr": self.groups.indptr.astype(np.int64),
            "columns": self.groups.indices.astype(np.int32),
            "cells": self.groups.data.astype(np.float32),
            "factors": self.factors,
        }

    def restore(self, state: Arrays) -> None:
        self.items = np.ascontiguousarray(state["items"], dtype=np.intp)
        self.factors = np.ascontiguousarray(state["factors"], dtype=np.float32)
        shape = (len(state["row_ptr"]) - 1, len(self.items))
        parts = (state["cells"], state["columns"], state["row_ptr"])
        self._take(sp.csr_matrix(parts, shape=shape))


def halved(places: Floats, size: int) -> Rows:
    """(n,) group of each row of ``places``: groups of ``size`` to 2 x ``size`` - 1 alike rows.

    With fewer than ``size`` rows there is one group.
    """
    group = np.zeros(len(places), dtype=np.intp)
    waiting, n = [np.arange(len(places))], 0
    while waiting:
        rows = waiting.pop()
        if len(rows) < 2 * size:
            group[rows] = n
            n += 1
            continue
        centred = places[rows] - places[rows].mean(axis=0)
        _, directions = np.linalg.eigh(centred.T @ centred)
        # stable sort: equal people keep their order, so that a fit repeats exactly
        order = np.argsort(centred @ directions[:, -1], kind="stable")
        waiting += [rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]]
    return group


def _strongest(groups: sp.csr_matrix) -> sp.csr_matrix:
    """Each row's MOST_ITEMS largest cells."""
    for row in range(groups.shape[0]):
        cells = groups.data[groups.indptr[row] : groups.indptr[row + 1]]
        if len(cells) > MOST_ITEMS:
            cells[np.argpartition(-cells, MOST_ITEMS)[MOST_ITEMS:]] = 0
    groups.eliminate_zeros()
    return groups
