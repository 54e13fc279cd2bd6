"""Who takes an item: people whose probabilities are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from segue.core.errors import BadInput
from segue.core.types import DAY_S, Catalogue, Interactions, Item, Profile, Training
from segue.recommend.blend import Blend
from segue.recommend.features import Side
from segue.recommend.plain_blend import Single, SingleSettings
from segue.recommend.takers import Collector, Takers, about, draw, met_names, met_rows

N_USERS, N_ITEMS, DAYS = 400, 120, 200
HALF = N_ITEMS // 2


@pytest.fixture(scope="module")
def training() -> Training:
    """Even people like even items nine times in ten. A quarter stopped after 60 days."""
    rng = np.random.default_rng(0)
    n = 14_000
    users = rng.integers(0, N_USERS, n)
    end = np.where(users % 4 == 0, 60, DAYS)
    half = np.where(rng.random(n) < 0.9, users % 2, 1 - users % 2)
    items = 2 * np.minimum(rng.geometric(0.04, n) - 1, HALF - 1) + half
    time = rng.random(n) * end * DAY_S
    order = np.argsort(time)
    seen = Interactions(
        users[order], items[order], np.ones(n, dtype=np.float32), time[order], N_USERS, N_ITEMS
    )
    catalogue = Catalogue(
        tuple(Item(str(i), "movie", f"film {i}", tags=("odd",) if i % 2 else ("even",))
              for i in range(N_ITEMS))
    )  # fmt: skip
    return Training(catalogue, seen, (Profile(),) * N_USERS, None, DAYS * DAY_S)


@pytest.fixture(scope="module")
def taught(training: Training) -> tuple[Takers, Single, Side]:
    cuts = [80, 100, 120, 140, 160]
    collector = Collector.of(training, [c * DAY_S for c in cuts[:-1]], cuts[-1] * DAY_S, 0)
    assert collector.horizon_days == 30
    assert collector.cuts == {80 * DAY_S, 100 * DAY_S, 120 * DAY_S, 160 * DAY_S}
    blend = Single(SingleSettings("linear"))
    for cut in cuts:
        past = training.before(cut * DAY_S)
        side = Side()
        side.fit(past)
        collector(past, side)
    takers = Takers(horizon_days=30)
    takers.fit(collector.lessons, blend)
    return takers, blend, side


def test_weights_undo_how_pairs_were_drawn(training: Training) -> None:
    past = training.before(120 * DAY_S)
    after = training.interactions.between(120 * DAY_S, 150 * DAY_S)
    warm = np.bincount(past.interactions.items, minlength=N_ITEMS) > 0
    drawn = draw(past, after, warm, np.random.default_rng(1))
    assert drawn is not None
    seen = past.interactions.histories().seen()
    known = seen.any(axis=1)
    free = int((~seen[known][:, warm]).sum())
    new = np.zeros_like(seen)
    new[after.users, after.items] = True
    new &= ~seen & known[:, None] & warm
    assert drawn.weights[drawn.labels].sum() == pytest.approx(new.sum(), rel=0.1)
    assert drawn.weights.sum() == pytest.approx(free, rel=0.1)
    assert not seen[drawn.people[drawn.user], drawn.item].any()


def test_people_who_stopped_and_people_of_another_taste_are_less_likely(
    training: Training, taught: tuple[Takers, Single, Side]
) -> None:
    takers, blend, side = taught
    at = 160 * DAY_S
    past = training.before(at)
    histories = past.interactions.histories()
    item = 20  # of the even taste
    users = np.flatnonzero((histories.counts > 0) & ~histories.seen()[:, item])
    some = histories.take(users)
    profiles = [Profile()] * len(users)
    views = side.at_pairs({}, some, profiles, at, np.arange(len(users)), np.full(len(users), item))
    columns = side.rows(views, some, profiles, at, np.arange(len(users)), np.full(len(users), item))
    rows = met_rows(blend.plan, blend.score(columns), columns, about(some, profiles, at))
    said = takers.met(rows)
    stopped, even = users % 4 == 0, users % 2 == 0
    fans = said[even & ~stopped].mean()
    assert said[stopped].mean() < 0.2 * fans
    assert said[~even & ~stopped].mean() < 0.4 * fans
    late = training.interactions.between(at, 190 * DAY_S)
    came = np.isin(users, late.users[late.items == item]).sum()
    assert 0.4 * came < said.sum() < 2.5 * came
    # A higher score never gives a lower probability.
    names = met_names(blend.plan)
    for name in ("score", "linear", "linear an entry", "bpr"):
        higher = rows.copy()
        higher[:, names.index(name)] += 0.5
        assert (takers.met(higher) >= said).all(), name


def test_probabilities_come_true_on_days_that_taught_nothing(
    training: Training, taught: tuple[Takers, Single, Side]
) -> None:
    takers, blend, _ = taught
    at = 169 * DAY_S
    past = training.before(at)
    side = Side()
    side.fit(past)
    collector = Collector(training, 30, frozenset([at]), frozenset(), seed=9)
    collector(past, side)
    lesson = collector.lessons[0]
    rows = met_rows(blend.plan, blend.score(lesson.columns), lesson.columns, lesson.days)
    said, weights = takers.met(rows), lesson.weights
    came = float(weights[lesson.labels].sum() / weights.sum())
    assert np.average(said, weights=weights) == pytest.approx(came, rel=0.25)
    high = said >= np.quantile(said, 0.9)
    truth = np.average(lesson.labels[high], weights=weights[high])
    assert np.average(said[high], weights=weights[high]) == pytest.approx(truth, rel=0.35)


def test_state_says_the_same_again(taught: tuple[Takers, Single, Side]) -> None:
    takers = taught[0]
    again = Takers()
    again.restore(takers.state())
    rows = (
        np.random.default_rng(0)
        .normal(size=(500, len(met_names(taught[1].plan))))
        .astype(np.float32)
    )
    assert np.array_equal(again.met(rows), takers.met(rows))
    assert again.horizon_days == takers.horizon_days
    assert again.base_rate == takers.base_rate


def test_too_little_of_the_past_is_refused(training: Training) -> None:
    with pytest.raises(BadInput, match="two past moments"):
        Takers().fit([], Blend())
    past = training.before(80 * DAY_S)
    nobody = training.interactions.between(0, 0)
    warm = np.ones(N_ITEMS, dtype=np.bool_)
    assert draw(past, nobody, warm, np.random.default_rng(0)) is None


def test_content_is_asked_as_if_nobody_had_met_the_item(training: Training) -> None:
    at = 160 * DAY_S
    past = training.before(at)
    side = Side()
    side.fit(past)
    collector = Collector(training, 30, frozenset([at]), frozenset([at]))
    collector(past, side)
    told = collector.lessons[0].foretold
    assert told is not None
    # Tags alone tell even from odd films, so the promise leans to a person's own half.
    lesson = collector.lessons[0]
    promise = told[:, 0]
    assert promise[lesson.labels].mean() > np.average(
        promise[~lesson.labels], weights=lesson.weights[~lesson.labels]
    )
