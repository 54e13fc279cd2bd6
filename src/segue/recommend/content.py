"""Taste in the content space: the only way to items that nobody has met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from segue.core.protocols import Arrays, Trial
from segue.core.types import Bools, Floats, Histories, Profile, Rows, Training
from segue.recommend.matrix import recency


@dataclass
class Content:
    """Likeness of an item to the weighted mean of what a person consumed.

    Vectors are centred on the catalogue's mean first: what all items share says nothing. Items
    without a vector score 0, which is neutral (neither alike nor unlike): missing stays missing.
    """

    half_life: float | None = 30.0
    name: str = "content"
    GROUP: ClassVar[str] = "content"
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)
    present: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False)
    mean: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def fit(self, training: Training) -> None:
        content = training.content
        if content is None or not content.present.any():
            size = len(training.catalogue)
            self.vectors = np.zeros((size, 1), dtype=np.float32)
            self.present = np.zeros(size, dtype=np.bool_)
            self.mean = np.zeros(1, dtype=np.float32)
            return
        self.mean = (
            content.values[content.present].mean(axis=0, dtype=np.float64).astype(np.float32)
        )
        self.place(content.values, content.present)

    def place(self, values: Floats, present: Bools) -> None:
        """Take the vectors of a (grown) catalogue; the mean stays that of the fit."""
        centred = np.where(present[:, None], values - self.mean, 0).astype(np.float32)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        self.vectors = np.ascontiguousarray(centred / np.maximum(length, 1e-6))
        self.present = present.copy()

    def taste(self, histories: Histories) -> Floats:
        """(n_users, dim) weighted mean of the history's vectors."""
        weights, owned = self._shares(histories)
        rows, owner = histories.items[owned], histories.user_of[owned]
        if histories.n_users == 1:
            return (weights[owned] @ self.vectors[rows])[None, :]
        # Each distinct item is fetched once, however many people (or variants of one) share it.
        distinct, at = np.unique(rows, return_inverse=True)
        shape = (histories.n_users, len(distinct))
        shares = sp.csr_matrix((weights[owned], (owner, at)), shape=shape)
        return np.asarray(shares @ self.vectors[distinct], dtype=np.float32)

    def _shares(self, histories: Histories) -> tuple[Floats, Bools]:
        inside = histories.items < len(self.present)
        owned = inside & self.present[np.minimum(histories.items, len(self.present) - 1)]
        weights = np.where(owned, recency(histories, self.half_life), 0)
        total = np.bincount(histories.user_of, np.abs(weights), minlength=histories.n_users)
        shares = weights / np.maximum(total, 1e-6)[histories.user_of]
        return shares.astype(np.float32), owned

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        n = min(len(self.vectors), histories.n_items)
        out[:, :n] = self.taste(histories) @ self.vectors[:n].T
        return out

    def likeness(self, histories: Histories, wanted: Rows | None = None) -> Floats:
        """Like :meth:`scores` of ``wanted``, but NaN where person or item has no content."""
        n_items = histories.n_items
        wanted = np.arange(n_items, dtype=np.intp) if wanted is None else wanted
        inside = wanted < len(self.vectors)
        rows = np.where(inside, wanted, 0)
        if len(wanted) == n_items:  # every item: gathering would copy all vectors
            out = (self.taste(histories) @ self.vectors.T)[:, rows]
        else:
            out = self.taste(histories) @ self.vectors[rows].T
        out[:, ~(inside & self.present[rows])] = np.nan
        _, owned = self._shares(histories)
        out[np.bincount(histories.user_of, owned, minlength=histories.n_users) == 0] = np.nan
        return out

    def weighted_likeness(self, given: Rows, weights: Floats, wanted: Rows) -> Floats:
        """(n, len(wanted)) :meth:`likeness` for ``n`` weightings (n, len(given)) of one history."""
        last = len(self.present) - 1
        inside = wanted <= last
        owned = (given <= last) & self.present[np.minimum(given, last)]
        weights = np.where(owned, weights, 0).astype(np.float32)
        rows, columns = np.minimum(given, last), np.minimum(wanted, last)
        cosines = self.vectors[rows] @ self.vectors[columns].T
        total = np.abs(weights).sum(axis=1, keepdims=True)
        out = weights @ cosines / np.maximum(total, 1e-6)
        out[:, ~(inside & self.present[columns])] = np.nan
        out[total[:, 0] == 0] = np.nan
        return np.asarray(out, dtype=np.float32)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        shares, owned = self._shares(history)
        rows = np.minimum(history.items, len(self.vectors) - 1)
        wanted = np.minimum(items, len(self.vectors) - 1)
        parts = (self.vectors[rows] * shares[:, None]) @ self.vectors[wanted].T
        parts[:, items >= len(self.vectors)] = 0
        return np.where(owned[:, None], parts, 0).astype(np.float32)

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """The search space."""
        return {"half_life": trial.suggest_float("half_life", 2.0, 200.0, log=True)}

    def state(self) -> Arrays:
        return {"vectors": self.vectors, "present": self.present, "mean": self.mean}

    def restore(self, state: Arrays) -> None:
        self.vectors = np.ascontiguousarray(state["vectors"], dtype=np.float32)
        self.present = np.asarray(state["present"], dtype=np.bool_)
        self.mean = np.asarray(state["mean"], dtype=np.float32)
