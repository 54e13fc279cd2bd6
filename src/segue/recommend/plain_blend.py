"""Blends for when there is little to learn from: a linear one, and the best single strategy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize

from segue.core.checks import above
from segue.core.errors import BadInput, BadSettings
from segue.core.types import Doubles, Floats, Rows
from segue.recommend.plan import DEFAULT, Plan
from segue.recommend.windows import Window

CLIP = 4.0  # standard deviations: one odd value must not own a score


@dataclass(frozen=True)
class LinearSettings:
    """``l2`` is the strength of the penalty on squared weights, per person of the lessons."""

    l2: float = 0.03

    def __post_init__(self) -> None:
        above(self, 0, "l2")


@dataclass
class LinearBlend:
    """A weighted sum of standardised columns, fitted by a softmax over each person's candidates
    (conditional logit, McFadden 1974). Weights of rising columns are never negative.
    """

    settings: LinearSettings = LinearSettings()
    plan: Plan = DEFAULT
    mean: Doubles = field(default_factory=lambda: np.zeros(0))
    scale: Doubles = field(default_factory=lambda: np.zeros(0))
    weights: Doubles = field(default_factory=lambda: np.zeros(0))
    kind: ClassVar[str] = "linear"

    def fit(self, windows: Sequence[Window], seed: int) -> None:
        labelled = [w for w in windows if w.labels.any()]
        if not labelled:
            raise BadInput(
                "nobody came back in any past window, so a blend cannot be trained; "
                "import events that span a longer time"
            )
        features = np.concatenate([w.columns(self.plan.names) for w in labelled])
        worth = [w.labels if w.gain is None else w.gain for w in labelled]
        labels = np.concatenate(worth).astype(np.float64)
        sizes = np.concatenate([w.sizes for w in labelled])
        filled = np.isfinite(features)
        count = np.maximum(filled.sum(axis=0), 1)
        values = np.where(filled, features, 0).astype(np.float64)
        self.mean = values.sum(axis=0) / count
        spread = np.where(filled, (values - self.mean) ** 2, 0).sum(axis=0) / count
        self.scale = np.where(spread > 1e-12, np.sqrt(np.maximum(spread, 1e-12)), np.inf)
        sizes = sizes[sizes > 0]
        starts = np.cumsum(sizes) - sizes
        self.weights = self._solve(self._standard(features), labels, starts, sizes)

    def _solve(self, x: Doubles, labels: Doubles, starts: Rows, sizes: Rows) -> Doubles:
        positives = np.add.reduceat(labels, starts)
        # Each person counts once.
        share = labels / np.repeat(np.where(positives > 0, positives, 1), sizes)
        people = max(int((positives > 0).sum()), 1)
        target = share @ x

        def loss(w: Doubles) -> tuple[float, Doubles]:
            score = x @ w
            score -= np.repeat(np.maximum.reduceat(score, starts), sizes)
            weight = np.exp(score)
            total = np.add.reduceat(weight, starts)
            chance = weight / np.repeat(total, sizes) * np.repeat(positives > 0, sizes)
            log = float(share @ score) - float(np.log(total[positives > 0]).sum())
            value = -log / people + self.settings.l2 * float(w @ w)
            return value, (chance @ x - target) / people + 2 * self.settings.l2 * w

        bounds = [(0.0, None) if rises else (None, None) for rises in self.plan.rising]
        start = np.zeros(x.shape[1])
        found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
        return np.asarray(found.x)

    def _standard(self, features: Floats) -> Doubles:
        """Zero mean and unit spread; a missing value stands at the mean."""
        z = (features.astype(np.float64) - self.mean) / self.scale
        return np.asarray(np.clip(np.nan_to_num(z), -CLIP, CLIP))

    def score(self, features: Floats) -> Doubles:
        return np.asarray(self._standard(features) @ self.weights)

    def parts(self, features: Floats) -> Doubles:
        adds = self._standard(features) * self.weights
        return np.concatenate([adds, np.zeros((len(adds), 1))], axis=1)

    def texts(self) -> list[str]:
        arrays = {"mean": self.mean, "scale": self.scale, "weights": self.weights}
        return [json.dumps({name: array.tolist() for name, array in arrays.items()})]

    def described(self) -> dict[str, Any]:
        return asdict(self.settings)

    @staticmethod
    def of(texts: Sequence[str], settings: LinearSettings, plan: Plan) -> LinearBlend:
        arrays = {name: np.array(values) for name, values in json.loads(texts[0]).items()}
        return LinearBlend(settings, plan, **arrays)


@dataclass(frozen=True)
class SingleSettings:
    """``column`` is the one that ranks."""

    column: str


@dataclass
class Single:
    """One column alone: what serves when no blend beats it on validation."""

    settings: SingleSettings
    plan: Plan = DEFAULT
    kind: ClassVar[str] = "single"

    def __post_init__(self) -> None:
        if self.settings.column not in self.plan.names:
            raise BadSettings(f"column {self.settings.column!r} is not in the plan")

    def fit(self, windows: Sequence[Window], seed: int) -> None:
        """Nothing to learn."""

    def score(self, features: Floats) -> Doubles:
        column = features[:, self.plan.names.index(self.settings.column)]
        return np.nan_to_num(column.astype(np.float64), nan=-1.0)

    def parts(self, features: Floats) -> Doubles:
        out = np.zeros((len(features), len(self.plan.names) + 1))
        out[:, self.plan.names.index(self.settings.column)] = self.score(features)
        return out

    def texts(self) -> list[str]:
        return []

    def described(self) -> dict[str, Any]:
        return asdict(self.settings)

    @staticmethod
    def of(texts: Sequence[str], settings: SingleSettings, plan: Plan) -> Single:
        return Single(settings, plan)
