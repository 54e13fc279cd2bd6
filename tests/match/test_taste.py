from __future__ import annotations

import numpy as np
import pytest

from segue.core.types import DAY_S, Catalogue, Histories, Item
from segue.match.labels import Labeller
from segue.match.taste import Interests, silhouette, tag_places

GENRES = ("jazz", "metal", "opera")
AT = 1000 * DAY_S


def _catalogue(n=90, kind="track"):
    return Catalogue(
        tuple(
            Item(f"i{r}", kind, f"title {r}", tags=(GENRES[r % 3], "music"), year=1960 + r % 3 * 10)
            for r in range(n)
        )
    )


def _places(rows, seed=0, noise=0.15):
    rng = np.random.default_rng(seed)
    middles = np.eye(3, 12)
    return (
        middles[np.asarray(rows, dtype=np.intp) % 3] + noise * rng.normal(size=(len(rows), 12))
    ).astype("f4")


def _history(rows, weights=None, times=None):
    weights = np.ones(len(rows)) if weights is None else weights
    times = AT - DAY_S * np.arange(len(rows), 0, -1) if times is None else times
    return Histories.of_one(rows, weights, times, 90)


def _of(rows, **more):
    history = _history(rows, **more)
    return Interests().of(history, _places(rows), _catalogue(), AT)


class TestInterests:
    def test_find_the_groups_that_are_there(self):
        found = _of([0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15])
        assert [i.label for i in found] == ["1960s jazz", "1970s metal"]
        assert [set(i.items % 3) for i in found] == [{0}, {1}]
        assert sum(i.share for i in found) == pytest.approx(1)

    def test_one_item_is_one_interest_and_nothing_is_none(self):
        assert len(_of([5])) == 1
        assert _of([5])[0].label
        assert _of([]) == ()
        assert _of([1, 2], weights=[-1.0, 0.0]) == ()

    def test_what_was_rejected_is_in_none(self):
        rows = [0, 1, 3, 4, 6, 7, 9, 10, 2, 5]
        weights = [1.0] * 8 + [-1.0, -1.0]
        assert 2 not in np.concatenate([i.items for i in _of(rows, weights=weights)])

    def test_two_strays_make_no_interest(self):
        rows = [0, 3, 6, 9, 12, 15, 1, 4, 7, 10, 13, 16, 2, 5]
        found = _of(rows)
        assert len(found) == 2
        assert not {2, 5} & set(np.concatenate([i.items for i in found]).tolist())

    def test_old_wishes_fade(self):
        rows = [0, 3, 6, 9, 1, 4, 7, 10]
        times = AT - DAY_S * np.array([361.0] * 4 + [1.0] * 4)
        first, second = _of(rows, times=times)
        assert first.label == "1970s metal"
        assert (first.share, second.share) == (pytest.approx(0.8), pytest.approx(0.2))
        assert first.strength == pytest.approx(4, rel=0.01)

    def test_the_same_every_time(self):
        rows = list(range(30))
        assert [i.items.tolist() for i in _of(rows)] == [i.items.tolist() for i in _of(rows)]

    def test_without_vectors_tags_have_to_do(self):
        rows = np.array([0, 1, 3, 4, 6, 7, 9, 10])
        places = tag_places(_catalogue(), rows)
        found = Interests().of(_history(rows), places, _catalogue(), AT)
        assert {i.label for i in found} == {"1960s jazz", "1970s metal"}

    def test_items_of_no_place_are_one_interest(self):
        rows = np.arange(12)
        found = Interests().of(_history(rows), np.zeros((12, 3), "f4"), _catalogue(), AT)
        assert len(found) == 1


def test_silhouette_equals_its_definition():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(9, 3))
    square = np.linalg.norm(points[:, None] - points[None], axis=2)
    groups = [np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7, 8])]
    total = []
    for own, other in (groups, groups[::-1]):
        for i in own:
            a = np.mean([square[i, j] for j in own if j != i])
            b = np.mean([square[i, j] for j in other])
            total.append((b - a) / max(a, b))
    assert silhouette(square, groups) == pytest.approx(np.mean(total))


class TestLabels:
    def test_are_never_empty_and_never_alike(self):
        bare = Catalogue(tuple(Item(str(n), "movie", "One" if n else "(1999)") for n in range(6)))
        groups = [np.array([1, 2]), np.array([3, 4]), np.array([5]), np.array([0])]
        labels = Labeller(bare).labels(groups)
        assert all(labels)
        assert len(set(labels)) == 4

    def test_name_a_maker_and_the_kind_in_a_mixed_catalogue(self):
        items = [
            Item(f"b{n}", "book", f"B{n}", creators=("Ann",), tags=("fantasy",)) for n in range(5)
        ]
        items += [Item(f"m{n}", "movie", f"M{n}", tags=("drama",), year=1990 + n) for n in range(9)]
        labels = Labeller(Catalogue(tuple(items))).labels([np.arange(5), np.arange(5, 14)])
        assert labels == ["fantasy books by Ann", "1990s drama films"]
