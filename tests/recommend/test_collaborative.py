"""Counts, neighbours, linear models, walks and groups of people, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from contracts.strategy_contract import N_ITEMS, checkerboard, one
from segue.core.errors import BadInput
from segue.core.types import Interactions, Profile, Training
from segue.recommend import counts, slim
from segue.recommend.counts import Pairs
from segue.recommend.linear import Linear
from segue.recommend.matrix import SPARSE_CELLS, ItemMatrix, consumption, known_items
from segue.recommend.neighbours import Bm25, Neighbours
from segue.recommend.people import People, halved
from segue.recommend.sequence import Successors
from segue.recommend.slim import Slim
from segue.recommend.walk import Walk

SPARSE = {"dense_items": 1}


def crowd(n_users: int = 300, n_items: int = 200, n: int = 6000, seed: int = 0) -> Training:
    """Ten tastes and a power law of popularity within each; one event in four is at random."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 10, n_users)
    users = rng.integers(0, n_users, n)
    rank = (rng.pareto(1.0, n) * 4).astype(np.int64) % (n_items // 10)
    items = np.where(rng.random(n) < 0.75, rank * 10 + taste[users], rng.integers(0, n_items, n))
    interactions = Interactions(
        users=users.astype(np.intp),
        items=items.astype(np.intp),
        weight=np.ones(n, dtype=np.float32),
        time=np.sort(rng.random(n)) * 1e6,
        n_users=n_users,
        n_items=n_items,
    )
    return replace(checkerboard(), interactions=interactions, content=None, at=1e6)


@pytest.fixture(scope="module")
def training() -> Training:
    return crowd()


def pairs_of(training: Training) -> tuple[Pairs, sp.csr_matrix]:
    seen = training.interactions
    x = consumption(seen, known_items(seen))
    return Pairs.of(x), x


def test_counts_are_those_of_the_matrix_product(training: Training) -> None:
    pairs, x = pairs_of(training)
    weights = np.random.default_rng(1).random(x.shape[0])
    right = (x.T @ sp.diags(weights) @ x).toarray()
    np.testing.assert_allclose(pairs.gram(weights), right, rtol=1e-5)
    np.testing.assert_allclose(pairs.rows(weights, 7, 19), right[7:19], rtol=1e-5)
    np.testing.assert_allclose(pairs.sums(weights), np.diag(right), rtol=1e-5)


def test_pairs_far_apart_in_a_history_count_less() -> None:
    x = sp.csr_matrix(np.ones((1, 3), dtype=np.float32))
    ranks = np.array([0, 4, 1], dtype=np.int32)
    pairs = replace(Pairs.of(x), ranks=ranks, decay=counts.decays(2.0))
    right = 0.5 ** (np.abs(ranks[:, None] - ranks[None, :]) / 2)
    np.testing.assert_allclose(pairs.gram(np.ones(1)), right, rtol=1e-6)


def test_products_over_histories_are_those_of_matrices(training: Training) -> None:
    rng = np.random.default_rng(2)
    items = known_items(training.interactions)
    values = rng.random((len(items), len(items)), dtype=np.float32)
    values[values < 0.8] = 0
    histories = training.interactions.histories()
    given = sp.csr_matrix(
        (histories.weights, np.searchsorted(items, histories.items), histories.indptr),
        shape=(histories.n_users, len(items)),
    )
    right = given @ values
    wanted = np.array([5, 5, 190, 3])
    columns = np.searchsorted(items, wanted)
    for matrix in (ItemMatrix(items, values), ItemMatrix(items, sp.csr_matrix(values))):
        np.testing.assert_allclose(matrix.scores(histories)[:, items], right, rtol=1e-4)
        some = matrix.memories(histories, [None], wanted)[0]
        np.testing.assert_allclose(some, right[:, columns], rtol=1e-4)
        users, asked = np.repeat(np.arange(histories.n_users), 4), np.tile(wanted, len(right))
        pairs = matrix.pairs(histories, [None, 3.0], users, asked)
        np.testing.assert_allclose(pairs[0], right[:, columns].ravel(), rtol=1e-4)
        short = matrix.memories(histories, [3.0], wanted)[0].ravel()
        np.testing.assert_allclose(pairs[1], short, rtol=1e-3, atol=1e-3)
        block = matrix.block(wanted, wanted)
        np.testing.assert_array_equal(block, values[np.ix_(columns, columns)])
        assert (matrix.block(wanted, np.array([500])) == 0).all()
        again = ItemMatrix.of(matrix.state())
        np.testing.assert_array_equal(again.scores(histories), matrix.scores(histories))


def test_best_is_a_stable_sort_of_what_is_unseen(training: Training) -> None:
    histories = training.interactions.histories()
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 9, (histories.n_users, histories.n_items)).astype(np.float32)
    rows = np.empty((histories.n_users, 20), dtype=np.intp)
    counts.best(scores, histories.indptr, histories.items, rows)
    scores[histories.seen()] = -np.inf
    np.testing.assert_array_equal(rows, np.argsort(-scores, axis=1, kind="stable")[:, :20])


