"""Propagation over the graph: the contract, and what is special to it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("torch")

from contracts.strategy_contract import StrategyContract
from segue.core.errors import BadInput
from segue.core.types import Rows, Training
from segue.recommend.deep.graph import Graph


class TestGraph(StrategyContract):
    strategy = "graph"


def test_friends_lend_a_share_of_their_taste() -> None:
    """One friend of weight 3 and one of weight 1 split the share three to one."""
    x = sp.csr_matrix(np.eye(4, dtype=np.float32))
    edges = np.array([[0, 1], [2, 0]])
    graph = Graph(social_share=0.4, edges=edges, edge_weights=np.array([3.0, 1.0], np.float32))
    mixed = graph._taste(x).toarray()
    np.testing.assert_allclose(mixed[0], [1, 0.3, 0.1, 0], atol=1e-6)
    np.testing.assert_allclose(mixed[1], [0.4, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mixed[3], [0, 0, 0, 1], atol=1e-6)


def test_edges_change_what_items_learn(before_test: Training) -> None:
    """People are tied to those of the same occupation."""
    jobs = [profile.occupation for profile in before_test.profiles]
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, len(jobs), (20_000, 2))
    edges = pairs[[jobs[a] == jobs[b] and a != b for a, b in pairs]]
    assert len(edges) > 500
    plain, tied = Graph(epochs=1, min_steps=1), Graph(epochs=1, min_steps=1, edges=edges)
    for graph in (plain, tied):
        graph.fit(before_test)
    assert np.abs(plain.vectors - tied.vectors).max() > 1e-3
    again = Graph(epochs=1, min_steps=1, edges=edges)
    again.fit(before_test)
    np.testing.assert_array_equal(again.vectors, tied.vectors)


@pytest.mark.parametrize("edges", [np.array([[0, 10_000]]), np.array([0, 1])])
def test_edges_to_nobody_are_refused(before_test: Training, edges: Rows) -> None:
    with pytest.raises(BadInput, match="edges must be"):
        Graph(edges=edges).fit(before_test)
