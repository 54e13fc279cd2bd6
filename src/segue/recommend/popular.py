"""What many people consume: of late, over all, and at the same point of their history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Interactions, Profile, Rows, Training

DAY_S = 86_400.0
EDGES = (0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 450)  # history lengths


def widen(values: Floats, n_items: int) -> Floats:
    """Items added after the fit have popularity 0."""
    missing = n_items - values.shape[-1]
    if missing <= 0:
        return values
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def decayed(interactions: Interactions, at: float, half_life_days: float | None) -> Floats:
    """(n_items,) float32: per mille of consumption, halved every ``half_life_days`` of age."""
    kept = interactions.weight >= 0
    weight = np.ones(int(kept.sum()))
    if half_life_days is not None:
        weight = 0.5 ** ((at - interactions.time[kept]) / (half_life_days * DAY_S))
    total = np.bincount(interactions.items[kept], weight, minlength=interactions.n_items)
    return (total * (1000 / max(float(total.sum()), 1e-9))).astype(np.float32)


@dataclass
class Popular:
    """Decayed popularity, the same for everybody; ``half_life_days`` None never forgets."""

    half_life_days: float | None = None
    name: str = "popular"
    values: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def fit(self, training: Training) -> None:
        self.values = decayed(training.interactions, training.at, self.half_life_days)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        row = widen(self.values, histories.n_items)
        return np.tile(row, (histories.n_users, 1))

    def state(self) -> Arrays:
        return {"values": self.values}

    def restore(self, state: Arrays) -> None:
        self.values = np.asarray(state["values"], dtype=np.float32)


@dataclass
class RecentPopular(Popular):
    """Popularity that forgets: the rival that collaborative models often lose to."""

    half_life_days: float | None = 30.0
    name: str = "recent popular"


@dataclass
class PositionPopular:
    """What others consumed when their history was as long as this person's is now."""

    window_days: float | None = None
    name: str = "position popular"
    table: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)

    def fit(self, training: Training) -> None:
        histories = training.interactions.histories()
        position = np.arange(len(histories.items)) - histories.indptr[histories.user_of]
        kept = histories.weights >= 0
        if self.window_days is not None:
            kept &= histories.times > training.at - self.window_days * DAY_S
        flat = self.bucket(position[kept]) * histories.n_items + histories.items[kept]
        size = len(EDGES) * histories.n_items
        counts = np.bincount(flat, minlength=size).reshape(len(EDGES), -1).astype(np.float64)
        counts *= 1000 / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        ahead = np.vstack([counts[1:], counts[-1:]])  # a window reaches into the next bucket
        self.table = (counts + 0.5 * ahead).astype(np.float32)

    @staticmethod
    def bucket(lengths: Rows) -> Rows:
        """(n,) which row of the table serves histories of these lengths."""
        return np.searchsorted(np.asarray(EDGES), lengths, side="right") - 1

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return np.asarray(widen(self.table, histories.n_items)[self.bucket(histories.counts)])

    def state(self) -> Arrays:
        return {"table": self.table}

    def restore(self, state: Arrays) -> None:
        self.table = np.asarray(state["table"], dtype=np.float32)
