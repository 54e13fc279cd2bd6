"""Item-to-item matrices over the items that have a history, and how histories meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from segue.core.types import Floats, Histories, Interactions, Rows

MAX_ITEMS = 6_000  # a dense float32 matrix of 144 MB; rarer items are reached through content


def recency(histories: Histories, half_life: float | None) -> Floats:
    """(nnz,) weight of each entry, halved every ``half_life`` newer entries of the same user."""
    if half_life is None:
        return histories.weights
    longest = int(histories.counts.max(initial=0))
    return np.asarray(histories.weights * powers(half_life, longest)[histories.age_rank])


def powers(half_life: float, n: int) -> Floats:
    """(n,) float32: 1 for the newest entry, halved every ``half_life`` entries."""
    return (0.5 ** (np.arange(n) / half_life)).astype(np.float32)


def known_items(interactions: Interactions, limit: int = MAX_ITEMS) -> Rows:
    """Rows of the ``limit`` most consumed items that anyone consumed, ascending."""
    counts = np.bincount(interactions.items[interactions.weight >= 0], minlength=1)
    order = np.argsort(-counts, kind="stable")[:limit]
    return np.sort(order[counts[order] > 0]).astype(np.intp)


@dataclass(frozen=True)
class ItemMatrix:
    """``values[a, b]``: what a history entry on ``items[a]`` adds to the score of ``items[b]``."""

    items: Rows  # (m,) ascending
    values: Floats  # (m, m)

    @cached_property
    def _lookup(self) -> Rows:
        size = int(self.items[-1]) + 1 if len(self.items) else 0
        out = np.full(size + 1, -1, dtype=np.intp)  # the last cell answers for all later rows
        out[self.items] = np.arange(len(self.items))
        return out

    def positions(self, rows: Rows) -> Rows:
        """(n,) where each item stands in the matrix; -1 when it has no history."""
        return self._lookup[np.minimum(rows, len(self._lookup) - 1)]

    def memories(
        self,
        histories: Histories,
        half_lives: Sequence[float | None],
        wanted: Rows | None = None,
    ) -> Floats:
        """(n_half_lives, n_users, n_items) float32, or (…, len(wanted)); 0 without history."""
        if histories.n_users == 1:
            return self._memories_of_one(histories, half_lives, wanted)
        at = self.positions(histories.items)
        kept = at >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[histories.indptr]
        count, users = int(ends[-1]), histories.n_users
        weights = np.concatenate([recency(histories, h)[kept] for h in half_lives])
        starts = (ends[None, :-1] + np.arange(len(half_lives))[:, None] * count).ravel()
        stacked = sp.csr_matrix(
            (weights, np.tile(at[kept], len(half_lives)), np.append(starts, len(weights))),
            shape=(len(half_lives) * users, len(self.items)),
        )
        if wanted is None:
            out = np.zeros((len(half_lives), users, histories.n_items), dtype=np.float32)
            out[:, :, self.items] = (stacked @ self.values).reshape(len(half_lives), users, -1)
            return out
        columns = self.positions(wanted)
        block = np.ascontiguousarray(self.values[:, columns[columns >= 0]])
        out = np.zeros((len(half_lives), users, len(wanted)), dtype=np.float32)
        out[:, :, columns >= 0] = (stacked @ block).reshape(len(half_lives), users, -1)
        return out

    def _memories_of_one(
        self, history: Histories, half_lives: Sequence[float | None], wanted: Rows | None
    ) -> Floats:
        """The same for one person, dense: a request pays for no sparse set-up."""
        at = self.positions(history.items)
        kept = at >= 0
        weights = np.stack([recency(history, h)[kept] for h in half_lives])
        if wanted is not None:
            return (weights @ self.block(history.items[kept], wanted))[:, None, :]
        out = np.zeros((len(half_lives), 1, history.n_items), dtype=np.float32)
        out[:, 0, self.items] = weights @ self.values.take(at[kept], axis=0)  # faster than [ ]
        return out

    def scores(self, histories: Histories, half_life: float | None = None) -> Floats:
        """(n_users, n_items) float32; 0 for items without history."""
        return np.asarray(self.memories(histories, [half_life])[0])

    def contributions(self, history: Histories, half_life: float | None, wanted: Rows) -> Floats:
        """(n_entries, len(wanted)) float32: what each entry of one user adds to each item."""
        return self.block(history.items, wanted) * recency(history, half_life)[:, None]

    def block(self, given: Rows, wanted: Rows) -> Floats:
        """(len(given), len(wanted)) cells of the matrix, 0 for items without history."""
        rows, columns = self.positions(given), self.positions(wanted)
        if not len(self.items):
            return np.zeros((len(rows), len(columns)), dtype=np.float32)
        cells = self.values[np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None, :]]
        cells[rows < 0] = 0
        cells[:, columns < 0] = 0
        return cells

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"items": self.items, "values": self.values}

    @staticmethod
    def of(state: Mapping[str, np.ndarray[Any, Any]]) -> ItemMatrix:
        return ItemMatrix(
            np.ascontiguousarray(state["items"], dtype=np.intp),
            np.ascontiguousarray(state["values"], dtype=np.float32),
        )


EMPTY = ItemMatrix(np.zeros(0, dtype=np.intp), np.zeros((0, 0), dtype=np.float32))


def consumption(interactions: Interactions, items: Rows) -> sp.csr_matrix:
    """(n_users, m) 1 where a user consumed an item (weight >= 0), as float32."""
    size = int(max(interactions.n_items, items[-1] + 1 if len(items) else 0))
    lookup = np.full(size, -1, dtype=np.intp)
    lookup[items] = np.arange(len(items))
    at = lookup[interactions.items]
    kept = (at >= 0) & (interactions.weight >= 0)
    matrix = sp.csr_matrix(
        (np.ones(int(kept.sum()), np.float32), (interactions.users[kept], at[kept])),
        shape=(interactions.n_users, len(items)),
    )
    matrix.data[:] = 1  # a repeated play is one consumption
    return matrix
