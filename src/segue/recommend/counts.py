"""Who consumed what together: item-item counts and history products, compiled.

Every kernel works on blocks of rows, so that a catalogue of any size is counted in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from segue.core.types import Bools, Doubles, Floats, Rows

Ints = npt.NDArray[np.int32]
Places = npt.NDArray[np.uint32]
F = TypeVar("F", bound=Callable[..., Any])

BLOCK_CELLS = 4_000_000  # cells of a block of rows: 16 MB of float32
TILE = 128  # columns that a history product sums at once: they stay in the first cache


def compiled(function: F, fast: bool | set[str] = False) -> F:
    """The function as machine code that releases the GIL, kept on disk where a place is found."""
    made: Any
    try:
        made = numba.njit(cache=True, nogil=True, fastmath=fast)(function)
    except RuntimeError:  # neither the package nor the user's cache folder can be written to
        made = numba.njit(nogil=True, fastmath=fast)(function)
    return cast("F", made)


def reassociated(function: F) -> F:
    """:func:`compiled`, and sums may be added up in another order: several at once."""
    return compiled(function, {"reassoc", "contract", "nsz"})


@dataclass(frozen=True)
class Pairs:
    """One consumption matrix from both sides, and the ranks of its entries in their histories.

    ``decay[gap]`` is what a pair whose ranks differ by ``gap`` counts (the last for all beyond).
    """

    indptr: Rows  # (n_users + 1,)
    items: Ints  # (nnz,) ascending within a user
    user_of: Ints  # (nnz,)
    item_ptr: Rows  # (m + 1,)
    entries: Rows  # (nnz,) entry numbers, grouped by item
    ranks: Ints | None = None  # (nnz,)
    decay: Floats | None = None

    @staticmethod
    def of(x: sp.csr_matrix) -> Pairs:
        """Pairs of (n_users, m) consumption; sorts the indices of ``x`` in place."""
        x.sort_indices()
        numbered = sp.csr_matrix((np.arange(x.nnz), x.indices, x.indptr), shape=x.shape).tocsc()
        users = np.repeat(np.arange(x.shape[0], dtype=np.int32), np.diff(x.indptr))
        return Pairs(
            indptr=x.indptr.astype(np.intp),
            items=x.indices.astype(np.int32),
            user_of=users,
            item_ptr=numbered.indptr.astype(np.intp),
            entries=numbered.data.astype(np.intp),
        )

    @property
    def n_items(self) -> int:
        return len(self.item_ptr) - 1

    @property
    def lengths(self) -> Doubles:
        """(n_users,) items of each user."""
        return np.diff(self.indptr).astype(np.float64)

    @property
    def counts(self) -> Doubles:
        """(m,) users of each item."""
        return np.diff(self.item_ptr).astype(np.float64)

    def sums(self, user_weights: Doubles) -> Doubles:
        """(m,) the diagonal of the gram matrix: summed weights of each item's users."""
        total = np.bincount(self.items, user_weights[self.user_of], minlength=self.n_items)
        return total.astype(np.float64)

    def rows(self, user_weights: Doubles, first: int, last: int) -> Floats:
        """(last - first, m) float32: rows of the gram matrix, sum of w_u over common users u."""
        out = np.zeros((last - first, self.n_items), dtype=np.float32)
        self._count(user_weights, first, False, out)
        return out

    def gram(self, user_weights: Doubles) -> Floats:
        """(m, m) float32, symmetric: all rows of the gram matrix."""
        out = np.zeros((self.n_items, self.n_items), dtype=np.float32)
        self._count(user_weights, 0, True, out)
        mirror(out)
        return out

    def _count(self, user_weights: Doubles, first: int, upper: bool, out: Floats) -> None:
        sides = (self.indptr, self.items, self.user_of, self.item_ptr, self.entries)
        weights = user_weights.astype(np.float32)
        if self.decay is None or self.ranks is None:
            _count(*sides, weights, first, upper, out)
        else:
            _count_near(*sides, weights, self.ranks, self.decay, first, upper, out)


