"""Country, language and device: what is popular among people who tell the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from contracts.strategy_contract import N_USERS, StrategyContract, checkerboard, one
from segue import training
from segue.core.types import Profile, Training
from segue.recommend.traits import Traits, tells


class TestTraits(StrategyContract):
    strategy = "traits"
    personal = False  # of the profile alone


@pytest.fixture(scope="module")
def countries() -> Training:
    """People of one country take even films, those of the other odd ones."""
    people = tuple(
        Profile(country=("NL", "JP")[u % 2], device="tv" if u < 3 else None) for u in range(N_USERS)
    )
    return replace(checkerboard(), profiles=people)


def test_a_newcomer_gets_what_their_country_takes(countries: Training) -> None:
    made = Traits()
    made.fit(countries)
    for country, colour in (("NL", 0), ("JP", 1)):
        scores = made.scores(one([]), [Profile(country=country)], countries.at)[0]
        assert set(np.argsort(-scores)[:10] % 2) == {colour}
    plain = made.scores(one([]), [Profile()], countries.at)[0]
    elsewhere = made.scores(one([]), [Profile(country="FR")], countries.at)[0]
    np.testing.assert_array_equal(plain, elsewhere)


def test_a_word_that_few_tell_is_no_group(countries: Training) -> None:
    made = Traits()
    made.fit(countries)
    assert made.words == {"country": ("JP", "NL"), "language": (), "device": ()}


def test_it_is_tried_where_people_tell_something_alone(countries: Training) -> None:
    assert tells(countries.profiles)
    assert "traits" in training.with_traits(countries, ())
    assert training.with_traits(checkerboard(), ("als",)) == ("als",)
    one_country = replace(countries, profiles=(Profile(country="NL"),) * N_USERS)
    assert training.with_traits(one_country, ()) == ()
