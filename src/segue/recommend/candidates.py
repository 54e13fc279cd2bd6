"""Which items are worth ranking for a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from segue.core.types import Bools, Floats


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
