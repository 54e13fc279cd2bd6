"""Tallies and segments over people whose probabilities are known."""

from __future__ import annotations

import numpy as np
import pytest

from segue.core.errors import BadInput
from segue.match.audience import Best, Cells, Curve, everybody, segments, wilson

AGE, TASTE = "age", "taste"


def cells(n: int = 4000, seed: int = 0) -> Cells:
    """Response is .02, but .2 among people of age 1 with taste 2, and .1 among others of taste 2.

    Taste 3 with age 3 responds at .9 and is 12 people only.
    """
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, 3, n), rng.integers(-1, 3, n)])
    rate = np.where(codes[:, 1] == 2, np.where(codes[:, 0] == 1, 0.2, 0.1), 0.02)
    codes[:12], rate[:12] = (3, 3), 0.9
    out = Cells((AGE, TASTE))
    for part in np.array_split(np.arange(n), 7):
        out.add(codes[part], rate[part])
    return out


def test_the_best_of_chunks_are_the_best_of_all() -> None:
    values = np.random.default_rng(1).integers(0, 40, 500) / 40
    best = Best(25)
    for part in np.array_split(np.arange(500), 9):
        best.add(part, values[part])
    order = np.argsort(-values, kind="stable")[:25]
    assert best.rows.tolist() == order.tolist()
    assert best.values.tolist() == values[order].tolist()


def test_no_audience_of_nobody_can_be_asked_for() -> None:
    with pytest.raises(BadInput, match="k must be >= 1, got 0"):
        Best(0)


def test_segments_do_not_overlap_and_find_who_responds() -> None:
    found, small = segments(cells())
    named = [dict(s.conditions) for s in found]
    assert {AGE: 1, TASTE: 2} in named or named[0] == {TASTE: 2}
    for n, one in enumerate(named):
        for other in named[n + 1 :]:
            assert any(one[name] != other[name] for name in one.keys() & other.keys())
    assert all(TASTE in one and one[TASTE] == 2 for one in named)
    assert small > 0


def test_few_people_are_never_a_segment_however_much_they_respond() -> None:
    found, _ = segments(cells())
    assert all(3 not in dict(s.conditions).values() for s in found)
    assert all(s.people >= 20 for s in found)
    loose, _ = segments(cells(), least=10)
    assert {3} <= {code for s in loose for _, code in s.conditions}


def test_where_all_respond_alike_nothing_stands_out() -> None:
    rng = np.random.default_rng(3)
    out = Cells((AGE, TASTE))
    out.add(rng.integers(0, 5, (3000, 2)), np.full(3000, 0.05))
    assert segments(out)[0] == ()


def test_chance_does_not_make_a_segment() -> None:
    named = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        out = Cells((AGE, TASTE))
        out.add(rng.integers(0, 8, (3000, 2)), rng.beta(0.5, 20, 3000))
        named += len(segments(out)[0])
    assert named <= 2


def test_sizes_sums_and_lifts_add_up() -> None:
    given = cells()
    whole = everybody(given)
    assert whole is not None
    assert whole.people == 4000
    assert whole.lift == pytest.approx(1)
    for one in segments(given)[0]:
        assert one.rate == pytest.approx(one.expected / one.people)
        assert one.lift == pytest.approx(one.rate / whole.rate)
        assert one.low < one.rate < one.high
        assert one.lift_low < one.lift < one.lift_high
    assert segments(Cells((AGE,))) == ((), 0)
    assert everybody(Cells((AGE,))) is None


def test_wilson_is_the_known_interval() -> None:
    # 10 of 100; Agresti & Coull (1998) give the formula, R's prop.test(correct=FALSE) the figures.
    assert wilson(0.1, 100) == pytest.approx((0.05522914, 0.17436566), abs=1e-6)
    assert wilson(0.0, 20)[0] == 0.0


def test_the_interval_holds_what_comes_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(5)
    low, high = wilson(0.08, 400)
    seen = rng.binomial(400, 0.08, 20_000) / 400
    assert 0.93 < ((seen >= low) & (seen <= high)).mean() < 0.975


def test_gains_and_lift_are_those_of_sorting_everybody() -> None:
    values = np.random.default_rng(2).beta(0.3, 12, 5000)
    curve = Curve()
    for part in np.array_split(values, 6):
        curve.add(part)
    first = np.sort(values)[::-1]
    wanted = first[:250].sum() / values.sum() / 0.05
    assert curve.lift(0.05) == pytest.approx(wanted, rel=0.01)
    asked, found = curve.gains()
    assert asked[-1] == found[-1] == 1
    assert (np.diff(found) >= 0).all()
    with pytest.raises(BadInput, match=r"\(0, 1\]"):
        curve.lift(0.0)
