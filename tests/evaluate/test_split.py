"""The temporal split: no future leaks, one hash a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.errors import BadInput
from segue.core.types import Interactions
from segue.evaluate.split import cut_time, data_hash, temporal


def made(seed: int, n: int) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        users=rng.integers(0, 5, n),
        items=rng.integers(0, 7, n),
        weight=np.ones(n, dtype=np.float32),
        time=np.sort(rng.integers(0, 30, n)).astype(np.float64),  # many ties
        n_users=5,
        n_items=7,
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(10, 200))
def test_parts_are_apart_in_time_and_complete(seed: int, n: int) -> None:
    all_events = made(seed, n)
    split = temporal(all_events)
    train = all_events.before(split.valid_from)
    valid = all_events.between(split.valid_from, split.test_from)
    test = all_events.between(split.test_from, np.inf)
    assert (len(train), len(valid), len(test)) == (split.n_train, split.n_valid, split.n_test)
    assert len(train) + len(valid) + len(test) == n
    if len(train):
        assert train.time.max() < split.valid_from
    if len(valid):
        assert valid.time.max() < split.test_from
    assert test.time.min() >= split.test_from


def test_shares_are_as_asked_without_ties() -> None:
    events = made(0, 100)
    events = Interactions(
        events.users, events.items, events.weight, np.arange(100.0), events.n_users, 7
    )
    split = temporal(events)
    assert (split.n_train, split.n_valid, split.n_test) == (80, 10, 10)


def test_hashes_change_with_the_data_and_only_then() -> None:
    assert temporal(made(1, 50)).hash == temporal(made(1, 50)).hash
    assert temporal(made(1, 50)).hash != temporal(made(2, 50)).hash
    assert data_hash(made(1, 50)) != data_hash(made(2, 50))


def test_too_little_and_impossible_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 10 interactions, got 3"):
        temporal(made(0, 3))
    with pytest.raises(BadInput, match="between 0 and 1"):
        cut_time(made(0, 20), 1.5)
