"""What every rater must do, over ratings whose right answer is known by construction."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest

from contracts.strategy_contract import DAY_S, N_ITEMS, N_USERS, checkerboard
from segue.core.errors import BadInput
from segue.core.protocols import Rater
from segue.core.types import Histories, Profile, Training
from segue.recommend.registry import make_rater

LOW, HIGH = 1.0, 5.0


def parity_ratings(seed: int = 0) -> Training:
    """Even people love even items (5, 4) and bear odd ones (1, 2); odd people the other way."""
    rng = np.random.default_rng(seed)
    training = checkerboard(seed)
    users = np.repeat(np.arange(N_USERS), 12)
    items = np.concatenate([rng.permutation(N_ITEMS)[:12] for _ in range(N_USERS)])
    alike = users % 2 == items % 2
    noise = rng.integers(0, 2, len(users))
    value = np.where(alike, 5 - noise, 1 + noise).astype(np.float32)
    time = np.tile(np.arange(12) * DAY_S, N_USERS) + users
    order = np.argsort(time, kind="stable")
    interactions = replace(
        training.interactions,
        users=users[order],
        items=items[order],
        weight=(value[order] - 3) / 2,
        time=time[order],
        value=value[order],
    )
    return replace(training, interactions=interactions, at=float(time.max()) + 1)


def ratings_of(pairs: dict[int, float], n_items: int = N_ITEMS) -> Histories:
    """The ratings of one person, oldest first."""
    values = np.array(list(pairs.values()), dtype=np.float32)
    times = np.arange(len(pairs)) * 60.0
    history = Histories.of_one(list(pairs), (values - 3) / 2, times, n_items)
    return replace(history, values=values)


@cache
def fitted_rater(name: str) -> Rater:
    """Fitted once: no test changes it."""
    made = make_rater(name)
    made.fit(parity_ratings())
    return made


class RaterContract:
    """Inherit, and name the rater. ``personal`` ones must solve the parity pattern."""

    rater: ClassVar[str]
    personal: ClassVar[bool] = True

    @pytest.fixture
    def fitted(self) -> Rater:
        return fitted_rater(self.rater)

    def test_is_a_rater(self, fitted: Rater) -> None:
        assert isinstance(fitted, Rater)
        assert fitted.name == self.rater

    def test_shape_and_range_for_empty_short_and_full_histories(self, fitted: Rater) -> None:
        for pairs in ({}, {3: 5.0}, {i: 1.0 + i % 5 for i in range(N_ITEMS)}):
            out = fitted.ratings(ratings_of(pairs), [Profile()], 1e6)
            assert out.shape == (1, N_ITEMS)
            assert out.dtype == np.float32
            assert np.isfinite(out).all()
            assert out.min() >= LOW
            assert out.max() <= HIGH

    def test_knows_the_taste_of_people_it_never_met(self, fitted: Rater) -> None:
        if not self.personal:
            pytest.skip("the same order for everybody")
        for even, odd in ((5.0, 1.0), (1.0, 5.0)):
            history = ratings_of({0: even, 1: odd, 2: even, 3: odd})
            out = fitted.ratings(history, [Profile()], 1e6)[0, 4:]
            truth = np.where(np.arange(4, N_ITEMS) % 2 == 0, even, odd)
            of_the_mean = np.sqrt(np.mean((truth - 3) ** 2))
            assert np.sqrt(np.mean((out - truth) ** 2)) < 0.75 * of_the_mean
            assert (np.sign(out - 3) == np.sign(truth - 3)).all()

    def test_a_history_without_ratings_gets_what_nobody_gets(self, fitted: Rater) -> None:
        silent = replace(ratings_of({0: 5.0}), values=np.full(1, np.nan, dtype=np.float32))
        none = replace(silent, values=None)
        for history in (silent, none):
            out = fitted.ratings(history, [Profile()], 1e6)
            assert np.isfinite(out).all()
            assert np.abs(out - fitted.ratings(ratings_of({}), [Profile()], 1e6)).mean() < 0.5

    def test_needs_ratings(self) -> None:
        with pytest.raises(BadInput, match="rating"):
            make_rater(self.rater).fit(checkerboard())

    def test_knows_nothing_of_the_future(self) -> None:
        training = parity_ratings()
        cut = training.before(6 * DAY_S)
        future = training.interactions.time >= 6 * DAY_S
        turned = np.where(future, 6 - training.interactions.value, training.interactions.value)
        other = replace(training, interactions=replace(training.interactions, value=turned))
        first, second = make_rater(self.rater), make_rater(self.rater)
        first.fit(cut)
        second.fit(other.before(6 * DAY_S))
        history = ratings_of({0: 5.0, 2: 4.0})
        np.testing.assert_array_equal(
            first.ratings(history, [Profile()], cut.at),
            second.ratings(history, [Profile()], cut.at),
        )

    def test_a_batch_is_rated_like_each_alone(self, fitted: Rater) -> None:
        batch = Histories(
            indptr=np.array([0, 2, 2, 5]),
            items=np.array([0, 2, 1, 3, 5]),
            weights=np.ones(5, dtype=np.float32),
            times=np.arange(5, dtype=np.float64),
            n_items=N_ITEMS,
            values=np.array([5, 1, 4, np.nan, 2], dtype=np.float32),
        )
        profiles = [Profile(gender="F", age=30), Profile(), Profile(occupation="artist")]
        together = fitted.ratings(batch, profiles, 1e6)
        for user in range(3):
            alone = fitted.ratings(batch.take(np.array([user])), [profiles[user]], 1e6)[0]
            np.testing.assert_allclose(together[user], alone, rtol=1e-5, atol=1e-5)

    def test_restored_ratings_are_bitwise_equal(self, fitted: Rater) -> None:
        other = make_rater(self.rater)
        other.restore({name: array.copy() for name, array in fitted.state().items()})
        history, profile = ratings_of({0: 5.0, 2: 4.0, 5: 1.0}), [Profile(gender="F", age=30)]
        np.testing.assert_array_equal(
            fitted.ratings(history, profile, 1e6), other.ratings(history, profile, 1e6)
        )

    def test_state_is_plain_and_grows_with_items_alone(self, fitted: Rater) -> None:
        for name, array in fitted.state().items():
            assert array.dtype != object, name
            assert N_USERS not in array.shape, name

    def test_items_added_later_are_rated(self, fitted: Rater) -> None:
        out = fitted.ratings(ratings_of({0: 5.0, N_ITEMS: 4.0}, N_ITEMS + 2), [Profile()], 1e6)
        assert out.shape == (1, N_ITEMS + 2)
        assert np.isfinite(out).all()
        assert out.min() >= LOW
        assert out.max() <= HIGH
