"""Attention over the history: what a person will want next, from the order of what was before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.core.checks import above, at_least, within
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import DAY_S, Bools, Floats, Histories, Profile, Rows, Training
from segue.recommend.deep import loop, weights
from segue.recommend.deep.blocks import SampledSoftmax, SequenceNet, Shape, gbce
from segue.recommend.deep.past import Past, neighbour_vectors

COUNTS = ("dim", "layers", "heads", "max_length", "horizon", "negatives", "epochs", "batch")
LOSSES = ("softmax", "gbce")
STEADY = 5.0  # events an item
BLOCK = 64  # people scored at a time


@dataclass
class Attention:
    """Causal gated attention over the newest ``max_length`` entries (HSTU; Zhai et al., ICML 2024).

    Trained to name each entry from those before it, against ``negatives`` items a batch. The item
    vectors start from the neighbours in histories (:func:`neighbour_vectors`), which saves most
    of the epochs. ``epochs`` grows on small data until ``min_steps`` steps are made.
    A target is drawn from the next ``horizon`` entries: 1 foresees the very next item, more what
    is wanted later on (the dense targets of PinnerFormer; Pancha et al., KDD 2022).
    With ``waits`` the time from the newest entry to the question is known to the net, which learns
    from breaks in histories what people come back for.
    ``half_life_days`` moves the popularity in the scores to that of late (:meth:`_drift`); None
    leaves it as in all of the past.
    A score is ``log(1 + lift)``, lift being how many times as likely as by chance an item comes
    next; 0 for items with neither history nor content.
    """

    dim: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 100
    horizon: int = 10
    waits: bool = True
    half_life_days: float | None = None
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
        at_least(self, 1, *COUNTS)
        if self.dim % self.heads:
            raise BadSettings(f"dim must be a multiple of heads, got {self.dim} and {self.heads}")
        within(self, 0, 1, "dropout", "id_dropout")
        if not 0 < self.refit_share <= 1:
            raise BadSettings(f"refit_share must be in (0, 1], got {self.refit_share}")
        above(self, 0, "half_life_days")
        if self.loss not in LOSSES:
            raise BadSettings(f"loss must be one of {LOSSES}, got {self.loss!r}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "dim": trial.suggest_categorical("dim", (32, 64, 128)),
            "epochs": trial.suggest_categorical("epochs", (4, 8, 16)),
            "rate": trial.suggest_float("rate", 1e-3, 2e-2, log=True),
            "horizon": trial.suggest_categorical("horizon", (1, 5, 20)),
            "half_life_days": trial.suggest_categorical("half_life_days", (None, 30.0)),
        }

    def fit(self, training: Training) -> None:
        loop.seeded(self.seed)
        past = Past.of(training, self.max_length)
        self.net = SequenceNet(self._shape(training), self.dropout)
        with torch.no_grad():
            count = past.counts
            first = torch.from_numpy(
                neighbour_vectors(past.items, past.person, len(count), self.dim)
            )
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
        past = Past.of(training, self.max_length)
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
        self, training: Training, past: Past, epochs: int, rate: float, min_steps: int
    ) -> None:
        assert self.net is not None
        content = _content(training)
        if len(past.items):
            steps = max(1, round(len(past.items) / self.batch))
            lesson = _Lesson(self, self.net, past, torch.from_numpy(content))
            loop.teach(
                self,
                training,
                self.net,
                epochs=max(epochs, -(-min_steps // steps)),
                steps=lesson.steps,
                optimiser=loop.Optimiser("adamw", rate, self.decay, 1.0, self.fade),
            )
        self.net.eval()
        self.known = (past.counts > 0) | content.any(axis=1)
        with torch.inference_mode():
            rows = torch.arange(self.net.shape.n_items)
            self.table = self.net.vectors(rows, torch.from_numpy(content)).numpy()
        self.popularity = weights.array_of(self.net.popularity) + self._drift(training)

    def _drift(self, training: Training) -> Floats:
        """(n_items,) log of how much likelier an item is now than over the whole past.

        A correction for a shift of the prior (Saerens, Latinne and Decaestecker, 2002), damped by
        :data:`STEADY` events an item of the old shares.
        """
        seen = training.interactions
        wanted = seen.weight >= 0
        ever = np.bincount(seen.items[wanted], minlength=seen.n_items)
        if self.half_life_days is None or not ever.any():
            return np.zeros(seen.n_items, dtype=np.float32)
        age_days = (training.at - seen.time[wanted]) / DAY_S
        lately = np.bincount(
            seen.items[wanted], 0.5 ** (age_days / self.half_life_days), minlength=seen.n_items
        )
        share, damping = ever / ever.sum(), STEADY * seen.n_items
        now = (lately + damping * share) / (lately.sum() + damping)
        ratio = np.where(ever > 0, now / np.maximum(share, 1e-12), 1.0)
        return np.log(ratio).astype(np.float32)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        if self.net is None or not self.known.any():
            return out
        known = np.flatnonzero(self.known[: histories.n_items])
        wanted = torch.from_numpy(self.table[known])
        popularity = torch.from_numpy(self.popularity[known])
        past = Past.of_histories(histories, self.known, self.max_length)
        lengths = np.minimum(past.ends - past.starts + 1, self.max_length)
        order = np.argsort(lengths, kind="stable")  # people of one length share a batch
        with torch.inference_mode():
            for start in range(0, len(order), BLOCK):
                people = order[start : start + BLOCK]
                x = self._expected(past, people, lengths[people], at)
                logits = torch.addmm(popularity, x, wanted.T)
                lift = torch.softmax(logits, dim=1) * len(known)
                out[np.ix_(people, known)] = torch.log1p(lift).numpy()
        return out

    def _expected(self, past: Past, people: Rows, lengths: Rows, at: float) -> Tensor:
        """(n, dim): where some people's newest entries expect the next item."""
        assert self.net is not None
        ends = past.ends[people] + 1  # what would come after the newest entry
        batch, rows, _, _ = past.batch(ends - lengths, ends, people).local()
        waits = None
        if self.waits:
            place = np.broadcast_to(past.ends[people][:, None], batch.items.shape)
            now = torch.full(place.shape, at, dtype=torch.float64)
            waits = past.waits(now, place, people)
        x: Tensor = self.net(batch, torch.from_numpy(self.table[rows]), waits)
        return x[torch.arange(len(people)), torch.from_numpy(lengths) - 1]

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
class _Lesson:
    """The batches of an epoch and their losses."""

    settings: Attention
    net: SequenceNet
    past: Past
    content: Tensor

    def steps(self, epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
        """The loss of each batch of windows of about one length."""
        first, last, person = self.past.windows(rng)
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
            loss = self.loss(first[chosen], last[chosen], person[chosen], rng)
            if loss is not None:
                yield loss

    def loss(
        self, first: Rows, last: Rows, person: Rows, rng: np.random.Generator
    ) -> Tensor | None:
        """Of one batch; None when it holds nothing to foresee."""
        batch = self.past.batch(first, last, person)
        place = first[:, None] + np.arange(batch.items.shape[1])
        inside = place < last[:, None]
        newest = self.past.ends[person][:, None] - 1
        near = np.minimum(place, newest)
        if self.settings.horizon > 1:
            place = near + rng.integers(0, self.settings.horizon, near.shape)
        place = np.minimum(place, newest)
        now = self.past.times[place]
        waits = self.past.waits(now, near, person) if self.settings.waits else None
        asked = inside & self.past.wanted[place]
        if not asked.any():
            return None
        target = self.past.items[place[asked]]
        negative, expected = self._negatives(rng)
        batch, rows, right, wrong = batch.local(target, negative)
        index = torch.from_numpy(rows)
        vectors, bias = self._vectors(index), self.net.popularity.index_select(0, index)
        x = self.net(batch, vectors, waits)[torch.from_numpy(asked)]
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
