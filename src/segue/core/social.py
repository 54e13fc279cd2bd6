"""Who follows whom, and what those whom a person follows did of late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.intp]

MOST_TIES = 100  # the strongest of a person that are looked at
NEWEST = 50  # of what each of them did


class Pasts(Protocol):
    """What everybody did, CSR over people, oldest first (see ``Histories``)."""

    @property
    def indptr(self) -> _Rows: ...
    @property
    def items(self) -> _Rows: ...
    @property
    def weights(self) -> _Floats: ...
    @property
    def times(self) -> _Doubles: ...


@dataclass(frozen=True)
class Circle:
    """CSR over people: what those whom each follows did, as far as it was known.

    An entry is one thing that one of them did. ``who`` is their place among those followed (0 has
    the strongest tie): no id, and of no meaning outside one circle.
    """

    indptr: _Rows  # (n_users + 1,)
    items: _Rows
    weights: _Floats  # in [-1, 1]: > 0 wanted, < 0 rejected
    times: _Doubles
    ties: _Floats  # in (0, 1]: strength of the tie; a person's strongest is 1
    who: _Rows
    sizes: _Rows  # (n_users,) how many each follows

    def __post_init__(self) -> None:
        columns = (self.items, self.weights, self.times, self.ties, self.who)
        if any(len(column) != self.indptr[-1] for column in columns):
            raise BadInput("each column of a circle must hold indptr[-1] values")
        if len(self.sizes) != self.n_users:
            raise BadInput(f"sizes must hold one value for each of {self.n_users} people")

    @property
    def n_users(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def user_of(self) -> _Rows:
        """(nnz,) position of the person whose circle an entry is of."""
        return np.repeat(np.arange(self.n_users, dtype=np.intp), np.diff(self.indptr))

    def take(self, users: _Rows) -> Circle:
        """The circles of some people, in the order given; a person may repeat."""
        counts = np.diff(self.indptr)[users]
        index, indptr = _spans(self.indptr[users], counts)
        return replace(
            self,
            indptr=indptr,
            items=self.items[index],
            weights=self.weights[index],
            times=self.times[index],
            ties=self.ties[index],
            who=self.who[index],
            sizes=self.sizes[users],
        )

    @staticmethod
    def nobody(n_users: int) -> Circle:
        """The circles of people who follow nobody."""
        rows, none = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
        ends = np.zeros(n_users + 1, dtype=np.intp)
        return Circle(ends, rows, none, np.zeros(0), none, rows, np.zeros(n_users, dtype=np.intp))


@dataclass(frozen=True)
class Graph:
    """CSR over user rows: whom each follows, the strongest tie first."""

    indptr: _Rows  # (n_users + 1,)
    to: _Rows  # user rows
    weight: _Floats  # > 0
    time: _Doubles  # since when, Unix seconds; NaN where that is not known

    @property
    def n_users(self) -> int:
        return len(self.indptr) - 1

    def __len__(self) -> int:
        return len(self.to)

    @staticmethod
    def of(src: _Rows, dst: _Rows, weight: _Floats, time: _Doubles, n_users: int) -> Graph:
        """A graph of parallel columns. Ties of several kinds between two people count once, by the
        strongest and since the first; weights of 0 and below tell of no wish to follow."""
        kept = (weight > 0) & (src != dst)
        src, dst, weight = src[kept], dst[kept], weight[kept].astype(np.float32)
        since = np.nan_to_num(time[kept], nan=-np.inf)
        pair, at = np.unique(src.astype(np.int64) * n_users + dst, return_inverse=True)
        strongest = np.zeros(len(pair), dtype=np.float32)
        np.maximum.at(strongest, at, weight)
        first = np.full(len(pair), np.inf)
        np.minimum.at(first, at, since)
        src, dst = (pair // n_users).astype(np.intp), (pair % n_users).astype(np.intp)
        order = np.lexsort((dst, -strongest, src))
        counts = np.bincount(src, minlength=n_users)
        return Graph(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
            dst[order],
            strongest[order],
            np.where(np.isfinite(first), first, np.nan)[order],
        )

    def before(self, t: float) -> Graph:
        """What was known strictly before ``t``; a tie of unknown age always was."""
        kept = ~(self.time >= t)
        ends = np.concatenate([[0], np.cumsum(kept)])[self.indptr].astype(np.intp)
        return Graph(ends, self.to[kept], self.weight[kept], self.time[kept])

    def circles(self, users: _Rows, pasts: Pasts) -> Circle:
        """The circles of some people: the newest of what their strongest ties did, in ``pasts``."""
        degree = np.minimum(np.diff(self.indptr)[users], MOST_TIES)
        edges, _ = _spans(self.indptr[users], degree)
        whose = np.repeat(np.arange(len(users)), degree)
        place = np.arange(len(edges)) - np.repeat(np.cumsum(degree) - degree, degree)
        friends = self.to[edges]
        top = np.repeat(self.weight[edges[np.cumsum(degree)[degree > 0] - degree[degree > 0]]],
                        degree[degree > 0])  # fmt: skip
        done = np.minimum(np.diff(pasts.indptr)[friends], NEWEST)
        entries, _ = _spans(pasts.indptr[1:][friends] - done, done)
        counts = np.bincount(whose, done, minlength=len(users))
        return Circle(
            indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
            items=pasts.items[entries],
            weights=pasts.weights[entries],
            times=pasts.times[entries],
            ties=np.repeat((self.weight[edges] / top).astype(np.float32), done),
            who=np.repeat(place, done).astype(np.intp),
            sizes=np.diff(self.indptr)[users],
        )


def _spans(starts: _Rows, counts: _Rows) -> tuple[_Rows, _Rows]:
    """Indices of ``counts[i]`` places from ``starts[i]`` on, one span after the other; and ends."""
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    index = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
    return index.astype(np.intp), indptr
