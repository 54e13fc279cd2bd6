"""Two towers: the contract, and what is special to them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from contracts.strategy_contract import StrategyContract


class TestTowers(StrategyContract):
    strategy = "towers"
