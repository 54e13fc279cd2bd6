"""Implicit-feedback factors: the fold-in is the exact solution, rejections push away."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from contracts.strategy_contract import N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import BadSettings
from segue.core.protocols import Strategy
from segue.core.types import Histories, Profile
from segue.recommend.als import Als
from segue.recommend.alternate import alternate
from segue.recommend.bpr import Bpr


class TestAls(StrategyContract):
    strategy = "als"


class TestBpr(StrategyContract):
    strategy = "bpr"

    def test_contributions_add_up_to_the_score(self, fitted: Strategy) -> None:
        """Up to the item's own bias, which no history touches."""
        assert isinstance(fitted, Bpr)
        history, items = one([0, 2, 5]), np.array([1, 4, 8])
        parts = fitted.contributions(history, 1e6, items)
        scores = fitted.scores(history, [Profile()], 1e6)[0, items]
        bias = fitted.scores(one([]), [Profile()], 1e6)[0, items]
        np.testing.assert_allclose(parts.sum(axis=0) + bias, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [Als, Bpr])
def test_a_fixed_seed_gives_the_same_factors(kind: type[Als] | type[Bpr]) -> None:
    first, second, other = kind(seed=3), kind(seed=3), kind(seed=4)
    for made in (first, second, other):
        made.fit(checkerboard())
    history = one([0, 2, 4])
    scores = [m.scores(history, [Profile()], 0.0) for m in (first, second, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Als, {"factors": 0}),
        (Als, {"regularization": 0.0}),
        (Als, {"alpha": -1.0}),
        (Als, {"half_life": 0.0}),
        (Bpr, {"epochs": 0}),
        (Bpr, {"rate": 0.0}),
        (Bpr, {"decay": -0.1}),
        (Bpr, {"spread": 1.5}),
        (Bpr, {"half_life": -1.0}),
    ],
)
def test_bad_settings_are_named(kind: type[Als] | type[Bpr], settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(BadSettings, match=name):
        kind(**settings)  # type: ignore[arg-type]


def test_als_folds_in_the_weighted_least_squares_solution() -> None:
    strategy = Als(factors=5, alpha=3.0, regularization=0.1, half_life=None)
    strategy.fit(checkerboard())
    y = strategy.vectors.values.astype(np.float64)
    history = Histories.of_one([0, 2, 5], [1.0, 0.5, -1.0], [0, 1, 2], N_ITEMS)
    confidence, preference = np.ones(len(y)), np.zeros(len(y))
    confidence[[0, 2, 5]] = [4.0, 2.5, 4.0]
    preference[[0, 2, 5]] = [1, 1, -1]
    weighted = y * confidence[:, None]
    expected = np.linalg.solve(y.T @ weighted + strategy.ridge * np.eye(5), weighted.T @ preference)
    np.testing.assert_allclose(strategy.people(history)[0], expected, atol=1e-5)
    assert strategy.ridge == pytest.approx(0.1 * 60 * 8 / N_ITEMS)
    assert (strategy.people(one([])) == 0).all()


@pytest.mark.parametrize(("factors", "alpha"), [(4, 1.0), (13, 2.0)])
def test_als_factors_are_those_of_implicit(factors: int, alpha: float) -> None:
    """The same start, the same steps: they differ by rounding alone."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - for this test alone

    rng = np.random.default_rng(3)
    cells = np.where(rng.random((40, 30)) < 0.2, np.float32(1 + alpha), np.float32(0))
    cells[7] = 0  # a person and an item without anything
    cells[:, 11] = 0
    taken = sp.csr_matrix(cells)
    settings = {"regularization": 2.0, "alpha": 1.0, "iterations": 3, "random_state": 5}
    with threadpool_limits(1, "blas"):  # implicit warns of more
        model = AlternatingLeastSquares(factors=factors, num_threads=1, **settings)
        model.fit(taken, show_progress=False)
    ours = alternate(taken, factors=factors, alpha=alpha, ridge=2.0, rounds=3, seed=5)
    np.testing.assert_allclose(ours, model.item_factors, rtol=1e-3, atol=1e-4)
    assert (ours[11] == 0).all()
    assert np.abs(ours).max() > 0.1


def test_als_items_are_the_answer_to_the_people() -> None:
    """The items are the least-squares answer to the people that the fold-in gives."""
    training = checkerboard()
    strategy = Als(factors=4, iterations=60, half_life=None)
    strategy.fit(training)
    people = strategy.people(training.interactions.histories()).astype(np.float64)
    seen = training.interactions.histories().seen()[:, strategy.vectors.items].astype(float)
    confidence = 1 + strategy.alpha * seen
    for item in (0, 7):
        weighted = people * confidence[:, item, None]
        left = people.T @ weighted + strategy.ridge * np.eye(4)
        expected = np.linalg.solve(left, weighted.T @ seen[:, item])
        np.testing.assert_allclose(strategy.vectors.values[item], expected, rtol=0.05, atol=0.02)


def test_bpr_learns_popularity_as_the_bias_of_items() -> None:
    training = checkerboard()
    rare = (training.interactions.items != 6) | (training.interactions.users < 6)
    interactions = training.interactions.where(rare)
    strategy = Bpr(factors=4)
    strategy.fit(type(training)(
        training.catalogue, interactions, training.profiles, training.content, training.at
    ))  # fmt: skip
    scores = strategy.scores(one([]), [Profile()], 0.0)[0]
    assert scores[6] == scores[::2].min()