def test_only_the_strongest_cells_are_kept_and_ties_go_to_the_first() -> None:
    block = np.array([[1, 3, 3, 0, 3, 2], [0, 0, 5, -1, 0, 0]], dtype=np.float32)
    columns, cells = np.empty((2, 2), dtype=np.int32), np.empty((2, 2), dtype=np.float32)
    counts.strongest(block, columns, cells)
    np.testing.assert_array_equal(columns, [[1, 2], [2, -1]])
    np.testing.assert_array_equal(cells, [[3, 3], [5, 0]])


def test_neighbours_without_tilt_are_the_shrunk_cosine(training: Training) -> None:
    strategy = Neighbours(k=10_000, tilt=0.5, shrink=10.0)
    strategy.fit(training)
    _, x = pairs_of(training)
    x = x.multiply(1 / np.sqrt(np.asarray(x.sum(axis=1)))).toarray()
    gram = x.T @ x
    norm = np.sqrt(np.diag(gram))
    right = gram / (np.outer(norm, norm) + 0.1)
    np.fill_diagonal(right, 0)
    np.testing.assert_allclose(strategy.matrix.values, right, rtol=1e-4, atol=1e-6)


def test_walk_is_three_steps_of_transition_probabilities(training: Training) -> None:
    strategy = Walk(k=10_000, alpha=1.0, beta=0.5, fresh_days=None)
    strategy.fit(training)
    x = pairs_of(training)[1].toarray()
    to_people, to_items = x.T / x.sum(axis=0)[:, None], x / x.sum(axis=1)[:, None]
    right = to_people @ to_items / x.sum(axis=0) ** 0.5
    np.fill_diagonal(right, 0)
    np.testing.assert_allclose(strategy.matrix.values, right, rtol=1e-4, atol=1e-6)


def test_dropout_is_a_ridge_that_grows_with_the_count(training: Training) -> None:
    strategy = Linear(ridge=5.0, dropout=0.25)
    strategy.fit(training)
    x = pairs_of(training)[1].toarray().astype(np.float64)
    gram = x.T @ x
    gram += np.diag(5.0 + np.diag(gram) / 3)
    inverse = np.linalg.inv(gram)
    right = -inverse / np.diag(inverse)
    np.fill_diagonal(right, 0)
    np.testing.assert_allclose(strategy.matrix.values, right, atol=1e-5)


def test_descent_reaches_the_minimum_of_the_elastic_net(training: Training) -> None:
    x = pairs_of(training)[1].toarray()[:, :12]
    gram = np.ascontiguousarray(x.T @ x, dtype=np.float32)
    for signed in (False, True):
        weights = np.zeros(11, dtype=np.float32)
        slim.solve(gram, 1.5, 20.0, signed, weights)
        slope = gram[:11, :11] @ weights - gram[:11, 11] + 20.0 * weights
        kept = weights != 0
        assert 0 < kept.sum() < 11
        np.testing.assert_allclose(slope[kept] + 1.5 * np.sign(weights[kept]), 0, atol=0.05)
        floor = np.abs(slope[~kept]) if signed else -slope[~kept]
        assert (floor <= 1.5 + 0.05).all()
        assert signed or (weights >= 0).all()


def overlap(dense: object, sparse: object, training: Training) -> float:
    """Mean share of the top 20 of unseen items that both have."""
    histories = training.interactions.histories()
    tops = []
    for strategy in (dense, sparse):
        strategy.fit(training)
        scores = strategy.scores(histories, [Profile()] * histories.n_users, training.at)
        rows = np.empty((histories.n_users, 20), dtype=np.intp)
        counts.best(scores, histories.indptr, histories.items, rows)
        tops.append(rows)
    return float(np.mean([len(np.intersect1d(a, b)) / 20 for a, b in zip(*tops, strict=True)]))


