"""What comes next: items that follow one another in people's histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.protocols import Trial
from segue.core.types import DAY_S, Doubles, Interactions, Rows, Training
from segue.recommend.counts import Pairs, blocks, follow
from segue.recommend.matrix import (
    DENSE_ITEMS,
    EMPTY,
    SPARSE_CELLS,
    ItemMatrix,
    OverMatrix,
    known_items,
    lookup,
    strongest,
)


@dataclass
class Successors(OverMatrix):
    """Counts of "b within ``reach`` steps after a", weighted 1/lag and damped for popularity."""

    reach: int = 5
    shrink: float = 20.0
    half_life: float | None = 3.0
    window_days: float | None = None
    dense_items: int = DENSE_ITEMS
    name: str = "successors"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "reach")
        above(self, 0, "shrink", "half_life", "window_days")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "reach": trial.suggest_int("reach", 1, 30, log=True),
            "shrink": trial.suggest_float("shrink", 1.0, 300.0, log=True),
            "half_life": trial.suggest_float("half_life", 1.0, 60.0, log=True),
            "window_days": trial.suggest_categorical("window_days", [None, 30.0, 120.0]),
        }

    def fit(self, training: Training) -> None:
        seen = training.interactions
        if self.window_days is not None:
            seen = seen.between(training.at - self.window_days * DAY_S, training.at)
        items = known_items(seen)
        pairs = ordered_pairs(seen, items)
        out, into = _totals(pairs, self.reach)
        leaving = np.sqrt(out + self.shrink).astype(np.float32)
        entering = np.sqrt(into + self.shrink).astype(np.float32)
        found = []
        m = len(items)
        values = np.zeros((m, m) if m <= self.dense_items else (0, 0), dtype=np.float32)
        sides = (pairs.indptr, pairs.items, pairs.user_of, pairs.item_ptr, pairs.entries)
        for first, last in blocks(m):
            block = np.zeros((last - first, m), dtype=np.float32)
            follow(*sides, self.reach, first, block)
            block /= leaving[first:last, None] * entering
            block[np.arange(last - first), np.arange(first, last)] = 0
            if m <= self.dense_items:
                values[first:last] = block
            else:
                found.append(strongest(block, SPARSE_CELLS))
        self.matrix = ItemMatrix(items, sp.vstack(found, format="csr") if found else values)


def ordered_pairs(seen: Interactions, items: Rows) -> Pairs:
    """The entries of every history in the order of consumption, and each item's among them."""
    histories = seen.histories()
    where = lookup(items)
    at, user = where[np.minimum(histories.items, len(where) - 1)], histories.user_of
    kept = (at >= 0) & (histories.weights >= 0)
    at, user = at[kept], user[kept]
    order = np.argsort(at, kind="stable")
    counts = np.bincount(user, minlength=histories.n_users)
    return Pairs(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
        items=at.astype(np.int32),
        user_of=user.astype(np.int32),
        item_ptr=np.searchsorted(at[order], np.arange(len(items) + 1)).astype(np.intp),
        entries=order.astype(np.intp),
    )


def _totals(pairs: Pairs, reach: int) -> tuple[Doubles, Doubles]:
    """(m,) each: what all successors of an item count, and all its predecessors."""
    m = pairs.n_items
    out, into = np.zeros(m), np.zeros(m)
    for lag in range(1, reach + 1):
        same = pairs.user_of[:-lag] == pairs.user_of[lag:]
        out += np.bincount(pairs.items[:-lag][same], minlength=m) / lag
        into += np.bincount(pairs.items[lag:][same], minlength=m) / lag
    return out, into
