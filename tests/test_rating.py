"""How ratings are held out and measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue import rating
from segue.core.errors import BadInput
from segue.core.types import Interactions, Training
from tastes import N_EVENTS, N_ITEMS, N_USERS, two_tastes


@pytest.fixture(scope="module")
def rated() -> Training:
    """People rate their half of the catalogue 5 or 4 and the other half 1 or 2."""
    data = two_tastes()
    seen = data.interactions
    rng = np.random.default_rng(99)  # not the stream that drew the people
    own = seen.items % 2 == seen.users % 2
    value = np.where(own, rng.integers(4, 6, N_EVENTS), rng.integers(1, 3, N_EVENTS))
    return replace(data, interactions=replace(seen, value=value.astype(np.float32)))


def test_the_latest_rating_of_a_pair_counts(rated: Training) -> None:
    seen = rating.of_ratings(rated)
    keys = seen.users * N_ITEMS + seen.items
    assert len(np.unique(keys)) == len(keys) < N_EVENTS
    assert seen.value is not None
    everything = rated.interactions
    assert everything.value is not None
    last = np.flatnonzero((everything.users == seen.users[0]) & (everything.items == seen.items[0]))
    assert seen.value[0] == everything.value[last[-1]]


def test_each_rating_is_in_one_part() -> None:
    part = rating.parts(1000, seed=3)
    assert np.bincount(part).tolist() == [640, 160, 200]
    np.testing.assert_array_equal(part, rating.parts(1000, seed=3))
    assert (part != rating.parts(1000, seed=4)).any()


def test_without_ratings_it_says_what_to_import() -> None:
    with pytest.raises(BadInput, match="no event carries a rating"):
        rating.of_ratings(two_tastes())


class Constant:
    """Predicts three for everything and remembers whom it was asked about."""

    name = "constant"

    def __init__(self) -> None:
        self.known = 0

    def fit(self, training: Training) -> None:
        self.known = len(training.interactions)

    def ratings(self, histories, profiles, at):  # type: ignore[no-untyped-def]
        assert len(histories.items) <= self.known
        table = np.full((histories.n_users, histories.n_items), 3, dtype=np.float32)
        table[:, 0] = histories.counts  # tells people apart
        return table


def test_predictions_find_their_person_and_item(
    rated: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rating, "CHUNK", 7)
    seen = rating.of_ratings(rated)
    known = replace(rated, interactions=seen)
    constant = Constant()
    constant.fit(known)
    found = rating.predict(constant, known, seen)  # type: ignore[arg-type]
    counts = np.bincount(seen.users, minlength=N_USERS)
    np.testing.assert_array_equal(found, np.where(seen.items == 0, counts[seen.users], 3))


def test_the_interval_holds_the_rmse() -> None:
    rng = np.random.default_rng(0)
    actual = rng.random(500).astype(np.float32)
    predicted = actual + rng.normal(0, 0.1, 500)
    users = rng.integers(0, 50, 500)
    found = rating.rmse_interval(predicted, actual, users, rng)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(0.1, rel=0.15)
    assert found.half_width == pytest.approx(0.1 / np.sqrt(2 * 500) * 1.96, rel=0.4)


def test_raters_are_measured_and_only_the_whole_list_forgives(rated: Training) -> None:
    seen: Interactions = rated.interactions
    said: list[str] = []
    report = rating.evaluate_ratings(rated, seed=0, progress=said.append)
    assert len(report.lines) >= 3
    assert sum(report.n_ratings) < len(seen)
    errors = {line.name: line.rmse.mean for line in report.lines}
    # Ratings of one half differ by one: nothing explains a variance of a quarter.
    assert min(errors.values()) == pytest.approx(0.5, abs=0.12)
    assert [line.valid_rmse for line in report.lines] == sorted(
        line.valid_rmse for line in report.lines
    )
    with pytest.raises(BadInput):
        rating.evaluate_ratings(two_tastes(), seed=0, progress=said.append, raters=["mean ratings"])
