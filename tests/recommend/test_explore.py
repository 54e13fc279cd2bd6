"""Propensities are the probabilities of the draw, and value other policies without bias."""

from __future__ import annotations

import numpy as np
import pytest

from segue.core.errors import BadSettings
from segue.recommend import explore
from segue.recommend.explore import Explore, LinUcb

MEAN = np.array([0.10, 0.12, 0.05, 0.2, 0.11])
SD = np.array([0.03, 0.05, 0.08, 0.04, 0.001])
ROUNDS = 40_000


def test_thompson_shares_are_those_of_drawn_beliefs():
    rng = np.random.default_rng(0)
    drawn = rng.normal(MEAN, SD, size=(400_000, len(MEAN))).argmax(axis=1)
    often = np.bincount(drawn, minlength=len(MEAN)) / len(drawn)
    np.testing.assert_allclose(explore.thompson(MEAN, SD), often, atol=4e-3)


def test_thompson_of_two_is_the_closed_form():
    from scipy.special import ndtr  # noqa: PLC0415

    shares = explore.thompson(MEAN[:2], SD[:2])
    assert shares[1] == pytest.approx(ndtr(0.02 / np.hypot(*SD[:2])), abs=1e-9)
    np.testing.assert_allclose(explore.thompson(np.zeros(7), np.ones(7)), 1 / 7)


@pytest.mark.parametrize("shares", [
    explore.mixed(explore.thompson(MEAN, SD), 0.2),
    explore.mixed(explore.best_alone(MEAN), 0.3),
])  # fmt: skip
def test_draws_are_as_frequent_as_their_propensities_say(shares):
    rng = np.random.default_rng(1)
    found = [explore.draw([shares], [3], rng)[0] for _ in range(ROUNDS)]
    assert {one.place for one in found} == {3}
    often = np.bincount([one.at for one in found], minlength=len(shares)) / ROUNDS
    error = np.sqrt(shares * (1 - shares) / ROUNDS)
    assert np.all(np.abs(often - shares) < 4.5 * error)
    for one in found[:100]:
        assert one.propensity == shares[one.at]


def test_two_places_draw_from_candidates_of_their_own():
    groups = explore.dealt(7, 2)
    assert [g.tolist() for g in groups] == [[0, 2, 4, 6], [1, 3, 5]]
    shares = []
    for group in groups:
        whole = np.zeros(7)
        whole[group] = explore.mixed(np.ones(len(group)) / len(group), 0.1)
        shares.append(whole)
    rng = np.random.default_rng(2)
    pairs = [tuple(d.at for d in explore.draw(shares, [3, 7], rng)) for _ in range(ROUNDS)]
    assert {a % 2 for a, _ in pairs} == {0}
    assert {b % 2 for _, b in pairs} == {1}
    second = np.bincount([b for _, b in pairs], minlength=7) / ROUNDS
    assert np.all(np.abs(second - shares[1]) < 4.5 * np.sqrt(0.25 / ROUNDS))


def test_the_value_of_showing_all_alike_is_told_without_bias():
    """Inverse propensities weigh what Thompson showed to what equal shares would have earned."""
    rng = np.random.default_rng(3)
    rates = np.array([0.3, 0.05, 0.1, 0.6, 0.02])
    shares = explore.mixed(explore.thompson(MEAN, SD), 0.2)
    earned, plain = [], []
    for _ in range(ROUNDS):
        one = explore.draw([shares], [0], rng)[0]
        taken = rng.random() < rates[one.at]
        earned.append(taken / len(shares) / one.propensity)
        plain.append(taken)
    error = np.std(earned) / np.sqrt(ROUNDS)
    assert abs(np.mean(earned) - rates.mean()) < 4 * error
    assert abs(np.mean(plain) - rates.mean()) > 20 * error  # unweighed it would be wrong


def test_every_candidate_keeps_a_floor():
    shares = explore.mixed(explore.best_alone(np.array([1.0, 5.0, 2.0])), 0.3)
    np.testing.assert_allclose(shares, [0.1, 0.8, 0.1])


def test_beliefs_follow_what_was_taken():
    settings = Explore()
    shown, taken = np.array([0, 0, 100, 100]), np.array([0, 0, 50, 0])
    mean, sd = explore.expected(shown, taken, np.array([1.0, 0.0, 0.5, 0.5]), settings)
    assert mean[0] == pytest.approx(0.15)
    assert mean[1] == pytest.approx(0.05)
    assert mean[2] > mean[0] > mean[3]
    assert sd[3] < sd[1]


def test_linucb_is_a_ridge_regression_that_doubts_what_it_has_not_seen():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 4))
    x[:, 3] = 0
    taken = x @ np.array([0.5, -0.2, 0.0, 0.9])
    fitted = LinUcb.of(x, taken)
    np.testing.assert_allclose(
        fitted.coefficients, np.linalg.solve(x.T @ x + np.eye(4), x.T @ taken), atol=1e-10
    )
    seen, unseen = np.eye(4)[[0, 3]]
    assert fitted.upper(unseen[None], 1.0)[0] == pytest.approx(1.0)
    assert fitted.upper(seen[None], 1.0)[0] < 0.7


def test_features_tell_the_time_of_day_and_where_items_stand():
    places = np.random.default_rng(5).normal(size=(3, 30)).astype("f4")
    found = explore.features(places, np.array([0.0, 43_200.0, 86_400.0]))
    assert found.shape == (3, explore.FEATURES + 3)
    np.testing.assert_allclose(found[0, :3], found[2, :3], atol=1e-9)
    assert found[1, 2] == pytest.approx(-1)


def test_what_is_drawn_takes_its_place_and_the_rest_moves_down():
    assert explore.inserted(list("abcde"), {3: "X"}, 5) == list("abcXd")
    assert explore.inserted(list("abc"), {3: "X"}, 9) == list("abcX")


def test_places_leave_the_top_alone():
    assert Explore(slots=3, first=1, every=2).places(10) == [1, 3, 5]
    assert Explore(slots=3, first=4).places(5) == [3]
    assert Explore().places(1) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"policy": "greedy"}, "one of none, thompson, linucb"),
        ({"slots": 0}, "slots must be >= 1"),
        ({"equal": 0.0}, "equal must be > 0"),
        ({"equal": 1.5}, r"equal must be in \(0, 1\]"),
    ],
)
def test_refuses_settings_that_mean_nothing(given, words):
    with pytest.raises(BadSettings, match=words):
        Explore(**given)
