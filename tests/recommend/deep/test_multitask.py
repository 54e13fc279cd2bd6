"""The multi-task net: what is special to it."""

from __future__ import annotations

from contracts.strategy_contract import StrategyContract


class TestMultitask(StrategyContract):
    strategy = "multitask"
