"""Item-to-item matrices over the items that have a history, and how histories meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

import numpy as np
import scipy.sparse as sp

from segue.core.protocols import Arrays
from segue.core.types import (
    DAY_S,
    Doubles,
    Floats,
    Histories,
    Interactions,
    Profile,
    Rows,
    Training,
)
from segue.recommend import counts
from segue.recommend.counts import Ints, Pairs

# A dense float32 matrix of up to so many items takes 256 MB; beyond it each keeps its strongest
# cells only (CSR), and memory grows with the items, not with their square. No item is dropped.
DENSE_ITEMS = 8_000
SPARSE_CELLS = 500  # an item: 4 kB
GRAM_CELLS = 500  # an item, while regressions on neighbours are fitted: 4 kB

REACH = 16  # half-lives

Values = Any  # (m, m) float32: an array, or a CSR matrix with sorted columns


def recency(histories: Histories, half_life: float | None) -> Floats:
    """(nnz,) weight of each entry, halved every ``half_life`` newer entries of the same user."""
    if half_life is None:
        return histories.weights
    longest = int(histories.counts.max(initial=0))
    return np.asarray(histories.weights * powers(half_life, longest)[histories.age_rank])


def reach(half_lives: Sequence[float | None]) -> float:
    """How many of the newest entries matter: what is older counts less than 1.6e-5."""
    return max(np.inf if h is None else REACH * h for h in half_lives)


def powers(half_life: float, n: int) -> Floats:
    """(n,) float32: 1 for the newest entry, halved every ``half_life`` entries."""
    return (0.5 ** (np.arange(n) / half_life)).astype(np.float32)


def known_items(interactions: Interactions, limit: int | None = None) -> Rows:
    """Rows of the ``limit`` most consumed items (None: all that anyone consumed), ascending."""
    taken = np.bincount(interactions.items[interactions.weight >= 0], minlength=1)
    order = np.argsort(-taken, kind="stable")[:limit]
    return np.sort(order[taken[order] > 0]).astype(np.intp)


def lookup(items: Rows) -> Rows:
    """(last + 2,) where each item row stands in ``items`` (ascending), -1 where it does not."""
    size = int(items[-1]) + 1 if len(items) else 0
    out = np.full(size + 1, -1, dtype=np.intp)  # the last cell answers for all later rows
    out[items] = np.arange(len(items))
    return out


def freshness(training: Training, half_life_days: float | None) -> Doubles:
    """(n_users,) in (0, 1]: halved every so many days since a person's last event; None: 1."""
    seen = training.interactions
    if half_life_days is None:
        return np.ones(seen.n_users)
    last = np.full(seen.n_users, training.at)
    last[seen.users] = seen.time  # in time order: the last event stays
    return np.asarray(0.5 ** ((training.at - last) / DAY_S / half_life_days))


@dataclass(frozen=True)
class ItemMatrix:
    """``values[a, b]``: what a history entry on ``items[a]`` adds to the score of ``items[b]``."""

    items: Rows  # (m,) ascending
    values: Values  # (m, m)

    @property
    def dense(self) -> bool:
        """Whether every cell is held, not only the strongest of each item."""
        return isinstance(self.values, np.ndarray)

    @cached_property
    def _lookup(self) -> Rows:
        return lookup(self.items)

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
        if histories.n_users == 1 and self.dense:
            return self._memories_of_one(histories, half_lives, wanted)
        ends, at, weights = self._entries(histories, half_lives)
        values, size = self.values, histories.n_items
        places = self.items  # columns of the answer that the matrix knows
        if wanted is not None:
            columns, size = self.positions(wanted), len(wanted)
            places = np.flatnonzero(columns >= 0)
            values = values[:, columns[places]]
        out = np.zeros((len(half_lives), histories.n_users, size), dtype=np.float32)
        if len(places) == size:
            product(ends, at, weights, values, out)
            return out
        some = np.zeros((len(half_lives), histories.n_users, len(places)), dtype=np.float32)
        product(ends, at, weights, values, some)
        out[:, :, places] = some
        return out

    def _entries(
        self, histories: Histories, half_lives: Sequence[float | None]
    ) -> tuple[Rows, Rows, Floats]:
        """Ends of the histories, places and weights (n_half_lives, n) of the entries that count."""
        at = self.positions(histories.items)
        kept = (at >= 0) & (histories.age_rank < reach(half_lives))
        ends = np.concatenate([[0], np.cumsum(kept)])[histories.indptr].astype(np.intp)
        weights = np.stack([recency(histories, h)[kept] for h in half_lives])
        return ends, at[kept], weights.astype(np.float32)

    def pairs(
        self, histories: Histories, half_lives: Sequence[float | None], users: Rows, items: Rows
    ) -> Floats:
        """(n_half_lives, n_pairs) float32: :meth:`memories` of pairs (users[i], items[i]) alone."""
        if not self.dense:
            return self.memories(histories, half_lives)[:, users, items]
        ends, at, weights = self._entries(histories, half_lives)
        columns = self.positions(items)
        out = np.zeros((len(half_lives), len(items)), dtype=np.float32)
        known = np.flatnonzero(columns >= 0)
        order = known[np.argsort(columns[known], kind="stable")]
        sizes = np.bincount(columns[known], minlength=len(self.items))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        given = at.astype(np.uint32)  # unsigned: no index is tried for being below 0
        counts.pair_product(ends, given, weights, self.values, starts, users, order, out)
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
        if self.dense:
            found = np.empty((len(rows), len(columns)), dtype=np.float32)
            counts.cells(rows, columns, self.values, found)
            return found
        safe_rows, safe_columns = np.maximum(rows, 0), np.maximum(columns, 0)
        distinct, where = np.unique(safe_columns, return_inverse=True)
        cells: Floats = self.values[safe_rows][:, distinct].toarray()[:, where]
        cells[rows < 0] = 0
        cells[:, columns < 0] = 0
        return cells

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        if self.dense:
            return {"items": self.items, "values": self.values}
        return {
            "items": self.items,
            "row_ptr": self.values.indptr.astype(np.int64),
            "columns": self.values.indices.astype(np.int32),
            "cells": self.values.data.astype(np.float32),
        }

    @staticmethod
    def of(state: Mapping[str, np.ndarray[Any, Any]]) -> ItemMatrix:
        items = np.ascontiguousarray(state["items"], dtype=np.intp)
        if "values" in state:
            return ItemMatrix(items, np.ascontiguousarray(state["values"], dtype=np.float32))
        parts = (state["cells"], state["columns"], state["row_ptr"])
        return ItemMatrix(items, sp.csr_matrix(parts, shape=(len(items), len(items))))


