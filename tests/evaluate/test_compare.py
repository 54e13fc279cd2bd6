"""Intervals, paired tests, their correction, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.errors import BadInput
from segue.evaluate.compare import (
    Interval,
    bootstrap,
    bootstrap_all,
    compare,
    holm,
    verdict,
    wilcoxon,
)


def test_all_columns_are_resampled_alike() -> None:
    values = np.random.default_rng(0).random((50, 3))
    together = bootstrap_all(values, np.random.default_rng(1))
    for column, interval in enumerate(together):
        alone = bootstrap(values[:, column], np.random.default_rng(1))
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high))
        assert interval.low < interval.mean < interval.high


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(200):
        found = bootstrap(rng.exponential(size=80), rng, rounds=400)
        inside += found.low <= 1 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (Interval(0.02, 0.01, 0.03), "better"),
        (Interval(-0.02, -0.03, -0.01), "worse"),
        (Interval(0.0, -0.01, 0.01), "no difference"),
        (Interval(0.01, 0.0, 0.02), "no difference"),
        (Interval(0.0, 0.0, 0.0), "no difference"),
    ],
)
def test_a_verdict_needs_zero_outside(gap: Interval, said: str) -> None:
    assert verdict(gap) == said


def test_wilcoxon_of_a_small_table_by_hand() -> None:
    # All 6 differences are of one sign: 2 of 2^6 sign patterns are as extreme.
    gaps = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert wilcoxon(gaps, np.zeros(6)) == pytest.approx(2 / 64)
    assert wilcoxon(gaps, gaps) == 1
    with pytest.raises(BadInput, match="same people, got 6, 5"):
        wilcoxon(gaps, gaps[:5])


def test_people_without_a_difference_do_not_help() -> None:
    few = np.zeros(200)
    few[:12] = np.linspace(0.1, 1, 12)
    noise = np.random.default_rng(0).normal(0, 0.3, 200)
    assert wilcoxon(few, np.zeros(200)) > wilcoxon(few[:12], np.zeros(12))
    assert wilcoxon(noise + 0.2, np.zeros(200)) < 1e-6


def test_holm_by_hand() -> None:
    # Sorted .01 x 4, .02 x 3, .03 x 2, .04 x 1, then never less than the one before.
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    given = np.array(p)
    assert (adjusted >= given).all()
    assert (adjusted <= np.minimum(given * len(p), 1) + 1e-12).all()
    assert adjusted.min() == pytest.approx(min(1, given.min() * len(p)))


def test_many_comparisons_at_once() -> None:
    rng = np.random.default_rng(0)
    ours = rng.random(300)
    others = {"worse": ours - 0.1 + rng.normal(0, 0.05, 300), "same": ours.copy()}
    worse, same = compare(ours, others, rng)
    assert (worse.name, worse.verdict, worse.proven) == ("worse", "better", True)
    assert worse.p < worse.p_holm < 1e-6
    assert (same.verdict, same.proven, same.p_holm) == ("no difference", False, 1)
