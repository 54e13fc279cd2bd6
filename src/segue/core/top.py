"""The best columns of score rows, without sorting all of them."""

from __future__ import annotations

import numpy as np

from segue.core.types import Bools, Floats, Rows


def best(scores: Floats, allowed: Bools, k: int) -> Rows:
    """(n_users, k) best allowed columns, ties in catalogue order; -1 where there are fewer."""
    cost = np.where(allowed, -scores, np.inf)
    depth = min(k, cost.shape[1])
    if not depth:
        return np.full((len(cost), k), -1, dtype=np.intp)
    worst = np.partition(cost, depth - 1, axis=1)[:, depth - 1 : depth]
    kept = cost <= worst
    tied = np.flatnonzero(kept.sum(axis=1) > depth)
    if len(tied):
        better, equal = cost[tied] < worst[tied], cost[tied] == worst[tied]
        room = depth - better.sum(axis=1, keepdims=True)
        kept[tied] = better | (equal & (np.cumsum(equal, axis=1) <= room))
    rows = np.nonzero(kept)[1].reshape(len(cost), depth)  # in catalogue order
    costs = np.take_along_axis(cost, rows, axis=1)
    order = np.argsort(costs, axis=1, kind="stable")
    out = np.where(
        np.isposinf(np.take_along_axis(costs, order, axis=1)),
        -1,
        np.take_along_axis(rows, order, axis=1),
    )
    missing = k - depth
    return np.pad(out, ((0, 0), (0, missing)), constant_values=-1) if missing > 0 else out