def product(ends: Rows, at: Rows, weights: Floats, values: Values, out: Floats) -> None:
    """Add each history's weighted rows of ``values`` to its row of ``out``, in place.

    ``weights`` (n_weightings, nnz) and ``out`` (n_weightings, n_users, columns of ``values``).
    """
    if isinstance(values, np.ndarray):
        counts.dense_product(ends, at, weights, values, out)
        return
    row_ptr, columns = values.indptr.astype(np.intp), values.indices.astype(np.int32)
    for row, place in zip(weights, out, strict=True):
        counts.sparse_product(ends, at, row, row_ptr, columns, values.data, place)


class OverMatrix(Protocol):
    """A strategy whose scores are the history times an item matrix; it only has to fit one."""

    matrix: ItemMatrix
    half_life: float | None  # of the newest entries of a history, in entries

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.matrix.scores(histories, self.half_life)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        return self.matrix.contributions(history, self.half_life, items)

    def state(self) -> Arrays:
        return self.matrix.state()

    def restore(self, state: Arrays) -> None:
        self.matrix = ItemMatrix.of(state)


def over_matrix(part: object) -> TypeGuard[OverMatrix]:
    """Does a part say that it is one? Asked many times an answer, and ``isinstance`` is slow."""
    return OverMatrix in type(part).__mro__


EMPTY = ItemMatrix(np.zeros(0, dtype=np.intp), np.zeros((0, 0), dtype=np.float32))


def consumption(interactions: Interactions, items: Rows) -> sp.csr_matrix:
    """(n_users, m) 1 where a user consumed an item (weight >= 0), as float32."""
    where = lookup(items)
    at = where[np.minimum(interactions.items, len(where) - 1)]
    kept = (at >= 0) & (interactions.weight >= 0)
    matrix = sp.csr_matrix(
        (np.ones(int(kept.sum()), np.float32), (interactions.users[kept], at[kept])),
        shape=(interactions.n_users, len(items)),
    )
    matrix.data[:] = 1  # a repeated play is one consumption
    return matrix


def placed(interactions: Interactions, items: Rows) -> sp.csr_matrix:
    """(n_users, m) like :func:`consumption`, but a cell is the rank in its history (0: oldest)."""
    histories = interactions.histories()
    where = lookup(items)
    at = where[np.minimum(histories.items, len(where) - 1)]
    user = histories.user_of
    rank = np.arange(len(at), dtype=np.float64) - histories.indptr[user]
    kept = (at >= 0) & (histories.weights >= 0)
    shape = (interactions.n_users, len(items))
    return sp.csr_matrix((rank[kept], (user[kept], at[kept])), shape=shape)


def nearest(
    pairs: Pairs,
    user_weights: Doubles,
    scale: Callable[[Floats, int, int], None],
    k: int,
    dense_items: int,
) -> Values:
    """Values of an :class:`ItemMatrix`: the ``k`` strongest history items of each candidate.

    ``scale(block, first, last)`` turns rows ``first:last`` of the gram matrix, in place, into the
    strengths (candidate, history item). Beyond ``dense_items`` at most SPARSE_CELLS are kept.
    """
    m = pairs.n_items
    if m <= dense_items:
        square = pairs.gram(user_weights)
        for first, last in counts.blocks(m):
            _scaled(square[first:last], scale, first, last)
            _cut(square[first:last], k)
        counts.flip(square)
        return square
    found = []
    for first, last in counts.blocks(m):
        block = pairs.rows(user_weights, first, last)
        _scaled(block, scale, first, last)
        found.append(strongest(block, min(k, SPARSE_CELLS)))
    return by_given(sp.vstack(found, format="csr"))


