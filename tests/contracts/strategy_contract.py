"""What every strategy must do, over data whose right answer is known by construction."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from segue.core.protocols import Additive, Strategy
from segue.core.types import (
    Catalogue,
    Histories,
    Interactions,
    Item,
    Profile,
    Training,
    Vectors,
)
from segue.recommend.registry import make

N_USERS, N_ITEMS = 60, 20
DAY_S = 86_400.0


def checkerboard(seed: int = 0) -> Training:
    """Even people consume even items and odd people odd ones, eight each, in random order."""
    rng = np.random.default_rng(seed)
    users, items = [], []
    for user in range(N_USERS):
        own = np.arange(user % 2, N_ITEMS, 2)
        users += [user] * 8
        items += rng.permutation(own)[:8].tolist()
    time = np.arange(8)[None, :] * DAY_S + np.arange(N_USERS)[:, None]
    order = np.argsort(time.ravel(), kind="stable")
    interactions = Interactions(
        users=np.array(users)[order],
        items=np.array(items)[order],
        weight=np.ones(len(order), dtype=np.float32),
        time=time.ravel()[order],
        n_users=N_USERS,
        n_items=N_ITEMS,
    )
    colour = np.arange(N_ITEMS) % 2
    values = np.stack([colour == 0, colour == 1, np.ones(N_ITEMS)], axis=1).astype(np.float32)
    values += rng.normal(0, 0.05, values.shape).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    catalogue = Catalogue(
        tuple(Item(str(i), "movie", f"film {i}", tags=(f"t{i % 2}",)) for i in range(N_ITEMS))
    )
    vectors = Vectors(values, np.ones(N_ITEMS, dtype=np.bool_), "test")
    profiles = tuple(Profile(gender="FM"[u % 2], age=20 + u) for u in range(N_USERS))
    return Training(catalogue, interactions, profiles, vectors, float(time.max()) + 1)


def one(items: list[int], n_items: int = N_ITEMS, weight: float = 1.0) -> Histories:
    times = np.arange(len(items)) * 60.0
    return Histories.of_one(items, np.full(len(items), weight, dtype=np.float32), times, n_items)


class StrategyContract:
    """Inherit, and name the strategy. ``personal`` ones must solve the checkerboard."""

    strategy: ClassVar[str]
    personal: ClassVar[bool] = True

    @pytest.fixture
    def fitted(self) -> Strategy:
        made = make(self.strategy)
        made.fit(checkerboard())
        return made

    def test_is_a_strategy(self, fitted: Strategy) -> None:
        assert isinstance(fitted, Strategy)
        assert fitted.name == self.strategy

    def test_shape_and_finite_for_new_empty_and_full_histories(self, fitted: Strategy) -> None:
        for items in ([], [3], list(range(N_ITEMS))):
            out = fitted.scores(one(items), [Profile()], 1e6)
            assert out.shape == (1, N_ITEMS)
            assert out.dtype == np.float32
            assert np.isfinite(out).all()

    def test_solves_the_checkerboard_for_people_it_never_met(self, fitted: Strategy) -> None:
        if not self.personal:
            pytest.skip("the same for everybody")
        for first in (0, 1):
            scores = fitted.scores(one([first, first + 2]), [Profile()], 1e6)[0]
            unseen = np.setdiff1d(np.arange(N_ITEMS), [first, first + 2])
            best = unseen[np.argsort(-scores[unseen])[:8]]
            assert set(best % 2) == {first}

    def test_a_dislike_pushes_similar_items_down(self, fitted: Strategy) -> None:
        if not self.personal:
            pytest.skip("the same for everybody")
        liked = fitted.scores(one([0, 2]), [Profile()], 1e6)[0]
        both = Histories.of_one([0, 2, 4], [1, 1, -1], [0, 60, 120], N_ITEMS)
        even = np.arange(6, N_ITEMS, 2)
        assert fitted.scores(both, [Profile()], 1e6)[0][even].mean() < liked[even].mean()

    def test_knows_nothing_of_the_future(self) -> None:
        training = checkerboard()
        cut = training.before(3 * DAY_S)
        late = replace(training, at=3 * DAY_S, interactions=training.interactions.before(3 * DAY_S))
        first, second = make(self.strategy), make(self.strategy)
        first.fit(cut)
        second.fit(late)
        history = one([0, 2])
        np.testing.assert_array_equal(
            first.scores(history, [Profile()], cut.at), second.scores(history, [Profile()], cut.at)
        )

    def test_a_batch_scores_like_each_alone(self, fitted: Strategy) -> None:
        batch = Histories(
            indptr=np.array([0, 2, 2, 5]),
            items=np.array([0, 2, 1, 3, 5]),
            weights=np.ones(5, dtype=np.float32),
            times=np.arange(5, dtype=np.float64),
            n_items=N_ITEMS,
        )
        together = fitted.scores(batch, [Profile()] * 3, 1e6)
        for user in range(3):
            alone = fitted.scores(batch.take(np.array([user])), [Profile()], 1e6)[0]
            np.testing.assert_allclose(together[user], alone, rtol=1e-5, atol=1e-6)

    def test_restored_scores_are_bitwise_equal(self, fitted: Strategy) -> None:
        other = make(self.strategy)
        other.restore({name: array.copy() for name, array in fitted.state().items()})
        history = one([0, 2, 5])
        np.testing.assert_array_equal(
            fitted.scores(history, [Profile()], 1e6), other.scores(history, [Profile()], 1e6)
        )

    def test_state_is_plain_and_grows_with_items_alone(self, fitted: Strategy) -> None:
        for name, array in fitted.state().items():
            assert array.dtype != object, name
            assert N_USERS not in array.shape, name

    def test_items_added_later_are_scored(self, fitted: Strategy) -> None:
        out = fitted.scores(one([0, N_ITEMS], N_ITEMS + 2), [Profile()], 1e6)
        assert out.shape == (1, N_ITEMS + 2)
        assert np.isfinite(out).all()
        assert (out[0, N_ITEMS:] == 0).all()

    def test_contributions_add_up_to_the_score(self, fitted: Strategy) -> None:
        if not isinstance(fitted, Additive):
            pytest.skip("not additive")
        history, items = one([0, 2, 5]), np.array([1, 4, 8])
        parts = fitted.contributions(history, 1e6, items)
        assert parts.shape == (3, 3)
        scores = fitted.scores(history, [Profile()], 1e6)[0, items]
        np.testing.assert_allclose(parts.sum(axis=0), scores, rtol=1e-4, atol=1e-5)
