"""What many people consume: of late, over all, and at the same point of their history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter1d

from segue.core.checks import above, at_least
from segue.core.protocols import Arrays, Trial
from segue.core.types import (
    DAY_S,
    Doubles,
    Floats,
    Histories,
    Interactions,
    Profile,
    Rows,
    Training,
)
from segue.recommend.matrix import recency

MOMENT_EVENTS = 50  # least events of a moment
MOMENT_CELLS = 20_000_000  # of the table: 80 MB
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
    GROUP: ClassVar[str] = "popularity"
    values: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def __post_init__(self) -> None:
        above(self, 0, "half_life_days")

    def fit(self, training: Training) -> None:
        self.values = decayed(training.interactions, training.at, self.half_life_days)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        row = widen(self.values, histories.n_items)
        return np.tile(row, (histories.n_users, 1))

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """The search space."""
        return {"half_life_days": trial.suggest_float("half_life_days", 0.5, 400.0, log=True)}

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
    GROUP: ClassVar[str] = "popularity"
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


@dataclass
class MomentPopular:
    """What many consumed around the times at which this person was active.

    Time is cut into ``moments`` of equally many events each; a person's row is the mean over the
    moments of their history, weighted by recency (``half_life`` in entries).
    """

    moments: int = 150
    spread: float = 1.0  # standard deviation of the smoothing, in moments
    half_life: float | None = None
    name: str = "moment popular"
    GROUP: ClassVar[str] = "popularity"
    starts: Doubles = field(default_factory=lambda: np.zeros(0), repr=False)
    table: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "moments")
        at_least(self, 0, "spread")

    def fit(self, training: Training) -> None:
        seen = training.interactions
        seen = seen.where(seen.weight >= 0)
        n = max(1, min(self.moments, len(seen) // MOMENT_EVENTS, MOMENT_CELLS // seen.n_items))
        self.starts = seen.time[(np.arange(n) * len(seen)) // n] if len(seen) else np.zeros(1)
        flat = self.moment(seen.time) * seen.n_items + seen.items
        counts = np.bincount(flat, minlength=n * seen.n_items).reshape(n, -1).astype(np.float32)
        if self.spread > 0:
            counts = gaussian_filter1d(counts, self.spread, axis=0, mode="nearest")
        total = counts.sum(axis=1, keepdims=True)
        self.table = (counts * (1000 / np.maximum(total, 1))).astype(np.float32)

    def moment(self, times: Doubles) -> Rows:
        """(n,) which moment each time lies in; earlier and later ones in the first and last."""
        return np.maximum(np.searchsorted(self.starts, times, side="right") - 1, 0)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        weights = np.abs(recency(histories, self.half_life)).astype(np.float64)
        flat = histories.user_of * len(self.starts) + self.moment(histories.times)
        size = histories.n_users * len(self.starts)
        share = np.bincount(flat, weights, minlength=size).reshape(histories.n_users, -1)
        total = share.sum(axis=1, keepdims=True)
        empty = total[:, 0] == 0
        share[empty, -1], total[empty] = 1, 1  # nobody's moment is the latest
        shares = (share / total).astype(np.float32)
        return widen(np.asarray(shares @ self.table), histories.n_items)

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """The search space."""
        return {
            "moments": trial.suggest_int("moments", 20, 600, log=True),
            "spread": trial.suggest_float("spread", 0.0, 4.0),
            "half_life": trial.suggest_categorical("half_life", [None, 3.0, 20.0]),
        }

    def state(self) -> Arrays:
        return {"starts": self.starts, "table": self.table}

    def restore(self, state: Arrays) -> None:
        self.starts = np.asarray(state["starts"], dtype=np.float64)
        self.table = np.ascontiguousarray(state["table"], dtype=np.float32)
