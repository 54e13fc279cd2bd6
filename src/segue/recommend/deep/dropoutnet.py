"""A net from content to the collaborative space, trained with that space dropped from its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from segue.core.checks import at_least
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.cold import Facets
from segue.recommend.deep import loop
from segue.recommend.factors import truncated_svd
from segue.recommend.matrix import consumption, known_items, recency

HELD_OUT = 10  # one item in so many tells when to stop


class _Net(nn.Module):
    """``A c + W2 tanh(W1 [v; c])``: content c straight, and with the item's place v around it."""

    def __init__(self, dim: int, content: int, hidden: int) -> None:
        super().__init__()
        self.straight = nn.Linear(content, dim, bias=False)
        self.inside = nn.Linear(dim + content, hidden)
        self.place = nn.Linear(dim, dim, bias=False)
        self.outside = nn.Linear(hidden, dim)
        nn.init.zeros_(self.straight.weight)
        nn.init.zeros_(self.outside.weight)
        nn.init.zeros_(self.place.weight)

    def forward(self, place: Tensor, content: Tensor) -> Tensor:
        """(n, dim) places; a ``place`` of zeros is one that is unknown."""
        around = torch.tanh(self.inside(torch.cat([place, content], dim=1)))
        out: Tensor = self.straight(content) + self.place(place) + self.outside(around)
        return out


@dataclass
class DropoutNet:
    """The item side of DropoutNet (Volkovs et al., NeurIPS 2017), for people never met.

    With ``X = U diag(s) V'``, a history h is at ``h V diag(1/s)`` and an item at ``V diag(s)``,
    so that an inner product is what PureSVD says. A net learns the place of an item from its own
    place, dropped in ``dropped`` of the cases, and its content; in these coordinates its squared
    error is that of the scores over all people, which is the paper's loss. Items that nobody has
    met are placed by content alone.
    """

    dim: int = 32
    hidden: int = 64
    dropped: float = 0.5
    half_life: float | None = None
    epochs: int = 200
    patience: int = 30
    rate: float = 3e-3
    decay: float = 0.1
    seed: int = 0
    name: str = "dropoutnet"
    GROUP: ClassVar[str] = "content"
    watcher: Watcher | None = field(default=None, repr=False)
    checkpoint: Path | None = field(default=None, repr=False)
    items: Rows = field(default_factory=lambda: np.zeros(0, np.intp), repr=False)  # (m,)
    effects: Floats = field(default_factory=lambda: np.zeros((0, 1), np.float32), repr=False)
    places: Floats = field(default_factory=lambda: np.zeros((0, 1), np.float32), repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "hidden", "epochs", "patience")
        if not 0 < self.dropped < 1:
            raise BadSettings(f"dropped must be between 0 and 1, got {self.dropped}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "dim": trial.suggest_categorical("dim", (16, 32, 64)),
            "dropped": trial.suggest_float("dropped", 0.2, 0.8),
            "rate": trial.suggest_float("rate", 1e-3, 1e-2, log=True),
            "decay": trial.suggest_float("decay", 1e-2, 1.0, log=True),
        }

    def fit(self, training: Training) -> None:
        loop.seeded(self.seed)
        seen = training.interactions
        self.items = known_items(seen)
        x = consumption(seen, self.items).astype(np.float64)
        # With as many factors as items, each item would only foretell itself.
        dim = min(self.dim, max(min(x.shape) // 4, 1), min(x.shape) - 1)
        self.effects = np.zeros((len(self.items), max(dim, 1)), dtype=np.float32)
        self.places = np.zeros((seen.n_items, max(dim, 1)), dtype=np.float32)
        if dim < 1:
            return
        _, strength, right = truncated_svd(x, dim)
        scale = float(strength.max()) / np.sqrt(len(self.items))  # places of about unit size
        self.effects = (right.T * (scale / strength)).astype(np.float32)
        known = torch.from_numpy((right.T * (strength / scale)).astype(np.float32))
        facets = Facets()
        facets.fit(training.catalogue.items, training.content, self.items)
        found = facets.encode(training.catalogue.items, training.content)[: seen.n_items]
        content = torch.zeros(seen.n_items, found.shape[1])
        content[: len(found)] = torch.from_numpy(found.astype(np.float32))
        net = _Net(dim, content.shape[1], self.hidden)
        self._train(net, training, known, content[torch.from_numpy(self.items)])
        place = torch.zeros(seen.n_items, dim)
        place[torch.from_numpy(self.items)] = known
        with torch.no_grad():
            self.places = net(place, content).numpy()

    def _train(self, net: _Net, training: Training, known: Tensor, content: Tensor) -> None:
        order = np.random.default_rng(self.seed).permutation(len(known))
        held = torch.from_numpy(order[: len(order) // HELD_OUT])
        taught = torch.from_numpy(order[len(order) // HELD_OUT :])

        def losses(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
            kept = torch.from_numpy(rng.random((len(taught), 1)) >= self.dropped).float()
            guess = net(known[taught] * kept, content[taught])
            yield ((guess - known[taught]) ** 2).sum(dim=1).mean()

        def valid() -> float:
            guess = net(torch.zeros_like(known[held]), content[held])
            return -float(((guess - known[held]) ** 2).sum(dim=1).mean())

        loop.teach(
            self,
            training,
            net,
            epochs=self.epochs,
            steps=losses,
            optimiser=loop.Optimiser(rate=self.rate, decay=self.decay),
            patience=self.patience if len(held) else None,
            valid=valid if len(held) else None,
        )

    def _rows(self, items: Rows) -> Floats:
        """(n, dim) what an entry on each item adds; 0 for items without history."""
        if not len(self.items):
            return np.zeros((len(items), self.places.shape[1]), dtype=np.float32)
        at = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        known = self.items[at] == items
        return np.where(known[:, None], self.effects[at], 0).astype(np.float32)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        rows = self._rows(histories.items) * recency(histories, self.half_life)[:, None]
        people = np.zeros((histories.n_users, rows.shape[1]), dtype=np.float32)
        np.add.at(people, histories.user_of, rows)
        n = min(len(self.places), histories.n_items)
        out[:, :n] = people @ self.places[:n].T
        return out

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        rows = self._rows(history.items) * recency(history, self.half_life)[:, None]
        inside = items < len(self.places)
        parts = rows @ self.places[np.where(inside, items, 0)].T
        return np.where(inside, parts, 0).astype(np.float32)

    def state(self) -> Arrays:
        return {"items": self.items, "effects": self.effects, "places": self.places}

    def restore(self, state: Arrays) -> None:
        self.items = np.asarray(state["items"], dtype=np.intp)
        self.effects = np.ascontiguousarray(state["effects"], dtype=np.float32)
        self.places = np.ascontiguousarray(state["places"], dtype=np.float32)
