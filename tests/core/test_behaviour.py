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


def running(*events: tuple[str, float]) -> list[float]:
    """Where a person stands on one item after each (kind, value)."""
    kinds, values = np.array([k for k, _ in events]), np.array([v for _, v in events])
    use = BehaviourWeights()
    pairs = np.zeros(len(events), dtype=np.int64)
    return [round(w, 3) for w in use.running(pairs, kinds, use.weigh(kinds, values)).tolist()]


NAN = float("nan")


def test_a_late_skip_is_a_view_and_an_early_one_is_none() -> None:
    weight = BehaviourWeights().weigh(np.full(3, "skip"), np.array([NAN, 0.1, 0.95]))
    np.testing.assert_allclose(weight, [-0.4, -0.4, 0.855], rtol=1e-6)


def test_a_click_that_stayed_counts_towards_a_play() -> None:
    weight = BehaviourWeights().weigh(np.full(4, "click"), np.array([NAN, 0.0, 15.0, 900.0]))
    np.testing.assert_allclose(weight, [0.3, 0.3, 0.4, 0.5], rtol=1e-6)


def test_the_strongest_sign_counts_and_coming_back_adds() -> None:
    assert running(("click", NAN), ("complete", NAN), ("click", NAN)) == [0.3, 0.9, 0.9]
    assert running(("play", NAN), ("complete", NAN), ("play", NAN)) == [0.5, 0.9, 0.95]
    assert running(*[("play", NAN)] * 20)[-1] == 1.0


def test_the_last_opinion_holds_whatever_follows() -> None:
    assert running(("complete", NAN), ("rating", 1.0), ("play", NAN)) == [0.9, 0.4, 0.4]
    assert running(("like", NAN), ("hide", NAN), ("complete", NAN)) == [1.0, -1.0, -1.0]
    assert running(("hide", NAN), ("like", NAN)) == [-1.0, 1.0]


def test_a_skip_holds_until_something_follows() -> None:
    assert running(("complete", NAN), ("skip", NAN), ("play", NAN)) == [0.9, -0.4, 0.5]


def test_pairs_do_not_mix() -> None:
    use, kinds = BehaviourWeights(), np.array(["like", "play", "hide", "play"])
    pairs = np.array([7, 3, 3, 7])
    weight = use.running(pairs, kinds, use.weigh(kinds, np.full(4, NAN)))
    np.testing.assert_allclose(weight, [1.0, 0.5, -1.0, 1.0])
    empty = np.zeros(0, dtype=np.int64)
    assert len(use.running(empty, empty.astype(np.str_), np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("bad", [{"dwell_s": 0.0}, {"again": -0.1}, {"repeat": ("films",)}])
def test_impossible_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(BadSettings, match=next(iter(bad))):
        BehaviourWeights(**bad)  # type: ignore[arg-type]
