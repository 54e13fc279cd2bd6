"""Histories cut in two: what a person had done by then, and what they took next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from segue.core.types import DAY_S, Floats, Histories, Rows
from segue.recommend.factors import truncated_svd
from segue.recommend.matrix import powers


@dataclass(frozen=True)
class Bags:
    """Entries of some histories, person after person, with one weighting a memory."""

    items: Tensor  # (n_entries,) int64
    offsets: Tensor  # (n_users,) int64: where each person's entries start
    weights: Tensor  # (n_memories, n_entries) float32

    def pooled(self, table: Tensor) -> Tensor:
        """(n_memories, n_users, dim): weighted sums of the rows of ``table``."""
        return torch.stack(
            [
                torch.nn.functional.embedding_bag(
                    self.items, table, self.offsets, mode="sum", per_sample_weights=row
                )
                for row in self.weights
            ]
        )

    def moved(self, items: Tensor) -> Bags:
        """The same entries, named by other places."""
        return Bags(items, self.offsets, self.weights)


@dataclass(frozen=True)
class Cut:
    """A batch to train on: histories up to a moment, and what came right after."""

    users: Rows  # (n_users,) positions among the histories
    bags: Bags
    owner: Tensor  # (n_targets,) position among ``users``
    target: Tensor  # (n_targets,) item
    share: Tensor  # (n_targets,) float32 weight; those of the newest people sum to 1 each


def bags(
    histories: Histories, places: Rows, half_lives: Sequence[float | None], power: float
) -> Bags:
    """Whole histories. ``places`` (nnz,) name the items, -1 for those to be left out.

    Each weighting is divided by the sum of its absolute values to the ``power``: 1 gives means,
    0.5 lets long histories speak louder, as in the propagation of a graph.
    """
    kept = places >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[histories.indptr]
    owner, rank = histories.user_of[kept], histories.age_rank[kept]
    weights = _weighted(histories.weights[kept], owner, rank, histories.n_users, half_lives, power)
    return Bags(
        torch.from_numpy(places[kept].astype(np.int64)),
        torch.from_numpy(ends[:-1].astype(np.int64)),
        torch.from_numpy(weights),
    )


def _weighted(
    weights: Floats,
    owner: Rows,
    rank: Rows,
    n_users: int,
    half_lives: Sequence[float | None],
    power: float,
) -> Floats:
    """(n_memories, n_entries) float32."""
    rows = []
    longest = int(rank.max(initial=0)) + 1
    for half_life in half_lives:
        row = weights if half_life is None else weights * powers(half_life, longest)[rank]
        total = np.bincount(owner, np.abs(row), minlength=n_users)
        rows.append(row / np.maximum(total, 1e-6)[owner] ** power)
    return np.stack(rows).astype(np.float32)


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """All of ``n`` positions in random order, ``size`` at a time."""
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def cut(
    histories: Histories,
    users: Rows,
    rng: np.random.Generator,
    *,
    ahead: int,
    half_lives: Sequence[float | None],
    power: float,
    fading_days: float | None = None,
    ordered: bool = True,
) -> Cut:
    """Each history cut at a random place; the next ``ahead`` wanted entries are the targets.

    Histories need two entries or more. Items are named by their rows. Targets weigh half for
    every ``fading_days`` that they are older than the newest of the batch's people. What is not
    ``ordered`` is shuffled before it is cut: for when the order of events is not the question.
    """
    some = histories.take(users)
    if not ordered:
        some = _shuffled(some, rng)
    n = some.counts
    at = rng.integers(1, np.maximum(n, 2))  # entries before the cut
    place = np.arange(len(some.items)) - np.repeat(some.indptr[:-1], n)
    until = np.repeat(at, n)
    before = place < until
    after = ~before & (place < until + ahead) & (some.weights >= 0)
    starts = np.concatenate([[0], np.cumsum(before)])[some.indptr[:-1]]
    owner, rank = some.user_of[before], (until - 1 - place)[before]
    weights = _weighted(some.weights[before], owner, rank, len(users), half_lives, power)
    wanted = some.user_of[after]
    share = 1 / np.maximum(np.bincount(wanted, minlength=len(users)), 1)[wanted]
    if fading_days is not None:
        age = some.times.max(initial=-np.inf) - some.times[after]
        share = share * 0.5 ** (age / (fading_days * DAY_S))
    return Cut(
        users=users,
        bags=Bags(
            torch.from_numpy(some.items[before].astype(np.int64)),
            torch.from_numpy(starts.astype(np.int64)),
            torch.from_numpy(weights),
        ),
        owner=torch.from_numpy(wanted.astype(np.int64)),
        target=torch.from_numpy(some.items[after].astype(np.int64)),
        share=torch.from_numpy(share.astype(np.float32)),
    )


def _shuffled(histories: Histories, rng: np.random.Generator) -> Histories:
    """Every history in random order."""
    order = np.lexsort((rng.random(len(histories.items)), histories.user_of))
    return replace(
        histories,
        items=histories.items[order],
        weights=histories.weights[order],
        times=histories.times[order],
    )


def trainable(histories: Histories) -> Histories:
    """The histories of two entries or more."""
    return histories.take(np.flatnonzero(histories.counts >= 2))


def first_vectors(x: sp.csr_matrix, dim: int) -> Floats:
    """(m, <= dim) float32: the leading right singular vectors of normalised consumption,
    by the root of their strength; where training starts from."""
    dim = min(dim, min(x.shape) - 1)
    if dim < 1:
        return np.zeros((x.shape[1], 0), dtype=np.float32)
    _, strength, right = truncated_svd(x, dim)
    turned = right * np.sign(right.sum(axis=1, keepdims=True) + 1e-12)
    vectors = (turned * np.sqrt(strength)[:, None]).T
    return np.asarray(vectors[:, ::-1], dtype=np.float32)