@pytest.mark.parametrize(
    ("kind", "settings", "least"),
    [
        (Neighbours, {"k": 40}, 0.99),
        (Neighbours, {"k": 40, "pair_half_life": 5.0}, 0.99),
        (Bm25, {"k": 40}, 0.99),
        (Walk, {"k": 40}, 0.99),
        (Successors, {}, 0.99),
        (Linear, {"ridge": 50.0, "near": 150}, 0.85),  # an approximation, on much noise
        (Slim, {"near": 100}, 0.95),
    ],
)
def test_sparse_ranks_as_dense(
    kind: type, settings: dict, least: float, training: Training
) -> None:
    assert overlap(kind(**settings), kind(**settings, **SPARSE), training) >= least


def test_a_sparse_regression_on_everything_is_the_exact_one() -> None:
    training = checkerboard()
    exact, local = Linear(ridge=5.0), Linear(ridge=5.0, near=N_ITEMS, **SPARSE)
    exact.fit(training)
    local.fit(training)
    near = local.matrix.values.toarray()
    held = near != 0  # an item is regressed on those it was ever consumed with
    assert held.sum() == 2 * 10 * 9
    np.testing.assert_allclose(near[held], exact.matrix.values[held], atol=1e-4)


def test_a_large_catalogue_keeps_every_item_in_bounded_memory() -> None:
    training = crowd(n_users=400, n_items=50_000, n=4000)
    items = known_items(training.interactions)
    assert len(items) > 1500
    wide = replace(training.interactions, n_items=50_000)
    for strategy in (Neighbours(**SPARSE), Linear(near=20, **SPARSE), Successors(**SPARSE)):
        strategy.fit(replace(training, interactions=wide))
        state = strategy.state()
        np.testing.assert_array_equal(state["items"], items)
        size = sum(array.nbytes for array in state.values())
        assert size <= len(items) * (SPARSE_CELLS * 8 + 24)
    assert all(last - first <= 80 for first, last in counts.blocks(50_000))


def test_groups_are_of_alike_people_and_never_small() -> None:
    rng = np.random.default_rng(4)
    places = np.concatenate([rng.normal(c, 0.1, (37, 2)) for c in (0, 5)]).astype(np.float32)
    group = halved(places, 5)
    size = np.bincount(group)
    assert size.min() >= 5
    assert size.max() < 10
    assert not set(group[:37]) & set(group[37:])
    assert (halved(places[:3], 5) == 0).all()


def test_too_few_people_make_no_group() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = People()
    strategy.fit(replace(training, interactions=seen.where(seen.users < 4)))
    assert (strategy.scores(one([0, 2]), [Profile()], 1e6) == 0).all()
    strategy.fit(replace(training, interactions=seen.where(seen.users < 5)))
    assert strategy.groups.shape[0] == 1


def test_fresh_people_have_the_say() -> None:
    # Of old, item 0 went with 1; of late it goes with 2.
    users, items, time = [], [], []
    for user in range(20):
        late = user >= 10
        users += [user, user]
        items += [0, 2 if late else 1]
        time += [late * 1e7 + user, late * 1e7 + user + 0.5]
    interactions = Interactions(
        users=np.array(users),
        items=np.array(items),
        weight=np.ones(40, dtype=np.float32),
        time=np.array(time, dtype=np.float64),
        n_users=20,
        n_items=N_ITEMS,
    )
    training = replace(checkerboard(), interactions=interactions, at=1e7 + 100)
    for strategy in (Neighbours(fresh_days=10.0, tilt=1.0), Walk(fresh_days=10.0)):
        strategy.fit(training)
        scores = strategy.scores(one([0]), [Profile()], training.at)[0]
        assert scores[2] > 5 * scores[1]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Neighbours, {"weighting": "tfidf"}),
        (Neighbours, {"k": 0}),
        (Neighbours, {"fresh_days": 0.0}),
        (Linear, {"dropout": 1.0}),
        (Linear, {"ridge": 0.0}),
        (Slim, {"l1": -1.0}),
        (Walk, {"alpha": 0.0}),
        (People, {"people": 4}),
        (Successors, {"reach": 0}),
    ],
)
def test_bad_settings_are_refused_with_their_value(kind: type, settings: dict) -> None:
    name, value = next(iter(settings.items()))
    with pytest.raises(BadInput, match=f"{name} .*{value}"):
        kind(**settings)
