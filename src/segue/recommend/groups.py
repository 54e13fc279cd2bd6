"""How much more an item is consumed by people of one gender, age group or occupation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Profile, Rows, Training

AGES = (18, 25, 35, 45, 56)
SMOOTHING = 20.0  # consumptions that an item is credited with at the catalogue's own mix


def age_group(age: int | None) -> str | None:
    """The label of an age group, such as "25-34"."""
    if age is None:
        return None
    place = int(np.searchsorted(AGES, age, side="right"))
    low, high = (0, *AGES)[place], (*AGES, 200)[place] - 1
    return f"{low}+" if place == len(AGES) else f"{low}-{high}"


@lru_cache(maxsize=1024)  # one person asks for many pairs
def labels(profile: Profile) -> tuple[str, str, str]:
    """The groups of one person: gender, age group, occupation; empty where unknown."""
    return profile.gender or "", age_group(profile.age) or "", profile.occupation or ""


def log_ratios(
    column: Sequence[str], users: Rows, items: Rows, n_items: int
) -> tuple[tuple[str, ...], Floats]:
    """The groups that a column of people names, and (n_groups + 1, n_items) how much more each
    takes of an item than everybody does, as a smoothed log ratio; the last row, of who names none,
    is 0. ``users`` and ``items`` are what was consumed."""
    known = tuple(sorted({g for g in column if g}))
    code = {name: n for n, name in enumerate(known)}
    group = np.array([code.get(g, len(known)) for g in column], dtype=np.intp)
    flat = group[users] * n_items + items
    counts = np.bincount(flat, minlength=(len(known) + 1) * n_items).reshape(-1, n_items)[:-1]
    share = counts.sum(axis=1, keepdims=True) / max(int(counts.sum()), 1)
    expected = share * counts.sum(axis=0)
    ratio = np.log((counts + SMOOTHING * share + 1e-9) / (expected + SMOOTHING * share + 1e-9))
    return known, np.vstack([ratio, np.zeros((1, n_items))]).astype(np.float32)


@dataclass
class Groups:
    """Log ratios per item and group, learned on the item side. Unknown groups have ratio 0."""

    names: tuple[tuple[str, ...], ...] = ((), (), ())
    tables: tuple[Floats, ...] = field(default_factory=tuple)  # each (n_groups + 1, n_items)

    def fit(self, training: Training) -> None:
        seen = training.interactions
        kept = seen.weight >= 0
        users, items = seen.users[kept], seen.items[kept]
        of_people = list(zip(*(labels(p) for p in training.profiles), strict=True)) or [(), (), ()]
        names, tables = [], []
        for column in of_people:
            known, table = log_ratios(column, users, items, seen.n_items)
            names.append(known)
            tables.append(table)
        self.names, self.tables = tuple(names), tuple(tables)

    def affinity(self, profiles: Sequence[Profile], users: Rows, items: Rows) -> Floats:
        """(n, 3) float32 log ratios of pairs (users[i], items[i])."""
        out = np.zeros((len(items), 3), dtype=np.float32)
        of_people = [labels(p) for p in profiles]
        for column, (names, table) in enumerate(zip(self.names, self.tables, strict=True)):
            code = {name: n for n, name in enumerate(names)}
            group = np.array([code.get(p[column], len(names)) for p in of_people], dtype=np.intp)
            known = items < table.shape[1]
            out[known, column] = table[group[users][known], items[known]]
        return out

    def state(self) -> Arrays:
        out: dict[str, np.ndarray[Any, Any]] = {}
        for n, (names, table) in enumerate(zip(self.names, self.tables, strict=True)):
            out[f"names{n}"] = np.array(names, dtype=np.str_)
            out[f"table{n}"] = table
        return out

    def restore(self, state: Arrays) -> None:
        self.names = tuple(tuple(state[f"names{n}"].tolist()) for n in range(3))
        self.tables = tuple(np.asarray(state[f"table{n}"], dtype=np.float32) for n in range(3))
