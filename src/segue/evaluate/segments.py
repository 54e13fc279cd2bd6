"""Who wins where: the same rankings for new and heavy users, for new, tail and head items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import DAY_S, Bools, Doubles, Histories, Rows
from segue.evaluate.compare import Interval, bootstrap_all, difference, verdict
from segue.evaluate.metrics import hits

COLD = 5  # longest history of a cold user
HEAVY = 100  # a longer history is a heavy user's, however long the others' are
NEW_DAYS = 30.0  # an item is new for so long after it was first seen
TAIL_SHARE = 0.2  # of the events, which the items of the tail together make up
Of = Literal["everybody", "people", "items"]


@dataclass(frozen=True)
class SegmentLine:
    """One segment: the mean of each strategy with its interval, and who wins.

    ``winner`` is None when the interval of ``gap`` (the best minus the runner-up, by mean) holds
    zero: no difference. ``gap`` and ``runner_up`` are None when there is one strategy alone, which
    then wins nothing.
    """

    of: Of
    segment: str
    metric: str
    n_people: int
    means: Mapping[str, Interval]  # best first
    best: str
    runner_up: str | None
    gap: Interval | None
    winner: str | None

    @property
    def said(self) -> str:
        """The winner in words."""
        if self.winner is not None:
            return self.winner
        if self.runner_up is None:
            return f"{self.best} alone"
        return f"no difference ({self.best}, {self.runner_up})"


def people(histories: Histories) -> dict[str, Bools]:
    """(n_users,) masks by the length of the history as of the cut; everybody is in one.

    Cold: at most 5 entries. Heavy: more than 100, or more than three quarters of the people have.
    Warm: the rest.
    """
    length = histories.counts
    quarter = float(np.quantile(length, 0.75)) if len(length) else 0.0
    cold = length <= COLD
    heavy = ~cold & (length > min(HEAVY, quarter))
    return {"cold users": cold, "warm users": ~cold & ~heavy, "heavy users": heavy}


def items(item_counts: Rows, first_seen: Doubles, at: float) -> dict[str, Bools]:
    """(n_items,) masks as of ``at``; every item is in one.

    New: first seen within 30 days, or never. Tail: the least popular of the others that make up at
    most 20 % of their events; items of one count stay together. Head: the rest.
    ``first_seen`` is in Unix seconds, anything for an item without events.
    """
    counts = np.asarray(item_counts)
    new = (counts == 0) | (first_seen > at - NEW_DAYS * DAY_S)
    events_of = np.bincount(counts[~new], weights=counts[~new])  # by count, ascending
    share = np.cumsum(events_of) / max(events_of.sum(), 1)
    below = int(np.searchsorted(share, TAIL_SHARE, side="right"))  # counts under it are the tail
    tail = ~new & (counts < below)
    return {"new items": new, "tail items": tail, "head items": ~new & ~tail}


def by_segment(
    per_strategy: Mapping[str, Rows],
    relevant: Bools,
    histories: Histories,
    item_counts: Rows,
    first_seen: Doubles,
    at: float,
    rng: np.random.Generator,
) -> tuple[SegmentLine, ...]:
    """Everybody, then each segment of people (NDCG@10) and of items (Recall@20).

    ``per_strategy`` holds rankings (n_users, >= 20) over everything unseen; ``relevant`` is
    (n_users, n_items), ``histories`` those of the same people, ``item_counts`` and ``first_seen``
    (n_items,) as of ``at``. A segment of items asks how much of what people wanted of it was found.
    Segments without anybody to measure are left out.
    """
    if not per_strategy:
        raise BadInput("segments need at least one ranking, got none")
    wanting = relevant.any(axis=1)
    masks = {"everybody": np.ones(len(relevant), dtype=np.bool_), **people(histories)}
    out = []
    for name, mask in masks.items():
        chosen = mask & wanting
        values = {s: hits(t[chosen], relevant[chosen]).ndcg(10) for s, t in per_strategy.items()}
        of: Of = "everybody" if name == "everybody" else "people"
        out.append(_line(of, name, "NDCG@10", values, rng))
    for name, kept in items(item_counts, first_seen, at).items():
        inside = relevant & kept
        chosen = np.asarray(inside.any(axis=1))
        values = {s: hits(t[chosen], inside[chosen]).recall(20) for s, t in per_strategy.items()}
        out.append(_line("items", name, "Recall@20", values, rng))
    return tuple(line for line in out if line is not None)


def _line(
    of: Literal["everybody", "people", "items"],
    segment: str,
    metric: str,
    values: Mapping[str, Doubles],
    rng: np.random.Generator,
) -> SegmentLine | None:
    """None when nobody is in the segment."""
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1)
    if not len(table):
        return None
    means = dict(zip(names, bootstrap_all(table, rng), strict=True))
    order = sorted(names, key=lambda name: -means[name].mean)
    best, runner_up = order[0], order[1] if len(order) > 1 else None
    gap = None if runner_up is None else difference(values[best], values[runner_up], rng)
    return SegmentLine(
        of=of,
        segment=segment,
        metric=metric,
        n_people=len(table),
        means={name: means[name] for name in order},
        best=best,
        runner_up=runner_up,
        gap=gap,
        winner=best if gap is not None and verdict(gap) == "better" else None,
    )
