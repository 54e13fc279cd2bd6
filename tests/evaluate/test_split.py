"""Splits: every event in one part, no future leaks, one hash a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.errors import BadInput
from segue.core.types import Interactions
from segue.evaluate.split import (
    TEST,
    TRAIN,
    VALID,
    Split,
    cold_items,
    cut_time,
    leave_last_out,
    random_per_user,
    temporal,
)

SPLITS: dict[str, Callable[[Interactions], Split]] = {
    "temporal": temporal,
    "last": leave_last_out,
    "random": random_per_user,
    "cold": cold_items,
}
seeds, sizes = st.integers(0, 10_000), st.integers(10, 200)


def made(seed: int, n: int) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        users=rng.integers(0, 5, n),
        items=rng.integers(0, 7, n),
        weight=np.ones(n, dtype=np.float32),
        time=np.sort(rng.integers(0, 30, n)).astype(np.float64),  # many ties
        n_users=5,
        n_items=7,
        value=rng.integers(1, 6, n).astype(np.float32),
    )


def pairs(events: Interactions) -> set[tuple[int, int]]:
    return set(zip(events.users.tolist(), events.items.tolist(), strict=True))


def reread(events: Interactions, seed: int) -> Interactions:
    """The same events, those of one second in another order."""
    order = np.lexsort((np.random.default_rng(seed).random(len(events)), events.time))
    return replace(
        events,
        users=events.users[order],
        items=events.items[order],
        value=events.value[order],
    )


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=60, deadline=None)
@given(seeds, sizes)
def test_every_event_is_in_one_part(name: str, seed: int, n: int) -> None:
    events = made(seed, n)
    split = SPLITS[name](events)
    assert (len(split.train), len(split.valid), len(split.test)) == (
        split.n_train,
        split.n_valid,
        split.n_test,
    )
    for place, part in ((TRAIN, split.train), (VALID, split.valid), (TEST, split.test)):
        kept = split.part == place
        for column in ("users", "items", "time", "value"):
            np.testing.assert_array_equal(getattr(part, column), getattr(events, column)[kept])
    assert split.n_train + split.n_valid + split.n_test == n
    assert len(split.train_valid) == split.n_train + split.n_valid
    assert events.time[-1] < split.test_from or name == "temporal"


@settings(max_examples=60, deadline=None)
@given(seeds, sizes)
def test_the_temporal_split_leaks_no_future(seed: int, n: int) -> None:
    split = temporal(made(seed, n))
    if split.n_train:
        assert split.train.time.max() < split.valid_from
    if split.n_valid:
        assert split.valid.time.max() < split.test_from
        assert split.valid.time.min() >= split.valid_from
    assert split.test.time.min() >= split.test_from


@settings(max_examples=60, deadline=None)
@given(seeds, sizes)
def test_the_last_event_is_held_out_and_everybody_keeps_some(seed: int, n: int) -> None:
    events = made(seed, n)
    split = leave_last_out(events)
    for user in range(5):
        parts = split.part[events.users == user].tolist()
        expected = [TRAIN] * (len(parts) - 2) + [VALID, TEST] if len(parts) >= 3 else None
        assert parts == (expected or [TRAIN] * len(parts))


@settings(max_examples=60, deadline=None)
@given(seeds, sizes, st.floats(0.05, 0.95))
def test_random_shares_are_exact_and_pairs_stay_together(seed: int, n: int, share: float) -> None:
    split = random_per_user(made(seed, n), share, seed)
    assert not pairs(split.train) & pairs(split.valid)
    assert not pairs(split.train_valid) & pairs(split.test)
    held = set(split.valid.users) | set(split.test.users)
    assert held <= set(split.train.users)
    for user in range(5):
        count = [sum(u == user for u, _ in pairs(p)) for p in (split.train_valid, split.test)]
        assert count[1] == int(sum(count) * share + 1e-9)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes)
def test_cold_items_have_no_event_before(seed: int, n: int) -> None:
    split = cold_items(made(seed, n), 0.4, seed)
    train, valid, test = (set(p.items.tolist()) for p in (split.train, split.valid, split.test))
    assert not train & valid
    assert not (train | valid) & test
    assert len(test) == int(0.4 * len(train | valid | test) + 1e-9)


@pytest.mark.parametrize("name", SPLITS)
def test_hashes_change_with_the_data_and_only_then(name: str) -> None:
    split = SPLITS[name]
    assert split(made(1, 50)).hash == split(made(1, 50)).hash
    assert split(made(1, 50)).hash != split(made(2, 50)).hash
    assert split(made(1, 50)).hash in str(split(made(1, 50)))
    assert made(1, 50).hash != made(2, 50).hash


def test_hashes_change_with_the_seed() -> None:
    events = made(1, 200)
    for split in (random_per_user, cold_items):
        assert split(events, seed=0).hash == split(events, seed=0).hash
        assert split(events, seed=0).hash != split(events, seed=1).hash


@pytest.mark.parametrize("split", [temporal, random_per_user, cold_items])
@settings(max_examples=30, deadline=None)
@given(seeds, sizes)
def test_the_order_of_reading_does_not_matter(
    split: Callable[[Interactions], Split], seed: int, n: int
) -> None:
    events = made(seed, n)
    assert split(events).hash == split(reread(events, seed)).hash


def test_shares_are_as_asked_without_ties() -> None:
    split = temporal(replace(made(0, 100), time=np.arange(100.0)))
    assert (split.n_train, split.n_valid, split.n_test) == (80, 10, 10)


def test_too_little_and_impossible_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 10 interactions, got 3"):
        temporal(made(0, 3))
    with pytest.raises(BadInput, match="between 0 and 1"):
        cut_time(made(0, 20), 1.5)
    with pytest.raises(BadInput, match=r"between 0 and 1, got -0\.1"):
        temporal(made(0, 20), 0.8, -0.1)
    for split in (leave_last_out, random_per_user, cold_items):
        with pytest.raises(BadInput, match="at least one interaction"):
            split(made(0, 0))
    for refusing in (random_per_user, cold_items):
        with pytest.raises(BadInput, match="between 0 and 1, got 1"):
            refusing(made(0, 20), 1)
