"""Every rater meets the contract; and what is special to each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contracts.rater_contract import RaterContract, fitted_rater, parity_ratings, ratings_of
from contracts.strategy_contract import N_ITEMS
from segue.core.errors import BadSettings
from segue.core.types import Interactions, Profile, Training
from segue.recommend.gaussian import ItemSide, fold_in, moments, pack, unpack
from segue.recommend.given import given
from segue.recommend.ratings_knn import KnnRatings
from segue.recommend.ratings_mean import MeanRatings
from segue.recommend.ratings_mf import BiasedMf, SvdPlusPlus
from segue.recommend.ratings_stack import StackedRatings
from segue.recommend.registry import RATERS, kind_of

OWN = ("mean ratings", "item-knn ratings", "biased mf", "svd++", "stacked ratings")


class TestMeanRatings(RaterContract):
    rater = "mean ratings"
    personal = False


class TestKnnRatings(RaterContract):
    rater = "item-knn ratings"


class TestBiasedMf(RaterContract):
    rater = "biased mf"


class TestSvdPlusPlus(RaterContract):
    rater = "svd++"


class TestStackedRatings(RaterContract):
    rater = "stacked ratings"


def with_values(
    users: np.ndarray, items: np.ndarray, values: np.ndarray, base: Training
) -> Training:
    """Ratings in the order given, over the items of ``base``."""
    interactions = Interactions(
        users=users.astype(np.intp),
        items=items.astype(np.intp),
        weight=np.ones(len(users), dtype=np.float32),
        time=np.arange(len(users), dtype=np.float64),
        n_users=int(users.max()) + 1,
        n_items=N_ITEMS,
        value=values.astype(np.float32),
    )
    profiles = (Profile(),) * interactions.n_users
    return replace(base, interactions=interactions, profiles=profiles, at=float(len(users)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (MeanRatings, {"item_ridge": 0.0}),
        (KnnRatings, {"k": 0}),
        (KnnRatings, {"damp": 0.0}),
        (BiasedMf, {"factors": 0}),
        (BiasedMf, {"strength": 0.0}),
        (SvdPlusPlus, {"implicit": -1.0}),
        (StackedRatings, {"folds": 1}),
        (StackedRatings, {"rate": 0.0}),
    ],
)
def test_bad_settings_are_named(kind: Any, settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(BadSettings, match=name):
        kind(**settings)


class _Lowest:
    """A trial that proposes the lower end of every range."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return low

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[0]


@pytest.mark.parametrize("name", OWN)
def test_search_spaces_give_settings_that_can_be_made(name: str) -> None:
    assert name in RATERS
    kind = kind_of(name)
    assert kind(**kind.suggest(_Lowest())).name == name


def test_means_are_the_ridge_solution_of_item_and_person() -> None:
    training = parity_ratings()
    rater = MeanRatings(item_ridge=3.0, user_ridge=2.0)
    rater.fit(training)
    ratings = given(training.interactions.histories(), N_ITEMS)
    people, rest = rater.people(ratings), ratings.values - rater.scale.mean
    mine = ratings.items == 4
    expected = (rest - people[ratings.user_of])[mine].sum() / (mine.sum() + 3.0)
    assert rater.item_bias[4] == pytest.approx(expected, abs=1e-4)
    his = ratings.user_of == 7
    expected = (rest - rater.item_bias[ratings.items])[his].sum() / (his.sum() + 2.0)
    assert people[7] == pytest.approx(expected)


def test_knn_follows_the_formula() -> None:
    rater = KnnRatings(k=3, shrink=5.0, damp=0.4)
    rater.fit(parity_ratings())
    history = ratings_of({0: 5.0, 1: 2.0, 2: 4.0})
    ratings = given(history, N_ITEMS)
    rest, near = rater.base.residuals(ratings), rater.near.toarray()
    assert (np.count_nonzero(near, axis=0) <= 3).all()
    base = rater.base.baseline(ratings, N_ITEMS)[0]
    out = rater.ratings(history, [Profile()], 0.0)[0]
    for item in range(3, N_ITEMS):
        s = near[[0, 1, 2], item]
        expected = base[item] + s @ rest / (np.abs(s).sum() + 0.4)
        assert out[item] == pytest.approx(np.clip(expected, 1, 5), abs=1e-5)


def test_packing_is_undone_by_unpacking() -> None:
    square = np.random.default_rng(0).normal(size=(4, 5, 5))
    square += square.transpose(0, 2, 1)
    np.testing.assert_array_equal(unpack(pack(square), 5), square)


