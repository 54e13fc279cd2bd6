"""The audience of an item: the model, the store's people and the arithmetic of segments, joined.

People are read and scored a few thousand at a time. What is kept of them is the likeliest few,
a histogram and sums of groups, so memory does not grow with the number of people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import sqlalchemy as sa

from segue.config import Contact
from segue.core.errors import BadInput, NotFound
from segue.core.types import DAY_S, Bools, Catalogue, Doubles, Histories, Profile, Rows
from segue.match.audience import LEAST_PEOPLE, Best, Cells, Curve, Segment, everybody, segments
from segue.match.groups import ATTRIBUTES, Grouping
from segue.store import contacts
from segue.store.crowd import People

Tell = Callable[[str, int, int], None]
LIFT_AT = 0.05  # share of people, the likeliest, whose lift is told

TOOK, REFUSED = "took it already", "turned it away"
NO_HISTORY = "nothing known of them"
OFTEN, LATELY = "contacted often of late", "contacted about it lately"


@runtime_checkable
class Addressing(Protocol):
    """A model that says who takes an item."""

    version: str
    catalogue: Catalogue
    fitted_at: float

    def horizon(self) -> float:
        """How many days ahead it looks; refuses where the model cannot say."""

    def taking(
        self, histories: Histories, profiles: Sequence[Profile], at: float, item: int
    ) -> Doubles:
        """(n_users,) probability that each takes an item soon after ``at``."""


class Source(Protocol):
    """People with their histories, in chunks."""

    def size(self) -> int: ...

    def newest(self) -> float: ...

    def chunks(self, before: float) -> Iterator[People]: ...


@dataclass(frozen=True)
class Ask:
    """What is asked: the ``k`` likeliest people for an item as of a time."""

    item_id: str
    k: int = 100
    at: float | None = None  # None: now, which is when the model was fitted or the newest event
    takers: bool = False  # also those who took it already
    least: int = LEAST_PEOPLE  # people of a segment

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadInput(f"k must be >= 1, got {self.k}")
        if self.least < LEAST_PEOPLE:
            raise BadInput(
                f"a segment needs {LEAST_PEOPLE} people or more, so that nobody in it can be "
                f"recognised; got {self.least}"
            )


@dataclass(frozen=True)
class Member:
    """One person of an audience; ``probability`` is of taking the item within the horizon."""

    user_id: str
    probability: float


@dataclass(frozen=True)
class Found:
    """A segment with its description in words."""

    words: str
    segment: Segment


@dataclass(frozen=True)
class Audience:
    """The answer. ``nums`` are the database keys of ``members``, for a record of contacts."""

    item_id: str
    title: str
    version: str
    at: float
    horizon_days: float
    met: bool  # has anybody taken the item before?
    people: int  # who may be addressed
    expected: float  # of them, how many would take it by themselves within the horizon
    members: tuple[Member, ...]
    segments: tuple[Found, ...]
    too_small: int  # descriptions that fit fewer people than may be named
    left_out: dict[str, int]
    lift: float  # of the likeliest LIFT_AT
    nums: Rows = field(repr=False, compare=False)
    curve: Curve = field(repr=False, compare=False)

    @property
    def base_rate(self) -> float:
        return self.expected / max(self.people, 1)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "item_id": self.item_id,
            "title": self.title,
            "model_version": self.version,
            "at": self.at,
            "horizon_days": self.horizon_days,
            "met": self.met,
            "people": self.people,
            "expected": self.expected,
            "base_rate": self.base_rate,
            "lift_top_5_percent": self.lift,
            "left_out": dict(self.left_out),
            "users": [
                {"user_id": m.user_id, "probability": m.probability} for m in self.members
            ],
            "segments": [
                {
                    "words": f.words,
                    "people": f.segment.people,
                    "expected": f.segment.expected,
                    "rate": f.segment.rate,
                    "rate_low": f.segment.low,
                    "rate_high": f.segment.high,
                    "lift": f.segment.lift,
                    "lift_low": f.segment.lift_low,
                    "lift_high": f.segment.lift_high,
                }
                for f in self.segments
            ],
            "segments_too_small": self.too_small,
        }  # fmt: skip


def find_audience(
    model: Addressing,
    people: Source,
    ask: Ask,
    *,
    peace: contacts.Reached | None = None,
    tell: Tell = lambda _label, _done, _total: None,
) -> Audience:
    """The people whom an item suits, likeliest first, with segments in words."""
    row = model.catalogue.row(ask.item_id)
    if row < 0:
        raise NotFound(f"item {ask.item_id!r} is not in the catalogue")
    horizon = model.horizon()
    newest = people.newest()
    now = max(model.fitted_at, newest)
    at = now if ask.at is None else min(ask.at, now)
    tally = _Tally(row, ask, Grouping(model.catalogue))
    total, done = people.size(), 0
    for some in people.chunks(at):
        tally.add(model, some, at, peace)
        done += len(some)
        tell("people", done, total)
    cells = tally.cells
    named, small = segments(cells, least=ask.least)
    whole = everybody(cells)
    item = model.catalogue.items[row]
    return Audience(
        item_id=item.id,
        title=item.title,
        version=model.version,
        at=at,
        horizon_days=horizon,
        met=tally.met,
        people=0 if whole is None else whole.people,
        expected=0.0 if whole is None else whole.expected,
        members=tally.members(),
        segments=tuple(Found(tally.grouping.words(s.conditions), s) for s in named),
        too_small=small,
        left_out={reason: n for reason, n in tally.left_out.items() if n},
        lift=tally.curve.lift(LIFT_AT),
        nums=tally.best.rows,
        curve=tally.curve,
    )


class _Tally:
    """What is kept while people stream by."""

    def __init__(self, row: int, ask: Ask, grouping: Grouping) -> None:
        self.row, self.ask, self.grouping = row, ask, grouping
        self.best = Best(ask.k)
        self.names: dict[int, str] = {}
        self.curve, self.cells = Curve(), Cells(ATTRIBUTES)
        self.left_out: Counter[str] = Counter()
        self.met = False

    def add(
        self, model: Addressing, some: People, at: float, peace: contacts.Reached | None
    ) -> None:
        kept = self._may(some, peace)
        if not kept.any():
            return
        rows = np.flatnonzero(kept)
        profiles = [some.profiles[n] for n in rows]
        histories = some.histories.take(rows)
        values = model.taking(histories, profiles, at, self.row)
        self.best.add(some.nums[rows].astype(np.intp), values)
        held = set(self.best.rows.tolist())
        self.names = {num: name for num, name in self.names.items() if num in held}
        self.names |= {int(some.nums[n]): some.ids[n] for n in rows if int(some.nums[n]) in held}
        self.curve.add(values)
        self.cells.add(self.grouping.codes(histories, profiles, at), values)

    def _may(self, some: People, peace: contacts.Reached | None) -> Bools:
        """(n,) who may be addressed; the others are counted, each under one reason."""
        entries = some.histories
        own = np.flatnonzero(entries.items == self.row)
        self.met |= bool((entries.weights[own] >= 0).any())
        took, refused = np.zeros((2, len(some)), dtype=np.bool_)
        took[entries.user_of[own[entries.weights[own] >= 0]]] = True
        refused[entries.user_of[own[entries.weights[own] < 0]]] = True
        reasons = [
            (NO_HISTORY, entries.counts == 0),
            (REFUSED, refused),
            (TOOK, took & (not self.ask.takers)),
        ]
        if peace is not None:
            reasons += [
                (LATELY, np.isin(some.nums, peace.lately)),
                (OFTEN, np.isin(some.nums, peace.often)),
            ]
        free = np.ones(len(some), dtype=np.bool_)
        for reason, applies in reasons:
            self.left_out[reason] += int((free & applies).sum())
            free &= ~applies
        return free

    def members(self) -> tuple[Member, ...]:
        pairs = zip(self.best.rows.tolist(), self.best.values.tolist(), strict=True)
        return tuple(Member(self.names[num], value) for num, value in pairs)


def peace(engine: sa.Engine, item_num: int, rule: Contact, now: float) -> contacts.Reached:
    """Who must be left in peace about an item, by the settings of a workspace."""
    return contacts.reached(
        engine,
        item_num,
        most=rule.most,
        since=now - rule.days * DAY_S,
        since_same=now - rule.rest_days_same_item * DAY_S,
    )
