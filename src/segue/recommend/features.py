"""What the blend sees of each (person, item) pair, as of a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np

from segue.core.protocols import Arrays, Strategy
from segue.core.types import DAY_S, Bools, Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.content import Content
from segue.recommend.fitting import Fitting
from segue.recommend.groups import Groups
from segue.recommend.matrix import ItemMatrix, over_matrix
from segue.recommend.plan import CONTENT, DEFAULT, ITEM, POPULARITY, PROFILE, Plan
from segue.recommend.popular import decayed
from segue.recommend.registry import make

Base = dict[str, Floats]
ALONE = Fitting()  # nobody watches, nothing is kept


class Headed(Protocol):
    """A net that says several things of each pair; its views name a head each."""

    def heads(
        self, histories: Histories, profiles: Sequence[Profile], at: float
    ) -> dict[str, Floats]: ...


@dataclass
class Side:
    """The item side of everything, fitted as of one time."""

    plan: Plan = DEFAULT
    parts: dict[str, Strategy] = field(init=False)
    items: Doubles = field(default_factory=lambda: np.zeros((len(ITEM), 0)))  # (n_static, n_items)
    first_seen: Doubles = field(default_factory=lambda: np.zeros(0))
    warm: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    groups: Groups = field(default_factory=Groups)

    def __post_init__(self) -> None:
        self.parts = {n: make(p.strategy, **p.settings) for n, p in self.plan.parts.items()}

    def fit(
        self, training: Training, earlier: Side | None = None, fitting: Fitting = ALONE
    ) -> None:
        """Fit every part; nets that can go on from ``earlier`` (fitted as of an earlier time)."""
        for name, part in self.parts.items():
            before = None if earlier is None else earlier.parts.get(name)
            fitting.fit(part, self.plan.parts[name].settings, training, before)
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

    def matrix(self, part: str) -> ItemMatrix | None:
        """The item matrix of a part; None where it has none."""
        fitted = self.parts[part]
        return fitted.matrix if over_matrix(fitted) else None

    def state(self) -> Arrays:
        """The item table; parts and groups have states of their own."""
        return {"items": self.items, "first_seen": self.first_seen, "warm": self.warm}

    def restore(self, state: Arrays) -> None:
        self.items = np.asarray(state["items"], dtype=np.float64)
        self.first_seen = np.asarray(state["first_seen"], dtype=np.float64)
        self.warm = np.asarray(state["warm"], dtype=np.bool_)

    @property
    def content(self) -> Content:
        part = self.parts[CONTENT]
        assert isinstance(part, Content)
        return part

    def base(
        self,
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        wanted: Rows | None = None,
        only: Collection[str] | None = None,
    ) -> Base:
        """Per view (n_users, n_items) or (n_users, len(wanted)) scores, of ``only`` some or all."""
        out: Base = {}
        for name, part in self.plan.parts.items():
            views = [view for view in part.views if only is None or view.name in only]
            fitted = self.parts[name]
            if not views:
                continue
            if over_matrix(fitted):
                half_lives = [view.half_life for view in views]
                found = fitted.matrix.memories(histories, half_lives, wanted)
                out.update(zip([view.name for view in views], found, strict=True))
            elif isinstance(fitted, Content):
                out[part.views[0].name] = fitted.likeness(histories, wanted)
            else:
                out.update(self.told(name, histories, profiles, at, wanted))
        return out

    def told(
        self,
        name: str,
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        wanted: Rows | None,
    ) -> Base:
        """The views of a part that is asked as it is; NaN where a head was taught nothing."""
        fitted, views = self.parts[name], self.plan.parts[name].views
        if any(view.head for view in views):
            heads = cast("Headed", fitted).heads(histories, profiles, at)
            blank = np.full((histories.n_users, histories.n_items), np.nan, dtype=np.float32)
            full = {view.name: heads.get(view.head, blank) for view in views}
        else:
            full = {views[0].name: fitted.scores(histories, profiles, at)}
        if wanted is None:
            return full
        return {view: scores[:, wanted] for view, scores in full.items()}

    def at_pairs(
        self,
        base: Base,
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        users: Rows,
        items: Rows,
    ) -> Base:
        """Per view (n,) scores of pairs (users[i], items[i]).

        ``base`` has whole rows of some views; the others are asked here. Those over an item matrix
        then sum nothing but the pairs, which is most of the work for everybody's lists.
        """
        out = {view: scores[users, items] for view, scores in base.items()}
        for name, part in self.plan.parts.items():
            views = [view for view in part.views if view.name not in out]
            fitted = self.parts[name]
            if views and over_matrix(fitted):
                half_lives = [view.half_life for view in views]
                found = fitted.matrix.pairs(histories, half_lives, users, items)
                out.update(zip([view.name for view in views], found, strict=True))
            elif views:
                whole = self.base(histories, profiles, at, only=[view.name for view in views])
                out.update({view: scores[users, items] for view, scores in whole.items()})
        return out

    def rows(
        self,
        views: Mapping[str, Floats],
        histories: Histories,
        profiles: Sequence[Profile],
        at: float,
        users: Rows,
        items: Rows,
    ) -> Floats:
        """(n, n_features) float32 for pairs (users[i], items[i]); ``views`` has (n,) of each."""
        out = np.empty((len(users), len(self.plan.names)), dtype=np.float32)
        column = 0
        for view in self.plan.views:
            out[:, column] = views[view]
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
