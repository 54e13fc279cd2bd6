"""The deep rating model: profile, behaviour and content in, a rating out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.core.checks import at_least, within
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Floats, Histories, Profile, Training
from segue.recommend.deep import loop, weights
from segue.recommend.deep.userside import Pairs, ProfileCodes, Ratings

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}
LEAST_STEPS = 30  # an epoch: a small set is learned in small steps, not in too few
INITIAL = 0.05  # spread of the first item vectors


class Mixer(nn.Module):
    """s = W2 tanh(W1 v + b1) + b2; more hidden layers, or none, if wanted."""

    def __init__(self, wide: int, width: int, layers: int, activation: str, dropout: float) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for n in range(layers):
            parts.append(nn.Linear(wide if n == 0 else width, width))
            parts.append(ACTIVATIONS[activation]())
            parts.append(nn.Dropout(dropout))
        self.hidden = nn.Sequential(*parts)
        self.out = nn.Linear(width if layers else wide, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(n, wide) -> (n,)"""
        out: Tensor = self.out(self.hidden(features))
        return out.squeeze(-1)


class RatingNet(nn.Module):
    """[x; y; z] of each pair, and the mixer over it.

    x is the profile. y is the behaviour: how the person rates, two sums of learned item vectors
    over the history (weighted by surprise: what they like; unweighted: what they choose, as in
    SVD++, Koren, KDD 2008), and those times the item's vector. z is the item: its vector, made of
    id and content, and how it is rated.
    """

    def __init__(self, content: Floats, people: int, dim: int, mixer: dict[str, Any]) -> None:
        super().__init__()
        n = len(content)
        self.liked = nn.Embedding(n, dim)
        self.chosen = nn.Embedding(n, dim)
        self.item = nn.Embedding(n + 1, dim, padding_idx=n)  # the last row: items beyond the fit
        self.content = nn.Linear(content.shape[1], dim, bias=False)
        for table in (self.liked, self.chosen, self.item):
            nn.init.normal_(table.weight, std=INITIAL)
        with torch.no_grad():
            self.item.weight[n] = 0
        padded = np.concatenate([content, np.zeros_like(content[:1])])
        self.vectors: Tensor
        self.register_buffer("vectors", torch.from_numpy(padded), persistent=False)
        self.mixer = Mixer(people + 6 + 5 * dim, **mixer)

    def forward(self, pairs: Pairs) -> Tensor:
        """(n_pairs,) the rating's place in its range, before the sigmoid."""
        user, item = pairs.user, pairs.item
        liked, chosen = pairs.tastes(self.liked.weight), pairs.choices(self.chosen.weight)
        here = self.item(item) + self.content(self.vectors[item])
        parts = (pairs.profile[user], liked, chosen, liked * here, chosen * here, pairs.stats, here)
        s: Tensor = self.mixer(torch.cat(parts, dim=1))
        return s


@dataclass
class DeepRatings:
    """y = sigmoid(W2 tanh(W1 [x; y; z] + b1) + b2) over the range of the ratings.

    Squared error, gradient descent over at most ``batch`` people a step. ``dim`` is the length of
    the learned item vectors, ``layers`` the count of hidden layers of ``width``.
    """

    dim: int = 32
    layers: int = 1
    width: int = 64
    activation: str = "tanh"
    dropout: float = 0.1
    optimiser: str = "adamw"
    rate: float = 3e-3
    decay: float = 2.0
    epochs: int = 15
    batch: int = 16
    seed: int = 0
    name: str = "deep ratings"
    watcher: Watcher | None = field(default=None, repr=False, compare=False)
    checkpoint: Path | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "width", "epochs", "batch")
        at_least(self, 0, "layers")
        if self.activation not in ACTIVATIONS:
            raise BadSettings(
                f"activation must be one of {tuple(ACTIVATIONS)}, got {self.activation!r}"
            )
        within(self, 0, 1, "dropout")
        self._descent = loop.Optimiser(self.optimiser, self.rate, self.decay, fade=0.05)
        self._people, self._ratings = ProfileCodes(), Ratings()
        self._content = np.zeros((0, 1), dtype=np.float32)
        self._net: RatingNet | None = None

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "layers": trial.suggest_int("layers", 1, 2),
            "width": trial.suggest_categorical("width", [32, 64, 128]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "rate": trial.suggest_float("rate", 1e-3, 1e-2, log=True),
            "decay": trial.suggest_float("decay", 0.1, 5.0, log=True),
        }

    def fit(self, training: Training) -> None:
        past = self._ratings.fit(training.interactions)
        self._people.fit(training.profiles)
        self._content = content_of(training, past.n_items)
        profile = self._people.encode(training.profiles)
        loop.seeded(self.seed)
        net = self._made()
        mean = (self._ratings.mean - self._ratings.low) / (self._ratings.high - self._ratings.low)
        nn.init.constant_(net.mixer.out.bias, np.log(mean / (1 - mean)))
        people = np.flatnonzero(past.counts)
        parts = min(max(-(-len(people) // self.batch), LEAST_STEPS), len(people))

        def steps(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
            order = rng.permutation(people)
            for users in np.array_split(order, parts):
                own = past.take(users)
                every = np.arange(len(own.items), dtype=np.intp)
                pairs = self._ratings.pairs(
                    own, profile[users], own.user_of, own.items, every, told=True
                )
                assert own.values is not None
                target = torch.from_numpy(own.values)
                yield ((self._ratings.placed(net(pairs)) - target) ** 2).mean()

        loop.teach(
            self,
            training,
            net,
            epochs=self.epochs,
            steps=steps,
            optimiser=self._descent,
        )
        self._net = net

    def _made(self) -> RatingNet:
        mixer = {
            "width": self.width,
            "layers": self.layers,
            "activation": self.activation,
            "dropout": self.dropout,
        }
        return RatingNet(self._content, self._people.width, self.dim, mixer)

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        if self._net is None:
            raise BadSettings("deep ratings: not fitted; call fit or restore first")
        return self._ratings.predicted(histories, self._people.encode(profiles), self._net)

    def state(self) -> Arrays:
        if self._net is None:
            raise BadSettings("deep ratings: not fitted; call fit or restore first")
        return {
            **weights.state_arrays(self._net),
            **self._people.state(),
            **self._ratings.state(),
            "content": self._content,
        }

    def restore(self, state: Arrays) -> None:
        self._people.restore(state)
        self._ratings.restore(state)
        self._content = np.asarray(state["content"], dtype=np.float32)
        net = self._made()
        weights.load_arrays(net, state)
        self._net = net.eval()


def content_of(training: Training, n_items: int) -> Floats:
    """(n_items, dim) content vectors, centred; zero where an item has none."""
    content = training.content
    if content is None or not content.present.any():
        return np.zeros((n_items, 1), dtype=np.float32)
    mean = content.values[content.present].mean(axis=0)
    out = np.zeros((n_items, content.dim), dtype=np.float32)
    n = min(n_items, len(content.values))
    out[:n] = np.where(content.present[:n, None], content.values[:n] - mean, 0)
    return out