def test_people_are_folded_in_by_the_posterior_mean() -> None:
    """With sure items and one noise for all, that is ridge regression towards the prior."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(N_ITEMS + 1, 4))
    sure = np.zeros((N_ITEMS + 1, 4, 4))
    side = ItemSide(means, moments(means, sure), noise=0.5, strength=1e12)
    ratings = given(ratings_of({0: 5.0, 3: 1.0, 7: 4.0}), N_ITEMS)
    prior = rng.normal(size=(1, 3))
    q, bias = means[[0, 3, 7], :3], means[[0, 3, 7], 3]
    left = q.T @ q / 0.5 + np.eye(3)
    expected = np.linalg.solve(left, q.T @ (ratings.values - bias) / 0.5 + prior[0])
    np.testing.assert_allclose(fold_in(ratings, side, prior)[0], expected, atol=1e-8)


def test_factors_find_a_low_rank_truth_through_noise() -> None:
    rng = np.random.default_rng(2)
    truth = 3 + rng.normal(size=(300, 2)) @ rng.normal(size=(2, N_ITEMS)) * 0.6
    noisy = truth + rng.normal(0, 0.3, truth.shape)
    shown = rng.random(truth.shape) < 0.6
    users, items = np.nonzero(shown)
    training = with_values(users, items, noisy[shown], replace(parity_ratings(), content=None))
    rater = BiasedMf(factors=4)
    rater.fit(training)
    out = rater.ratings(training.interactions.histories(), training.profiles, training.at)
    error = np.sqrt(np.mean((out - truth)[~shown] ** 2))
    assert error < 0.3  # the truth's own spread is .85
    assert 0.06 < rater.side.noise < 0.15  # that of the construction is .09


def test_what_was_rated_says_something_even_without_the_rating() -> None:
    """People who rate even items give 5 to item 0, those who rate odd ones give it 1."""
    users = np.repeat(np.arange(80), 6)
    items = np.concatenate(
        [
            np.append(np.random.default_rng(u).permutation(9)[:5] * 2 + 2 - u % 2, 0)
            for u in range(80)
        ]
    )
    values = np.where(items == 0, np.where(users % 2 == 0, 5.0, 1.0), 3.0)
    training = with_values(users, items, values, replace(parity_ratings(), content=None))
    rater = SvdPlusPlus(implicit=1.0)
    rater.fit(training)
    even, odd = (dict.fromkeys(range(first, 18, 4), np.nan) for first in (2, 1))
    first = rater.ratings(ratings_of(even), [Profile()], 0.0)[0, 0]
    second = rater.ratings(ratings_of(odd), [Profile()], 0.0)[0, 0]
    assert first > second + 0.5


def test_the_profile_speaks_for_a_person_without_ratings() -> None:
    training = parity_ratings()  # women are the even people, men the odd ones
    rater = BiasedMf(profile=1.0)
    rater.fit(training)
    out = rater.ratings(ratings_of({}), [Profile(gender="F")], 0.0)[0]
    assert out[::2].mean() > out[1::2].mean() + 0.5


def test_an_item_without_ratings_is_placed_by_its_content() -> None:
    training = parity_ratings()
    kept = training.interactions.items != 6
    rater = BiasedMf(content=0.1)
    rater.fit(replace(training, interactions=training.interactions.where(kept)))
    out = rater.ratings(ratings_of({0: 5.0, 1: 1.0, 2: 5.0, 3: 1.0}), [Profile()], 0.0)[0]
    assert out[6] > 3


def test_the_stack_learns_from_what_its_parts_did_not_see() -> None:
    stack, events = StackedRatings(), parity_ratings().interactions
    held_all = np.zeros(0, dtype=np.int64)
    for kept, held in stack._held_out(events):
        pairs = [part.users * N_ITEMS + part.items for part in (kept, held)]
        assert not np.intersect1d(*pairs).size
        assert len(kept) + len(held) == len(events)
        held_all = np.concatenate([held_all, pairs[1]])
    assert len(np.unique(held_all)) == len(events)


def test_the_stack_rates_pairs_as_it_rates_all() -> None:
    stack, training = fitted_rater("stacked ratings"), parity_ratings()
    assert isinstance(stack, StackedRatings)
    histories = training.interactions.histories()
    users, items = np.array([5, 0, 33]), np.array([1, 7, 19])
    whole = stack.ratings(histories, training.profiles, training.at)
    pairs = stack.of_pairs(histories, training.profiles, users, items)
    np.testing.assert_allclose(pairs, whole[users, items], atol=1e-5)
