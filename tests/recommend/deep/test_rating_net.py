"""The deep rating model: the contract, and what is special to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.rater_contract import RaterContract, parity_ratings, ratings_of
from contracts.strategy_contract import N_ITEMS
from segue.core.errors import BadSettings
from segue.core.types import Profile
from segue.recommend.deep.rating import DeepRatings, Mixer
from segue.recommend.deep.userside import ProfileCodes, Ratings


class TestDeepRatings(RaterContract):
    rater = "deep ratings"


def quick(**settings: object) -> DeepRatings:
    return DeepRatings(**{"dim": 4, "width": 8, "epochs": 2, **settings})


def test_the_mixer_is_the_formula() -> None:
    mixer = Mixer(5, 3, 1, "tanh", 0.5).eval()
    v = torch.randn(4, 5)
    first, last = mixer.hidden[0], mixer.out
    s = torch.tanh(v @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(mixer(v), s.squeeze(1))
    assert len(list(Mixer(5, 3, 3, "relu", 0.0).parameters())) == 8
    assert len(list(Mixer(5, 3, 0, "gelu", 0.0).parameters())) == 2


def test_a_rating_never_explains_itself() -> None:
    model = quick()
    model.fit(parity_ratings())
    for others in ({}, {1: 4.0, 3: 5.0}):
        low = model.ratings(ratings_of({**others, 2: 1.0}), [Profile()], 0.0)[0]
        high = model.ratings(ratings_of({**others, 2: 5.0}), [Profile()], 0.0)[0]
        without = model.ratings(ratings_of(others), [Profile()], 0.0)[0]
        np.testing.assert_allclose([low[2], high[2]], without[2], atol=1e-5)
        assert abs(low[4] - high[4]) > 1e-4  # while it does explain the others


def test_in_training_the_target_is_taken_out_of_every_feature() -> None:
    training = parity_ratings()
    ratings, codes = Ratings(), ProfileCodes()
    past = ratings.fit(training.interactions)
    codes.fit(training.profiles)
    user, entry = np.zeros(1, dtype=np.intp), np.array([5])
    one = past.take(user)
    told = ratings.pairs(
        one, codes.encode(training.profiles[:1]), user, one.items[entry], entry, told=True
    )
    seen = training.interactions
    target = (seen.users == 0) & (seen.items == one.items[5])
    # The same from data that never held the rating: mean and spread kept, for the same units.
    blind = Ratings(ratings.low, ratings.high, ratings.mean, ratings.spread)
    kept = seen.where(~target)
    above = blind.centred(kept.value)
    blind.sums = np.stack(
        [np.bincount(kept.items, w, N_ITEMS) for w in (above**0, above, above**2)]
    ).astype(np.float32)
    later = blind.pairs(
        blind.known(kept.histories(user)),
        codes.encode(training.profiles[:1]),
        user,
        one.items[entry],
        np.array([-1]),
        told=False,
    )
    torch.testing.assert_close(told.stats, later.stats, atol=1e-5, rtol=1e-4)
    table = torch.randn(N_ITEMS, 3)
    for read in ("tastes", "choices"):
        mine, other = getattr(told, read)(table), getattr(later, read)(table)
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def test_profiles_are_one_hot_and_strangers_are_zero() -> None:
    codes = ProfileCodes()
    codes.fit([Profile("F", 20, occupation="artist"), Profile("M", 40)])
    rows = codes.encode([Profile("F", 22, occupation="artist"), Profile("X"), Profile()])
    assert rows.shape == (3, 5)
    assert rows.sum(axis=1).tolist() == [3, 0, 0]


def test_the_profile_alone_can_tell() -> None:
    """Women give 5 and men 1, whatever the item: a new person without a history is known by it."""
    training = parity_ratings()
    women = np.array([p.gender == "F" for p in training.profiles])[training.interactions.users]
    value = np.where(women, 5, 1).astype(np.float32)
    model = DeepRatings(dim=2, width=8, epochs=8, batch=8, decay=0.0)
    model.fit(replace(training, interactions=replace(training.interactions, value=value)))
    history = ratings_of({})
    woman, man = (model.ratings(history, [Profile(gender=g)], 0.0).mean() for g in "FM")
    assert woman > man + 0.5


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("layers", [0, 2])
def test_every_shape_of_net_learns(activation: str, layers: int) -> None:
    model = quick(activation=activation, layers=layers)
    model.fit(parity_ratings())
    out = model.ratings(ratings_of({0: 5.0}), [Profile()], 0.0)
    assert np.isfinite(out).all()


def test_a_seed_fixes_the_result_and_a_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    first, second = quick(), quick(checkpoint=tmp_path / "deep.ckpt")
    for model in (first, second):
        model.fit(parity_ratings())
    history = ratings_of({0: 5.0, 3: 2.0})
    np.testing.assert_array_equal(
        first.ratings(history, [Profile()], 0.0), second.ratings(history, [Profile()], 0.0)
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bad",
    [{"dim": 0}, {"layers": -1}, {"activation": "step"}, {"dropout": 1.0}, {"optimiser": "lion"}],
)
def test_settings_that_cannot_work_are_refused(bad: dict) -> None:
    with pytest.raises(BadSettings):
        DeepRatings(**bad)
    with pytest.raises(BadSettings, match="not fitted"):
        DeepRatings().ratings(ratings_of({}), [Profile()], 0.0)
