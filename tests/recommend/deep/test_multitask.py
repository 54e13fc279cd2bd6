"""The multi-task net: the contract, its goals, and what each head learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from contracts.strategy_contract import N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import BadSettings
from segue.core.types import EVENT_KINDS, Interactions, Profile, Training
from segue.recommend.deep.goals import HEADS, goals_of
from segue.recommend.deep.multitask import GoalNet, Multitask

NAN = np.nan


class TestMultitask(StrategyContract):
    strategy = "multitask"


def events(rows: list[tuple[int, int, str, float]], n_users: int, n_items: int) -> Interactions:
    """(user, item, kind, value) in time order."""
    users, items, kinds, values = zip(*rows, strict=True)
    bad = np.isin(kinds, ["dislike", "hide", "skip"])
    return Interactions(
        users=np.array(users, dtype=np.intp),
        items=np.array(items, dtype=np.intp),
        weight=np.where(bad, -1, 1).astype(np.float32),
        time=np.arange(len(rows)) * 60.0,
        n_users=n_users,
        n_items=n_items,
        value=np.array(values, dtype=np.float32),
        kind=np.array([EVENT_KINDS.index(k) for k in kinds], dtype=np.int8),
    )


def goals(rows: list[tuple[int, int, str, float]]) -> dict[str, list[float]]:
    seen = events(rows, 2, 4)
    targets, _ = goals_of(seen, seen.histories())
    return dict(zip(HEADS, targets.tolist(), strict=True))


def test_labels_come_from_the_events_that_speak_of_them() -> None:
    found = goals(
        [
            (0, 0, "play", NAN),
            (0, 0, "like", NAN),
            (0, 0, "progress", 0.25),
            (0, 1, "complete", NAN),
            (0, 2, "dislike", NAN),
            (1, 0, "skip", NAN),
            (1, 3, "rating", 2.0),
            (1, 1, "rating", 4.0),
        ]
    )
    np.testing.assert_array_equal(found["click"], [1, 1, 0, 0, 1, 1])
    np.testing.assert_allclose(found["completion"], [0.25, 1, NAN, 0, NAN, NAN])
    np.testing.assert_array_equal(found["like"], [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(found["rating"], [NAN, NAN, NAN, NAN, 0, 1])


def test_ratings_alone_make_likes_and_goals_without_data_are_unknown() -> None:
    found = goals([(0, 0, "rating", 1.0), (0, 1, "rating", 5.0), (1, 0, "rating", 4.0)])
    np.testing.assert_array_equal(found["like"], [0, 1, 1])
    assert np.isnan(found["completion"]).all()
    clicks = goals([(0, 0, "click", NAN), (1, 0, "click", NAN)])
    assert all(np.isnan(clicks[head]).all() for head in HEADS[1:])


def watched(seed: int = 0) -> Training:
    """The checkerboard, where items of the last half are never finished and never liked."""
    training = checkerboard(seed)
    seen = training.interactions
    rows = []
    for user, item in zip(seen.users, seen.items, strict=True):
        good = item < N_ITEMS // 2
        rows.append((user, item, "like" if good else "play", NAN))
        rows.append((user, item, "progress", 0.9 if good else 0.1))
    return replace(training, interactions=events(rows, seen.n_users, N_ITEMS), at=1e9)


def quick(**settings: object) -> Multitask:
    kept = {"dim": 16, "experts": 2, "epochs": 15, "batch": 32, "memory_days": None}
    return Multitask(**{**kept, **settings})


def test_each_head_learns_its_goal_and_those_without_data_are_left_out() -> None:
    model = quick(side=1.0, epochs=30)
    model.fit(watched())
    heads = model.heads(one([0, 2]), [Profile()], 0.0)
    assert set(heads) == {"click", "completion", "like"}
    # Of the kind that the person takes; nobody like them has tried the other.
    good, bad = slice(0, N_ITEMS // 2, 2), slice(N_ITEMS // 2, N_ITEMS, 2)
    for head in ("completion", "like"):
        assert heads[head].min() >= 0
        assert heads[head].max() <= 1
        assert heads[head][0, good].mean() > heads[head][0, bad].mean() + 0.4
    np.testing.assert_allclose(heads["click"].sum(), 1, rtol=1e-5)


def test_goals_weigh_the_heads() -> None:
    model = quick(side=1.0)
    model.fit(watched())
    history = one([0, 2])
    heads = model.heads(history, [Profile()], 0.0)
    np.testing.assert_allclose(model.scores(history, [Profile()], 0.0), heads["click"], rtol=1e-4)
    model.goals = {"click": 1.0, "completion": 3.0}
    mixed = heads["click"] ** 0.25 * heads["completion"] ** 0.75
    np.testing.assert_allclose(model.scores(history, [Profile()], 0.0), mixed, rtol=1e-3)
    model.goals = {"rating": 1.0}  # not taught: back to what is always known
    np.testing.assert_allclose(model.scores(history, [Profile()], 0.0), heads["click"], rtol=1e-4)


def test_ratings_are_on_their_own_range() -> None:
    training = checkerboard()
    value = np.where(training.interactions.items < 10, 5, 1).astype(np.float32)
    model = quick(side=3.0, epochs=30)
    model.fit(replace(training, interactions=replace(training.interactions, value=value)))
    rating = model.heads(one([0]), [Profile()], 0.0)["rating"][0]
    assert rating.min() >= 1
    assert rating.max() <= 5
    assert rating[:10:2].mean() > rating[10::2].mean() + 1.5


@pytest.mark.parametrize("experts", [1, 4])
def test_gates_mix_the_experts(experts: int) -> None:
    torch.manual_seed(0)
    model = quick(experts=experts)
    net = GoalNet(np.zeros((N_ITEMS, 1), np.float32), 1, 16, experts, 0.0).eval()
    model._content = np.zeros((N_ITEMS, 1), dtype=np.float32)
    past = model.read(one([0, 3]), np.zeros((1, 1), dtype=np.float32))
    places = net.places()
    mean = places[[0, 3]].mean(dim=0)
    looks = net.people(past, places)[0]
    fast = past.fast @ places[[0, 3]]
    u = net.slow(mean) + net.fast(fast)
    parts = torch.stack([expert(u) for expert in net.experts])
    gates = net.gates(u).reshape(len(HEADS), experts).softmax(dim=1)
    torch.testing.assert_close(looks, u + gates @ parts)
    if experts == 1:  # the shared bottom: every head reads the same
        torch.testing.assert_close(looks[0], looks[3])


def test_many_items_are_learned_from_a_sample() -> None:
    model = quick(negatives=8, epochs=40)
    model.fit(checkerboard())
    scores = model.scores(one([1, 3]), [Profile()], 0.0)[0]
    assert scores[1::2].mean() > 3 * scores[::2].mean()


def test_a_seed_fixes_the_result() -> None:
    first, second, other = quick(epochs=2), quick(epochs=2), quick(epochs=2, seed=1)
    for model in (first, second, other):
        model.fit(checkerboard())
    history = one([0, 2])
    np.testing.assert_array_equal(
        first.scores(history, [Profile()], 0.0), second.scores(history, [Profile()], 0.0)
    )
    assert (
        first.scores(history, [Profile()], 0.0) != other.scores(history, [Profile()], 0.0)
    ).any()


@pytest.mark.parametrize(
    "bad",
    [
        {"goals": {"share": 1.0}},
        {"goals": {}},
        {"goals": {"click": -1.0}},
        {"experts": 0},
        {"half_life": 0.0},
        {"memory_days": -1.0},
        {"dropout": 1.0},
    ],
)
def test_settings_that_cannot_work_are_refused(bad: dict) -> None:
    with pytest.raises(BadSettings):
        Multitask(**bad)
