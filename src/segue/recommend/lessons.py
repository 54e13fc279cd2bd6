"""What past moments teach: did they come back, what did they do next, how much did they watch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segue.core.types import DAY_S, EVENT_KINDS, Doubles, Interactions, Rows
from segue.recommend.moments import Moments, Timeline

WEEKS = 26  # how far back people are asked about, a week apart
WHOLE_S = DAY_S  # what somebody watches of an item within a day counts as one consumption
PROGRESS, COMPLETE, SKIP = (EVENT_KINDS.index(k) for k in ("progress", "complete", "skip"))


@dataclass(frozen=True)
class Lessons:
    """Moments (n,) with what came of them: ``labels`` (n,), and ``items`` (n,) if about items."""

    moments: Moments
    labels: Doubles
    items: Rows | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Rows) -> Lessons:
        items = None if self.items is None else self.items[index]
        return Lessons(self.moments.take(index), self.labels[index], items)


def _drawn(lessons: Lessons, limit: int, rng: np.random.Generator) -> Lessons:
    """At most ``limit`` of the lessons, in time order."""
    index = np.arange(len(lessons))
    if len(index) > limit:
        index = rng.choice(index, limit, replace=False)
    return lessons.take(index[np.argsort(lessons.moments.times[index], kind="stable")])


def weekly(timeline: Timeline, end: float, rng: np.random.Generator, limit: int) -> Moments:
    """Everybody known by then, asked about at ``end`` and every week before; at most ``limit``."""
    time = timeline.events.time
    first_of = np.full(timeline.events.n_users, np.inf)
    np.minimum.at(first_of, timeline.events.users, time)
    weeks = min(WEEKS, int((end - time[0]) / (7 * DAY_S))) if len(time) else 0
    users, times = [np.zeros(0, dtype=np.intp)], [np.zeros(0)]
    for week in range(weeks):
        t = end - week * 7 * DAY_S
        known = np.flatnonzero(first_of < t)
        if len(known) > limit // weeks:
            known = np.sort(rng.choice(known, limit // weeks, replace=False))
        users.append(known)
        times.append(np.full(len(known), t))
    return Moments(np.concatenate(users), np.concatenate(times))


def in_visits(timeline: Timeline, start: float, end: float, rng: np.random.Generator) -> Moments:
    """One moment a visit of ``[start, end)``: a second after an event of it, drawn at random."""
    begins, number = timeline.visits()
    first = np.flatnonzero(begins)
    length = np.bincount(number, minlength=len(first))
    place = first + (rng.random(len(first)) * length).astype(np.intp)
    rows = timeline.order[place]
    moments = Moments(timeline.events.users[rows], timeline.events.time[rows] + 1)
    return moments.take((moments.times >= start) & (moments.times < end))


def came_back(timeline: Timeline, moments: Moments, horizon_s: float) -> Doubles:
    """(n,) 1 where the person began a new visit within ``horizon_s`` after the moment."""
    begins, _ = timeline.visits()
    starts = np.zeros(len(begins), dtype=np.bool_)
    starts[timeline.order[begins]] = True
    return_at = Timeline(timeline.events.where(starts)).next_time(moments)
    return np.asarray(return_at < moments.times + horizon_s, dtype=np.float64)


def returns(
    timeline: Timeline, at: float, horizon_s: float, rng: np.random.Generator, limit: int
) -> Lessons:
    """Half weekly, half in the middle of visits: the two times at which the model is asked."""
    end = at - horizon_s  # what came of later moments is not known yet
    regular = weekly(timeline, end, rng, limit // 2)
    start = float(regular.times.min()) if len(regular) else end
    busy = in_visits(timeline, start, end, rng)
    if len(busy) > limit // 2:
        busy = busy.take(rng.choice(len(busy), limit // 2, replace=False))
    moments = Moments(
        np.concatenate([regular.users, busy.users]), np.concatenate([regular.times, busy.times])
    )
    return _drawn(Lessons(moments, came_back(timeline, moments, horizon_s)), limit, rng)


def kinds(timeline: Timeline, rng: np.random.Generator, limit: int) -> Lessons:
    """Events with the kind that came; asked right after the one before, or right at the time.

    ``labels`` are places in :data:`EVENT_KINDS`; empty without kinds.
    """
    events = timeline.events
    if events.kind is None:
        return Lessons(Moments(np.zeros(0, dtype=np.intp), np.zeros(0)), np.zeros(0))
    order = timeline.order
    before = np.full(len(events), -np.inf)
    same = events.users[order[1:]] == events.users[order[:-1]]
    before[order[1:][same]] = events.time[order[:-1][same]]
    early = rng.random(len(events)) < 0.5
    asked = np.where(early, np.minimum(before + 1, events.time), events.time)
    asked = np.where(np.isfinite(asked), asked, events.time)
    return _drawn(Lessons(Moments(events.users, asked), events.kind.astype(np.float64)), limit, rng)


def consumptions(events: Interactions) -> Interactions:
    """How much each person watched of each item, as the ``weight``, at the time they began.

    The largest fraction reached within a day: 1 for complete, the value of progress and skip
    (half and nothing where it is not given). Other kinds say nothing of it.
    """
    kind = np.full(len(events), -1) if events.kind is None else events.kind
    telling = np.isin(kind, (PROGRESS, COMPLETE, SKIP))
    seen = events.where(telling)
    kind = kind[telling]
    value = np.full(len(seen), np.nan) if seen.value is None else seen.value
    given = np.where(np.isnan(value), np.where(kind == PROGRESS, 0.5, 0.0), value)
    fraction = np.clip(np.where(kind == COMPLETE, 1.0, given), 0, 1)
    keys = seen.users.astype(np.int64) * seen.n_items + seen.items
    _, first, pair = np.unique(keys, return_index=True, return_inverse=True)
    reached = np.zeros(len(first))
    soon = seen.time <= seen.time[first[pair]] + WHOLE_S
    np.maximum.at(reached, pair[soon], fraction[soon])
    order = np.sort(first)
    by_first = np.argsort(first, kind="stable")
    begun = seen.where(np.isin(np.arange(len(seen)), order))
    return replace(begun, weight=reached[by_first].astype(np.float32))


def fractions(begun: Interactions, at: float, rng: np.random.Generator, limit: int) -> Lessons:
    """Consumptions that had their day before ``at``, asked about when they began."""
    over = begun.before(at - WHOLE_S)
    moments = Moments(over.users, over.time)
    return _drawn(Lessons(moments, over.weight.astype(np.float64), over.items), limit, rng)
