"""Goals: what events count, in data whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from segue.core.errors import BadInput, BadSettings
from segue.core.goals import Goals
from segue.core.types import EVENT_KINDS, Catalogue, Interactions, Item
from segue.recommend.goals import Achieved, Mix, graded_ndcg, sums

HOUR = 3600.0


def events(*told: tuple[int, int, str, float | None, float]) -> Interactions:
    """(user, item, kind, value, hour) of each event."""
    users, items, kinds, values, hours = zip(*told, strict=True)
    kind = np.array([EVENT_KINDS.index(k) for k in kinds], dtype=np.int8)
    value = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
    weight = np.array([-1.0 if k in ("hide", "dislike") else 1.0 for k in kinds], dtype=np.float32)
    time = np.array(hours) * HOUR
    return Interactions(
        np.array(users), np.array(items), weight, time, 3, 4, value=value, kind=kind
    )


CATALOGUE = Catalogue(
    (
        Item("a", "movie", "A", duration_s=3600),
        Item("b", "movie", "B", duration_s=7200),
        Item("c", "movie", "C", duration_s=7200),
        Item("d", "movie", "D"),
    )
)
ACHIEVED = Achieved.of(CATALOGUE)


def test_each_kind_of_event_counts_towards_its_goals() -> None:
    seen = events(
        (0, 0, "complete", None, 0),
        (0, 1, "progress", 0.25, 1),
        (0, 2, "like", None, 2),
        (1, 3, "rating", 4.0, 3),
        (1, 1, "rating", 3.0, 4),
        (1, 2, "share", None, 5),
        (2, 0, "save", None, 6),
        (2, 1, "progress", 0.95, 7),
        (2, 2, "hide", None, 8),
        (2, 3, "click", None, 9),
    )
    wanted = {
        # An hour is half of the median; unknown durations count as the median.
        "watch": [0.5, 0.25, 1, 1, 1, 0, 0, 0.95, 0, 0],
        "complete": [1, 0, 1, 1, 1, 0, 0, 1, 0, 0],
        "like": [0, 0, 1, 1, 0, 0, 0, 0, 0, 0],
        "rating": [0, 0, 0, 0.75, 0.5, 0, 0, 0, 0, 0],
        "share": [0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        "save": [0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        "click": [1, 1, 1, 1, 1, 1, 1, 1, 0, 1],
    }
    for goal, gains in wanted.items():
        assert ACHIEVED.by_event(seen, goal) == pytest.approx(gains), goal


def test_coming_back_within_a_week_is_a_return() -> None:
    seen = events(
        (0, 0, "play", None, 0),
        (1, 1, "play", None, 0.1),
        (0, 1, "play", None, 0.2),  # the same visit
        (0, 2, "play", None, 100),
        (1, 2, "play", None, 24 * 8),
    )
    assert ACHIEVED.by_event(seen, "returns").tolist() == [1, 0, 1, 0, 0]


def test_a_pair_counts_once_with_the_most_of_it() -> None:
    seen = events(
        (0, 1, "progress", 0.25, 0), (0, 1, "progress", 0.75, 1), (2, 1, "click", None, 2)
    )
    pairs = ACHIEVED.by_pair(seen, "watch")
    assert pairs[0, 1] == pytest.approx(0.75)
    assert pairs.nnz == 1
    assert ACHIEVED.units(seen, {"watch": 1.0}) == {"watch": pytest.approx(0.375)}


def test_a_goal_without_events_is_refused_by_name() -> None:
    seen = events((0, 1, "click", None, 0))
    with pytest.raises(BadInput, match=r"\[goals\] share: none of the 1 events"):
        ACHIEVED.units(seen, {"share": 1.0})


def test_only_proportions_of_weights_matter_and_bad_ones_are_refused() -> None:
    assert Goals(watch=7, like=3).shares == pytest.approx({"watch": 0.7, "like": 0.3})
    assert Goals().shares == {}
    for bad in (-1.0, float("nan")):
        with pytest.raises(BadSettings, match=r"\[goals\] like must be >= 0"):
            Goals(like=bad)


def test_goals_are_mixed_in_their_own_units() -> None:
    seen = events((0, 0, "complete", None, 0), (0, 2, "like", None, 1), (1, 2, "like", None, 2))
    shares = {"complete": 0.25, "like": 0.75}
    mix = Mix(shares, ACHIEVED.units(seen, shares), ACHIEVED)
    found = mix.of({goal: ACHIEVED.by_pair(seen, goal) for goal in shares}).toarray()
    # All three pairs are complete (a like means watched), two of three are likes.
    assert found[0].tolist() == pytest.approx([0.25, 0, 0.25 + 0.75 * 1.5, 0])


def test_gains_of_lists() -> None:

    gains = sp.csr_matrix(np.array([[3.0, 0, 1, 0], [0, 0, 0, 0]]))
    top = np.array([[1, 2, 0, -1], [0, 1, 2, 3]])
    assert sums(top, gains, 2).tolist() == [1, 0]
    worth = 1 / np.log2([2, 3, 4])
    wanted = (worth[1] + 3 * worth[2]) / (3 * worth[0] + worth[1])
    found = graded_ndcg(top, gains, 10)
    assert found[0] == pytest.approx(wanted)
    assert np.isnan(found[1])
    assert graded_ndcg(top, gains, 2)[0] == pytest.approx(worth[1] / (3 * worth[0] + worth[1]))
