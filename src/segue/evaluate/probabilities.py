"""Are probabilities true? Proper scores, calibration error and the table behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput
from segue.core.types import Doubles

BINS = 10
TINY = 1e-12  # keeps the log loss of a forecast of 0 finite


@dataclass(frozen=True)
class Bin:
    """Forecasts of one tenth: what was said on average, and how often it came true."""

    n: int
    said: float
    happened: float


def brier(said: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean squared error of probabilities (Brier, 1950), lower is better.

    (n,) against (n,) of 0 and 1; or (n, n_classes) against (n,) class numbers, then in [0, 2].
    """
    p, y = _pair(said, happened)
    return float(((p - y) ** 2).mean() if p.ndim == 1 else ((p - y) ** 2).sum(axis=1).mean())


def log_loss(said: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean negative log likelihood in nats, lower is better; shapes as :func:`brier`."""
    p, y = _pair(said, happened)
    p = np.clip(p, TINY, 1 - TINY)
    if p.ndim == 1:
        return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
    return float(-(y * np.log(p)).sum(axis=1).mean())


def reliability(said: npt.ArrayLike, happened: npt.ArrayLike, bins: int = BINS) -> tuple[Bin, ...]:
    """Forecasts (n,) in ``bins`` groups of equal size, from the lowest to the highest."""
    p, y = _pair(said, happened)
    if p.ndim != 1:
        raise BadInput(f"a reliability table is about one outcome, got shape {p.shape}")
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(Bin(len(i), float(p[i].mean()), float(y[i].mean())) for i in parts)


def calibration_error(said: npt.ArrayLike, happened: npt.ArrayLike, bins: int = BINS) -> float:
    """Mean gap between what was said and what happened, over groups of equal size.

    The expected calibration error of Naeini et al. (AAAI 2015) with bins of equal mass, which do
    not stand empty when most forecasts are small (Nguyen & O'Connor, EMNLP 2015).
    """
    table = reliability(said, happened, bins)
    return sum(b.n * abs(b.said - b.happened) for b in table) / sum(b.n for b in table)


def _pair(said: npt.ArrayLike, happened: npt.ArrayLike) -> tuple[Doubles, Doubles]:
    """Both as float64 of one shape: class numbers become rows of one 1."""
    p, y = np.asarray(said, dtype=np.float64), np.asarray(happened)
    if not len(p) or len(p) != len(y):
        raise BadInput(f"need one outcome for each forecast, got {len(y)} for {len(p)}")
    if p.ndim == 2:
        y = np.eye(p.shape[1])[y.astype(np.intp)]
    return p, np.asarray(y, dtype=np.float64)
