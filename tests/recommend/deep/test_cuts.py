"""Histories cut in two."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import itertools

from segue.core.types import Histories, Training
from segue.recommend.deep.cuts import Cut, cut, trainable


def halves(made: Cut, n: int) -> list[tuple[list[int], list[int]]]:
    """(items before, targets) of each person."""
    ends = [*made.bags.offsets.tolist(), len(made.bags.items)]
    inside = [made.bags.items[a:b].tolist() for a, b in itertools.pairwise(ends)]
    target = [made.target[made.owner == user].tolist() for user in range(n)]
    return list(zip(inside, target, strict=True))


@pytest.fixture(scope="module")
def histories(ml100k: Training) -> Histories:
    found = trainable(ml100k.interactions.histories())
    return found.take(np.arange(50))


@pytest.mark.parametrize("ordered", [True, False])
def test_the_parts_of_a_cut_are_the_history(histories: Histories, ordered: bool) -> None:
    rng, everybody = np.random.default_rng(0), np.arange(histories.n_users)
    made = cut(
        histories, everybody, rng, ahead=10_000, half_lives=(None,), power=1, ordered=ordered
    )
    in_time = 0
    for user, (before, after) in enumerate(halves(made, histories.n_users)):
        span = slice(histories.indptr[user], histories.indptr[user + 1])
        whole = histories.items[span].tolist()
        kept = [i for i, w in zip(whole, histories.weights[span], strict=True) if w >= 0]
        assert set(after) <= set(kept)
        assert set(kept) <= {*before, *after}
        assert len(before) >= 1
        in_time += before == whole[: len(before)]
    assert in_time == histories.n_users if ordered else in_time < histories.n_users / 5
