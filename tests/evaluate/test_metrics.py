"""Fast metrics against brute force, and against figures that another library gave."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.errors import BadInput
from segue.core.types import Histories, Item, Vectors
from segue.evaluate.metrics import (
    MORE_METRICS,
    coverage,
    diversity,
    hits,
    mae,
    measure,
    miscalibration,
    novelty,
    popularity,
    popularity_lift,
    rmse,
    tag_shares,
    top_items,
)

seeds = st.integers(0, 10_000)


def by_hand(top: list[int], wanted: set[int], k: int) -> dict[str, float]:
    """Every accuracy metric of one list, a place at a time."""
    found = [item in wanted for item in top[:k]]
    places = [n for n, hit in enumerate(found, start=1) if hit]
    best = sum(1 / math.log2(n + 1) for n in range(1, min(len(wanted), k) + 1))
    return {
        "ndcg": sum(1 / math.log2(n + 1) for n in places) / best,
        "recall": len(places) / len(wanted),
        "precision": len(places) / k,
        "ap": sum(sum(found[:n]) / n for n in places) / min(len(wanted), k),
        "rr": 1 / places[0] if places else 0,
        "hit": float(bool(places)),
    }


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(2, 60), st.integers(1, 25))
def test_like_brute_force(seed: int, n_items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, (4, n_items)).astype(np.float32)  # many ties
    seen = rng.random((4, n_items)) < 0.3
    relevant = (rng.random((4, n_items)) < 0.2) & ~seen
    seen[:, 0] = False
    relevant[:, 0] = True
    top = top_items(scores, seen, 25)
    found = hits(top, relevant)
    for user in range(4):
        unseen = np.flatnonzero(~seen[user])
        expected = sorted(unseen.tolist(), key=lambda i: (-scores[user, i], i))[:25]
        assert top[user].tolist() == expected + [-1] * (25 - len(expected))
        wanted = set(np.flatnonzero(relevant[user]).tolist())
        for name, value in by_hand(top[user].tolist(), wanted, k).items():
            assert getattr(found, name)(k)[user] == pytest.approx(value, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_metrics_are_shares_and_grow_with_a_better_list(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top = np.argsort(rng.random((5, 30)), axis=1)
    relevant = rng.random((5, 30)) < 0.3
    relevant[:, 3] = True
    best = top_items(relevant.astype(np.float32), np.zeros_like(relevant), 30)
    for name in ("ndcg", "recall", "precision", "ap", "rr", "hit"):
        ours, ideal = (getattr(hits(t, relevant), name)(10) for t in (top, best))
        assert ((ours >= 0) & (ours <= ideal + 1e-12) & (ideal <= 1 + 1e-12)).all()
    assert hits(best, relevant).ndcg(10) == pytest.approx(np.ones(5))
    assert hits(top, relevant).recall(30) == pytest.approx(np.ones(5))


def test_perfect_and_hopeless_rankings() -> None:
    relevant = np.zeros((1, 40), dtype=np.bool_)
    relevant[0, :5] = True
    none_seen = np.zeros_like(relevant)
    best = measure(top_items(-np.arange(40, dtype=np.float32)[None], none_seen), relevant)
    worst = measure(top_items(np.arange(40, dtype=np.float32)[None], none_seen), relevant)
    assert (best.ndcg[0], best.recall[0], best.ap[0], best.hit[0]) == (1, 1, 1, 1)
    assert (worst.ndcg[0], worst.recall[0], worst.ap[0], worst.hit[0]) == (0, 0, 0, 0)
    assert [getattr(best, name)[0] for name in MORE_METRICS] == [0.5, 1]
    assert best.coverage(40) == 0.25


def test_seen_items_never_appear() -> None:
    top = top_items(np.ones((1, 5), dtype=np.float32), np.array([[1, 0, 1, 0, 1]], dtype=np.bool_))
    assert top[0, :3].tolist() == [1, 3, -1]
    assert top_items(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.bool_), 3).shape == (2, 3)


def test_people_without_relevant_items_and_deep_cut_offs_are_refused() -> None:
    with pytest.raises(BadInput, match="1 people have no relevant item"):
        hits(np.array([[0], [1]]), np.array([[True, False], [False, False]]))
    with pytest.raises(BadInput, match="between 1 and 1, the depth of the lists, got 5"):
        hits(np.array([[0]]), np.array([[True]])).ndcg(5)


def lists(seed: int, n_items: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    top = np.argsort(rng.random((6, n_items)), axis=1)[:, :5]
    top[np.arange(5)[None, :] >= rng.integers(0, 6, 6)[:, None]] = -1
    return top


def people(seed: int, n_items: int = 12) -> Histories:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, 6)
    return Histories(
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        items=np.concatenate([rng.permutation(n_items)[:c] for c in counts]).astype(np.intp),
        weights=rng.uniform(-1, 1, counts.sum()).astype(np.float32),
        times=np.zeros(counts.sum()),
        n_items=n_items,
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_novelty_popularity_and_diversity_like_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, histories, counts = lists(seed), people(seed), rng.integers(0, 50, 12)
    values = rng.normal(size=(12, 4)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    content = Vectors(values, rng.random(12) < 0.8)
    shown = [[int(i) for i in row if i >= 0] for row in top]
    novel = [mean([-math.log2(max(counts[i], 1) / 60) for i in row]) for row in shown]
    known = [mean([float(counts[i]) for i in row]) for row in shown]
    apart = [
        mean(
            [
                1 - float(values[a].astype(float) @ values[b].astype(float))
                for a, b in itertools.combinations([i for i in row if content.present[i]], 2)
            ]
        )
        for row in shown
    ]
    np.testing.assert_allclose(novelty(top, counts, 60), novel, atol=1e-12)
    np.testing.assert_allclose(popularity(top, counts), known, atol=1e-12)
    np.testing.assert_allclose(diversity(top, content), apart, atol=1e-12)
    assert coverage(top, 12) == len({i for row in shown for i in row}) / 12
    own = [mean([float(counts[i]) for i in histories.items[histories.span(u)]]) for u in range(6)]
    both = [u for u in range(6) if own[u] == own[u] and known[u] == known[u]]
    if both and sum(own[u] for u in both):
        chosen = mean([own[u] for u in both])
        lift = (mean([known[u] for u in both]) - chosen) / chosen
        assert popularity_lift(top, histories, counts) == pytest.approx(lift)
    elif not both:
        assert math.isnan(popularity_lift(top, histories, counts))


TAGGED = tuple(
    Item(str(n), "movie", "", tags=tags)
    for n, tags in enumerate([("a",), ("a", "b"), ("b", "c", "b"), (), ("c",), ("a", "c")] * 2)
)


def tag_distribution(rows: list[tuple[int, float]]) -> dict[str, float] | None:
    total: dict[str, float] = {}
    for item, weight in rows:
        own = set(TAGGED[item].tags)
        for tag in own:
            total[tag] = total.get(tag, 0) + weight / len(own)
    everything = sum(total.values())
    return {t: v / everything for t, v in total.items()} if everything > 0 else None


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_calibration_like_brute_force(seed: int) -> None:
    top, histories = lists(seed), people(seed)
    found = miscalibration(top, histories, tag_shares(TAGGED))
    for user in range(6):
        span = histories.span(user)
        likes = zip(histories.items[span], histories.weights[span], strict=True)
        p = tag_distribution([(int(i), max(float(w), 0.0)) for i, w in likes])
        q = tag_distribution([(int(i), 1.0) for i in top[user] if i >= 0])
        if p is None or q is None:
            assert math.isnan(found[user])
            continue
        mixed = {t: 0.99 * q.get(t, 0) + 0.01 * p[t] for t in p}
        expected = sum(p[t] * math.log(p[t] / mixed[t]) for t in p if p[t] > 0)
        assert found[user] == pytest.approx(expected, abs=1e-12)


def test_a_list_like_the_history_is_calibrated() -> None:
    history = Histories.of_one([0, 2], [1, 1], [0, 1], 12)
    same, other = np.array([[6, 8]]), np.array([[4, 10]])  # the same tags; "c" alone
    tags = tag_shares(TAGGED)
    assert miscalibration(same, history, tags)[0] == pytest.approx(0, abs=1e-12)
    assert miscalibration(other, history, tags)[0] > 1


def test_errors_of_ratings() -> None:
    assert rmse([1, 2], [1, 4]) == pytest.approx(2**0.5)
    assert mae(np.array([1, 2], np.float32), [1, 4]) == 1
    with pytest.raises(BadInput, match=r"got \(1,\) and \(2,\)"):
        rmse([1], [1, 2])


# What RecTools 0.19 gives for the lists below (its NDCG with divide_by_achievable=True); it cannot
# be installed beside numpy 2 on Python 3.11, so its figures are written down here.
RECTOOLS = {
    "ndcg": [0.8772153153380494, 0.141266972859829, 0, 0.5982819568741947, 0.3501827644973758, 0,
             0.5193102680852086],
    "recall": [1, 1 / 3, 0, 0.6, 0.5, 0, 0.5],
    "precision": [0.2, 0.1, 0, 0.3, 0.3, 0, 0.4],
    "rr": [1, 0.1111111111111111, 0, 1, 0.3333333333333333, 0, 1],
    "hit": [1, 1, 0, 1, 1, 0, 1],
    "novelty": [1.3339850002884623, 1.3339850002884623, 1.2339850002884625, 1.3339850002884623,
                1.3924812503605781, 1.6509775004326936, 1.3924812503605781],
    "popularity": [5.7, 6.1, 6.3, 6.1, 5.5, 4.5, 5.9],
}  # fmt: skip


def test_the_figures_of_rectools() -> None:
    user = np.arange(7)[:, None]
    top = (7 * user + 11 * np.arange(10)[None, :]) % 30
    relevant = np.zeros((7, 30), dtype=np.bool_)
    for person in range(7):
        relevant[person, (5 * person + 3 * np.arange(person + 2)) % 30] = True
    met = [[i for i in range(30) if (u * i + i) % (2 + i % 5) == 0] for u in range(12)]
    counts = np.bincount(np.concatenate(met), minlength=30)
    found = {
        **{name: getattr(hits(top, relevant), name)(10) for name in list(RECTOOLS)[:5]},
        "novelty": novelty(top, counts, 12),
        "popularity": popularity(top, counts),
    }
    for name, expected in RECTOOLS.items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-9, err_msg=name)
