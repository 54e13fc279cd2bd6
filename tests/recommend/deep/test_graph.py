"""Propagation over the graph: the contract, and what is special to it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from contracts.strategy_contract import StrategyContract


class TestGraph(StrategyContract):
    strategy = "graph"
