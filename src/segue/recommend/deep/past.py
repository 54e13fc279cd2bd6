"""Histories laid end to end, cut into windows, and what their neighbourhoods say of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
import torch
from torch import Tensor

from segue.core.types import Bools, Floats, Histories, Rows, Training
from segue.recommend.deep.blocks import GAPS, Batch, bucket, level

REACH = 10  # entries between two items that still count as neighbours in the first vectors


@dataclass(frozen=True)
class Past:
    """Histories laid end to end; person ``p`` owns the entries ``starts[p]`` to ``ends[p]``."""

    items: Rows
    times: Tensor
    levels: Tensor
    wanted: Bools  # not rejected, hence something to foresee
    starts: Rows
    ends: Rows
    counts: Rows  # (n_items,) how often each item is wanted
    length: int  # entries a window

    @staticmethod
    def of(training: Training, length: int) -> Past:
        histories = training.interactions.histories()
        return Past.of_histories(histories, np.ones(histories.n_items, np.bool_), length)

    @staticmethod
    def of_histories(histories: Histories, known: Bools, length: int) -> Past:
        """Entries on items that are not ``known`` are left out."""
        inside = histories.items < len(known)
        inside[inside] = known[histories.items[inside]]
        ends = np.concatenate([[0], np.cumsum(inside)])[histories.indptr]
        items, given = histories.items[inside], histories.weights[inside]
        return Past(
            items=items,
            times=torch.from_numpy(histories.times[inside]),
            levels=level(torch.from_numpy(given)),
            wanted=given >= 0,
            starts=ends[:-1],
            ends=ends[1:],
            counts=np.bincount(items[given >= 0], minlength=histories.n_items),
            length=length,
        )

    @property
    def person(self) -> Rows:
        """(n_entries,) whose each entry is."""
        return np.repeat(np.arange(len(self.starts)), self.ends - self.starts)

    def windows(self, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
        """First and last-plus-one entry to foresee of each window, and whose it is.

        Every entry is in one window; where a long history is cut is drawn anew each time.
        """
        counts = self.ends - self.starts
        long = counts > self.length
        phase = np.where(long, rng.integers(0, self.length, len(counts)), 0)
        rank = np.repeat(self.ends, counts) - 1 - np.arange(len(self.items))
        number = (rank + np.repeat(phase, counts)) // self.length
        person = self.person
        new = np.ones(len(self.items), dtype=np.bool_)
        new[1:] = (number[1:] != number[:-1]) | (person[1:] != person[:-1])
        first = np.flatnonzero(new)
        return first, np.append(first[1:], len(self.items)), person[first]

    def waits(self, now: Tensor, place: Rows, person: Rows) -> Tensor:
        """(n, length) int64 buckets of the time from the entry before each ``place`` to ``now``,
        both (n, length); GAPS where a history begins."""
        if not len(self.items):
            return torch.full(place.shape, GAPS)
        begins = torch.from_numpy(place <= self.starts[person][:, None])
        gap = now - self.times[np.clip(place - 1, 0, len(self.items) - 1)]
        return torch.where(begins, GAPS, bucket(gap.clamp(min=0)))

    def batch(self, first: Rows, last: Rows, person: Rows) -> Batch:
        """What is known when each entry of ``first`` to ``last - 1`` is foreseen: the entry
        before it, or the start of the history (item 0; others are rows plus 1)."""
        length = int((last - first).max())
        at = torch.from_numpy(first[:, None] + np.arange(length)[None, :] - 1)
        begin = torch.from_numpy(self.starts[person][:, None])
        inside = (at >= begin) & (at < torch.from_numpy(last[:, None]) - 1)
        at = at.clamp(0, max(len(self.items) - 1, 0))
        if not len(self.items):
            zero = torch.zeros(at.shape, dtype=torch.int64)
            return Batch(zero, zero.double(), zero, zero + level(torch.ones(())))
        since = torch.where(at > begin, self.times[at] - self.times[(at - 1).clamp(min=0)], 0)
        times = torch.where(
            inside, self.times[at], self.times[begin.clamp(max=len(self.items) - 1)]
        )
        return Batch(
            items=torch.where(inside, torch.from_numpy(self.items)[at] + 1, 0),
            times=times,
            gaps=torch.where(inside, bucket(since.clamp(min=0)), 0),
            levels=torch.where(inside, self.levels[at], level(torch.ones(()))),
        )


def neighbour_vectors(items: Rows, person: Rows, n_items: int, dim: int) -> Floats:
    """(n_items, <= dim) unit rows: leading eigenvectors of how often items are near one another.

    Counts of pairs up to ``REACH`` entries apart, weighted 1/lag and divided by the root of both
    items' totals, less the leading pair, which is popularity.
    """
    near = sp.csr_matrix((n_items, n_items), dtype=np.float64)
    for lag in range(1, REACH + 1):
        same = person[:-lag] == person[lag:]
        pairs = (items[:-lag][same], items[lag:][same])
        ones = np.full(len(pairs[0]), 1 / lag)
        near = near + sp.csr_matrix((ones, pairs), shape=near.shape)
    near = near + near.T
    total = np.asarray(near.sum(axis=1)).ravel()
    rank = min(dim, int((total > 0).sum()) - 2)
    if rank < 1:
        return np.zeros((n_items, 0), dtype=np.float32)
    scale = sp.diags(1 / np.sqrt(np.maximum(total, 1e-9)))
    near = (scale @ near @ scale).tocsr()
    lead = np.sqrt(total / total.sum())

    def apply(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(near @ x - lead * (lead @ x))

    operator = spla.LinearOperator(near.shape, matvec=apply, dtype=np.float64)
    strength, side = spla.eigsh(operator, k=rank, which="LA", v0=np.ones(n_items))
    vectors = side * np.sqrt(np.maximum(strength, 0))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-3), dtype=np.float32)
