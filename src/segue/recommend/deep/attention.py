"""Attention over the history: what a person will want next, from the order of what was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
import torch
from torch import Tensor

from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Bools, Floats, Histories, Profile, Rows, Training
from segue.recommend.deep import loop, weights
from segue.recommend.deep.blocks import (
    Batch,
    SampledSoftmax,
    SequenceNet,
    Shape,
    bucket,
    gbce,
    level,
)

LOSSES = ("softmax", "gbce")
REACH = 10  # entries between two items that still count as neighbours in the first vectors
BLOCK = 64  # people scored at a time


@dataclass
class Attention:
    """Causal gated attention over the newest ``max_length`` entries (HSTU; Zhai et al., ICML 2024).

    Trained to name each entry from those before it, against ``negatives`` items a batch. The item
    vectors start from the neighbours in histories (:func:`first_vectors`), which saves most of the
    epochs. ``epochs`` grows on small data until ``min_steps`` steps are made.
    A score is ``log(1 + lift)``, lift being how many times as likely as by chance an item comes
    next; 0 for items with neither history nor content.
    """

    dim: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 100
    dropout: float = 0.1
    id_dropout: float = 0.1  # share of items trained on their content alone
    loss: str = "softmax"
    negatives: int = 256
    epochs: int = 8
    min_steps: int = 30
    batch: int = 1600  # entries a step
    rate: float = 6e-3
    fade: float = 0.05
    decay: float = 0.0
    refit_share: float = 0.25  # of the epochs and of the rate
    seed: int = 0
    name: str = "attention"
    watcher: Watcher | None = field(default=None, repr=False)
    checkpoint: Path | None = field(default=None, repr=False)
    net: SequenceNet | None = field(default=None, repr=False, init=False)
    table: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    popularity: Floats = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    known: Bools = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)

    def __post_init__(self) -> None:
        for word in ("dim", "layers", "heads", "max_length", "negatives", "epochs", "batch"):
            if getattr(self, word) < 1:
                raise BadSettings(f"{word} must be >= 1, got {getattr(self, word)}")
        if self.dim % self.heads:
            raise BadSettings(f"dim must be a multiple of heads, got {self.dim} and {self.heads}")
        for word in ("dropout", "id_dropout"):
            if not 0 <= getattr(self, word) < 1:
                raise BadSettings(f"{word} must be in [0, 1), got {getattr(self, word)}")
        if not 0 < self.refit_share <= 1:
            raise BadSettings(f"refit_share must be in (0, 1], got {self.refit_share}")
        if self.loss not in LOSSES:
            raise BadSettings(f"loss must be one of {LOSSES}, got {self.loss!r}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "dim": trial.suggest_categorical("dim", (32, 64, 128)),
            "layers": trial.suggest_int("layers", 1, 3),
            "dropout": trial.suggest_float("dropout", 0.0, 0.4),
            "rate": trial.suggest_float("rate", 1e-3, 2e-2, log=True),
            "max_length": trial.suggest_categorical("max_length", (50, 100, 200)),
        }

    def fit(self, training: Training) -> None:
        loop.seeded(self.seed)
        past = _Past.of(training, self.max_length)
        self.net = SequenceNet(self._shape(training), self.dropout)
        with torch.no_grad():
            count = past.counts
            first = torch.from_numpy(first_vectors(past.items, past.person, len(count), self.dim))
            self.net.own.mul_(0.1)
            self.net.own[:, : first.shape[1]] = first
            self.net.own[count == 0] = 0
            if count.any():
                # An item that nobody has met counts as a usual one: its content must decide.
                usual = np.where(count > 0, count, np.median(count[count > 0]))
                self.net.popularity.copy_(torch.from_numpy(np.log(usual / usual.mean())))
        self._train(training, past, self.epochs, self.rate, self.min_steps)

    def refit(self, training: Training) -> None:
        """Go on from the present weights with what is known by now; new items get new vectors."""
        old, shape = self.net, self._shape(training)
        if old is None or replace(old.shape, n_items=shape.n_items) != shape:
            self.fit(training)
            return
        loop.seeded(self.seed)
        past = _Past.of(training, self.max_length)
        self.net = SequenceNet(shape, self.dropout)
        kept = {k: v for k, v in old.state_dict().items() if k not in ("own", "popularity")}
        self.net.load_state_dict(kept, strict=False)
        size = old.shape.n_items
        with torch.no_grad():
            self.net.own[past.counts == 0] = 0
            self.net.own[:size] = torch.where(old.own != 0, old.own, self.net.own[:size])
            self.net.popularity[:size] = old.popularity
            self.net.popularity[size:] = old.popularity.median()
        epochs = max(1, round(self.epochs * self.refit_share))
        self._train(training, past, epochs, self.rate * self.refit_share, 1)

    def _shape(self, training: Training) -> Shape:
        return Shape(
            n_items=training.interactions.n_items,
            content_dim=0 if training.content is None else training.content.dim,
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            max_length=self.max_length,
        )

    def _train(
        self, training: Training, past: _Past, epochs: int, rate: float, min_steps: int
    ) -> None:
        assert self.net is not None
        content = _content(training)
        if len(past.items):
            steps = max(1, round(len(past.items) / self.batch))
            lesson = _Lesson(self, self.net, past, torch.from_numpy(content))
            loop.train(
                self.net,
                epochs=max(epochs, -(-min_steps // steps)),
                steps=lesson.steps,
                optimiser=loop.Optimiser("adamw", rate, self.decay, 1.0, self.fade),
                seed=self.seed,
                name=self.name,
                watcher=self.watcher,
                checkpoint=self.checkpoint,
                about=loop.mark(self, training),
            )
        self.net.eval()
        self.known = (past.counts > 0) | content.any(axis=1)
        with torch.inference_mode():
            rows = torch.arange(self.net.shape.n_items)
            self.table = self.net.vectors(rows, torch.from_numpy(content)).numpy()
        self.popularity = weights.array_of(self.net.popularity)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        if self.net is None or not self.known.any():
            return out
        known = np.flatnonzero(self.known[: histories.n_items])
        wanted = torch.from_numpy(self.table[known])
        popularity = torch.from_numpy(self.popularity[known])
        past = _Past.of_histories(histories, self.known, self.max_length)
        lengths = np.minimum(past.ends - past.starts + 1, self.max_length)
        order = np.argsort(lengths, kind="stable")  # people of one length share a batch
        with torch.inference_mode():
            for at_ in range(0, len(order), BLOCK):
                people = order[at_ : at_ + BLOCK]
                ends = past.ends[people] + 1  # what would come after the newest entry
                batch = past.batch(ends - lengths[people], ends, past.starts[people])
                batch, rows, _, _ = batch.local()
                x = self.net(batch, torch.from_numpy(self.table[rows]))
                x = x[np.arange(len(people)), lengths[people] - 1]
                logits = torch.addmm(popularity, x, wanted.T)
                lift = torch.softmax(logits, dim=1) * len(known)
                out[np.ix_(people, known)] = torch.log1p(lift).numpy()
        return out

    def state(self) -> Arrays:
        if self.net is None:
            return {}
        held = {"table": self.table, "popularity": self.popularity, "known": self.known}
        return held | weights.state_arrays(self.net)

    def restore(self, state: Arrays) -> None:
        if not state:
            self.net = None
            return
        self.table = np.ascontiguousarray(state["table"], dtype=np.float32)
        self.popularity = np.ascontiguousarray(state["popularity"], dtype=np.float32)
        self.known = np.ascontiguousarray(state["known"], dtype=np.bool_)
        shape = Shape(
            n_items=len(self.table),
            content_dim=len(state["net.map"]),
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            max_length=self.max_length,
        )
        self.net = SequenceNet(shape, self.dropout)
        weights.load_arrays(self.net, state)
        self.net.eval()


@dataclass(frozen=True)
class _Past:
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
    def of(training: Training, length: int) -> _Past:
        histories = training.interactions.histories()
        return _Past.of_histories(histories, np.ones(histories.n_items, np.bool_), length)

    @staticmethod
    def of_histories(histories: Histories, known: Bools, length: int) -> _Past:
        """Entries on items that are not ``known`` are left out."""
        inside = histories.items < len(known)
        inside[inside] = known[histories.items[inside]]
        ends = np.concatenate([[0], np.cumsum(inside)])[histories.indptr]
        items, given = histories.items[inside], histories.weights[inside]
        return _Past(
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
        """First and last-plus-one entry to foresee of each window, and the start of its person.

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
        return first, np.append(first[1:], len(self.items)), self.starts[person[first]]

    def batch(self, first: Rows, last: Rows, start: Rows) -> Batch:
        """What is known when each entry of ``first`` to ``last - 1`` is foreseen: the entry
        before it, or the start of the history (item 0; others are rows plus 1)."""
        length = int((last - first).max())
        at = torch.from_numpy(first[:, None] + np.arange(length)[None, :] - 1)
        begin = torch.from_numpy(start[:, None])
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