def by_given(by_candidate: sp.csr_matrix) -> sp.csr_matrix:
    """Values of an :class:`ItemMatrix` from rows (candidate, history item)."""
    values = by_candidate.tocsc().T  # a CSC matrix read the other way is CSR
    values.sort_indices()
    return values


@dataclass(frozen=True)
class StrongGram:
    """The gram matrix of consumption (all of it, or its strongest cells), and who is alike."""

    chosen: Ints  # (m, near) the most alike other items by cosine, ascending; -1 behind the last
    square: Floats  # (m, m), or (0, 0) when only the strongest cells are kept
    row_ptr: Rows  # (m + 1,) of the strongest cells, CSR
    columns: Ints
    cells: Floats
    chance: Floats  # (m,): chance[a] * chance[b] people are expected to share a pair left out

    @property
    def parts(self) -> tuple[Ints, Floats, Rows, Ints, Floats, Floats]:
        return self.chosen, self.square, self.row_ptr, self.columns, self.cells, self.chance

    @staticmethod
    def of(pairs: Pairs, near: int, *, whole: bool = False) -> StrongGram:
        """``near`` items of each (fewer in a small catalogue); ``whole`` keeps every cell."""
        m, people = pairs.n_items, len(pairs.indptr) - 1
        square = np.zeros((0, 0), dtype=np.float32)
        if whole:
            square = pairs.gram(np.ones(people))
        norm = np.sqrt(pairs.counts).astype(np.float32)
        chosen = np.zeros((m, max(min(near, m - 1), 0)), dtype=np.int32)
        kept = [sp.csr_matrix((0, m), dtype=np.float32)]
        for first, last in counts.blocks(m):
            gram = square[first:last] if whole else pairs.rows(np.ones(people), first, last)
            cosine = gram / norm
            own = (np.arange(last - first), np.arange(first, last))
            cosine[own] = 0
            chosen[first:last] = _strongest(cosine, chosen.shape[1])[0]
            if not whole:
                cosine[own] = np.inf  # an item's own count is always kept
                kept.append(_cells(gram, _strongest(cosine, GRAM_CELLS)[0]))
        cells = sp.vstack(kept, format="csr")
        chance = pairs.counts / np.sqrt(max(people, 1))
        if not whole:
            chance[np.diff(cells.indptr) < GRAM_CELLS] = 0  # nothing was left out: none means none
        return StrongGram(
            chosen=chosen,
            square=square,
            row_ptr=cells.indptr.astype(np.intp),
            columns=cells.indices.astype(np.int32),
            cells=cells.data.astype(np.float32),
            chance=chance.astype(np.float32),
        )

    def values(self, weights: Floats) -> sp.csr_matrix:
        """Values of an :class:`ItemMatrix` from the weights (m, near) of the chosen items."""
        return by_given(_csr(self.chosen, weights, len(self.chosen)))


def _strongest(block: Floats, k: int) -> tuple[Ints, Floats]:
    shape = (len(block), min(k, block.shape[1]))
    columns, cells = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.float32)
    counts.strongest(block, columns, cells)
    return columns, cells


def _cells(block: Floats, columns: Ints) -> sp.csr_matrix:
    """(n, m) CSR of the cells of ``block`` at ``columns`` (n, k); -1 is none."""
    cells = np.take_along_axis(block, np.maximum(columns, 0).astype(np.intp), axis=1)
    return _csr(columns, cells, block.shape[1])


def _csr(columns: Ints, cells: Floats, width: int) -> sp.csr_matrix:
    """(n, width) CSR of cells (n, k); a column of -1 is none."""
    kept = (columns >= 0) & (cells != 0)
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return sp.csr_matrix((cells[kept], columns[kept], ends), shape=(len(columns), width))


def _scaled(
    block: Floats, scale: Callable[[Floats, int, int], None], first: int, last: int
) -> None:
    scale(block, first, last)
    block[np.arange(last - first), np.arange(first, last)] = 0


def _cut(block: Floats, k: int) -> None:
    """Set all but the ``k`` highest of each row to 0, in place; ties at the end stay."""
    if block.shape[1] > k:
        floor = np.partition(block, -k, axis=1)[:, -k]
        block[block < floor[:, None]] = 0


def strongest(block: Floats, k: int) -> sp.csr_matrix:
    """(n, m) CSR of the ``k`` highest positive cells of each row."""
    return _csr(*_strongest(block, k), block.shape[1])
