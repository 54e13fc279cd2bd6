"""A net from content to the collaborative space: the contract, and what is special to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from contracts.strategy_contract import N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import BadSettings
from segue.core.types import Profile
from segue.recommend.deep.dropoutnet import DropoutNet


class TestDropoutNet(StrategyContract):
    strategy = "dropoutnet"


def test_an_item_never_met_is_placed_by_content() -> None:
    training = checkerboard()
    seen = training.interactions
    strategy = DropoutNet()
    strategy.fit(replace(training, interactions=seen.where(seen.items < N_ITEMS - 4)))
    for colour in (0, 1):
        scores = strategy.scores(one([colour, colour + 4]), [Profile()], 0.0)[0, -4:]
        assert scores[colour::2].min() > scores[1 - colour :: 2].max()


def test_bad_settings_are_refused() -> None:
    with pytest.raises(BadSettings, match="dropped must be between 0 and 1, got 1"):
        DropoutNet(dropped=1.0)
    with pytest.raises(BadSettings, match="dim must be >= 1, got 0"):
        DropoutNet(dim=0)
