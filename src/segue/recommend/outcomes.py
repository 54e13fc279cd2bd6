"""Behaviour prediction: what a person does next, whether they return, how much they would watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np

from segue.core.errors import BadInput, BadSettings
from segue.core.protocols import Arrays, Trial
from segue.core.types import (
    DAY_S,
    EVENT_KINDS,
    Bools,
    Doubles,
    Floats,
    Histories,
    Outlook,
    Profile,
    Rows,
    Training,
)
from segue.recommend.calibrate import Calibrator, calibrator
from segue.recommend.lessons import Lessons, consumptions, fractions, kinds, returns
from segue.recommend.moments import PERSON, WORDS, Timeline, Words, person
from segue.recommend.watched import ITEM, ItemSide, Watches

NEXT_KIND, RETURN, FRACTION = "next kind", "return", "fraction"
TARGETS = (NEXT_KIND, RETURN, FRACTION)
FIELDS = {NEXT_KIND: "next_kind", RETURN: "returns", FRACTION: "fractions"}  # of an Outlook
LATER = 0.2  # share of the lessons, the latest, that calibrates instead of training
LEAST = 300  # lessons of a target
LEAST_EACH = 20  # lessons of a class, in each part
CHUNK = 2_000  # moments whose histories are held at once


@dataclass(frozen=True)
class Forecast:
    """Trees and the calibration of each output. ``classes`` are codes of what is told apart."""

    booster: lgb.Booster
    calibrators: tuple[Calibrator, ...]
    classes: Rows

    def __call__(self, features: Floats) -> Doubles:
        """(n, n_outputs) in [0, 1]; rows sum to one when there are several outputs."""
        raw = np.asarray(self.booster.predict(features, num_threads=1))
        columns = raw.reshape(len(features), -1)
        out = np.stack([c(columns[:, n]) for n, c in enumerate(self.calibrators)], axis=1)
        # One against the rest, then to one (Zadrozny & Elkan, KDD 2002).
        return out / out.sum(axis=1, keepdims=True) if out.shape[1] > 1 else out

    def state(self, prefix: str) -> dict[str, np.ndarray[Any, Any]]:
        text = self.booster.model_to_string().encode()
        out: dict[str, np.ndarray[Any, Any]] = {
            f"{prefix}/trees": np.frombuffer(text, dtype=np.uint8),
            f"{prefix}/classes": self.classes,
        }
        for n, one in enumerate(self.calibrators):
            out[f"{prefix}/knots {n}"] = np.stack([one.raw, one.true])
        return out

    @staticmethod
    def restore(state: Arrays, prefix: str) -> Forecast:
        text = np.asarray(state[f"{prefix}/trees"], dtype=np.uint8).tobytes().decode()
        knots = [state[key] for key in state if key.startswith(f"{prefix}/knots ")]
        return Forecast(
            lgb.Booster(model_str=text),
            tuple(Calibrator(*state[f"{prefix}/knots {n}"]) for n in range(len(knots))),
            np.asarray(state[f"{prefix}/classes"], dtype=np.intp),
        )


@dataclass
class Outcomes:
    """Calibrated forecasts from a history, a profile and a time; nothing of a person is kept.

    Gradient-boosted trees (Ke et al., NeurIPS 2017) over what a history looks like, trained on past
    moments, calibrated on later ones. A target that the data say nothing about is named in
    ``refused`` with the reason, and the others go on.
    """

    trees: int = 80
    leaves: int = 15
    rate: float = 0.05
    least_rows: int = 100  # per leaf
    horizon_days: float = 7.0
    lessons: int = 60_000  # at most, of each target
    seed: int = 0
    name: str = "outcomes"
    forecasts: dict[str, Forecast] = field(default_factory=dict, repr=False)
    refused: dict[str, str] = field(default_factory=dict, repr=False)
    words: Words = field(default_factory=lambda: Words.of(()), repr=False)
    side: ItemSide | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("trees", "leaves", "rate", "least_rows", "horizon_days", "lessons"):
            if not getattr(self, name) > 0:
                raise BadSettings(f"outcomes: {name} must be above 0, got {getattr(self, name)}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "trees": trial.suggest_int("trees", 30, 300, log=True),
            "leaves": trial.suggest_int("leaves", 4, 31, log=True),
            "rate": trial.suggest_float("rate", 0.02, 0.15, log=True),
            "least_rows": trial.suggest_int("least_rows", 20, 300, log=True),
        }

    def fit(self, training: Training) -> None:
        """Learn every target the events tell of; raises :class:`BadInput` when there is none."""
        rng = np.random.default_rng(self.seed)
        timeline, at = Timeline(training.interactions), training.at
        self.words = Words.of(training.profiles)
        begun = consumptions(training.interactions)
        watches = Watches.of(begun)
        self.side = ItemSide.of(training, watches)
        self.forecasts, self.refused = {}, {}
        horizon = self.horizon_days * DAY_S
        wanted: Mapping[str, Callable[[], Lessons]] = {
            NEXT_KIND: lambda: kinds(timeline, rng, self.lessons),
            RETURN: lambda: returns(timeline, at, horizon, rng, self.lessons),
            FRACTION: lambda: fractions(begun, at, rng, self.lessons),
        }
        for target, teach in wanted.items():
            try:
                found = teach()
                self._check(target, found)
                features = self._rows_of(found, timeline, watches, training.profiles)
                self.forecasts[target] = self._learn(target, found, features)
            except BadInput as reason:
                self.refused[target] = str(reason)
        if not self.forecasts:
            raise BadInput("no outcome can be predicted: " + "; ".join(self.refused.values()))

    def _check(self, target: str, found: Lessons) -> None:
        if len(found) < LEAST:
            hint = {
                NEXT_KIND: "import events that carry their kinds",
                RETURN: "import events that span a longer time",
                FRACTION: "record progress, complete and skip",
            }[target]
            raise BadInput(f"{target}: needs {LEAST} past moments, got {len(found)}; {hint}")
        if target == FRACTION and np.ptp(found.labels) == 0:
            raise BadInput(
                f"{target}: every item was watched to {found.labels[0]:.0%}; "
                "record progress, complete and skip"
            )

    def _learn(self, target: str, found: Lessons, features: Floats) -> Forecast:
        """Trees of the early lessons, calibrated on the later ones.

        Growing them again from all lessons would be fresher, but the map from raw to true would be
        another model's: it gained 1 % of the Brier score on MovieLens's validation part, and where
        the true probabilities are known it was off by 0.1.
        """
        cut = int(len(found) * (1 - LATER))
        later = np.arange(len(found)) >= cut
        end = found.moments.times[cut]
        if target == RETURN:
            end -= self.horizon_days * DAY_S  # what came of it was known before calibration
        early = ~later & (found.moments.times < end)
        classes, labels = np.zeros(0, dtype=np.intp), found.labels
        if target != FRACTION:
            classes = _classes(target, labels, early, later)
        if target == NEXT_KIND:
            common = np.isin(labels, classes)
            early, later = early & common, later & common
            labels = np.searchsorted(classes, labels).astype(np.float64)
        booster = self._grown(target, features[early], labels[early], len(classes))
        raw = np.asarray(booster.predict(features[later], num_threads=1))
        truths = [labels[later]]
        if target == NEXT_KIND:
            truths = [(labels[later] == n).astype(np.float64) for n in range(len(classes))]
        pairs = zip(raw.reshape(len(truths[0]), -1).T, truths, strict=True)
        return Forecast(booster, tuple(calibrator(*pair) for pair in pairs), classes)

    def _grown(self, target: str, features: Floats, labels: Doubles, n: int) -> lgb.Booster:
        settings: dict[str, Any] = {
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_rows,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": self.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
            "objective": "binary" if target == RETURN else "cross_entropy",
        }
        if target == NEXT_KIND:
            settings |= {"objective": "multiclass", "num_class": n}
        names = [*PERSON, *(ITEM if target == FRACTION else ())]
        data = lgb.Dataset(
            features,
            labels,
            feature_name=[name.replace(" ", "_") for name in names],
            categorical_feature=[PERSON.index(word) for word in WORDS],
        )
        trained = lgb.train(settings, data, self.trees)
        # Through text at once, so that a restored state forecasts bitwise the same.
        return lgb.Booster(model_str=trained.model_to_string())

    def _rows_of(
        self, found: Lessons, timeline: Timeline, watches: Watches, profiles: Sequence[Profile]
    ) -> Floats:
        """Features of lessons, a chunk of histories at a time."""
        assert self.side is not None
        codes = self.words.codes(profiles)
        parts = []
        for start in range(0, len(found), CHUNK):
            some = found.take(np.arange(start, min(start + CHUNK, len(found))))
            histories, at = timeline.histories(some.moments), some.moments.times
            rows = person(histories, at, codes[some.moments.users])
            if some.items is not None:
                tallies = watches.tally(some.items, at)
                item = self.side.rows(histories, np.arange(len(some)), some.items, at, tallies)
                rows = np.hstack([rows, item])
            parts.append(rows)
        return np.concatenate(parts)

    def next_kind(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Doubles:
        """(n_users, len(EVENT_KINDS)): how likely each kind is next; rows sum to one.

        Kinds that were too rare to learn have 0.
        """
        forecast = self._forecast(NEXT_KIND)
        out = np.zeros((histories.n_users, len(EVENT_KINDS)))
        out[:, forecast.classes] = forecast(self._people(histories, profiles, at))
        return out

    def returns(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Doubles:
        """(n_users,) probability of a new visit within ``horizon_days`` after ``at``."""
        return self._forecast(RETURN)(self._people(histories, profiles, at))[:, 0]

    def fraction(
        self, histories: Histories, profiles: Sequence[Profile], at: float, items: Rows
    ) -> Doubles:
        """(n_users, len(items)) share in [0, 1] that each would watch of each item, if begun."""
        forecast = self._forecast(FRACTION)
        assert self.side is not None
        people = self._people(histories, profiles, at)
        owner = np.repeat(np.arange(histories.n_users), len(items))
        wanted = np.tile(np.asarray(items, dtype=np.intp), histories.n_users)
        item = self.side.rows(histories, owner, wanted, np.full(len(owner), at))
        return forecast(np.hstack([people[owner], item])).reshape(histories.n_users, len(items))

    def outlook(
        self, history: Histories, profile: Profile, at: float, items: Mapping[str, int]
    ) -> Outlook:
        """All forecasts for one person; ``items`` are rows by id."""
        given = (history, [profile], at)
        kinds = None
        if NEXT_KIND in self.forecasts:
            likely = self.next_kind(*given)[0].tolist()
            kinds = {k: p for k, p in zip(EVENT_KINDS, likely, strict=True) if p > 0}
        shares = None
        if FRACTION in self.forecasts:
            rows = np.array(list(items.values()), dtype=np.intp)
            shares = dict(zip(items, self.fraction(*given, rows)[0].tolist(), strict=True))
        return Outlook(
            next_kind=kinds,
            returns=float(self.returns(*given)[0]) if RETURN in self.forecasts else None,
            horizon_days=self.horizon_days,
            fractions=shares,
            unknown={FIELDS[target]: reason for target, reason in self.refused.items()},
        )

    def _people(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return person(histories, np.full(histories.n_users, at), self.words.codes(profiles))

    def _forecast(self, target: str) -> Forecast:
        if target not in self.forecasts:
            raise BadInput(self.refused.get(target, f"{target}: call fit first"))
        return self.forecasts[target]

    def state(self) -> Arrays:
        assert self.side is not None
        out: dict[str, np.ndarray[Any, Any]] = {**self.words.state(), **self.side.state()}
        for target, forecast in self.forecasts.items():
            out |= forecast.state(target)
        for target, reason in self.refused.items():
            out[f"{target}/refused"] = np.array([reason], dtype=np.str_)
        return out

    def restore(self, state: Arrays) -> None:
        self.words, self.side = Words.restore(state), ItemSide.restore(state)
        self.forecasts = {t: Forecast.restore(state, t) for t in TARGETS if f"{t}/trees" in state}
        self.refused = {
            t: str(state[f"{t}/refused"][0]) for t in TARGETS if f"{t}/refused" in state
        }


def _classes(target: str, labels: Doubles, early: Bools, later: Bools) -> Rows:
    """Codes that are common enough to learn; raises with the reason when fewer than two are."""
    codes, counts = np.unique(labels, return_counts=True)
    enough = [
        code
        for code in codes
        if min((labels[part] == code).sum() for part in (early, later)) >= LEAST_EACH
    ]
    if len(enough) < 2:
        seen = ", ".join(
            f"{n:,} of {_named(target, code)}" for code, n in zip(codes, counts, strict=True)
        )
        raise BadInput(
            f"{target}: needs two outcomes with {LEAST_EACH} early and {LEAST_EACH} late moments "
            f"each, got {seen}; import more kinds of events or a longer time"
        )
    return np.array(enough, dtype=np.intp)


def _named(target: str, code: float) -> str:
    return EVENT_KINDS[int(code)] if target == NEXT_KIND else ("no return", "return")[int(code)]
