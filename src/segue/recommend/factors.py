"""Vectors of the items that have a history, and how histories and catalogues meet them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from segue.core.types import Doubles, Floats, Histories, Rows
from segue.recommend.matrix import lookup

MAX_ITEMS = 200_000  # 64 float32 factors each: 51 MB


def truncated_svd(x: sp.csr_matrix, dim: int) -> tuple[Doubles, Doubles, Doubles]:
    """(n, dim), (dim,), (dim, m): the ``dim`` leading singular triplets, strengths ascending.

    From a fixed start vector: the same ones every time. ``dim`` is below both sides of ``x``.
    """
    start = np.ones(min(x.shape))
    left, strength, right = spla.svds(x.astype(np.float64), k=dim, v0=start)
    return left, strength, right


@dataclass(frozen=True)
class ItemFactors:
    """One vector an item: ``values[a]`` is that of catalogue row ``items[a]``."""

    items: Rows  # (m,) ascending
    values: Floats  # (m, dim)

    @cached_property
    def _lookup(self) -> Rows:
        return lookup(self.items)

    def positions(self, rows: Rows) -> Rows:
        """(n,) where each item stands among the vectors; -1 when it has no history."""
        return self._lookup[np.minimum(rows, len(self._lookup) - 1)]

    def of(self, rows: Rows) -> Floats:
        """(n, dim) vectors of catalogue rows; 0 for items without history."""
        at = self.positions(rows)
        out = np.zeros((len(rows), self.values.shape[1]), dtype=np.float32)
        out[at >= 0] = self.values[at[at >= 0]]
        return out

    def spread(self, scores: Floats, n_items: int) -> Floats:
        """(n_users, n_items) of (n_users, m); 0 for items without history."""
        out = np.zeros((len(scores), n_items), dtype=np.float32)
        inside = self.items < n_items
        out[:, self.items[inside]] = scores[:, inside]
        return out

    def known(self, histories: Histories) -> tuple[Rows, Rows, Rows]:
        """Index and position of the entries that have a vector, and (n_users + 1,) starts."""
        at = self.positions(histories.items)
        kept = np.flatnonzero(at >= 0)
        starts = np.concatenate([[0], np.cumsum(at >= 0)])[histories.indptr]
        return kept, at[kept], starts.astype(np.intp)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"items": self.items, "values": self.values}

    @staticmethod
    def from_state(state: Mapping[str, np.ndarray[Any, Any]]) -> ItemFactors:
        return ItemFactors(
            np.ascontiguousarray(state["items"], dtype=np.intp),
            np.ascontiguousarray(state["values"], dtype=np.float32),
        )


NO_FACTORS = ItemFactors(np.zeros(0, dtype=np.intp), np.zeros((0, 1), dtype=np.float32))
