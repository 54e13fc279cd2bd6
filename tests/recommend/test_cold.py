"""Items that nobody has met are scored from content, and no item speaks for itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.strategy_contract import N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import BadSettings
from segue.core.types import (
    Catalogue,
    Histories,
    Interactions,
    Item,
    Profile,
    Training,
)
from segue.recommend.cold import Cold, Facets


class TestCold(StrategyContract):
    strategy = "cold"


def fitted(training: Training, **settings: float) -> Cold:
    strategy = Cold(**settings)  # type: ignore[arg-type]
    strategy.fit(training)
    return strategy


def test_an_item_never_met_is_scored_by_what_it_is() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = fitted(replace(training, interactions=seen.where(seen.items < N_ITEMS - 4)))
    for colour in (0, 1):
        scores = strategy.scores(one([colour, colour + 4]), [Profile()], 0.0)[0, -4:]
        assert scores[colour::2].min() > scores[1 - colour :: 2].max()


def test_the_events_of_an_item_never_count_for_itself() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = fitted(training)
    place = int(np.flatnonzero(strategy.items == 7)[0])
    fellows = strategy.items[strategy.fold == strategy.fold[place]]
    rng = np.random.default_rng(1)
    others = seen.items.copy()
    mine = np.flatnonzero(np.isin(seen.items, fellows))
    others[mine] = rng.permutation(others[mine])  # all events of the fold mean nothing now
    users = seen.users.copy()
    users[mine] = rng.permutation(users[mine])
    shuffled = fitted(replace(training, interactions=replace(seen, users=users, items=others)))
    history = one([int(i) for i in np.setdiff1d(np.arange(N_ITEMS), fellows)[:5]])
    np.testing.assert_allclose(
        strategy.scores(history, [Profile()], 0.0)[0, fellows],
        shuffled.scores(history, [Profile()], 0.0)[0, fellows],
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_fold_is_as_if_its_items_had_no_events() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = fitted(training)
    fold = strategy.items[strategy.fold == 2]
    kept = np.setdiff1d(np.arange(N_ITEMS), fold)
    x = np.zeros((seen.n_users, N_ITEMS))
    x[seen.users, seen.items] = 1
    x = x[:, kept]
    inverse = np.linalg.inv(x.T @ x + strategy.smoothing * np.eye(len(kept)))
    b = -inverse / np.diag(inverse)
    np.fill_diagonal(b, 0)
    f = strategy.places.astype(np.float64)
    map_ = np.linalg.solve(f[kept].T @ f[kept] + strategy.ridge * np.eye(f.shape[1]), f[fold].T)
    expected = (b @ f[kept] @ map_)[[0, 3]].sum(axis=0)
    history = one([int(kept[0]), int(kept[3])])
    scores = strategy.scores(history, [Profile()], 0.0)[0]
    np.testing.assert_allclose(scores[fold], expected, rtol=1e-3, atol=1e-5)


def test_a_grown_catalogue_is_placed_without_a_new_fit() -> None:
    training = checkerboard()
    seen = training.interactions
    short = Catalogue(training.catalogue.items[:-2])
    assert training.content is not None
    content = replace(
        training.content,
        values=training.content.values[:-2],
        present=training.content.present[:-2],
    )
    known = replace(seen.where(seen.items < N_ITEMS - 2), n_items=N_ITEMS - 2)
    strategy = fitted(replace(training, catalogue=short, content=content, interactions=known))
    assert (strategy.scores(one([0, 2]), [Profile()], 0.0)[0, -2:] == 0).all()
    strategy.place(training.catalogue, training.content)
    even = strategy.scores(one([0, 2, 4]), [Profile()], 0.0)[0]
    assert even[N_ITEMS - 2] > even[N_ITEMS - 1]
    # What a new item adds to a history follows from its content too.
    new = strategy.scores(one([N_ITEMS - 2]), [Profile()], 0.0)[0, : N_ITEMS - 2]
    assert new[::2].mean() > new[1::2].mean()


def test_without_content_what_was_placed_stays_and_tags_place_what_is_new() -> None:
    training = checkerboard()
    strategy = fitted(training)
    before = strategy.places.copy()
    new = (Item("a", "movie", "even", tags=("t0",)), Item("b", "movie", "odd", tags=("t1",)))
    strategy.place(Catalogue(training.catalogue.items + new), None)
    np.testing.assert_array_equal(strategy.places[:N_ITEMS], before)
    even = strategy.scores(one([0, 2, 4], N_ITEMS + 2), [Profile()], 0.0)[0]
    assert even[N_ITEMS] > even[N_ITEMS + 1]


def test_a_promise_is_what_an_entry_adds_on_average() -> None:
    strategy = fitted(checkerboard())
    wanted = np.array([3, 8, 19])
    batch = Histories(
        indptr=np.array([0, 2, 2, 5]),
        items=np.array([0, 2, 1, 3, 6]),
        weights=np.array([1, 0.5, 1, -1, 0.5], dtype=np.float32),
        times=np.arange(5, dtype=np.float64),
        n_items=N_ITEMS,
    )
    promise = strategy.promise(batch, wanted)
    scores = strategy.scores(batch, [Profile()] * 3, 0.0)[:, wanted]
    length = 8.0  # of everyone's history, so of the mean person's
    np.testing.assert_allclose(promise, scores / np.array([[1.5], [length], [2.5]]), rtol=1e-4)
    # Few items of many people, and all items of one, are computed in another order.
    alone = [strategy.promise(batch.take(np.array([n])), np.arange(N_ITEMS))[0] for n in range(3)]
    np.testing.assert_allclose(promise, np.stack(alone)[:, wanted], rtol=1e-4, atol=1e-7)


def test_it_speaks_for_kinds_that_it_has_met_often_enough() -> None:
    """60 films and 20 songs are met; 5 films and 5 songs, and one book, are not."""
    kinds = ["movie"] * 65 + ["track"] * 25 + ["book"]
    items = tuple(Item(str(n), kind, f"item {n}") for n, kind in enumerate(kinds))
    met = np.array([*range(60), *range(65, 85)])
    users = np.repeat(np.arange(10), len(met))
    taken = Interactions(
        users=users,
        items=np.tile(met, 10),
        weight=np.ones(len(users), dtype=np.float32),
        time=np.arange(len(users), dtype=np.float64),
        n_users=10,
        n_items=len(items),
    )
    training = Training(Catalogue(items), taken, (Profile(),) * 10, None, 1e6)
    strategy = fitted(training)
    spoken = strategy.speaks_for(np.array([62, 87, 90, 91]))
    assert spoken.tolist() == [True, False, False, False]
    strategy.place(Catalogue((*items, Item("91", "movie", "new"))), None)
    assert strategy.speaks_for(np.array([91, 92])).tolist() == [True, False]


def test_settled_it_says_the_same_of_new_items_in_less_memory() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = fitted(replace(training, interactions=seen.where(seen.items < N_ITEMS - 4)))
    history, new = one([0, 3, N_ITEMS - 1]), np.arange(N_ITEMS - 4, N_ITEMS)
    before, size = strategy.promise(history, new), strategy.effects.nbytes
    strategy.settle()
    np.testing.assert_array_equal(strategy.promise(history, new), before)
    assert strategy.effects.nbytes == size / (strategy.folds + 1)
    restored = Cold()
    restored.restore(strategy.state())
    np.testing.assert_array_equal(restored.promise(history, new), before)
    assert np.isfinite(restored.scores(history, [Profile()], 0.0)).all()


def test_it_learns_from_the_most_consumed_items_up_to_a_limit() -> None:
    training = checkerboard()
    seen = training.interactions
    rare = seen.where((seen.items < N_ITEMS - 4) | (seen.users < 4))
    strategy = fitted(replace(training, interactions=rare), limit=N_ITEMS - 4)
    assert strategy.items.tolist() == list(range(N_ITEMS - 4))
    scores = strategy.scores(one([0, 2, 18]), [Profile()], 0.0)[0]
    assert scores[16] > scores[17]


def test_who_has_no_history_is_the_mean_person() -> None:
    training = checkerboard()
    seen = training.interactions
    even = seen.where((seen.items % 2 == 0) | (seen.users < 10))  # odd items are rarely taken
    scores = fitted(replace(training, interactions=even)).scores(one([]), [Profile()], 0.0)[0]
    assert scores[::2].min() > scores[1::2].max()


def test_facets_know_tags_ages_creators_and_nothing_that_is_missing() -> None:
    items = checkerboard().catalogue.items
    items = tuple(
        replace(item, year=1950 + 2 * n if n != 5 else None, creators=(f"c{n % 3}",))
        for n, item in enumerate(items)
    )
    facets = Facets()
    facets.fit(items, None, np.arange(N_ITEMS))
    assert facets.tags[:1] == ("kind:movie",)
    assert set(facets.creators) == {"c0", "c1", "c2"}
    rows = facets.encode(items, None)
    likeness = rows @ rows.T
    assert likeness[0, 6] > likeness[0, 18]  # same tag and creator, nearer in age
    assert likeness[0, 6] > likeness[0, 7]  # another tag
    assert np.isfinite(rows).all()
    ages = facets._ages(items)
    assert (ages[5] == 0).all()


def test_without_any_content_or_event_nothing_breaks() -> None:
    training = checkerboard()
    bare = fitted(replace(training, content=None))
    assert np.isfinite(bare.scores(one([0]), [Profile()], 0.0)).all()
    empty = fitted(training.before(-1.0))
    assert (empty.scores(one([0]), [Profile()], 0.0) == 0).all()


def test_bad_settings_are_refused() -> None:
    for bad in (
        {"ridge": 0.0},
        {"smoothing": -1.0},
        {"folds": 1},
        {"limit": 0},
        {"dim": 0},
        {"text_weight": -1},
    ):
        with pytest.raises(BadSettings, match="must be"):
            Cold(**bad)  # type: ignore[arg-type]
