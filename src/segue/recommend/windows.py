"""Past windows: what was known at a cut, and what people then went on to consume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from segue.core.top import best
from segue.core.types import Bools, Doubles, Floats, Histories, Interactions, Rows, Training
from segue.recommend import candidates
from segue.recommend.features import Base, Side
from segue.recommend.plan import DEFAULT, ITEM, POPULARITY, Plan
from segue.recommend.popular import widen

CHUNK = 200  # people whose rows of all views are held at once
MANY, MANY_CELLS = 2000, 8_000_000  # people whose rows of the proposing views are, and their cells
PER_SOURCE = 50  # candidates that each source proposes
TAUGHT = 60  # candidates of each teaching column, for a blend to learn from
DEPTH = 20  # how deep single strategies are ranked


@dataclass(frozen=True)
class Window:
    """Rows of the blend for ``users`` at one cut, with labels from the time until the next cut."""

    users: Rows  # (n_users,) user rows, ascending
    features: Floats  # (n, n_features), grouped by user
    labels: Bools  # (n,) consumed in the window
    sizes: Rows  # (n_users,) candidates of each user
    items: Rows  # (n,) item row of each candidate
    proposed: Bools  # (n,) would it be ranked when serving? The others are there to learn from.
    relevant: Bools  # (n_users, n_items) all that was consumed in the window, unseen before
    tops: dict[str, Rows]  # strategy -> (n_users, DEPTH) its ranking over everything unseen
    names: tuple[str, ...]  # of the feature columns
    gain: Floats | None = None  # (n,) >= 0 how much each is worth by a mix of goals
    goals: Mapping[str, sp.csr_matrix] = field(default_factory=dict)  # (n_users, n_items) a goal

    def columns(self, names: Sequence[str]) -> Floats:
        """(n, len(names)) some of the features, in the order given."""
        if tuple(names) == self.names:
            return self.features
        return self.features[:, [self.names.index(name) for name in names]]

    def standing(self, names: Sequence[str]) -> Window:
        """The same with the columns ``names`` told as each item's standing among the person's
        candidates: zero mean and unit spread; missing values stay missing.

        Raw scores grow with the length of a history and with what a strategy was fitted on, so
        a weight learned on one window does not fit another one that knows more of everybody.
        """
        features = self.features.copy()
        for name in names:
            column = features[:, self.names.index(name)]
            column[:] = _standing(column, self.sizes)
        return replace(self, features=features)

    def ranking(self, scores: Doubles) -> Rows:
        """(n_users, DEPTH) what is proposed in the order of ``scores``; -1 beyond the last."""
        out = np.full((len(self.sizes), DEPTH), -1, dtype=np.intp)
        ends = np.cumsum(self.sizes)
        for user, (end, size) in enumerate(zip(ends, self.sizes, strict=True)):
            rows = end - size + np.flatnonzero(self.proposed[end - size : end])
            order = rows[np.argsort(-scores[rows], kind="stable")[:DEPTH]]
            out[user, : len(order)] = self.items[order]
        return out


def _standing(values: Floats, sizes: Rows) -> Floats:
    """(n,) float32: how many standard deviations above the mean of its person each value is."""
    sizes = sizes[sizes > 0]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    known = np.isfinite(values)
    x = np.where(known, values, 0).astype(np.float64)
    n = np.maximum(np.bincount(owner, known, len(sizes)), 1)
    gap = np.where(known, x - (np.bincount(owner, x, len(sizes)) / n)[owner], np.nan)
    spread = np.sqrt(np.bincount(owner, np.where(known, gap, 0) ** 2, len(sizes)) / n)
    return (gap / np.maximum(spread, 1e-9)[owner]).astype(np.float32)


def crowd(n_items: int) -> int:
    """How many people's lists to make at once."""
    return min(MANY, max(1, MANY_CELLS // max(n_items, 1)))


def ready(scores: Floats) -> Floats:
    """The same to rank by: what is missing stands below nearly everything."""
    return np.where(np.isnan(scores), np.float32(-1), scores)


def popularity(side: Side, name: str, n_items: int) -> Floats:
    """(1, n_items) float32: a popularity of the item table."""
    return widen(side.items[ITEM.index(name)].astype(np.float32), n_items)[None]


def singles(base: Base, side: Side, n_users: int) -> Base:
    """The strategies of ``base`` and every popularity, ready to rank (no NaN)."""
    out = {name: ready(scores) for name, scores in base.items()}
    n_items = next(iter(out.values())).shape[1]
    for name in POPULARITY:
        out[name] = np.broadcast_to(popularity(side, name, n_items), (n_users, n_items))
    return out


@dataclass(frozen=True)
class Asked:
    """People with a past who consumed something new afterwards."""

    users: Rows  # (n_users,) user rows, ascending
    histories: Histories  # of the past
    relevant: Bools  # (n_users, n_items) what they consumed afterwards, unseen before

    @staticmethod
    def of(past: Training, held: Interactions, *, max_users: int | None, seed: int) -> Asked:
        """All such people, or ``max_users`` drawn of those who consumed anything in ``held``."""
        held = held.where(held.weight >= 0)
        known = np.bincount(past.interactions.users, minlength=held.n_users) > 0
        users = np.unique(held.users[known[held.users]])
        if max_users is not None and len(users) > max_users:
            rng = np.random.default_rng(seed)
            users = np.sort(rng.choice(users, max_users, replace=False))
        histories = past.interactions.histories(users)
        relevant = _labels(held, users, histories)
        some = np.flatnonzero(relevant.any(axis=1))
        return Asked(users[some], histories.take(some), relevant[some])


def _labels(held: Interactions, users: Rows, histories: Histories) -> Bools:
    place = np.full(held.n_users, -1, dtype=np.intp)
    place[users] = np.arange(len(users))
    kept = place[held.users] >= 0
    out = np.zeros((len(users), held.n_items), dtype=np.bool_)
    out[place[held.users[kept]], held.items[kept]] = True
    return out & ~histories.seen()


def collect(
    side: Side,
    past: Training,
    held: Interactions,
    *,
    max_users: int | None,
    seed: int,
    rivals: bool = True,
) -> Window:
    """Rows of people with a past who consumed something new in ``held``.

    ``side`` is fitted on ``past``, which holds nothing of ``held``. Without ``rivals`` the lists of
    the single strategies (``tops``) are left out, and what would not be ranked when serving.
    """
    asked = Asked.of(past, held, max_users=max_users, seed=seed)
    users, histories, relevant = asked.users, asked.histories, asked.relevant
    names = side.plan.names
    if not len(users):
        none = np.zeros(0, dtype=np.intp)
        empty = np.zeros((0, len(names)), dtype=np.float32)
        nothing = none.astype(np.bool_)
        return Window(users, empty, nothing, none, none, nothing, relevant, {}, names)
    step = CHUNK if rivals else crowd(held.n_items)
    chunks = [
        _chunk(past, side, users[at : at + step], histories, at, rivals)
        for at in range(0, len(users), step)
    ]
    features = np.concatenate([c[0] for c in chunks])
    items = np.concatenate([c[1] for c in chunks])
    sizes = np.concatenate([c[2] for c in chunks])
    labels = relevant[np.repeat(np.arange(len(users)), sizes), items]
    proposed = np.concatenate([c[3] for c in chunks])
    tops = {name: np.concatenate([c[4][name] for c in chunks]) for name in chunks[0][4]}
    return Window(users, features, labels, sizes, items, proposed, relevant, tops, names)


def build(
    training: Training,
    start: float,
    end: float,
    *,
    max_users: int | None,
    seed: int,
    plan: Plan = DEFAULT,
) -> Window:
    """Fit a plan as of ``start``; take people with a past who consumed in ``[start, end)``."""
    past = training.before(start)
    side = Side(plan)
    side.fit(past)
    held = training.interactions.between(start, end)
    return collect(side, past, held, max_users=max_users, seed=seed)


def _chunk(
    past: Training, side: Side, users: Rows, histories: Histories, first: int, rivals: bool
) -> tuple[Floats, Rows, Rows, Bools, dict[str, Rows]]:
    part = past.with_circle(histories.take(np.arange(first, first + len(users))), users)
    profiles = [past.profiles[u] for u in users]
    base = side.base(part, profiles, past.at, only=None if rivals else side.plan.proposing)
    unseen = ~part.seen()
    allowed = unseen & side.warm
    served = _union(side, base, side.plan.sources, allowed, PER_SOURCE)
    wide = _union(side, base, side.plan.teaching, allowed, TAUGHT) if rivals else served
    who, what = np.nonzero(wide)
    views = side.at_pairs(base, part, profiles, past.at, who, what)
    features = side.rows(views, part, profiles, past.at, who, what)
    every = singles(base, side, len(users)) if rivals else {}
    tops = {name: best(scores, unseen, DEPTH) for name, scores in every.items()}
    return features, what, np.bincount(who, minlength=len(users)), served[who, what], tops


def shortlist(side: Side, base: Base, allowed: Bools) -> tuple[Rows, Rows]:
    """(n,) people and (n,) items: what the proposing views and popularities put forward.

    ``base`` holds whole rows of at least the proposing views.
    """
    who, what = np.nonzero(_union(side, base, side.plan.sources, allowed, PER_SOURCE))
    return who, what


def _union(side: Side, base: Base, names: Sequence[str], allowed: Bools, each: int) -> Bools:
    sources = [
        ready(base[name]) if name in base else popularity(side, name, allowed.shape[1])
        for name in names
    ]
    return candidates.union(sources, allowed, each)
