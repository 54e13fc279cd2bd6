"""What friends did: as a strategy, in a blend, in a first list, and as a reason that names whom it
may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.strategy_contract import DAY_S, N_ITEMS, N_USERS, StrategyContract, checkerboard, one
from segue.core.errors import BadInput
from segue.core.social import Circle, Graph
from segue.core.types import Histories, Profile, Query, Training
from segue.recommend.pipeline import Pipeline
from segue.recommend.plain_blend import LinearBlend
from segue.recommend.plan import DEFAULT, part_of
from segue.recommend.registry import make
from segue.recommend.social import Social, liked_by
from segue.recommend.windows import build
from segue.training import Options, evaluate, with_social


class TestSocial(StrategyContract):
    strategy = "social"
    personal = False  # without a circle it says nothing


def circle(*entries, size=None, names=3):
    """(place, item, weight, time, tie) entries of one person's circle."""
    who, items, weights, times, ties = zip(*entries, strict=True)
    return Circle(
        np.array([0, len(entries)]), np.array(items), np.array(weights, dtype=np.float32),
        np.array(times, dtype=np.float64), np.array(ties, dtype=np.float32), np.array(who),
        np.array([names if size is None else size]),
    )  # fmt: skip


def among(found: Circle, items=()) -> Histories:
    return replace(one(list(items)), circle=found)


@pytest.fixture(scope="module")
def fitted() -> Social:
    made = make("social", spread=0.0)
    made.fit(checkerboard())
    assert isinstance(made, Social)
    return made


def scores(strategy: Social, found: Circle, at: float = 0.0):
    return strategy.scores(among(found), [Profile()], at)[0]


def test_what_closer_friends_wanted_lately_stands_higher(fitted: Social) -> None:
    at = 365 * DAY_S
    got = scores(fitted, circle((0, 2, 1, at, 1), (1, 4, 1, at, 0.5), (2, 6, 1, 0, 1),
                                (2, 8, -1, at, 1)), at)  # fmt: skip
    assert got[2] > got[4] > 0
    assert got[6] == pytest.approx(got[2] / 2)
    assert got[8] < 0
    assert (np.delete(got, [2, 4, 6, 8]) == 0).all()


def test_two_friends_count_for_more_than_one(fitted: Social) -> None:
    found = fitted.heads(among(circle((0, 2, 1, 0, 1), (1, 2, 1, 0, 1), (0, 4, 1, 0, 1), size=4)),
                         [Profile()], 0.0)  # fmt: skip
    assert found["liked"][0, 2] > found["liked"][0, 4]
    assert (found["friends"][0, [2, 4]] == [2, 1]).all()
    assert found["share"][0, 2] == 0.5


def test_what_goes_with_it_is_found_too() -> None:
    wide = make("social", spread=1.0)
    wide.fit(checkerboard())
    got = wide.scores(among(circle((0, 2, 1, 0, 1))), [Profile()], 0.0)[0]
    even, odd = np.arange(4, N_ITEMS, 2), np.arange(1, N_ITEMS, 2)
    assert got[even].min() > got[odd].max()


@pytest.mark.parametrize(
    ("friends", "text"),
    [
        (("Anna", "Bob", None), "liked by Anna and Bob"),
        (("Anna", None, None), "liked by Anna"),
        ((None, None, None), "liked by people you follow"),
    ],
)
def test_only_those_who_share_are_named(friends, text) -> None:
    found = circle((0, 2, 1, 0, 1), (1, 2, 1, 0, 1), (2, 2, 1, 0, 1))
    assert liked_by(found, friends, 2) == text


