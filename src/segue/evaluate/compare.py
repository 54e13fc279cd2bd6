"""Is one better? Bootstrap intervals over people and paired tests, corrected for many looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon as signed_rank

from segue.core.errors import BadInput
from segue.core.types import Doubles

ROUNDS = 2000
LEVEL = 0.95
SLICE = 100  # rounds at once: rounds x people would not fit for many people
Verdict = Literal["better", "worse", "no difference"]


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval (Efron & Tibshirani, 1993)."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Comparison:
    """Ours minus another, the same people in both.

    ``p`` is Wilcoxon's and ``p_holm`` the same after Holm's correction over all comparisons made
    together. ``verdict`` is the interval's; :attr:`proven` asks both.
    """

    name: str
    gap: Interval
    p: float
    p_holm: float

    @property
    def verdict(self) -> Verdict:
        return verdict(self.gap)

    @property
    def proven(self) -> bool:
        """The interval leaves out zero and the corrected test agrees."""
        return self.verdict != "no difference" and self.p_holm < 1 - LEVEL


def bootstrap(values: Doubles, rng: np.random.Generator, rounds: int = ROUNDS) -> Interval:
    """Interval of the mean of ``values`` (n_users,), people resampled."""
    return bootstrap_all(values[:, None], rng, rounds)[0]


def bootstrap_all(
    values: Doubles, rng: np.random.Generator, rounds: int = ROUNDS
) -> tuple[Interval, ...]:
    """Interval of the mean of each column of ``values`` (n_users, n), the same draws for all."""
    n = len(values)
    if not n:
        raise BadInput("an interval needs at least one person, got none")
    means = np.empty((rounds, values.shape[1]))
    for start in range(0, rounds, SLICE):
        stop = min(start + SLICE, rounds)
        draw = rng.integers(0, n, (stop - start, n))
        # How often each person was drawn, a row a round.
        draw += np.arange(stop - start)[:, None] * n
        times = np.bincount(draw.ravel(), minlength=(stop - start) * n).reshape(-1, n)
        means[start:stop] = times @ values / n
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return tuple(
        Interval(float(m), float(a), float(b))
        for m, a, b in zip(values.mean(axis=0), low, high, strict=True)
    )


def difference(ours: Doubles, theirs: Doubles, rng: np.random.Generator) -> Interval:
    """Interval of mean(ours - theirs), the same people in both."""
    _check_pair(ours, theirs)
    return bootstrap(ours - theirs, rng)


def verdict(gap: Interval) -> Verdict:
    """What an interval of a difference says: "no difference" when it holds zero."""
    if gap.low > 0:
        return "better"
    return "worse" if gap.high < 0 else "no difference"


def wilcoxon(ours: Doubles, theirs: Doubles) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon, 1945), the same people in both.

    People without a difference stay in the ranks (Pratt, 1959): with most hits at zero, leaving
    them out would make a difference of a few look like one of all.
    """
    _check_pair(ours, theirs)
    gap = ours - theirs
    if not gap.any():
        return 1.0
    return float(signed_rank(gap, zero_method="pratt").pvalue)


def holm(p: npt.ArrayLike) -> Doubles:
    """(n,) p-values after Holm's step-down correction (Scandinavian J. of Statistics, 1979).

    Rejecting those below a level keeps the chance of any false one below that level.
    """
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    steps = given[order] * np.arange(len(given), 0, -1)
    out = np.empty(len(given))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return out


def compare(
    ours: Doubles, others: Mapping[str, Doubles], rng: np.random.Generator
) -> tuple[Comparison, ...]:
    """Ours (n_users,) against each of ``others``, in their order."""
    found = [(n, difference(ours, o, rng), wilcoxon(ours, o)) for n, o in others.items()]
    corrected = holm([p for _, _, p in found])
    return tuple(
        Comparison(name, gap, p, float(adjusted))
        for (name, gap, p), adjusted in zip(found, corrected, strict=True)
    )


def _check_pair(ours: Doubles, theirs: Doubles) -> None:
    if len(ours) != len(theirs):
        raise BadInput(f"a paired comparison needs the same people, got {len(ours)}, {len(theirs)}")