def blocks(n_items: int) -> Iterator[tuple[int, int]]:
    """(first, last) of the blocks of rows that a (n_items, n_items) matrix is made in."""
    step = max(1, BLOCK_CELLS // max(n_items, 1))
    for first in range(0, n_items, step):
        yield first, min(first + step, n_items)


def decays(half_life: float) -> Floats:
    """(n,) float32: 0.5 ** (gap / half_life) of the gaps 0, 1, ..., until it is nearly 0."""
    gaps = np.arange(int(np.ceil(12 * half_life)) + 1)
    return np.append(0.5 ** (gaps / half_life), 0).astype(np.float32)


@compiled
def _count(
    indptr: Rows, items: Ints, user_of: Ints, item_ptr: Rows, entries: Rows,
    weights: Floats, first: int, upper: bool, out: Floats,
) -> None:  # fmt: skip
    # By item, so that the row being summed stays in the first cache.
    for row in range(out.shape[0]):
        line = out[row]
        for e in entries[item_ptr[first + row] : item_ptr[first + row + 1]]:
            user = user_of[e]
            weight = weights[user]
            for q in range(e if upper else indptr[user], indptr[user + 1]):
                line[items[q]] += weight


@compiled
def _count_near(
    indptr: Rows, items: Ints, user_of: Ints, item_ptr: Rows, entries: Rows,
    weights: Floats, ranks: Ints, decay: Floats, first: int, upper: bool, out: Floats,
) -> None:  # fmt: skip
    last = len(decay) - 1
    for row in range(out.shape[0]):
        line = out[row]
        for e in entries[item_ptr[first + row] : item_ptr[first + row + 1]]:
            user = user_of[e]
            weight, here = weights[user], ranks[e]
            for q in range(e if upper else indptr[user], indptr[user + 1]):
                line[items[q]] += weight * decay[min(abs(ranks[q] - here), last)]


@compiled
def mirror(square: Floats) -> None:
    """Copy what stands above the diagonal below it, in place."""
    n, step = square.shape[0], 64
    for top in range(0, n, step):
        for left in range(top, n, step):
            for i in range(top, min(top + step, n)):
                for j in range(max(left, i + 1), min(left + step, n)):
                    square[j, i] = square[i, j]


@compiled
def flip(square: Floats) -> None:
    """Transpose in place."""
    n, step = square.shape[0], 64
    for top in range(0, n, step):
        for left in range(top, n, step):
            for i in range(top, min(top + step, n)):
                for j in range(max(left, i + 1), min(left + step, n)):
                    square[i, j], square[j, i] = square[j, i], square[i, j]


@compiled
def dense_product(indptr: Rows, at: Rows, weights: Floats, values: Floats, out: Floats) -> None:
    """``out[k, u] += sum of weights[k, e] * values[at[e]]`` over the entries of each history u.

    All k at once: rows of ``values`` that were fetched for one weighting serve the others.
    """
    m, n = values.shape[1], len(weights)
    tile = np.empty((values.shape[0], TILE), dtype=np.float32)
    total = np.empty((n, TILE), dtype=np.float32)
    for first in range(0, m, TILE):
        width = min(TILE, m - first)
        tile[:, :width] = values[:, first : first + width]
        for user in range(len(indptr) - 1):
            total[:] = 0
            _sum_rows(indptr[user], indptr[user + 1], at, weights, tile, total)
            for k in range(n):
                for c in range(width):
                    out[k, user, first + c] += total[k, c]


@compiled
def _sum_rows(e: int, end: int, at: Rows, weights: Floats, tile: Floats, total: Floats) -> None:
    """``total[k] += sum of weights[k, e] * tile[at[e]]`` over the entries from e to the end."""
    while e + 4 <= end:  # four at once: the sum is fetched and stored a quarter as often
        r0, r1, r2, r3 = at[e], at[e + 1], at[e + 2], at[e + 3]
        for k in range(len(weights)):
            w0, w1, w2, w3 = weights[k, e], weights[k, e + 1], weights[k, e + 2], weights[k, e + 3]
            for c in range(TILE):
                near = w0 * tile[r0, c] + w1 * tile[r1, c]
                total[k, c] += near + w2 * tile[r2, c] + w3 * tile[r3, c]
        e += 4
    while e < end:
        row = at[e]
        for k in range(len(weights)):
            weight = weights[k, e]
            for c in range(TILE):
                total[k, c] += weight * tile[row, c]
        e += 1


@compiled
def sparse_product(
    indptr: Rows, at: Rows, weights: Floats,
    row_ptr: Rows, columns: Ints, cells: Floats, out: Floats,
) -> None:  # fmt: skip
    """The same for a matrix of values in CSR."""
    for user in range(len(indptr) - 1):
        for e in range(indptr[user], indptr[user + 1]):
            weight = weights[e]
            for q in range(row_ptr[at[e]], row_ptr[at[e] + 1]):
                out[user, columns[q]] += weight * cells[q]


@compiled
def best(scores: Floats, indptr: Rows, seen: Rows, rows: Rows) -> None:
    """Fill ``rows`` (n_users, k) with the best items outside ``seen``, best first, -1 beyond.

    Ties keep catalogue order.
    """
    n_items, k = scores.shape[1], rows.shape[1]
    taken = np.zeros(n_items, dtype=np.bool_)
    values = np.empty(k, dtype=np.float32)
    for user in range(len(scores)):
        for e in range(indptr[user], indptr[user + 1]):
            taken[seen[e]] = True
        found = 0
        for item in range(n_items):
            score = scores[user, item]
            if (found == k and score <= values[k - 1]) or taken[item]:
                continue
            place = min(found, k - 1)
            while place > 0 and values[place - 1] < score:
                values[place], rows[user, place] = values[place - 1], rows[user, place - 1]
                place -= 1
            values[place], rows[user, place] = score, item
            found = min(found + 1, k)
        rows[user, found:] = -1
        for e in range(indptr[user], indptr[user + 1]):
            taken[seen[e]] = False


@compiled
def propose(scores: Floats, allowed: Bools, k: int, chosen: Bools) -> None:
    """Mark in ``chosen`` (n_users, n_items) the ``k`` best ``allowed`` items of each row.

    ``scores`` (n_users, n_items), or (1, n_items) for everybody. Ties keep catalogue order.
    """
    n_items = scores.shape[1]
    values, rows = np.empty(k, dtype=np.float32), np.empty(k, dtype=np.intp)
    for user in range(len(allowed)):
        line = scores[min(user, len(scores) - 1)]
        found = 0
        for item in range(n_items):
            score = line[item]
            if (found == k and score <= values[k - 1]) or not allowed[user, item]:
                continue
            place = min(found, k - 1)
            while place > 0 and values[place - 1] < score:
                values[place], rows[place] = values[place - 1], rows[place - 1]
                place -= 1
            values[place], rows[place] = score, item
            found = min(found + 1, k)
        for n in range(found):
            chosen[user, rows[n]] = True


@compiled
def pair_product(
    indptr: Rows, at: Places, weights: Floats, values: Floats,
    starts: Rows, users: Rows, order: Rows, out: Floats,
) -> None:  # fmt: skip
    """``out[k, p] = sum of weights[k, e] * values[at[e], column of p]`` over a user's entries.

    Pairs are grouped by column: those ``order[starts[c]:starts[c + 1]]`` ask for column c, which is
    in the first cache for all of them.
    """
    m, n = values.shape[1], len(weights)
    columns = np.empty((TILE, values.shape[0]), dtype=np.float32)
    longest = 0
    for user in range(len(indptr) - 1):
        longest = max(longest, indptr[user + 1] - indptr[user])
    cells = np.empty(longest, dtype=np.float32)
    for first in range(0, m, TILE):
        width = min(TILE, m - first)
        for row in range(values.shape[0]):
            for c in range(width):
                columns[c, row] = values[row, first + c]
        for c in range(width):
            line = columns[c]
            for pair in order[starts[first + c] : starts[first + c + 1]]:
                begin, end = indptr[users[pair]], indptr[users[pair] + 1]
                entries = at[begin:end]
                for e in range(len(entries)):
                    cells[e] = line[entries[e]]
                for k in range(n):
                    out[k, pair] = _dot(weights[k, begin:end], cells)


@reassociated
def _dot(weights: Floats, cells: Floats) -> np.float32:
    total = np.float32(0)
    for e in range(len(weights)):
        total += weights[e] * cells[e]
    return total


@compiled
def local_gram(
    chosen: Ints, row_ptr: Rows, columns: Ints, cells: Floats, chance: Floats,
    place: Ints, out: Floats,
) -> None:  # fmt: skip
    """Fill ``out`` (n, n) with the gram matrix of the ``chosen`` items, from its strongest cells.

    A pair that is not among them counts as by chance: ``chance[a] * chance[b]``. ``place`` (m,) is
    -1 everywhere, before and after.
    """
    n = len(chosen)
    for i in range(n):
        place[chosen[i]] = i
        for j in range(n):
            out[i, j] = chance[chosen[i]] * chance[chosen[j]]
    for i in range(n):
        for q in range(row_ptr[chosen[i]], row_ptr[chosen[i] + 1]):
            j = place[columns[q]]
            if j >= 0:
                out[i, j] = cells[q]
                out[j, i] = cells[q]
    for i in range(n):
        place[chosen[i]] = -1


@compiled
def strongest(block: Floats, columns: Ints, cells: Floats) -> None:
    """The ``k`` highest positive cells of each row, in column order, into ``columns`` and ``cells``
    (n, k); what is left of a row is -1 and 0. Of equal ones the first columns stay.
    """
    k = columns.shape[1]
    columns[:] = -1
    cells[:] = 0
    for row in range(len(block)):
        line = block[row]
        where = np.flatnonzero(line > 0)
        equal = len(where)
        floor = np.float32(0)
        if len(where) > k:
            floor = np.partition(line[where], len(where) - k)[len(where) - k]
            equal = k - np.sum(line[where] > floor)
        n = 0
        for column in where:
            if line[column] == floor:
                if equal == 0:
                    continue
                equal -= 1
            if line[column] >= floor:
                columns[row, n] = column
                cells[row, n] = line[column]
                n += 1


@compiled
def gather(chosen: Ints, square: Floats, out: Floats) -> None:
    """``out[i, j] = square[chosen[i], chosen[j]]``."""
    for i in range(len(chosen)):
        line = square[chosen[i]]
        for j in range(len(chosen)):
            out[i, j] = line[chosen[j]]


@compiled
def cells(rows: Rows, columns: Rows, values: Floats, out: Floats) -> None:
    """``out[i, j] = values[rows[i], columns[j]]``; 0 where either is -1."""
    for i in range(len(rows)):
        if rows[i] < 0:
            out[i] = 0
            continue
        line = values[rows[i]]
        for j in range(len(columns)):
            out[i, j] = line[columns[j]] if columns[j] >= 0 else 0


@compiled
def follow(
    indptr: Rows, items: Ints, user_of: Ints, item_ptr: Rows, entries: Rows,
    reach: int, first: int, out: Floats,
) -> None:  # fmt: skip
    """Add 1 / lag to ``out[a - first, b]`` for each b at most ``reach`` entries after an a."""
    for row in range(out.shape[0]):
        for e in entries[item_ptr[first + row] : item_ptr[first + row + 1]]:
            end = min(e + reach + 1, indptr[user_of[e] + 1])
            for q in range(e + 1, end):
                out[row, items[q]] += np.float32(1 / (q - e))
