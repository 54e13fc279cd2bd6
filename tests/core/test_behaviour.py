"""What events weigh."""

from __future__ import annotations

import numpy as np
import pytest

from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadSettings
from segue.core.types import EVENT_KINDS


def test_every_kind_has_a_weight_except_the_impression() -> None:
    kinds = np.array(EVENT_KINDS)
    weight = BehaviourWeights().weigh(kinds, np.full(len(kinds), np.nan))
    assert weight.dtype == np.float32
    assert set(kinds[np.isnan(weight)]) == {"impression"}
    assert (np.abs(weight[~np.isnan(weight)]) <= 1).all()
    assert set(kinds[weight < 0]) == {"skip", "dislike", "hide"}


def test_ratings_rise_and_stay_consumption() -> None:
    weight = BehaviourWeights().weigh(np.full(5, "rating"), np.arange(1.0, 6.0))
    assert (np.diff(weight) > 0).all()
    assert weight[0] >= 0
    assert weight[-1] == 1
    outside = BehaviourWeights().weigh(np.full(2, "rating"), np.array([-3.0, 9.0]))
    assert outside.tolist() == [weight[0], weight[-1]]


def test_progress_counts_its_fraction() -> None:
    weight = BehaviourWeights().weigh(np.full(3, "progress"), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(weight, [0, 0.45, 0.9])


@pytest.mark.parametrize("bad", [{"like": 2.0}, {"rating_min": 5.0}, {"skip": -1.5}])
def test_impossible_weights_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadSettings, match="must be"):
        BehaviourWeights(**bad)
