"""Rating prediction by matrix factorisation: items learned, people folded in exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segue.core.checks import above, at_least
from segue.core.protocols import Arrays, Trial
from segue.core.types import Doubles, Floats, Histories, Profile, Training
from segue.recommend.gaussian import ItemSide, fold_in, moments, relearn, sweep, variance
from segue.recommend.given import Given, Scale, given, rated
from segue.recommend.ratings_prior import ItemPrior, PersonPrior, PriorLearner

LEAST_NOISE = 1e-6
WARM_UP = 2  # sweeps before the noise is learned: the first factors fit nothing yet
NOTHING = ItemSide(np.zeros((1, 2)), np.zeros((1, 3)), 1.0, 1.0)


@dataclass
class BiasedMf:
    """Factors and biases under Gaussian priors, all variances learned (see ``gaussian``).

    The prior mean of an item comes from its content and how often it is rated, that of a person
    from their profile (ridges ``content`` and ``profile``; None leaves the source out). With
    ``implicit`` the person's prior also holds the sum over what they rated of y_j / sqrt(n), which
    is SVD++ (Koren, KDD 2008, eq. 15). ``strength`` is how many ratings the common noise counts
    for in each person's own.
    """

    factors: int = 16
    iterations: int = 30
    strength: float = 20.0
    content: float | None = 10.0
    profile: float | None = 20.0
    implicit: float | None = None
    seed: int = 0
    name: str = "biased mf"
    scale: Scale = field(default_factory=Scale, repr=False)
    side: ItemSide = field(default=NOTHING, repr=False)
    prior: PersonPrior = field(default_factory=PersonPrior, repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "factors", "iterations")
        above(self, 0, "strength", "content", "profile", "implicit")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "factors": trial.suggest_categorical("factors", (6, 10, 16, 24, 32)),
            "strength": trial.suggest_float("strength", 3.0, 300.0, log=True),
            "content": trial.suggest_float("content", 1.0, 100.0, log=True),
            "profile": trial.suggest_float("profile", 2.0, 200.0, log=True),
        }

    def fit(self, training: Training) -> None:
        histories, ratings, self.scale = rated(training)
        ratings = replace(ratings, values=ratings.values - self.scale.mean)
        people = self._people_of_the_fit(training, histories, ratings)
        items = ItemPrior.of(training, ratings, self.content)
        means, spread = self._start(ratings), self._start_spread()
        expected = items.expect(means)
        covariance = np.repeat(spread[None] / 10, len(means), axis=0)
        noise = max(float(ratings.values.var()) / 1.5, LEAST_NOISE)
        for step in range(self.iterations):
            side = ItemSide(means, moments(means, covariance), noise, self.strength)
            lesson = sweep(ratings, side, people.foretold())
            people.learn(lesson.people)
            means, covariance = relearn(lesson, expected, spread)
            expected, known = items.expect(means), items.rated
            spread = variance(means[known], expected[known], covariance[known])
            if step >= WARM_UP:
                noise = max(noise * lesson.misfit, LEAST_NOISE)
        self.side = _kept(means, moments(means, covariance), noise, self.strength)

    def _people_of_the_fit(
        self, training: Training, histories: Histories, ratings: Given
    ) -> PriorLearner:
        self.prior = PersonPrior.of(
            training, ratings, self.profile is not None, self.implicit is not None, self.factors
        )
        features = self.prior.features(histories, training.profiles)
        return PriorLearner(self.prior, features, self.profile, self.implicit)

    def _start(self, ratings: Given) -> Doubles:
        """(n_items + 1, factors + 1) small random factors; shrunk means as biases."""
        rng = np.random.default_rng(self.seed)
        size = self.scale.n_items + 1
        out = rng.normal(0, 0.1, (size, self.factors + 1))
        out[:, 0] += 0.4  # the first factor starts as each person's own level
        count = np.bincount(ratings.items, minlength=size)
        out[:, -1] = np.bincount(ratings.items, ratings.values, minlength=size) / (count + 10)
        return out

    def _start_spread(self) -> Doubles:
        out = np.eye(self.factors + 1) * 0.05
        out[-1, -1] = 0.3
        return out

    def people(self, histories: Histories, profiles: Sequence[Profile]) -> Doubles:
        """(n_users, factors) posterior mean of each person's factors."""
        ratings = given(histories, self.scale.n_items)
        centred = replace(ratings, values=ratings.values - self.scale.mean)
        priors = np.asarray(self.prior.features(histories, profiles) @ self.prior.weights)
        return fold_in(centred, self.side, priors)

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        items = self.side.means[self.scale.columns(histories.n_items)]
        people = self.people(histories, profiles)
        return self.scale.clip(self.scale.mean + people @ items[:, :-1].T + items[:, -1])

    def state(self) -> Arrays:
        return {
            **self.scale.state(),
            **self.prior.state(),
            "noise": np.array([self.side.noise, self.side.strength]),
            "means": self.side.means.astype(np.float32),
            "moments": self.side.moments.astype(np.float32),
        }

    def restore(self, state: Arrays) -> None:
        self.scale = Scale.of(state)
        self.prior = PersonPrior.from_state(state)
        noise, strength = (float(v) for v in state["noise"])
        self.side = _kept(state["means"], state["moments"], noise, strength)


@dataclass
class SvdPlusPlus(BiasedMf):
    """:class:`BiasedMf` whose person also is what they chose to rate."""

    implicit: float | None = 5.0
    name: str = "svd++"


def _kept(
    means: np.ndarray[Any, Any], moments: np.ndarray[Any, Any], noise: float, strength: float
) -> ItemSide:
    """Float32 values, met in float64: a restored model adds up the very same numbers."""
    cells = [np.asarray(v, dtype=np.float32).astype(np.float64) for v in (means, moments)]
    return ItemSide(cells[0], cells[1], noise, strength)
