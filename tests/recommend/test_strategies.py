"""Every strategy meets the contract; and what is special to each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.strategy_contract import DAY_S, N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import NotFound
from segue.core.types import Histories, Interactions, Profile, Training
from segue.recommend.content import Content
from segue.recommend.linear import Linear
from segue.recommend.newcomers import Newcomers
from segue.recommend.popular import MomentPopular, Popular, PositionPopular
from segue.recommend.registry import STRATEGIES, make
from segue.recommend.sequence import Successors


class TestPopular(StrategyContract):
    strategy = "popular"
    personal = False


class TestRecentPopular(StrategyContract):
    strategy = "recent popular"
    personal = False


class TestNewcomers(StrategyContract):
    strategy = "newcomers"

    @pytest.fixture
    def fitted(self):
        # The board has one direction; its usual doubt lets popularity outweigh two likes.
        made = Newcomers(dim=2, doubt=1.0)
        made.fit(checkerboard())
        return made


class TestPositionPopular(StrategyContract):
    strategy = "position popular"
    personal = False


class TestMomentPopular(StrategyContract):
    strategy = "moment popular"
    personal = False


class TestNeighbours(StrategyContract):
    strategy = "neighbours"


class TestNeighboursInTime(StrategyContract):
    strategy = "neighbours in time"


class TestBm25(StrategyContract):
    strategy = "bm25"


class TestPeople(StrategyContract):
    strategy = "people"


class TestWalk(StrategyContract):
    strategy = "walk"


class TestSlim(StrategyContract):
    strategy = "slim"


class TestLinear(StrategyContract):
    strategy = "linear"


class TestSuccessors(StrategyContract):
    strategy = "successors"


class TestContent(StrategyContract):
    strategy = "content"


class TestBridge(StrategyContract):
    strategy = "bridge"


def events(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> Training:
    """(user, item, time) rows in time order, over the checkerboard's catalogue."""
    users, items, time = (np.array(column) for column in zip(*rows, strict=True))
    interactions = Interactions(
        users=users.astype(np.intp),
        items=items.astype(np.intp),
        weight=np.ones(len(rows), dtype=np.float32),
        time=time.astype(np.float64),
        n_users=n_users,
        n_items=n_items,
    )
    return replace(checkerboard(), interactions=interactions, at=float(time.max()))


def test_every_registered_strategy_can_be_made() -> None:
    for name in STRATEGIES:
        assert make(name).name == name
    with pytest.raises(NotFound, match="known: popular"):
        make("nothing")


def test_recent_popularity_halves_with_age() -> None:
    rows = [(0, 0, 0.0), (1, 0, 0.0), (2, 1, 10 * DAY_S)]
    training = events(rows, 3, N_ITEMS)
    strategy = Popular(half_life_days=10.0)
    strategy.fit(training)
    scores = strategy.scores(one([]), [Profile()], training.at)[0]
    assert scores[0] == pytest.approx(scores[1])  # two of ten days ago weigh as one of now
    ever = Popular()
    ever.fit(training)
    assert ever.values[0] == pytest.approx(2 * ever.values[1])


def test_position_popularity_knows_how_far_a_person_is() -> None:
    rows = [(user, item, item * DAY_S) for item in range(N_ITEMS) for user in range(5)]
    strategy = PositionPopular()
    strategy.fit(events(rows, 5, N_ITEMS))
    start = strategy.scores(one([]), [Profile()], 0.0)[0]
    later = strategy.scores(one(list(range(12))), [Profile()], 0.0)[0]
    assert set(np.argsort(-start)[:5]) == set(range(5))
    assert set(np.argsort(-later)[:10]) == set(range(10, 20))


def test_linear_is_the_closed_form_of_ridge_without_the_diagonal() -> None:
    training = checkerboard()
    strategy = Linear(ridge=5.0, half_life=None, dropout=0.0)
    strategy.fit(training)
    x = np.zeros((60, N_ITEMS))
    x[training.interactions.users, training.interactions.items] = 1
    for item in (0, 7):
        others = np.delete(np.arange(N_ITEMS), item)
        a = x[:, others]
        weights = np.linalg.solve(a.T @ a + 5.0 * np.eye(N_ITEMS - 1), a.T @ x[:, item])
        np.testing.assert_allclose(strategy.matrix.values[others, item], weights, atol=1e-5)


def test_linear_weights_the_newest_entries_most() -> None:
    strategy = Linear(half_life=1.0)
    strategy.fit(checkerboard())
    even_last = strategy.scores(one([1, 0]), [Profile()], 0.0)[0]
    assert even_last[2::2].mean() > even_last[3::2].mean()


def test_successors_follow_the_order_of_consumption() -> None:
    rows = [(user, item, item * 60.0 + user) for user in range(5) for item in range(N_ITEMS)]
    training = events(sorted(rows, key=lambda row: row[2]), 5, N_ITEMS)
    strategy = Successors(reach=1)
    strategy.fit(training)
    assert int(np.argmax(strategy.scores(one([4]), [Profile()], 0.0)[0])) == 5


def test_content_leaves_what_is_missing_missing() -> None:
    training = checkerboard()
    assert training.content is not None
    present = training.content.present.copy()
    present[[2, 3]] = False
    values = np.where(present[:, None], training.content.values, 0)
    without = replace(training, content=replace(training.content, values=values, present=present))
    strategy = Content()
    strategy.fit(without)
    likeness = strategy.likeness(one([0, 2]))
    assert np.isnan(likeness[0, [2, 3]]).all()
    assert np.isfinite(np.delete(likeness[0], [2, 3])).all()
    # An entry without a vector says nothing about taste.
    np.testing.assert_allclose(strategy.taste(one([0, 2], weight=1.0))[0], strategy.vectors[0])
    assert np.isnan(strategy.likeness(one([2]))).all()


def test_content_without_any_vector_is_silent() -> None:
    strategy = Content()
    strategy.fit(replace(checkerboard(), content=None))
    assert (strategy.scores(one([0]), [Profile()], 0.0) == 0).all()


def test_moments_tell_what_was_watched_when_the_person_was_there() -> None:
    """Item 0 is all that happens in the first half, item 1 all of the second."""
    rows = [(n % 7, 0 if n < 200 else 1, float(n)) for n in range(400)]
    strategy = MomentPopular(moments=8, spread=0.0)
    strategy.fit(events(rows, 7, N_ITEMS))
    assert len(strategy.starts) == 8
    early = Histories.of_one([5], [1.0], [20.0], N_ITEMS)
    late = Histories.of_one([5], [1.0], [380.0], N_ITEMS)
    assert strategy.scores(early, [Profile()], 400.0)[0, :2].tolist() == [1000, 0]
    assert strategy.scores(late, [Profile()], 400.0)[0, :2].tolist() == [0, 1000]
    # Nobody's moment is the latest.
    assert strategy.scores(one([]), [Profile()], 400.0)[0, :2].tolist() == [0, 1000]
