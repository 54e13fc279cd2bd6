"""Bootstrap intervals over people, of a mean and of a paired difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Doubles

ROUNDS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval (Efron & Tibshirani, 1993)."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def bootstrap(values: Doubles, rng: np.random.Generator, rounds: int = ROUNDS) -> Interval:
    """Interval of the mean of ``values`` (n_users,), people resampled."""
    if not len(values):
        raise BadInput("an interval needs at least one person, got none")
    means = np.empty(rounds)
    for start in range(0, rounds, 100):  # in slices: rounds x users would not fit for many users
        stop = min(start + 100, rounds)
        draw = rng.integers(0, len(values), (stop - start, len(values)))
        means[start:stop] = values[draw].mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def difference(ours: Doubles, theirs: Doubles, rng: np.random.Generator) -> Interval:
    """Interval of mean(ours - theirs), the same people in both."""
    if len(ours) != len(theirs):
        raise BadInput(f"a paired comparison needs the same people, got {len(ours)}, {len(theirs)}")
    return bootstrap(ours - theirs, rng)
