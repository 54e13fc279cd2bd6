"""What an event says about a person's wish, as one number in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadSettings
from segue.core.types import Floats


@dataclass(frozen=True)
class BehaviourWeights:
    """Weight of each kind of event: > 0 wanted, < 0 rejected.

    Who rates something low still chose to consume it, and people go on to consume what resembles
    it; so the lowest rating has a small positive weight (``rating_lowest``, chosen on the
    validation window of MovieLens) and only ``dislike``, ``hide`` and ``skip`` push away.
    """

    click: float = 0.3
    play: float = 0.5
    progress: float = 0.9  # times the fraction that was consumed
    complete: float = 0.9
    skip: float = -0.4
    like: float = 1.0
    dislike: float = -1.0
    hide: float = -1.0
    save: float = 0.8
    share: float = 0.9
    rating: float = 1.0  # of the highest rating
    rating_lowest: float = 0.4
    rating_min: float = 1.0
    rating_max: float = 5.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name not in ("rating_min", "rating_max") and not -1 <= value <= 1:
                raise BadSettings(f"behaviour weight {f.name} must be in [-1, 1], got {value}")
        if not self.rating_min < self.rating_max:
            raise BadSettings(
                f"rating_min must be below rating_max, got {self.rating_min} and {self.rating_max}"
            )

    def weigh(self, kinds: npt.NDArray[np.str_], values: npt.NDArray[Any]) -> Floats:
        """(n,) float32 in [-1, 1]; NaN where the event is no interaction (an impression).

        ``values`` holds the rating or the consumed fraction, NaN where there is none. A rating
        without a value counts as a click, progress without one as half.
        """
        kinds = np.asarray(kinds)
        values = np.asarray(values, dtype=np.float64)
        out = np.full(len(kinds), np.nan, dtype=np.float32)
        for name in (
            "click",
            "play",
            "complete",
            "skip",
            "like",
            "dislike",
            "hide",
            "save",
            "share",
        ):
            out[kinds == name] = getattr(self, name)
        done = kinds == "progress"
        out[done] = self.progress * np.clip(np.nan_to_num(values[done], nan=0.5), 0, 1)
        rated = kinds == "rating"
        part = (values[rated] - self.rating_min) / (self.rating_max - self.rating_min)
        weight = self.rating_lowest + (self.rating - self.rating_lowest) * np.clip(part, 0, 1)
        out[rated] = np.where(np.isnan(weight), self.click, weight)
        return out
