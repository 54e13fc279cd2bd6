"""The learned blend: gradient-boosted trees over what the strategies say, trained to rank.

Two simpler blends stand beside it in :mod:`segue.recommend.plain_blend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput
from segue.core.types import Doubles, Floats
from segue.recommend.forest import Forest
from segue.recommend.plan import DEFAULT, Plan
from segue.recommend.windows import Window

LEVELS = 30  # of gain: LightGBM knows 31 labels
Ints = npt.NDArray[np.int32]


class Blending(Protocol):
    """How the columns of a plan become one score a pair."""

    kind: ClassVar[str]
    plan: Plan

    def fit(self, windows: Sequence[Window], seed: int) -> None: ...

    def score(self, features: Floats) -> Doubles:
        """(n,) float64 of (n, n_columns) features in the plan's order; higher is better."""

    def parts(self, features: Floats) -> Doubles:
        """(n, n_columns + 1): what each column adds; the last is the bias; rows sum to scores."""

    def texts(self) -> list[str]:
        """The whole state, as texts."""

    def described(self) -> dict[str, Any]:
        """The settings."""


@dataclass(frozen=True)
class BlendSettings:
    """One way to train the blend. ``models`` differ by seed and are averaged."""

    objective: str = "lambdarank"
    leaves: int = 7
    rate: float = 0.08
    trees: int = 60
    models: int = 2
    least_rows: int = 100  # per leaf
    feature_share: float = 0.6
    l2: float = 5.0

    def parameters(self, seed: int) -> dict[str, Any]:
        return {
            "objective": self.objective,
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_rows,
            "feature_fraction": self.feature_share,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "max_bin": 127,
            "lambdarank_truncation_level": 20,
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


def graded(windows: Sequence[Window]) -> tuple[Ints, int]:
    """(n,) labels of trees, and the highest level where they are gains of a mix of goals (else 0).

    LambdaMART wants whole numbers: gains become levels, the highest hundredth all the last one.
    """
    gains = [w.gain for w in windows if w.gain is not None]
    if len(gains) < len(windows):
        return np.concatenate([w.labels for w in windows]).astype(np.int32), 0
    gain = np.concatenate(gains).astype(np.float64)
    top = float(np.quantile(gain[gain > 0], 0.99)) if (gain > 0).any() else 1.0
    return np.ceil(np.clip(gain / top, 0, 1) * LEVELS - 1e-9).astype(np.int32), LEVELS


@dataclass
class Blend:
    """Averaged LambdaMART rankers (Burges, MSR-TR-2010-82). ``texts`` is their whole state."""

    settings: BlendSettings = BlendSettings()
    plan: Plan = DEFAULT
    boosters: list[lgb.Booster] = field(default_factory=list)
    _walked: list[Forest | None] = field(default_factory=list, repr=False, compare=False)
    kind: ClassVar[str] = "trees"

    def fit(self, windows: Sequence[Window], seed: int) -> None:
        labelled = [w for w in windows if w.labels.any()]
        if not labelled:
            raise BadInput(
                "nobody came back in any past window, so a blend cannot be trained; "
                "import events that span a longer time"
            )
        names = self.plan.names
        features = np.concatenate([w.columns(names) for w in labelled])
        labels, levels = graded(labelled)
        sizes = np.concatenate([w.sizes for w in labelled])
        self.boosters, self._walked = [], []
        for number in range(self.settings.models):
            # Each model bins anew: a Dataset keeps the parameters it was first used with.
            data = lgb.Dataset(
                features,
                labels,
                group=sizes if self.settings.objective == "lambdarank" else None,
                feature_name=[name.replace(" ", "_") for name in names],
            )
            parameters = self.settings.parameters(seed + number)
            if levels:
                parameters["label_gain"] = list(range(levels + 1))
            # More likeness to the history never lowers a score: reasons stay believable.
            parameters["monotone_constraints"] = list(self.plan.rising)
            trained = lgb.train(parameters, data, self.settings.trees)
            # Through text at once, so that a reloaded package scores bitwise the same.
            self.boosters.append(lgb.Booster(model_str=trained.model_to_string()))

    def score(self, features: Floats) -> Doubles:
        """(n,) float64, higher is better."""
        total = np.zeros(len(features))
        for booster, forest in zip(self.boosters, self._forests(), strict=True):
            if forest is not None:
                total += forest.score(features)
            else:
                total += booster.predict(features, num_threads=1, raw_score=True)
        return total / len(self.boosters)

    def _forests(self) -> list[Forest | None]:
        """The boosters in a form that scores ten times as fast; made when first asked."""
        if len(self._walked) != len(self.boosters):
            self._walked = [Forest.of(booster) for booster in self.boosters]
        return self._walked

    def parts(self, features: Floats) -> Doubles:
        """(n, n_features + 1) TreeSHAP values (Lundberg et al., 2020); rows sum to the score."""
        total = np.zeros((len(features), len(self.plan.names) + 1))
        for booster in self.boosters:
            total += booster.predict(features, num_threads=1, pred_contrib=True)
        return total / len(self.boosters)

    def texts(self) -> list[str]:
        """One text a model, in LightGBM's own format."""
        return [b.model_to_string() for b in self.boosters]

    @staticmethod
    def of(texts: Sequence[str], settings: BlendSettings, plan: Plan) -> Blend:
        return Blend(settings, plan, [lgb.Booster(model_str=text) for text in texts])

    def described(self) -> dict[str, Any]:
        return asdict(self.settings)
