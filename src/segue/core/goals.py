"""What a service wants of its lists, as a mix of goals."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from segue.core.errors import BadSettings


@dataclass(frozen=True)
class Goals:
    """Weights of goals; only their proportions matter. All 0: whatever is consumed counts alike.

    Each goal is told in units of its own mean over what is consumed, so that "70 % watch time, 30 %
    likes" holds however rare likes are.
    """

    watch: float = 0.0  # time watched; of items without a duration the share of it
    complete: float = 0.0
    like: float = 0.0  # a like, or a rating in the upper quarter of the range
    rating: float = 0.0  # where a rating stands in the range
    save: float = 0.0
    share: float = 0.0
    click: float = 0.0  # consumed at all
    returns: float = 0.0  # another visit within a week

    def __post_init__(self) -> None:
        for name, weight in self._all().items():
            if not (weight >= 0 and math.isfinite(weight)):
                raise BadSettings(f"[goals] {name} must be >= 0, got {weight}")

    def _all(self) -> dict[str, float]:
        return {f.name: float(getattr(self, f.name)) for f in fields(self)}

    @property
    def shares(self) -> dict[str, float]:
        """Goals with a weight, as shares that sum to one; empty where nothing is asked for."""
        total = sum(self._all().values())
        return {name: weight / total for name, weight in self._all().items() if weight > 0}
