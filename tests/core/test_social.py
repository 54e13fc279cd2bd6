"""Ties, and what those whom a person follows did: strongest first, newest only, never later."""

import numpy as np

from segue.core import social
from segue.core.social import Circle, Graph
from segue.core.types import Catalogue, Histories, Interactions, Item, Profile, Training


def graph(*ties, n_users=5):
    src, dst, weight, time = zip(*ties, strict=True)
    return Graph.of(
        np.array(src), np.array(dst), np.array(weight, dtype=np.float32),
        np.array(time, dtype=np.float64), n_users,
    )  # fmt: skip


def training(ties, events, at=100.0, n_users=5, n_items=9):
    """``events`` are (person, item, weight, time)."""
    users, items, weight, time = zip(*sorted(events, key=lambda e: e[3]), strict=True)
    seen = Interactions(
        np.array(users), np.array(items), np.array(weight, dtype=np.float32),
        np.array(time, dtype=np.float64), n_users, n_items,
    )  # fmt: skip
    catalogue = Catalogue(tuple(Item(str(i), "movie", str(i)) for i in range(n_items)))
    return Training(catalogue, seen, (Profile(),) * n_users, None, at, graph(*ties))


NAN = float("nan")


def test_ties_of_several_kinds_count_once_and_unwanted_ones_not_at_all():
    found = graph((0, 2, 1, 50), (0, 2, 3, 20), (0, 1, 2, NAN), (0, 3, -1, NAN), (0, 0, 9, NAN))
    assert found.to.tolist() == [2, 1]
    assert found.weight.tolist() == [3, 2]
    assert found.time[0] == 20
    assert np.isnan(found.time[1])


def test_a_tie_of_unknown_age_was_always_there():
    found = graph((0, 1, 1, 50), (0, 2, 1, NAN), (1, 2, 1, 30)).before(50)
    assert (found.indptr.tolist(), found.to.tolist()) == ([0, 1, 2, 2, 2, 2], [2, 2])


def test_a_circle_holds_the_newest_of_the_strongest(monkeypatch):
    monkeypatch.setattr(social, "MOST_TIES", 2)
    monkeypatch.setattr(social, "NEWEST", 2)
    given = training(
        [(0, 1, 4, NAN), (0, 2, 2, NAN), (0, 3, 1, NAN), (1, 0, 1, NAN)],
        [(1, 5, 1, 1), (1, 6, 1, 2), (1, 7, -1, 3), (2, 4, 0.5, 9), (3, 8, 1, 9), (0, 3, 1, 5)],
    )
    circle = given.with_circle(given.interactions.histories(), np.arange(5)).circle
    assert circle.indptr.tolist() == [0, 3, 4, 4, 4, 4]
    assert circle.items.tolist() == [6, 7, 4, 3]
    assert circle.weights.tolist() == [1, -1, 0.5, 1]
    assert circle.ties.tolist() == [1, 1, 0.5, 1]
    assert circle.who.tolist() == [0, 0, 1, 0]
    assert circle.sizes.tolist() == [3, 1, 0, 0, 0]
    two = circle.take(np.array([1, 0, 0]))
    assert two.items.tolist() == [3, 6, 7, 4, 6, 7, 4]
    assert two.sizes.tolist() == [1, 3, 3]


def test_nothing_of_a_circle_is_from_the_time_asked_or_later():
    given = training([(0, 1, 1, NAN), (0, 2, 1, 60)], [(1, 5, 1, 10), (1, 6, 1, 50), (2, 7, 1, 20)])
    past = given.before(50)
    circle = past.with_circle(past.interactions.histories(), np.arange(5)).circle
    assert circle.items.tolist() == [5]
    assert circle.sizes.tolist() == [1, 0, 0, 0, 0]


def test_the_circle_goes_along_with_the_history():
    given = training([(0, 1, 1, NAN)], [(1, 5, 1, 10), (0, 1, 1, 1), (0, 2, 1, 2), (2, 3, 1, 3)])
    every = given.with_circle(given.interactions.histories(), np.arange(5))
    one = every.take(np.array([2, 0]))
    assert one.circle.indptr.tolist() == [0, 0, 1]
    left = every.without_each(0, [1, 2])
    assert left.circle.items.tolist() == [5, 5]
    assert left.items.tolist() == [2, 1]


def test_the_hash_of_a_training_tells_its_graph_and_is_as_ever_without():
    given = training([(0, 1, 1, NAN)], [(1, 5, 1, 10)])
    other = training([(0, 2, 1, NAN)], [(1, 5, 1, 10)])
    assert given.hash != other.hash
    alone = Training(
        given.catalogue, given.interactions, given.profiles, None, given.at, social=None
    )
    assert alone.hash == "5ccc60c03aff932c"  # what it was before there were graphs


def test_nobody_has_an_empty_circle():
    circle = Circle.nobody(3)
    assert circle.n_users == 3
    assert len(circle.items) == 0
    history = Histories.of_one([1], [1.0], [1.0], 4)
    assert history.circle is None
