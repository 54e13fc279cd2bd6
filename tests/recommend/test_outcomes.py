"""Forecasts of behaviour over people whose true probabilities are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadInput, BadSettings
from segue.core.types import (
    EVENT_KINDS,
    Catalogue,
    Histories,
    Interactions,
    Item,
    Profile,
    Training,
    Vectors,
)
from segue.recommend.calibrate import calibrator
from segue.recommend.lessons import came_back, consumptions
from segue.recommend.moments import DAY_S, PERSON, Moments, Timeline, Words, person
from segue.recommend.outcomes import Outcomes

N_USERS, N_ITEMS, DAYS = 240, 20, 100
END = DAYS * DAY_S
LIKE, SKIP, RATING = (EVENT_KINDS.index(k) for k in ("like", "skip", "rating"))
PROGRESS, COMPLETE = (EVENT_KINDS.index(k) for k in ("progress", "complete"))
NOBODY = Histories.of_one([], [], [], N_ITEMS)


def events(
    rows: list[tuple[float, int, int, int, float]], n_users: int = N_USERS, n_items: int = N_ITEMS
) -> Interactions:
    """Of rows (time, user, item, kind, value)."""
    time, users, items, kind, value = (np.array(c) for c in zip(*sorted(rows), strict=True))
    names = np.array(EVENT_KINDS)[kind.astype(int)]
    return Interactions(
        users=users.astype(np.intp),
        items=items.astype(np.intp),
        weight=BehaviourWeights().weigh(names, value),
        time=time.astype(np.float64),
        n_users=n_users,
        n_items=n_items,
        value=value.astype(np.float32),
        kind=kind.astype(np.int8),
    )


def small() -> Outcomes:
    return Outcomes(trees=40, rate=0.12, least_rows=30, lessons=10_000)


def rate_of(user: int) -> float:
    """Visits a day: half of the people come often, half seldom."""
    return 0.4 if user % 2 else 0.03


def truth_of(item: int) -> float:
    """The fraction that is watched: little of the first items, nearly all of the last."""
    return 0.1 + 0.8 * item / (N_ITEMS - 1)


@pytest.fixture(scope="module")
def world() -> Training:
    """Poisson visits; a kind is repeated 9 times of 10; items decide how much is watched."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        liking = bool(rng.random() < 0.5)
        for t in np.sort(rng.uniform(0, END, rng.poisson(rate_of(user) * DAYS))):
            liking = liking if rng.random() < 0.9 else not liking
            item = int(rng.integers(N_ITEMS))
            rows.append((t, user, item, LIKE if liking else SKIP, np.nan))
            noise = float(np.clip(truth_of(item) + rng.normal(0, 0.1), 0, 1))
            rows.append((t + 60, user, item, PROGRESS, noise))
    items = tuple(Item(str(n), "movie", "", duration_s=600.0 + n) for n in range(N_ITEMS))
    profiles = tuple(Profile(gender="FM"[u % 2], age=30) for u in range(N_USERS))
    return Training(Catalogue(items), events(rows), profiles, None, END)


@pytest.fixture(scope="module")
def fitted(world: Training) -> Outcomes:
    made = small()
    made.fit(world)
    return made


def test_return_is_close_to_the_true_probability(world: Training, fitted: Outcomes) -> None:
    histories = world.interactions.histories()
    found = fitted.returns(histories, world.profiles, END)
    often = np.arange(N_USERS) % 2 == 1
    assert found[often].mean() == pytest.approx(1 - np.exp(-7 * 0.4), abs=0.06)
    assert found[~often].mean() == pytest.approx(1 - np.exp(-7 * 0.03), abs=0.06)
    assert ((found > 0) & (found < 1)).all()


def test_kinds_follow_the_last_one_and_sum_to_one(world: Training) -> None:
    alone = replace(
        world, interactions=world.interactions.where(world.interactions.kind != PROGRESS)
    )
    made = small()
    made.fit(alone)
    histories = alone.interactions.histories()
    some = np.flatnonzero(histories.counts > 0)
    histories, profiles = histories.take(some), [world.profiles[u] for u in some]
    found = made.next_kind(histories, profiles, END)
    assert found.shape == (len(some), len(EVENT_KINDS))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, RATING] == 0).all()
    liked = histories.weights[histories.indptr[1:] - 1] > 0
    assert found[liked, LIKE].mean() == pytest.approx(0.9, abs=0.06)
    assert found[~liked, SKIP].mean() == pytest.approx(0.9, abs=0.06)
    assert "every item was watched to 0%" in made.refused["fraction"]  # all that is left is skips


def test_fractions_follow_the_item(fitted: Outcomes) -> None:
    history = Histories.of_one([3, 9], [0.5, 0.5], [END - 7200, END - 3600], N_ITEMS)
    found = fitted.fraction(history, [Profile()], END, np.arange(N_ITEMS + 2))
    assert found.shape == (1, N_ITEMS + 2)
    expected = [truth_of(item) for item in range(N_ITEMS)]
    assert np.abs(found[0, :N_ITEMS] - expected).mean() < 0.08
    assert 0 < found[0, -1] < 1  # an item added later