@dataclass(frozen=True)
class _Lesson:
    """The batches of an epoch and their losses."""

    settings: Attention
    net: SequenceNet
    past: _Past
    content: Tensor

    def steps(self, epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """The loss of each batch of windows of about one length."""
        first, last, start = self.past.windows(rng)
        order = np.argsort(last - first + rng.random(len(first)) * 8, kind="stable")
        length = (last - first)[order]
        batches, begin = [], 0
        for end in range(1, len(order) + 1):
            full = end < len(order) and length[begin : end + 1].max() * (end + 1 - begin)
            if end == len(order) or full > self.settings.batch:
                batches.append(order[begin:end])
                begin = end
        for number in rng.permutation(len(batches)):
            chosen = batches[number]
            loss = self.loss(first[chosen], last[chosen], start[chosen], rng)
            if loss is not None:
                yield loss

    def loss(self, first: Rows, last: Rows, start: Rows, rng: np.random.Generator) -> Tensor | None:
        """Of one batch; None when it holds nothing to foresee."""
        batch = self.past.batch(first, last, start)
        steps = np.arange(batch.items.shape[1])
        place = np.minimum(first[:, None] + steps, len(self.past.items) - 1)
        asked = (first[:, None] + steps < last[:, None]) & self.past.wanted[place]
        if not asked.any():
            return None
        target = self.past.items[place[asked]]
        negative, expected = self._negatives(rng)
        batch, rows, right, wrong = batch.local(target, negative)
        index = torch.from_numpy(rows)
        vectors, bias = self._vectors(index), self.net.popularity.index_select(0, index)
        x = self.net(batch, vectors)[torch.from_numpy(asked)]
        if self.settings.loss == "gbce":
            share = len(negative) / max(int((self.past.counts > 0).sum()) - 1, 1)
            return gbce(x, vectors, bias, right, wrong, min(share, 1.0))
        loss: Tensor = SampledSoftmax.apply(x, vectors, bias, right, wrong, expected)  # type: ignore[no-untyped-call]
        return loss

    def _vectors(self, rows: Tensor) -> Tensor:
        """Of the items of one batch, some of those with content by their content alone."""
        if not self.net.shape.content_dim:
            return self.net.vectors(rows, self.content)
        content = self.content[rows]
        drop = torch.rand(len(rows), 1) < self.settings.id_dropout
        return self.net.vectors(rows, content, (~(drop & content.any(1, keepdim=True))).float())

    def _negatives(self, rng: np.random.Generator) -> tuple[Rows, Tensor]:
        """Items drawn without repeats by popularity (uniform for gBCE), and the log of how often
        each would be drawn with repeats."""
        counts = self.past.counts
        if self.settings.loss == "gbce":
            counts = (counts > 0).astype(np.intp)
        share = counts / counts.sum()
        n = min(self.settings.negatives, int((counts > 0).sum()))
        rows = np.flatnonzero(counts)
        # The n smallest exponential waiting times: a weighted sample without repeats.
        waiting = rng.exponential(size=len(rows)) / share[rows]
        drawn = rows[np.argpartition(waiting, n - 1)[:n]]
        if n == len(rows):
            return drawn, torch.zeros(n)  # all of them: nothing to correct
        return drawn, torch.from_numpy(np.log(share[drawn] * n).astype(np.float32))


def _content(training: Training) -> Floats:
    """(n_items, content_dim) content vectors; 0 where there is none."""
    n = training.interactions.n_items
    if training.content is None:
        return np.zeros((n, 0), dtype=np.float32)
    out = np.zeros((n, training.content.dim), dtype=np.float32)
    present = np.flatnonzero(training.content.present[:n])
    out[present] = training.content.values[present]
    return out


def first_vectors(items: Rows, person: Rows, n_items: int, dim: int) -> Floats:
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
