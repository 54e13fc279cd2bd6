"""Which items are worth ranking for a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from segue.core.types import Bools, Floats
from segue.recommend import counts


def union(sources: Iterable[Floats], allowed: Bools, per_source: int) -> Bools:
    """(n_users, n_items) True for the best ``per_source`` allowed items of any source.

    A source is (n_users, n_items), or (1, n_items) if it says the same to everybody.
    """
    out = np.zeros(allowed.shape, dtype=np.bool_)
    for scores in sources:
        counts.propose(np.ascontiguousarray(scores), allowed, per_source, out)
    return out