def test_many_are_counted_and_few_who_do_not_share_are_not() -> None:
    many = circle(*[(place, 2, 1, 0, 1) for place in range(6)])
    assert liked_by(many, ("Anna", "Bob", "Cem", None, None, None), 2) == (
        "liked by Anna, Bob and 4 others you follow"
    )
    assert liked_by(many, ("Anna", "Bob", "Cem", "Dan", None, None), 2) == (
        "liked by Anna, Bob and 2 others you follow"
    )
    two = circle((0, 2, 1, 0, 1), (1, 2, 1, 0, 1), (2, 2, -1, 0, 1))
    assert liked_by(two, (None, None, None), 2) == "fits the taste of those you follow"
    assert liked_by(two, (None, None, "Eva"), 2) == "fits the taste of those you follow"


def befriended() -> Training:
    """A checkerboard whose even people follow two odd ones each, and the other way round."""
    given = checkerboard()
    src = np.repeat(np.arange(N_USERS), 2)
    dst = (src + np.tile([1, 3], N_USERS)) % N_USERS
    known = np.full(len(src), np.nan)
    social = Graph.of(src, dst, np.ones(len(src), dtype=np.float32), known, N_USERS)
    return replace(given, social=social)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    training = befriended()
    extra = {"social": part_of("social", {}, "social", proposes=True)}
    plan = DEFAULT.only(["successors"]).with_parts(extra)
    windows = [
        build(training, day * DAY_S, (day + 1) * DAY_S, max_users=None, seed=0, plan=plan)
        for day in (3, 4, 5)
    ]
    blend = LinearBlend(plan=plan)
    blend.fit(windows, 0)
    return Pipeline.fit(training, blend, "0" * 16, seed=0)


def asked(items, found: Circle, friends=("Anna", None, None)) -> Query:
    return Query("me", among(found, items), 9 * DAY_S, k=5, friends=friends)


LIKED = circle(*[(who, item, 1, 8 * DAY_S, 1) for item in (4, 6, 8) for who in range(3)])


def test_a_first_list_follows_the_friends_and_says_so(pipeline: Pipeline) -> None:
    got = pipeline.recommend(asked([], LIKED))
    assert {entry.id for entry in got.entries[:3]} == {"4", "6", "8"}
    for entry in got.entries[:3]:
        assert sum(reason.share for reason in entry.reasons) == pytest.approx(1)
        assert "liked by Anna" in {r.text for r in entry.reasons if r.kind == "social"}


def test_reasons_of_a_blend_add_up_with_friends_among_them(pipeline: Pipeline) -> None:
    weights = dict(zip(pipeline.blend.plan.names, pipeline.blend.weights, strict=True))  # type: ignore[attr-defined]
    weights["social friends"] = 3.0
    blend = replace(pipeline.blend, weights=np.array(list(weights.values())))  # type: ignore[type-var]
    forced = replace(pipeline, blend=blend)
    got = forced.recommend(asked([0, 2], LIKED))
    assert {"4", "6", "8"} <= {entry.id for entry in got}
    for entry in got:
        assert sum(reason.share for reason in entry.reasons) == pytest.approx(1)
    told = {e.id: r.text for e in got for r in e.reasons if r.kind == "social"}
    assert told["4"] == "liked by Anna"
    hidden = forced.recommend(replace(asked([0, 2], LIKED), friends=(None, None, None)))
    assert [e.id for e in hidden] == [e.id for e in got]
    assert not any("Anna" in r.text for e in hidden for r in e.reasons)


def test_it_is_tried_where_anybody_follows_anybody_and_only_there() -> None:
    alone = checkerboard()
    assert with_social(befriended(), ()) == ("social",)
    assert with_social(alone, ("als",)) == ("als",)
    with pytest.raises(BadInput, match="social = true"):
        evaluate(alone, seed=0, progress=lambda _: None, options=Options(strategies=("social",)))


def test_a_graph_changes_nothing_for_other_strategies() -> None:
    with_graph, without = make("linear"), make("linear")
    with_graph.fit(befriended())
    without.fit(checkerboard())
    np.testing.assert_array_equal(
        with_graph.scores(among(LIKED, [0, 2]), [Profile()], 1e6),
        without.scores(one([0, 2]), [Profile()], 1e6),
    )
