"""Turns raw scores of a model into probabilities that come true as often as they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, minimize

from segue.core.types import Doubles

LEAST = 1000  # lessons from which the free form (isotonic) beats the two-parameter one
LEAST_EACH = 100  # of the rarer outcome
GRID = np.linspace(-9, 9, 181)  # log odds at which Platt's curve is kept


@dataclass(frozen=True)
class Calibrator:
    """A non-decreasing map, linear between knots and flat outside. Both (n_knots,) in [0, 1]."""

    raw: Doubles
    true: Doubles

    def __call__(self, raw: Doubles) -> Doubles:
        return np.interp(raw, self.raw, self.true)


def calibrator(raw: Doubles, happened: Doubles, weights: Doubles | None = None) -> Calibrator:
    """Learned from forecasts (n,) of a part the model was not trained on.

    Isotonic where there is enough to learn from, Platt's sigmoid otherwise (Niculescu-Mizil &
    Caruana, ICML 2005). ``happened`` is (n,) in [0, 1], so an expected share works too.
    ``weights`` (n,) > 0 are how many cases each lesson stands for, where they were not drawn alike.
    """
    weights = np.ones(len(raw)) if weights is None else weights / weights.mean()
    mass = float(happened.sum())
    enough = len(raw) >= LEAST and min(mass, len(raw) - mass) >= LEAST_EACH
    return (_isotonic if enough else _platt)(raw, happened, weights)


def _isotonic(raw: Doubles, happened: Doubles, weights: Doubles) -> Calibrator:
    """Pool adjacent violators, one knot in the middle of each block (Oron & Flournoy, 2017)."""
    values, place = np.unique(raw, return_inverse=True)
    counts = np.bincount(place, weights)
    means = np.bincount(place, happened * weights) / counts
    found = isotonic_regression(means, weights=counts)
    starts = found.blocks[:-1]
    size = np.add.reduceat(counts, starts)
    centre = np.add.reduceat(values * counts, starts) / size
    # One further lesson of the base rate a block: no forecast is ever exactly 0 or 1. It lifts
    # small blocks most, so the order is mended once more, by weight.
    base = np.average(happened, weights=weights)
    smooth = (found.x[starts] * size + base) / (size + 1)
    return Calibrator(centre, isotonic_regression(smooth, weights=size + 1.0).x)


def _platt(raw: Doubles, happened: Doubles, weights: Doubles) -> Calibrator:
    """A sigmoid over the log odds (Platt, 1999), its targets pulled in by one lesson each way."""
    mass = float((happened * weights).sum())
    high, low = (mass + 1) / (mass + 2), 1 / (len(raw) - mass + 2)
    target = low + (high - low) * happened
    odds = _log_odds(raw)

    def loss(settings: Doubles) -> tuple[float, Doubles]:
        z = settings[0] * odds + settings[1]
        gap = 1 / (1 + np.exp(-z)) - target
        return float((weights * (np.logaddexp(0, z) - target * z)).mean()), np.array(
            [(weights * gap * odds).mean(), (weights * gap).mean()]
        )

    start = np.array([1.0, 0.0])
    bounds = [(0.0, None), (None, None)]  # a higher score never means a lower probability
    slope, shift = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibrator(1 / (1 + np.exp(-GRID)), 1 / (1 + np.exp(-(slope * GRID + shift))))


def _log_odds(p: Doubles) -> Doubles:
    kept = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))
