"""Places in a list for what is not known yet, drawn with probabilities that are known exactly.

Thompson sampling (Thompson, Biometrika 1933; Chapelle & Li, NeurIPS 2011) shows an item as often
as it is likely to be the best; LinUCB (Li et al., WWW 2010) shows the one that may be the best at
most. Here both become shares over a set of candidates, mixed with equal shares for all, and one
candidate is drawn by those shares. So the propensity that is logged is the probability by which
the item was drawn, and every later policy can be valued by it (Horvitz & Thompson, JASA 1952).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import log_ndtr

from segue.core.checks import above, at_least, within
from segue.core.errors import BadSettings
from segue.core.types import DAY_S, Doubles, Floats, Rows

POLICIES = ("none", "thompson", "linucb")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(96)
LEAST_SD = 1e-6
FEATURES = 16  # of an item in LinUCB, besides the context
T = TypeVar("T")


@dataclass(frozen=True)
class Explore:
    """``[explore]``: off by default; then lists are what they are without it, and nothing is
    logged."""

    policy: str = "none"  # none | thompson | linucb
    slots: int = 1  # places of a list that explore
    first: int = 4  # the first such place; 1 is the top
    every: int = 4  # places from one to the next
    equal: float = 0.1  # share of the draws that all candidates have alike
    candidates: int = 20  # new items that a list chooses from
    few_events: int = 10  # an item with fewer is new …
    enough: int = 100  # … until it was shown so often
    unsure: int = 5  # who did less is asked by the slots too
    rate: float = 0.1  # how often a new item is expected to be taken
    prior: float = 10.0  # exposures that this expectation is worth
    width: float = 1.0  # LinUCB: of the interval whose upper end counts

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise BadSettings(
                f"[explore] policy must be one of {', '.join(POLICIES)}, got {self.policy!r}"
            )
        at_least(self, 1, "slots", "first", "every", "candidates", "few_events", "enough")
        at_least(self, 0, "unsure", "width")
        above(self, 0, "rate", "prior", "equal")
        within(self, 0, 1, "rate")
        if self.equal > 1:
            raise BadSettings(f"[explore] equal must be in (0, 1], got {self.equal}")

    def places(self, k: int) -> list[int]:
        """Positions (0 is the top) of a list of ``k`` that explore; the top never does."""
        found = (max(self.first - 1, 1) + n * self.every for n in range(self.slots))
        return [place for place in found if place < k]


def expected(
    shown: Rows, taken: Rows, standing: Doubles, settings: Explore
) -> tuple[Doubles, Doubles]:
    """(n,) mean and deviation of the rate at which each item is taken when shown (a beta belief).

    ``standing`` in [0, 1] says where the model puts each among the candidates: it lifts the
    expectation by up to a half, or lowers it.
    """
    before = settings.rate * (0.5 + standing)
    size = settings.prior + shown
    mean = np.clip((settings.prior * before + taken) / size, 1e-6, 1 - 1e-6)
    return mean, np.sqrt(mean * (1 - mean) / (size + 1))


def thompson(mean: Doubles, sd: Doubles) -> Doubles:
    """(n,) probability that each of independent Gaussians is the largest, by quadrature."""
    spread = np.maximum(sd, LEAST_SD)
    at = mean[:, None] + spread[:, None] * NODES  # (n, nodes)
    below = log_ndtr((at[:, None, :] - mean[None, :, None]) / spread[None, :, None])
    own = np.arange(len(mean))
    below[own, own] = 0
    shares = np.exp(below.sum(axis=1)) @ (WEIGHTS / WEIGHTS.sum())
    return np.asarray(shares / shares.sum())


def features(places: Floats, at: Doubles) -> Doubles:
    """(n, FEATURES + 3): items by a fixed random projection of where they stand, and the time of
    day of each."""
    rng = np.random.default_rng(places.shape[1])
    projection = rng.normal(size=(places.shape[1], FEATURES)) / np.sqrt(FEATURES)
    turn = 2 * np.pi * (at % DAY_S) / DAY_S
    return np.column_stack([np.ones(len(at)), np.sin(turn), np.cos(turn), places @ projection])


@dataclass(frozen=True)
class LinUcb:
    """A ridge regression of what is taken on features, with its uncertainty."""

    inverse: Doubles  # (dim, dim)
    coefficients: Doubles  # (dim,)

    @staticmethod
    def of(x: Doubles, taken: Doubles) -> LinUcb:
        """``x`` (n, dim) of what was shown, ``taken`` (n,) 0 or 1."""
        inverse = np.linalg.inv(np.eye(x.shape[1]) + x.T @ x)
        return LinUcb(np.asarray(inverse, dtype=np.float64), np.asarray(inverse @ (x.T @ taken)))

    def upper(self, x: Doubles, width: float) -> Doubles:
        """(n,) upper ends of the intervals."""
        sd = np.sqrt(np.einsum("id,de,ie->i", x, self.inverse, x))
        return np.asarray(x @ self.coefficients + width * sd)


def best_alone(upper: Doubles) -> Doubles:
    """(n,) all of the share for the largest."""
    out = np.zeros(len(upper))
    out[int(np.argmax(upper))] = 1
    return out


def mixed(shares: Doubles, equal: float) -> Doubles:
    """(n,) shares that sum to one, each at least ``equal / n``."""
    out = (1 - equal) * shares + equal / len(shares)
    return np.asarray(out / out.sum())


@dataclass(frozen=True)
class Drawn:
    """What a place of the list shows, and by which probability it was drawn."""

    place: int
    at: int  # among the candidates
    propensity: float


def draw(shares: Sequence[Doubles], places: Sequence[int], rng: np.random.Generator) -> list[Drawn]:
    """One candidate a place. ``shares[s]`` (n,) are those of place ``s``, 0 for the candidates of
    other places: no two places draw from the same, so each probability stands for itself."""
    out = []
    for place, share in zip(places, shares, strict=True):
        at = int(rng.choice(len(share), p=share))
        out.append(Drawn(place, at, float(share[at])))
    return out


def dealt(n: int, n_places: int) -> list[Rows]:
    """The candidates 0 … n-1, best first, dealt out to the places like cards."""
    return [np.arange(place, n, n_places, dtype=np.intp) for place in range(n_places)]


def inserted(base: Sequence[T], drawn: Mapping[int, T], k: int) -> list[T]:
    """The first ``k`` of ``base`` with what was drawn at its places."""
    rest = iter(base)
    out = []
    for place in range(k):
        entry = drawn[place] if place in drawn else next(rest, None)
        if entry is not None:
            out.append(entry)
    return out
