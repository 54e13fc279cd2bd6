"""Segments whose members and winners are known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.errors import BadInput
from segue.core.types import Histories
from segue.evaluate.segments import DAY_S, by_segment, items, people

AT = 100 * DAY_S


def lengths(counts: list[int], n_items: int = 400) -> Histories:
    total = sum(counts)
    return Histories(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
        items=np.concatenate([np.arange(c) for c in counts]).astype(np.intp),
        weights=np.ones(total, dtype=np.float32),
        times=np.zeros(total),
        n_items=n_items,
    )


def test_people_by_the_length_of_their_history() -> None:
    masks = people(lengths([0, 5, 6, 20, 101, 300, 300, 300]))
    assert np.flatnonzero(masks["cold users"]).tolist() == [0, 1]
    assert np.flatnonzero(masks["warm users"]).tolist() == [2, 3]
    assert np.flatnonzero(masks["heavy users"]).tolist() == [4, 5, 6, 7]  # all above 100
    short = people(lengths([6, 7, 8, 9, 10, 11, 12, 30]))
    assert np.flatnonzero(short["heavy users"]).tolist() == [6, 7]  # the top quarter
    assert people(lengths([3, 4, 5, 5]))["cold users"].all()


def test_items_by_age_and_popularity() -> None:
    counts = np.array([0, 50, 30, 5, 5, 5, 5, 9])
    first = np.array([0, 0, 0, 0, 0, 0, 0, AT - 29 * DAY_S])
    masks = items(counts, first, AT)
    assert np.flatnonzero(masks["new items"]).tolist() == [0, 7]
    assert np.flatnonzero(masks["tail items"]).tolist() == [3, 4, 5, 6]  # exactly 20 of 100
    assert np.flatnonzero(masks["head items"]).tolist() == [1, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_everyone_and_everything_is_in_one_segment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 40, 30)
    found = items(counts, rng.uniform(0, AT, 30), AT)
    assert (sum(mask.astype(int) for mask in found.values()) == 1).all()
    old = counts[~found["new items"]].sum()
    assert counts[found["tail items"]].sum() <= 0.2 * old
    everyone = people(lengths(rng.integers(0, 200, 20).tolist()))
    assert (sum(mask.astype(int) for mask in everyone.values()) == 1).all()


def test_who_wins_where() -> None:
    """``a`` is right for cold people, ``b`` for heavy ones; ``c`` copies ``a``."""
    n, n_items = 60, 60
    histories = lengths([2] * 30 + [101] * 30)
    relevant = np.zeros((n, n_items), dtype=np.bool_)
    relevant[:, [0, 40]] = True  # one of the head, one of the tail
    right, wrong = np.arange(20), np.arange(20, 40)
    good_for_cold = np.where(np.arange(n)[:, None] < 30, right, wrong)
    good_for_heavy = np.where(np.arange(n)[:, None] < 30, wrong, right)
    good_for_heavy[:, 19] = 40
    counts = np.where(np.arange(n_items) < 20, 100, 1)
    lines = by_segment(
        {"a": good_for_cold, "b": good_for_heavy},
        relevant,
        histories,
        counts,
        np.zeros(n_items),
        AT,
        np.random.default_rng(0),
    )
    found = {line.segment: line for line in lines}
    assert list(found) == ["everybody", "cold users", "heavy users", "tail items", "head items"]
    assert found["cold users"].winner == "a"
    assert found["heavy users"].winner == found["heavy users"].said == "b"
    assert found["tail items"].winner == "b"
    assert found["tail items"].means["b"].mean == 1
    assert found["everybody"].winner is None
    assert found["everybody"].said in ("no difference (a, b)", "no difference (b, a)")
    assert found["cold users"].n_people == 30
    assert (found["cold users"].metric, found["tail items"].metric) == ("NDCG@10", "Recall@20")


def test_a_copy_is_no_winner_and_one_alone_neither() -> None:
    top = np.tile(np.arange(20), (10, 1))
    relevant = np.zeros((10, 30), dtype=np.bool_)
    relevant[:9, 3] = True  # the last person wants nothing and is not measured
    values = (relevant, lengths([10] * 10), np.ones(30, int), np.zeros(30), AT)
    for line in by_segment({"a": top, "copy": top}, *values, np.random.default_rng(0)):
        assert (line.winner, line.best, line.runner_up) == (None, "a", "copy")
        assert line.n_people == 9
    alone = by_segment({"a": top}, *values, np.random.default_rng(0))[0]
    assert (alone.winner, alone.gap, alone.said) == (None, None, "a alone")
    with pytest.raises(BadInput, match="at least one ranking"):
        by_segment({}, *values, np.random.default_rng(0))
