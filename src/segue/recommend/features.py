"""What the blend sees of each (person, item) pair, as of a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.protocols import Arrays, Strategy
from segue.core.types import Bools, Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.content import Content
from segue.recommend.groups import Groups
from segue.recommend.linear import Linear
from segue.recommend.matrix import ItemMatrix
from segue.recommend.neighbours import Neighbours
from segue.recommend.popular import PositionPopular, decayed
from segue.recommend.sequence import Successors

DAY_S = 86_400.0

# feature -> (strategy, half-life in history entries): one matrix, several memories.
VIEWS: Mapping[str, tuple[str, float | None]] = {
    "linear": ("linear", None),
    "linear 5": ("linear", 5.0),
    "linear 20": ("linear", 20.0),
    "linear 60": ("linear", 60.0),
    "linear recent": ("linear recent", None),
    "linear recent 20": ("linear recent", 20.0),
    "neighbours": ("neighbours", None),
    "neighbours 20": ("neighbours", 20.0),
    "successors": ("successors", 3.0),
    "successors 20": ("successors", 20.0),
    "successors recent": ("successors recent", 3.0),
}
MEMORIES = {
    name: [view for view, (strategy, _) in VIEWS.items() if strategy == name]
    for name in dict.fromkeys(strategy for strategy, _ in VIEWS.values())
}
POPULARITY = {"popular 3d": 3.0, "popular 10d": 10.0, "popular 30d": 30.0, "popular 100d": 100.0,
              "popular 365d": 365.0, "popular": None}  # fmt: skip
ITEM = (*POPULARITY, "trend", "trend 3d", "mean opinion", "item age", "year")
POSITION = ("position popular", "position popular recent")
PROFILE = ("gender", "age group", "occupation")
PERSON = ("history length", "days away", "tenure", "mean weight", "last day")
NAMES = (
    *VIEWS,
    "content",
    *POSITION,
    *ITEM,
    *PROFILE,
    *PERSON,
)
GROUP_OF = {
    **dict.fromkeys(VIEWS, "history"),
    "content": "content",
    **dict.fromkeys((*POSITION, *ITEM), "popularity"),
    "trend": "popularity",
    "item age": "freshness",
    "year": "freshness",
    **dict.fromkeys(PROFILE, "profile"),
    **dict.fromkeys(PERSON, "activity"),
}
# +1: the blend's score never falls when this feature rises.
RISING = tuple(1 if GROUP_OF[name] in ("history", "content") else 0 for name in NAMES)
SOURCES = ("linear", "linear 20", "linear recent", "neighbours 20", "successors", "popular 10d",
           "popular 30d", "position popular", "position popular recent")  # fmt: skip

Base = dict[str, Floats]


def strategies() -> dict[str, Strategy]:
    """The parts that the blend fits as of each cut."""
    return {
        "linear": Linear(half_life=None),
        "linear recent": Linear(
            ridge=150.0, half_life=None, window_days=120.0, name="linear recent"
        ),
        "neighbours": Neighbours(half_life=None),
        "successors": Successors(),
        "successors recent": Successors(window_days=120.0, name="successors recent"),
        "content": Content(),
        "position popular": PositionPopular(),
        "position popular recent": PositionPopular(90.0, name="position popular recent"),
    }


@dataclass
class Side:
    """The item side of everything, fitted as of one time."""

    parts: dict[str, Strategy] = field(default_factory=strategies)
    items: Doubles = field(default_factory=lambda: np.zeros((len(ITEM), 0)))  # (n_static, n_items)
    first_seen: Doubles = field(default_factory=lambda: np.zeros(0))
    warm: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    groups: Groups = field(default_factory=Groups)

    def fit(self, training: Training) -> None:
        for part in self.parts.values():
            part.fit(training)
        self.groups.fit(training)
        seen, at = training.interactions, training.at
        n = seen.n_items
        table: dict[str, Floats | Doubles] = {
            name: decayed(seen, at, days) for name, days in POPULARITY.items()
        }
        count = np.bincount(seen.items, minlength=n)
        opinion = np.bincount(seen.items, seen.weight, minlength=n)
        prior = float(seen.weight.mean()) if len(seen) else 0.0
        table["trend"] = np.log((table["popular 30d"] + 0.05) / (table["popular 365d"] + 0.05))
        table["trend 3d"] = np.log((table["popular 3d"] + 0.05) / (table["popular 30d"] + 0.05))
        table["mean opinion"] = (opinion + 5 * prior) / (count + 5)
        self.first_seen = np.full(n, at)
        np.minimum.at(self.first_seen, seen.items, seen.time)
        table["item age"] = np.zeros(n)
        years = [np.nan if i.year is None else i.year for i in training.catalogue.items[:n]]
        table["year"] = np.array(years)
        table["popular"] = np.log1p(count)
        self.items = np.stack([np.asarray(table[name], dtype=np.float64) for name in ITEM])
        self.warm = count > 0

    def matrix(self, strategy: str) -> ItemMatrix:
        part = self.parts[strategy]
        assert isinstance(part, Linear | Neighbours | Successors)
        return part.matrix

    def state(self) -> Arrays:
        """The item table; parts and groups have states of their own."""
        return {"items": self.items, "first_seen": self.first_seen, "warm": self.warm}

    def restore(self, state: Arrays) -> None:
        self.items = np.asarray(state["items"], dtype=np.float64)
        self.first_seen = np.asarray(state["first_seen"], dtype=np.float64)
        self.warm = np.asarray(state["warm"], dtype=np.bool_)

    @property
    def content(self) -> Content:
        part = self.parts["content"]
        assert isinstance(part, Content)
        return part

    def base(
        self,
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        wanted: Rows | None = None,
    ) -> Base:
        """Per strategy (n_users, n_items) or (n_users, len(wanted)) scores."""
        out: Base = {}
        for strategy, views in MEMORIES.items():
            half_lives = [VIEWS[view][1] for view in views]
            found = self.matrix(strategy).memories(histories, half_lives, wanted)
            out.update(zip(views, found, strict=True))
        out["content"] = self.content.likeness(histories, wanted)
        for name in POSITION:
            full = self.parts[name].scores(histories, profiles, at)
            out[name] = full if wanted is None else full[:, wanted]
        return out

    def rows(
        self,
        base: Base,
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        users: Rows,
        columns: Rows,
        items: Rows,
    ) -> Floats:
        """(n, n_features) float32 for pairs (users[i], items[i]); ``columns`` index ``base``."""
        out = np.empty((len(users), len(NAMES)), dtype=np.float32)
        column = 0
        for view in VIEWS:
            out[:, column] = base[view][users, columns]
            column += 1
        for name in ("content", *POSITION):
            out[:, column] = base[name][users, columns]
            column += 1
        out[:, column : column + len(ITEM)] = self.items[:, items].T
        age = ITEM.index("item age")
        out[:, column + age] = (at - self.first_seen[items]) / DAY_S
        column += len(ITEM)
        out[:, column : column + len(PROFILE)] = self.groups.affinity(profiles, users, items)
        column += len(PROFILE)
        out[:, column:] = person(histories, at)[users]
        return out


def person(histories: Histories, at: float) -> Floats:
    """(n_users, len(PERSON)) float32: length, days away, tenure in days, mean weight, last day."""
    n = histories.counts
    filled = n > 0
    first, last = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if filled.any():
        first[filled] = histories.times[histories.indptr[:-1][filled]]
        last[filled] = histories.times[histories.indptr[1:][filled] - 1]
    user = histories.user_of
    total = np.bincount(user, histories.weights, minlength=len(n))
    day = np.bincount(user, histories.times > last[user] - DAY_S, minlength=len(n))
    columns = (n, (at - last) / DAY_S, (at - first) / DAY_S, total / np.maximum(n, 1), day)
    return np.stack([np.asarray(c, dtype=np.float32) for c in columns], axis=1)
