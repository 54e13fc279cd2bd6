"""Who takes an item: the score of recommending, turned into a probability.

A ranker's scores order one person's items; those of two people do not compare. Here they become
the probability that a person takes an item within so many days: boosted trees over the score, how
the item fares and what the person's days look like, learned from past cuts and calibrated on a
later one. For one person and one moment a higher score never gives a lower probability, so an
audience and a person's list agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np

from segue.core.errors import BadInput
from segue.core.protocols import Arrays
from segue.core.types import (
    DAY_S,
    Bools,
    Doubles,
    Floats,
    Histories,
    Interactions,
    Profile,
    Rows,
    Training,
)
from segue.recommend.blend import Blending
from segue.recommend.bridge import Bridge
from segue.recommend.calibrate import Calibrator, calibrator
from segue.recommend.cold import Cold
from segue.recommend.features import Side
from segue.recommend.forest import Forest
from segue.recommend.moments import PERSON, Words, person
from segue.recommend.plan import ITEM, PROFILE, Plan

HORIZON_DAYS = 30.0
PEOPLE = 1500  # of a cut who are looked at, of those who took something and of the others each
PAIRS = 40  # untaken items of each
LEAST_TAKEN = 100  # pairs at a cut from which something can be learned
CHUNK = 200
TRACE = 1e-9
# What a person's days look like; the hour and the weekday of a cut are the same for all.
ABOUT = tuple(name for name in PERSON if name not in ("hour", "weekday", "gender", "country",
                                                      "language", "occupation"))  # fmt: skip
_ABOUT = [PERSON.index(name) for name in ABOUT]
_NO_WORDS = Words.of(())
_ENTRIES = ABOUT.index("entries")
UNMET = ("promise", "likeness", *ABOUT)


def about(histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
    """(n_users, len(ABOUT)) float32."""
    codes = _NO_WORDS.codes(profiles)
    return person(histories, np.full(histories.n_users, at), codes)[:, _ABOUT]


def met_names(plan: Plan) -> tuple[str, ...]:
    """The columns of :func:`met_rows`."""
    a_entry = tuple(f"{view} an entry" for view in plan.views)
    return ("score", *ITEM, *PROFILE, *ABOUT, *plan.views, *a_entry)


def met_rising(plan: Plan) -> list[int]:
    """1 where the probability must never fall when the column rises."""
    views = list(plan.rising[: len(plan.views)])
    return [1, *[0] * (len(ITEM) + len(PROFILE) + len(ABOUT)), *views, *views]


def met_rows(plan: Plan, score: Doubles, columns: Floats, days: Floats) -> Floats:
    """(n, columns) of the blend's score and columns (n, n_columns), and ``about`` of each.

    What a history adds up to grows with its length, which orders one person's items but not
    people; so the views are told a second time, an entry of the history.
    """
    n = len(plan.views)
    item = columns[:, n : n + len(ITEM) + len(PROFILE)]
    views = columns[:, :n]
    a_entry = views / np.maximum(days[:, [_ENTRIES]], 1)
    return np.hstack([score[:, None].astype(np.float32), item, days, views, a_entry])


@dataclass(frozen=True)
class TakeLessons:
    """Pairs of a past cut and whether the person took the item within the horizon.

    ``weights`` are the pairs that each stands for: summed, they are all pairs of the cut.
    """

    at: float
    columns: Floats  # (n, n_columns) of the plan
    days: Floats  # (n, len(ABOUT))
    labels: Bools  # (n,)
    weights: Doubles  # (n,)
    foretold: Floats | None = None  # (n, 2) promise and likeness, as if nobody had met the item


@dataclass
class Collector:
    """Draws lessons while a training has the item side of each cut at hand."""

    training: Training
    horizon_days: float
    cuts: frozenset[float]  # that are looked at
    foretold: frozenset[float]  # of them, those at which content is asked too
    seed: int = 0
    lessons: list[TakeLessons] = field(default_factory=list)

    @staticmethod
    def of(training: Training, earlier: Sequence[float], last: float, seed: int) -> Collector:
        """For cuts in time order. The horizon is what is known to have followed the ``last`` one.

        The outcome of a cut must be known at the last one, which calibrates.
        """
        horizon = min(HORIZON_DAYS, (training.at - last) / DAY_S)
        early = sorted({at for at in earlier if at + horizon * DAY_S <= last})
        foretold = frozenset([*early[-1:], last])
        return Collector(training, horizon, frozenset([*early, last]), foretold, seed)

    def __call__(self, past: Training, side: Side) -> None:
        """One cut: ``side`` is fitted on ``past``; what followed comes from the training."""
        if past.at not in self.cuts:
            return
        rng = np.random.default_rng((self.seed, len(self.lessons)))
        end = past.at + self.horizon_days * DAY_S
        drawn = draw(past, self.training.interactions.between(past.at, end), side.warm, rng)
        if drawn is not None:
            foretell = self.seed if past.at in self.foretold else None
            self.lessons.append(_looked_at(past, side, drawn, foretell))


@dataclass(frozen=True)
class Drawn:
    """Pairs (people[user[i]], item[i]) with their labels and weights, grouped by user."""

    people: Rows
    histories: Histories
    user: Rows
    item: Rows
    labels: Bools
    weights: Doubles


def draw(
    past: Training, after: Interactions, warm: Bools, rng: np.random.Generator
) -> Drawn | None:
    """Pairs of a cut that nobody had taken before; None where too few were taken after.

    People who took something and people who did not are drawn apart, and untaken items half by
    how often they are taken; the weights undo both.
    """
    seen = past.interactions
    known = np.bincount(seen.users, minlength=seen.n_users) > 0
    kept = (after.weight >= 0) & known[after.users] & warm[after.items]
    taken = np.unique(after.users[kept].astype(np.int64) * seen.n_items + after.items[kept])
    before = np.unique(seen.users.astype(np.int64) * seen.n_items + seen.items)
    taken = np.setdiff1d(taken, before, assume_unique=True)
    if len(taken) < LEAST_TAKEN:
        return None
    active = np.zeros(seen.n_users, dtype=np.bool_)
    active[taken // seen.n_items] = True
    groups = [np.flatnonzero(known & active), np.flatnonzero(known & ~active)]
    chosen = [np.sort(rng.permutation(group)[:PEOPLE]) for group in groups]
    stands_for = np.zeros(seen.n_users)
    for group, some in zip(groups, chosen, strict=True):
        stands_for[some] = len(group) / max(len(some), 1)
    people = np.sort(np.concatenate(chosen))
    share = np.where(warm, 0.5 / max(int(warm.sum()), 1), 0.0)
    share += 0.5 * np.bincount(taken % seen.n_items, minlength=seen.n_items) / len(taken)
    user = np.repeat(people, PAIRS)
    item = rng.choice(seen.n_items, len(user), p=share / share.sum())
    keys = user.astype(np.int64) * seen.n_items + item
    free = ~(np.isin(keys, taken) | np.isin(keys, before))
    mine = taken[np.isin(taken // seen.n_items, people)]
    users = np.concatenate([user[free], mine // seen.n_items])
    items = np.concatenate([item[free], mine % seen.n_items])
    weight = np.concatenate(
        [(1 / (PAIRS * share[item]) * stands_for[user])[free], stands_for[mine // seen.n_items]]
    )
    labels = np.arange(len(users)) >= int(free.sum())
    order = np.argsort(users, kind="stable")
    return Drawn(
        people=people,
        histories=seen.histories(people),
        user=np.searchsorted(people, users[order]),
        item=items[order].astype(np.intp),
        labels=labels[order],
        weights=weight[order],
    )


def _looked_at(past: Training, side: Side, drawn: Drawn, foretell: int | None) -> TakeLessons:
    """The columns of drawn pairs; with a seed also what content foretells of them."""
    cold, bridge = None, None
    if foretell is not None:
        cold, bridge = Cold(seed=foretell), Bridge(content=side.content)
        cold.fit(past)
        bridge.fit(past)
    columns, days, foretold = [], [], []
    for first in range(0, len(drawn.people), CHUNK):
        users = np.arange(first, min(first + CHUNK, len(drawn.people)))
        histories = drawn.histories.take(users)
        profiles = [past.profiles[u] for u in drawn.people[users]]
        span = slice(*np.searchsorted(drawn.user, [first, first + CHUNK]))
        who, what = drawn.user[span] - first, drawn.item[span]
        views = side.at_pairs({}, histories, profiles, past.at, who, what)
        columns.append(side.rows(views, histories, profiles, past.at, who, what))
        days.append(about(histories, profiles, past.at)[who])
        if cold is not None and bridge is not None:
            foretold.append(_foretold(cold, bridge, histories, who, what))
    return TakeLessons(
        at=past.at,
        columns=np.concatenate(columns),
        days=np.concatenate(days),
        labels=drawn.labels,
        weights=drawn.weights,
        foretold=np.concatenate(foretold) if foretold else None,
    )


def _foretold(cold: Cold, bridge: Bridge, histories: Histories, who: Rows, what: Rows) -> Floats:
    """(n, 2) promise and likeness of pairs; the items as if nobody had met them."""
    items, place = np.unique(what, return_inverse=True)
    promise = cold.promise(histories, items)[who, place]
    return np.stack([promise, bridge.likeness(histories, items)[who, place]], axis=1)


@dataclass(frozen=True)
class Head:
    """Trees over some columns, and the map from what they say to what comes true."""

    booster: lgb.Booster
    calibrated: Calibrator
    forest: Forest | None = field(default=None, repr=False)

    @staticmethod
    def of(booster: lgb.Booster, calibrated: Calibrator) -> Head:
        return Head(booster, calibrated, Forest.of(booster))

    def raw(self, rows: Floats) -> Doubles:
        """(n,) in [0, 1]; orders more finely than what is calibrated."""
        if self.forest is None:
            return np.asarray(self.booster.predict(rows, num_threads=1))
        return np.asarray(1 / (1 + np.exp(-self.forest.score(rows))))

    def __call__(self, rows: Floats) -> Doubles:
        """(n,) probabilities; a trace of what the trees say keeps apart whom calibration ties."""
        raw = self.raw(rows)
        return (1 - TRACE) * self.calibrated(raw) + TRACE * raw

    def state(self, prefix: str) -> dict[str, np.ndarray[Any, Any]]:
        text = self.booster.model_to_string().encode()
        return {
            f"{prefix}/trees": np.frombuffer(text, dtype=np.uint8),
            f"{prefix}/knots": np.stack([self.calibrated.raw, self.calibrated.true]),
        }

    @staticmethod
    def restore(state: Arrays, prefix: str) -> Head | None:
        if f"{prefix}/trees" not in state:
            return None
        text = np.asarray(state[f"{prefix}/trees"], dtype=np.uint8).tobytes().decode()
        return Head.of(lgb.Booster(model_str=text), Calibrator(*state[f"{prefix}/knots"]))


_MET, _UNMET = "taken", "foretold"  # in a package


@dataclass
class Takers:
    """Calibrated probabilities of taking an item within ``horizon_days``."""

    horizon_days: float = HORIZON_DAYS
    trees: int = 300
    leaves: int = 8
    rate: float = 0.03
    least_rows: int = 200
    seed: int = 0
    base_rate: float = 0.0  # of all pairs of the cut that calibrates
    met: Head | None = field(default=None, repr=False)
    unmet: Head | None = field(default=None, repr=False)

    def fit(self, lessons: Sequence[TakeLessons], blend: Blending) -> None:
        """Trees of all cuts but the last, calibrated on the last, whose outcome none of them saw.

        Raises :class:`BadInput` where fewer than two cuts teach anything.
        """
        in_time = sorted(lessons, key=lambda lesson: lesson.at)
        last = in_time[-1] if in_time else None
        early = [x for x in in_time if last is not None
                 and x.at + self.horizon_days * DAY_S <= last.at]  # fmt: skip
        if last is None or not early:
            raise BadInput(
                "an audience needs two past moments with what people took in the "
                f"{self.horizon_days:.0f} days after each; import events that span a longer time"
            )
        weights = last.weights
        self.base_rate = float(weights[last.labels].sum() / weights.sum())
        names, rising = met_names(blend.plan), met_rising(blend.plan)

        def rows(lesson: TakeLessons) -> Floats:
            score = blend.score(lesson.columns)
            return met_rows(blend.plan, score, lesson.columns, lesson.days)

        self.met = self._head(early, last, [rows(x) for x in early], rows(last), names, rising)
        told = [x for x in early if x.foretold is not None]
        if told and last.foretold is not None:
            rising = [1, 1, *[0] * (len(UNMET) - 2)]
            parts = [np.hstack([x.foretold, x.days]) for x in told if x.foretold is not None]
            self.unmet = self._head(
                told, last, parts, np.hstack([last.foretold, last.days]), UNMET, rising
            )

    def _head(
        self,
        early: Sequence[TakeLessons],
        last: TakeLessons,
        rows: Sequence[Floats],
        later: Floats,
        names: Sequence[str],
        rising: Sequence[int],
    ) -> Head:
        # Each cut counts alike, however many pairs it has.
        weights = np.concatenate([x.weights / x.weights.mean() for x in early])
        data = lgb.Dataset(
            np.concatenate(rows),
            np.concatenate([x.labels for x in early]).astype(np.float64),
            weight=weights,
            feature_name=[name.replace(" ", "_") for name in names],
        )
        settings: dict[str, Any] = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_rows,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "monotone_constraints": list(rising),
            "seed": self.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        trained = lgb.train(settings, data, self.trees)
        # Through text at once, so that a restored state says bitwise the same.
        head = Head.of(lgb.Booster(model_str=trained.model_to_string()), Calibrator(*_IDENTITY))
        said, came = head.raw(later), last.labels.astype(np.float64)
        return Head(head.booster, calibrator(said, came, last.weights), head.forest)

    def state(self) -> Arrays:
        out: dict[str, np.ndarray[Any, Any]] = {
            "horizon": np.array([self.horizon_days]),
            "base rate": np.array([self.base_rate]),
        }
        for name, head in ((_MET, self.met), (_UNMET, self.unmet)):
            out |= {} if head is None else head.state(name)
        return out

    def restore(self, state: Arrays) -> None:
        self.horizon_days = float(state["horizon"][0])
        self.base_rate = float(state["base rate"][0])
        self.met, self.unmet = Head.restore(state, _MET), Head.restore(state, _UNMET)


_IDENTITY = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))
