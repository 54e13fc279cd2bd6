"""Fast metrics against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.evaluate.metrics import measure, top_items


def brute(scores: list[float], seen: list[bool], relevant: list[bool]) -> tuple[float, ...]:
    order = sorted((i for i in range(len(scores)) if not seen[i]), key=lambda i: (-scores[i], i))
    hits = [relevant[i] for i in order]
    wanted = sum(relevant)
    gain = sum(1 / math.log2(n + 2) for n, hit in enumerate(hits[:10]) if hit)
    best = sum(1 / math.log2(n + 2) for n in range(min(wanted, 10)))
    ap = sum(sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits[:10]) if hit)
    return gain / best, sum(hits[:20]) / wanted, ap / min(wanted, 10), float(any(hits[:10]))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_like_brute_force(seed: int, n_items: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, (4, n_items)).astype(np.float32)  # many ties
    seen = rng.random((4, n_items)) < 0.3
    relevant = (rng.random((4, n_items)) < 0.2) & ~seen
    seen[:, 0] = False
    relevant[:, 0] = True
    found = measure(top_items(scores, seen), relevant)
    for user in range(4):
        expected = brute(scores[user].tolist(), seen[user].tolist(), relevant[user].tolist())
        got = (found.ndcg[user], found.recall[user], found.ap[user], found.hit[user])
        assert got == pytest.approx(expected)


def test_perfect_and_hopeless_rankings() -> None:
    relevant = np.zeros((1, 40), dtype=np.bool_)
    relevant[0, :5] = True
    none_seen = np.zeros_like(relevant)
    best = measure(top_items(-np.arange(40, dtype=np.float32)[None], none_seen), relevant)
    worst = measure(top_items(np.arange(40, dtype=np.float32)[None], none_seen), relevant)
    assert (best.ndcg[0], best.recall[0], best.ap[0], best.hit[0]) == (1, 1, 1, 1)
    assert (worst.ndcg[0], worst.recall[0], worst.ap[0], worst.hit[0]) == (0, 0, 0, 0)
    assert best.coverage(40) == 0.25


def test_seen_items_never_appear() -> None:
    top = top_items(np.ones((1, 5), dtype=np.float32), np.array([[1, 0, 1, 0, 1]], dtype=np.bool_))
    assert top[0, :3].tolist() == [1, 3, -1]