def test_likeness_to_the_history_counts() -> None:
    """People watch all of what is like their taste and a tenth of the rest."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(200):
        for t in np.sort(rng.uniform(0, END, 12)):
            item = int(rng.integers(N_ITEMS))
            rows.append((t, user, item, PROGRESS, 1.0 if item % 2 == user % 2 else 0.1))
    values = np.eye(2, dtype=np.float32)[np.arange(N_ITEMS) % 2]
    content = Vectors(values, np.ones(N_ITEMS, dtype=np.bool_))
    items = tuple(Item(str(n), "movie", "") for n in range(N_ITEMS))
    seen = events(rows, 200)
    made = small()
    made.fit(Training(Catalogue(items), seen, (Profile(),) * 200, content, END))
    assert "next kind" in made.refused
    times = END - DAY_S * np.arange(6, 0, -1)
    history = Histories.of_one(np.arange(6), [0.9, 0.09] * 3, times, N_ITEMS)
    found = made.fraction(history, [Profile()], END, np.arange(6, N_ITEMS))[0]
    assert found[::2].mean() > 0.8
    assert found[1::2].mean() < 0.3


def test_people_never_met_and_empty_histories_are_forecast(fitted: Outcomes) -> None:
    assert 0 < fitted.returns(NOBODY, [Profile()], END)[0] < 1
    assert fitted.next_kind(NOBODY, [Profile()], END).sum() == pytest.approx(1)
    assert fitted.fraction(NOBODY, [Profile(country="CN")], END, np.array([3])).shape == (1, 1)


def test_a_batch_is_forecast_like_each_alone(world: Training, fitted: Outcomes) -> None:
    histories = world.interactions.histories(np.arange(5))
    together = fitted.returns(histories, world.profiles[:5], END)
    shares = fitted.fraction(histories, world.profiles[:5], END, np.array([1, 7]))
    for user in range(5):
        alone, profile = histories.take(np.array([user])), [world.profiles[user]]
        assert fitted.returns(alone, profile, END)[0] == pytest.approx(together[user])
        np.testing.assert_allclose(
            fitted.fraction(alone, profile, END, np.array([1, 7]))[0], shares[user]
        )


def test_a_restored_state_forecasts_bitwise_the_same(world: Training, fitted: Outcomes) -> None:
    state = {name: array.copy() for name, array in fitted.state().items()}
    for name, array in state.items():
        assert array.dtype != object, name
        assert N_USERS not in array.shape, name
    other = Outcomes()
    other.restore(state)
    histories = world.interactions.histories(np.arange(9))
    profiles = world.profiles[:9]
    for method in ("returns", "next_kind"):
        np.testing.assert_array_equal(
            getattr(fitted, method)(histories, profiles, END),
            getattr(other, method)(histories, profiles, END),
        )
    items = np.arange(N_ITEMS)
    np.testing.assert_array_equal(
        fitted.fraction(histories, profiles, END, items),
        other.fraction(histories, profiles, END, items),
    )
    assert other.refused == fitted.refused


def test_the_same_seed_learns_the_same(world: Training, fitted: Outcomes) -> None:
    again = small()
    again.fit(world)
    for name, array in fitted.state().items():
        np.testing.assert_array_equal(array, again.state()[name], err_msg=name)


def test_ratings_alone_refuse_kinds_and_fractions_and_go_on(world: Training) -> None:
    ratings = replace(world, interactions=replace(world.interactions, kind=None))
    made = small()
    made.fit(ratings)
    assert set(made.forecasts) == {"return"}
    with pytest.raises(BadInput, match=r"next kind: needs 300 past moments, got 0; import events"):
        made.next_kind(NOBODY, [Profile()], END)
    with pytest.raises(BadInput, match="record progress, complete and skip"):
        made.fraction(NOBODY, [Profile()], END, np.array([0]))
    other = Outcomes()
    other.restore(made.state())
    with pytest.raises(BadInput, match="next kind: needs 300"):
        other.next_kind(NOBODY, [Profile()], END)


def test_nothing_to_learn_and_bad_settings_are_refused(world: Training) -> None:
    few = replace(world, interactions=world.interactions.before(DAY_S), at=DAY_S)
    with pytest.raises(BadInput, match="no outcome can be predicted: next kind"):
        Outcomes().fit(few)
    with pytest.raises(BadInput, match="call fit first"):
        Outcomes().returns(NOBODY, [Profile()], END)
    with pytest.raises(BadSettings, match="trees must be above 0, got 0"):
        Outcomes(trees=0)


def test_one_kind_alone_is_nothing_to_tell_apart(world: Training) -> None:
    seen = world.interactions
    made = small()
    made.fit(replace(world, interactions=seen.where(seen.kind == PROGRESS)))
    assert "needs two outcomes" in made.refused["next kind"]
    assert "of progress" in made.refused["next kind"]


def random_events(seed: int) -> Interactions:
    rng = np.random.default_rng(seed)
    rows = [
        (float(rng.integers(40)), int(rng.integers(4)), int(rng.integers(5)), RATING, 3.0)
        for _ in range(60)
    ]
    return events(rows, 4, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_histories_of_moments_are_those_of_the_past_alone(seed: int) -> None:
    seen, rng = random_events(seed), np.random.default_rng(seed)
    timeline = Timeline(seen)
    moments = Moments(rng.integers(0, 4, 12), rng.integers(-1, 42, 12).astype(float))
    found, next_at = timeline.histories(moments), timeline.next_time(moments)
    for n, (user, t) in enumerate(zip(moments.users, moments.times, strict=True)):
        expected = seen.before(t).histories(np.array([user]))
        span = found.span(n)
        np.testing.assert_array_equal(found.items[span], expected.items)
        np.testing.assert_array_equal(found.times[span], expected.times)
        np.testing.assert_array_equal(found.weights[span], expected.weights)
        later = seen.time[(seen.users == user) & (seen.time >= t)]
        assert next_at[n] == (later[0] if len(later) else np.inf)


def test_coming_back_is_a_new_visit_in_time() -> None:
    hour = 3600.0
    rows = [(0.0, 0), (600.0, 0), (5 * DAY_S, 0), (0.0, 1), (600.0, 1), (9 * DAY_S, 1)]
    seen = events([(t, u, n, RATING, 3.0) for n, (t, u) in enumerate(rows)], 3, 6)
    moments = Moments(np.array([0, 0, 1, 1, 2]), np.array([1.0, 5 * DAY_S + 1, 1.0, 3 * DAY_S, 1]))
    found = came_back(Timeline(seen), moments, 7 * DAY_S)
    assert found.tolist() == [1, 0, 0, 1, 0]  # the event after ten minutes is the same visit
    assert came_back(Timeline(seen), moments, hour).sum() == 0


def test_what_was_watched_is_the_furthest_of_a_day() -> None:
    nan = np.nan
    rows = [
        (0.0, 0, 0, PROGRESS, 0.2),
        (10.0, 0, 0, PROGRESS, 0.7),
        (2 * DAY_S, 0, 0, COMPLETE, nan),  # another day
        (5.0, 1, 0, SKIP, nan),
        (6.0, 1, 1, COMPLETE, nan),
        (7.0, 1, 2, PROGRESS, nan),
        (8.0, 0, 2, LIKE, nan),
    ]
    found = consumptions(events(rows, 2, 3))
    assert found.time.tolist() == [0, 5, 6, 7]
    assert found.items.tolist() == [0, 0, 1, 2]
    assert found.weight.tolist() == pytest.approx([0.7, 0, 1, 0.5])


def test_what_a_person_looks_like_by_hand() -> None:
    times = [0.0, 600.0, 2 * DAY_S, 2 * DAY_S + 60]
    history = Histories.of_one([0, 1, 2, 3], [1, 1, -1, 0.5], times, 5)
    words = Words.of([Profile(gender="F", age=20)] * 20 + [Profile(gender="M")])
    codes = words.codes([Profile(gender="F", age=33), Profile(gender="M")])
    at = 3 * DAY_S + 3600
    row = dict(zip(PERSON, person(history, np.array([at]), codes[:1])[0].tolist(), strict=True))
    assert (row["entries"], row["visits"], row["last visit entries"]) == (4, 2, 2)
    assert (row["last day"], row["last week"]) == (0, 4)
    assert row["days since last"] == pytest.approx((at - times[3]) / DAY_S)
    assert row["days before last visit"] == pytest.approx((times[3] - 600) / DAY_S, rel=1e-5)
    assert (row["last weight"], row["rejected share"]) == (0.5, 0.25)
    assert row["mean weight"] == row["last five weights"] == pytest.approx(0.375)
    assert (row["hour"], row["weekday"], row["age"], row["gender"]) == (1, 3, 33, 0)
    assert np.isnan(codes[1]).all()  # too few share the word


@pytest.mark.parametrize("n", [400, 20_000])
def test_calibration_mends_bold_forecasts_and_keeps_their_order(n: int) -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.6, n)
    raw = true**2
    found = calibrator(raw, (rng.random(n) < true).astype(float))
    assert np.abs(found(raw) - true).mean() < (0.06 if n < 1000 else 0.02)
    line = found(np.linspace(0, 1, 200))
    assert (np.diff(line) >= 0).all()
    assert ((line > 0) & (line < 1)).all()


def test_a_few_odd_lessons_at_an_end_do_not_move_the_rest() -> None:
    raw = np.concatenate([[0.01], np.full(1000, 0.1), np.full(1000, 0.9), [0.99]])
    happened = np.zeros(len(raw))
    happened[1:101] = happened[1001:1901] = happened[-1] = 1
    found = calibrator(raw, happened)
    assert found(np.array([0.01, 0.1, 0.9, 0.99])) == pytest.approx([0.1, 0.1, 0.9, 0.9], abs=0.02)
