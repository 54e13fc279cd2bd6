"""Which items are worth ranking for a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from segue.core.types import Bools, Floats, Rows


def best(scores: Floats, allowed: Bools, k: int) -> Rows:
    """(n_users, k) best allowed columns, ties in catalogue order; -1 where there are fewer."""
    masked = np.where(allowed, scores, -np.inf)
    order = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    order = np.where(np.isneginf(np.take_along_axis(masked, order, axis=1)), -1, order)
    missing = k - order.shape[1]
    return np.pad(order, ((0, 0), (0, missing)), constant_values=-1) if missing > 0 else order


def union(sources: Iterable[Floats], allowed: Bools, per_source: int) -> Bools:
    """(n_users, n_items) True for the best ``per_source`` allowed items of any source."""
    n_items = allowed.shape[1]
    if n_items <= per_source:
        return allowed.copy()
    out = np.zeros_like(allowed)
    blocked = ~allowed
    for scores in sources:
        masked = -scores
        masked[blocked] = np.inf
        top = np.argpartition(masked, per_source - 1, axis=1)[:, :per_source]
        np.put_along_axis(out, top, True, axis=1)
    return np.asarray(out & allowed)
