"""A learned stack of raters: what each says, and how much of person and item it has seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from segue.core.checks import at_least
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Rater, Trial
from segue.core.types import Doubles, Floats, Histories, Interactions, Profile, Rows, Training
from segue.recommend.given import rated
from segue.recommend.ratings_context import RatingContext
from segue.recommend.ratings_knn import KnnRatings
from segue.recommend.ratings_mean import MeanRatings
from segue.recommend.ratings_mf import BiasedMf, SvdPlusPlus

ENOUGH_ROWS = 30_000  # held-out ratings; after so many no further fold is fitted
RIDGE = 1.0
SLICE = 256  # people whose every item is rated at once


def _parts() -> tuple[Rater, ...]:
    return (MeanRatings(), KnnRatings(), BiasedMf(), SvdPlusPlus())


@dataclass
class StackedRatings:
    """Stacked generalisation (Wolpert, 1992; Breiman, 1996) of the other raters.

    Parts of everybody's ratings are held out in turn, the raters fitted on the rest, and a ridge
    and then boosted trees (on what the ridge leaves) learn from the held-out ratings alone; then
    the raters are fitted on everything.
    """

    folds: int = 5
    trees: int = 200
    leaves: int = 12
    rate: float = 0.03
    least_rows: int = 200
    seed: int = 0
    name: str = "stacked ratings"
    parts: tuple[Rater, ...] = field(default_factory=_parts, repr=False)
    context: RatingContext = field(default_factory=RatingContext, repr=False)
    weights: Doubles = field(default_factory=lambda: np.zeros(5), repr=False)
    booster: str = field(default="", repr=False)
    _loaded: lgb.Booster | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise BadSettings(f"folds must be >= 2, got {self.folds}")
        at_least(self, 1, "trees", "least_rows")
        if self.leaves < 2:
            raise BadSettings(f"leaves must be >= 2, got {self.leaves}")
        if not 0 < self.rate <= 1:
            raise BadSettings(f"rate must be in (0, 1], got {self.rate}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "trees": trial.suggest_int("trees", 50, 500, log=True),
            "leaves": trial.suggest_int("leaves", 4, 31, log=True),
            "rate": trial.suggest_float("rate", 0.01, 0.1, log=True),
            "least_rows": trial.suggest_int("least_rows", 50, 1000, log=True),
        }

    def fit(self, training: Training) -> None:
        rated(training)  # refuses data without ratings before anything is fitted
        tables, targets, n_rows = [], [], 0
        for kept, held in self._held_out(training.interactions):
            self._fit_parts(replace(training, interactions=kept))
            histories = kept.histories()
            tables.append(self._table(histories, training.profiles, held.users, held.items))
            assert held.value is not None
            targets.append(held.value.astype(np.float64))
            n_rows += len(held)
            if n_rows >= ENOUGH_ROWS:
                break
        self._learn(np.vstack(tables), np.concatenate(targets))
        self._fit_parts(training)

    def _held_out(self, events: Interactions) -> Iterator[tuple[Interactions, Interactions]]:
        """Everything but one part of the pairs of person and item, and the ratings of that part."""
        pairs = events.users.astype(np.int64) * events.n_items + events.items
        _, pair = np.unique(pairs, return_inverse=True)  # a repeated rating is held out with all
        draw = np.random.default_rng(self.seed).integers(0, self.folds, int(pair.max()) + 1)
        part = draw[pair]
        values = np.full(len(events), np.nan) if events.value is None else events.value
        for fold in range(self.folds):
            inside = part == fold
            ratings = inside & np.isfinite(values)
            if ratings.any() and np.isfinite(values[~inside]).any():
                yield events.where(~inside), events.where(ratings)

    def _fit_parts(self, training: Training) -> None:
        for part in self.parts:
            part.fit(training)
        self.context.fit(training)

    def _table(
        self, histories: Histories, profiles: Sequence[Profile], users: Rows, items: Rows
    ) -> Doubles:
        """(n, n_parts + n_context) what is known of the pairs (users[i], items[i])."""
        n_parts = len(self.parts)
        said = np.empty((len(users), n_parts))
        order = np.argsort(users, kind="stable")
        ends = np.searchsorted(users[order], np.arange(0, histories.n_users + SLICE, SLICE))
        for n, (start, stop) in enumerate(pairwise(ends.tolist())):
            if start == stop:
                continue
            first, rows = n * SLICE, order[start:stop]
            people = np.arange(first, min(first + SLICE, histories.n_users), dtype=np.intp)
            asked = profiles[first : first + SLICE]
            some = histories.take(people)
            for column, part in enumerate(self.parts):
                out = part.ratings(some, asked, 0.0)  # no part depends on the time of asking
                said[rows, column] = out[users[rows] - first, items[rows]]
        return np.hstack([said, self.context.of(histories, profiles, users, items)])

    def _learn(self, table: Doubles, target: Doubles) -> None:
        design = self._design(table)
        gram = design.T @ design + RIDGE * np.eye(design.shape[1])
        self.weights = np.asarray(np.linalg.solve(gram, design.T @ target))
        settings = {
            "objective": "regression", "num_leaves": self.leaves, "learning_rate": self.rate,
            "min_data_in_leaf": self.least_rows, "feature_fraction": 0.6, "bagging_fraction": 0.7,
            "bagging_freq": 1, "lambda_l2": 20.0, "seed": self.seed, "deterministic": True,
            "force_row_wise": True, "num_threads": 1, "verbose": -1,
        }  # fmt: skip
        data = lgb.Dataset(table, target - design @ self.weights, free_raw_data=True)
        self._load(lgb.train(settings, data, self.trees).model_to_string())

    def _design(self, table: Doubles) -> Doubles:
        """(n, n_parts + 1): what the parts say, and a constant."""
        said = table[:, : len(self.parts)]
        return np.hstack([said, np.ones((len(said), 1))])

    def _load(self, text: str) -> None:
        self.booster, self._loaded = text, lgb.Booster(model_str=text)

    def of_pairs(
        self, histories: Histories, profiles: Sequence[Profile], users: Rows, items: Rows
    ) -> Floats:
        """(n,) float32 ratings of the pairs (users[i], items[i]), ``users`` being positions."""
        return self._rate(self._table(histories, profiles, users, items))

    def of_parts(
        self, histories: Histories, profiles: Sequence[Profile], users: Rows, items: Rows
    ) -> dict[str, Floats]:
        """What each part says of the same pairs, by its name."""
        table = self._table(histories, profiles, users, items)
        return {part.name: table[:, n].astype(np.float32) for n, part in enumerate(self.parts)}

    def _rate(self, table: Doubles) -> Floats:
        out = self._design(table) @ self.weights
        if self._loaded is not None:
            out = out + np.asarray(self._loaded.predict(table, num_threads=1))
        return self.context.base.scale.clip(out)

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        n, m = histories.n_users, histories.n_items
        out = np.empty((n, m), dtype=np.float32)
        for first in range(0, n, SLICE):
            people = np.arange(first, min(first + SLICE, n), dtype=np.intp)
            asked = profiles[first : first + SLICE]
            users = np.repeat(np.arange(len(people), dtype=np.intp), m)
            items = np.tile(np.arange(m, dtype=np.intp), len(people))
            rated_all = self.of_pairs(histories.take(people), asked, users, items)
            out[people] = rated_all.reshape(len(people), m)
        return out

    def _sides(self) -> list[tuple[str, Rater | RatingContext]]:
        return [("context", self.context), *((part.name, part) for part in self.parts)]

    def state(self) -> Arrays:
        out: dict[str, npt.NDArray[Any]] = {"weights": self.weights}
        out["booster"] = np.frombuffer(self.booster.encode(), dtype=np.uint8)
        for name, side in self._sides():
            out |= {f"{name}/{key}": array for key, array in side.state().items()}
        return out

    def restore(self, state: Arrays) -> None:
        self.weights = np.ascontiguousarray(state["weights"], dtype=np.float64)
        self._load(state["booster"].tobytes().decode())
        for name, side in self._sides():
            own = f"{name}/"
            side.restore({k[len(own) :]: v for k, v in state.items() if k.startswith(own)})
