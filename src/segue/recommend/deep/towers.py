"""Two towers: a person and an item meet in one inner product, whether or not either is new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from segue.core.checks import at_least, within
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.cold import Facets
from segue.recommend.deep import loop, weights
from segue.recommend.deep.cuts import Bags, bags, batches, cut, first_vectors, trainable
from segue.recommend.deep.userside import ProfileCodes
from segue.recommend.matrix import consumption, known_items
from segue.recommend.popular import decayed

MEMORIES: tuple[float | None, ...] = (None, 20.0)  # half-lives in entries
POWER = 0.5  # long histories speak louder, by the root of their length
BLOCK = 512  # people scored at a time


class _UserTower(nn.Module):
    """``u = sum_k A_k m_k + P p + W2 tanh(W1 [m; p])``, m being memories of the history."""

    def __init__(self, dim: int, profile: int, hidden: int) -> None:
        super().__init__()
        n = len(MEMORIES)
        self.mix = nn.Parameter(torch.eye(dim).repeat(n, 1, 1) / n)
        self.profile = nn.Linear(profile, dim, bias=False)
        self.inside = nn.Linear(n * dim + profile, hidden)
        self.outside = nn.Linear(hidden, dim, bias=False)
        nn.init.zeros_(self.profile.weight)
        nn.init.zeros_(self.outside.weight)

    def forward(self, memories: Tensor, profile: Tensor) -> Tensor:
        """(n, dim) from (n_memories, n, dim) and (n, profile)."""
        plain = torch.einsum("knd,kde->ne", memories, self.mix) + self.profile(profile)
        told = torch.cat([*memories, profile], dim=1)
        out: Tensor = plain + self.outside(torch.tanh(self.inside(told)))
        return out


class _Net(nn.Module):
    """Both towers. An item is its own vector plus what its content maps to; the last column of
    an item's vector is its bias, which a person's vector meets with a 1."""

    def __init__(self, own: Tensor, content: int, profile: int, hidden: int) -> None:
        super().__init__()
        self.own = nn.Parameter(own)
        self.content = nn.Linear(content, own.shape[1], bias=False)
        nn.init.zeros_(self.content.weight)
        self.user = _UserTower(own.shape[1] - 1, profile, hidden)

    def items(self, rows: Tensor, content: Tensor, kept: Tensor) -> Tensor:
        """(n, dim + 1) of some items; the own vector counts where ``kept`` (n,) is 1."""
        out: Tensor = self.own[rows] * kept[:, None] + self.content(content[rows])
        return out

    def people(self, inside: Bags, vectors: Tensor, profile: Tensor) -> Tensor:
        """(n, dim + 1) of people from the vectors of the items that ``inside`` names."""
        user = self.user(inside.pooled(vectors[:, :-1]), profile)
        return torch.cat([user, torch.ones(len(user), 1)], dim=1)


@dataclass
class Towers:
    """Two-tower retrieval (Yi et al., RecSys 2019): softmax over the batch's own targets, with
    the logQ correction for how likely an item is to be among them.

    The user tower reads two memories of the history (all of it, and recent) and the
    profile; the item tower an own vector and the content (tags, age, creators, text). Own vectors
    are dropped for a share of items (``id_dropout``) in training, so that content alone serves
    items that nobody has met (Volkovs et al., NeurIPS 2017). Scores are exact inner products.
    """

    dim: int = 64
    hidden: int = 128
    id_dropout: float = 0.2
    fading_days: float | None = 30.0  # half-life of what is to be foretold
    ordered: bool = True  # histories are cut by time; False: at random, where time is no matter
    ahead: int = 1000  # entries after the cut that are to be foretold
    epochs: int = 6
    min_steps: int = 30
    batch: int = 256  # people a step
    rate: float = 3e-4
    decay: float = 1e-2
    seed: int = 0
    name: str = "towers"
    watcher: Watcher | None = field(default=None, repr=False)
    checkpoint: Path | None = field(default=None, repr=False)
    tower: _UserTower | None = field(default=None, repr=False, init=False)
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 1), np.float32), repr=False)
    codes: ProfileCodes = field(default_factory=ProfileCodes, repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "hidden", "ahead", "epochs", "min_steps", "batch")
        within(self, 0, 1, "id_dropout")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "dim": trial.suggest_categorical("dim", (32, 64, 128)),
            "id_dropout": trial.suggest_float("id_dropout", 0.0, 0.5),
            "rate": trial.suggest_float("rate", 1e-4, 3e-3, log=True),
            "epochs": trial.suggest_int("epochs", 3, 30),
            "fading_days": trial.suggest_categorical("fading_days", (None, 30.0, 100.0)),
            "ordered": trial.suggest_categorical("ordered", (True, False)),
        }

    def fit(self, training: Training) -> None:
        loop.seeded(self.seed)
        self.codes.fit(training.profiles)
        items, n = known_items(training.interactions), training.interactions.n_items
        facets = Facets()
        facets.fit(training.catalogue.items, training.content, items)
        found = facets.encode(training.catalogue.items, training.content)[:n]
        content = np.zeros((n, found.shape[1]), dtype=np.float32)
        content[: len(found)] = found
        net = _Net(
            torch.from_numpy(self._first(training, items)),
            content.shape[1],
            self.codes.width,
            self.hidden,
        )
        self._train(net, training, torch.from_numpy(content), self._droppable(training, n))
        met = torch.zeros(n)
        met[items] = 1
        with torch.no_grad():
            self.vectors = net.items(torch.arange(n), torch.from_numpy(content), met).numpy()
        self.tower = net.user

    def _first(self, training: Training, items: Rows) -> Floats:
        """(n_items, dim + 1): directions of who takes an item; log recent popularity."""
        out = np.zeros((training.interactions.n_items, self.dim + 1), dtype=np.float32)
        if not len(items):
            return out
        x = consumption(training.interactions, items)
        degrees = [np.maximum(np.asarray(x.sum(axis=a)).ravel(), 1) for a in (1, 0)]
        left, right = (sp.diags(1 / np.sqrt(degree)) for degree in degrees)
        found = first_vectors((left @ x @ right).tocsr(), self.dim)
        # Inner products over histories are then of about unit size.
        found *= float(degrees[1].mean()) ** 0.25
        out[items, : found.shape[1]] = found
        lately = decayed(training.interactions, training.at, self.fading_days)[items]
        mean = max(float(lately.mean()), 1e-9)
        out[items, -1] = np.log((lately + 0.1 * mean) / mean)
        return out

    def _droppable(self, training: Training, n: int) -> Floats:
        """(n,) chance to drop an item's own vector; 0 where its content could not stand in."""
        told = np.zeros(n, dtype=np.bool_)
        for row, item in enumerate(training.catalogue.items[:n]):
            told[row] = bool(item.tags or item.creators) or item.year is not None
        if training.content is not None:
            size = min(n, len(training.content.present))
            told[:size] |= training.content.present[:size]
        return np.where(told, self.id_dropout, 0).astype(np.float32)

    def _train(self, net: _Net, training: Training, content: Tensor, drops: Floats) -> None:
        seen = training.interactions
        histories = seen.histories()
        chosen = np.flatnonzero(histories.counts >= 2)
        histories = trainable(histories)
        if not histories.n_users:
            net.eval()
            return
        profile = torch.from_numpy(self.codes.encode([training.profiles[u] for u in chosen]))
        often = np.bincount(histories.items, minlength=seen.n_items) / len(histories.items)
        logq = torch.from_numpy(np.log1p(-np.minimum(often, 0.999)))
        steps = math.ceil(histories.n_users / self.batch)

        def losses(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
            for users in batches(histories.n_users, self.batch, rng):
                made = cut(
                    histories, users, rng,
                    ahead=self.ahead, half_lives=MEMORIES, power=POWER,
                    fading_days=self.fading_days, ordered=self.ordered,
                )  # fmt: skip
                both = torch.cat([made.bags.items, made.target])
                rows, at = torch.unique(both, return_inverse=True)
                kept = torch.from_numpy(rng.random(len(rows)) >= drops[rows.numpy()]).float()
                vectors = net.items(rows, content, kept)
                inside = made.bags.moved(at[: len(made.bags.items)])
                people = net.people(inside, vectors, profile[users])
                shown, answer = torch.unique(at[len(made.bags.items) :], return_inverse=True)
                # How likely an item is to be among this many targets: 1 - (1 - q)^n.
                chance = -torch.expm1(logq[rows[shown]] * len(made.target))
                logits = people @ vectors[shown].T - chance.log().float()
                told = torch.log_softmax(logits, dim=1)[made.owner, answer]
                yield -(told * made.share).sum() / made.share.sum().clamp_min(1e-6)

        loop.teach(
            self,
            training,
            net,
            epochs=max(self.epochs, math.ceil(self.min_steps / steps)),
            steps=losses,
            optimiser=loop.Optimiser(rate=self.rate, decay=self.decay, fade=0.1),
        )

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        n = min(len(self.vectors), histories.n_items)
        if self.tower is None or not n:
            return out
        vectors = torch.from_numpy(self.vectors)
        with torch.no_grad():
            for start in range(0, histories.n_users, BLOCK):
                some = np.arange(start, min(start + BLOCK, histories.n_users))
                part = histories.take(some)
                places = np.where(part.items < len(vectors), part.items, -1)
                memories = bags(part, places, MEMORIES, POWER).pooled(vectors[:, :-1])
                told = self.codes.encode([profiles[int(user)] for user in some])
                people = self.tower(memories, torch.from_numpy(told))
                out[some, :n] = (people @ vectors[:n, :-1].T + vectors[:n, -1]).numpy()
        return out

    def state(self) -> Arrays:
        out = {"vectors": self.vectors, **self.codes.state()}
        return out if self.tower is None else {**out, **weights.state_arrays(self.tower)}

    def restore(self, state: Arrays) -> None:
        self.vectors = np.ascontiguousarray(state["vectors"], dtype=np.float32)
        self.codes.restore(state)
        if "net.mix" in state:
            _, dim, _ = state["net.mix"].shape
            self.tower = _UserTower(dim, self.codes.width, len(state["net.inside.bias"]))
            weights.load_arrays(self.tower, state)
            self.tower.eval()
