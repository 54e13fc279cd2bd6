"""Values that stages exchange.

Ids are strings outside and rows (``intp``) inside; :class:`Catalogue` is the one place that
converts items, :class:`Interactions` carries rows only. Times are Unix seconds (float64, UTC).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput
from segue.core.social import Circle, Graph

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

DAY_S = 86_400.0

ITEM_KINDS = (
    "movie", "series", "video", "short", "track", "album", "podcast", "speech", "book", "game",
    "image", "post",
)  # fmt: skip
EVENT_KINDS = (
    "impression", "click", "play", "progress", "complete", "skip", "like", "dislike", "hide",
    "save", "share", "rating",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """Anything recommendable. ``id`` is unique in a workspace; unknown fields stay empty."""

    id: str
    kind: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    year: int | None = None
    language: str | None = None
    duration_s: float | None = None
    released_at: float | None = None
    added_at: float | None = None
    source: str = ""
    licence: str = ""
    content_hash: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id:
            raise BadInput("item id is empty; give every item a non-empty id")
        if self.kind not in ITEM_KINDS:
            raise BadInput(f"item {self.id!r}: kind {self.kind!r} is not one of {ITEM_KINDS}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person said about themselves; every field is optional."""

    gender: str | None = None
    age: int | None = None
    country: str | None = None
    language: str | None = None
    occupation: str | None = None
    device: str | None = None
    interests: tuple[str, ...] = ()

    def only(self, used: Iterable[str]) -> Profile:
        """The same with every field emptied that is not ``used``: no score can tell them."""
        kept = frozenset(used)
        if kept.issuperset(PROFILE_FIELDS):
            return self
        return Profile(**{name: getattr(self, name) for name in PROFILE_FIELDS if name in kept})


PROFILE_FIELDS = tuple(f.name for f in fields(Profile))


@dataclass(frozen=True, slots=True)
class User:
    """A person known to a workspace."""

    id: str
    profile: Profile = Profile()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a person did. ``event_id`` makes a repeated delivery harmless."""

    event_id: str
    user_id: str
    item_id: str
    kind: str
    time: float
    value: float | None = None
    platform: str = ""
    session: str = ""
    position: int | None = None
    model_version: str = ""

    def __post_init__(self) -> None:
        for name in ("event_id", "user_id", "item_id"):
            if not getattr(self, name):
                raise BadInput(f"event {self.event_id!r}: {name} is empty")
        if self.kind not in EVENT_KINDS:
            raise BadInput(
                f"event {self.event_id!r}: kind {self.kind!r} is not one of {EVENT_KINDS}"
            )
        if not np.isfinite(self.time):
            raise BadInput(f"event {self.event_id!r}: time must be finite, got {self.time}")


@dataclass(frozen=True)
class Catalogue:
    """All items of a workspace in row order.

    Several rows may be one work of several platforms: ``stands_for`` is (n_items,) the row that
    speaks for each row's work, None where each speaks for itself. The others are never shown, nor
    are rows that are ``withdrawn``, (n_items,) True: their media are another item by now.
    """

    items: tuple[Item, ...]
    stands_for: Rows | None = field(default=None, compare=False)
    withdrawn: Bools | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item.id: row for row, item in enumerate(self.items)}

    def rows(self, ids: Iterable[str]) -> Rows:
        """(n,) intp; -1 where an id is unknown."""
        return np.fromiter((self._row_of.get(i, -1) for i in ids), dtype=np.intp)

    def row(self, item_id: str) -> int:
        """Row of one item; -1 when unknown."""
        return self._row_of.get(item_id, -1)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.items)

    @cached_property
    def shown(self) -> Bools:
        """(n_items,) True where a row speaks for its work, and so may be shown."""
        out = np.ones(len(self), dtype=np.bool_)
        if self.stands_for is not None:
            out &= self.stands_for == np.arange(len(self))
        return out if self.withdrawn is None else out & ~self.withdrawn

    @cached_property
    def kinds(self) -> npt.NDArray[np.str_]:
        """(n_items,) unicode."""
        return np.array([item.kind for item in self.items], dtype=np.str_)

    @cached_property
    def added_at(self) -> Doubles:
        """(n_items,) Unix seconds; NaN where unknown."""
        return np.array(
            [np.nan if i.added_at is None else i.added_at for i in self.items], dtype=np.float64
        )


@dataclass(frozen=True)
class Histories:
    """CSR over users: what each did, oldest first. The only thing a strategy sees of people.

    ``weights`` are in [-1, 1]: > 0 wanted, < 0 rejected. An item occurs at most once a user.
    ``values`` are the raw values (a rating, a fraction), NaN where there is none. ``circle`` is
    what those whom each follows did; None where nobody asked, or there is no social graph.
    """

    indptr: Rows
    items: Rows
    weights: Floats
    times: Doubles
    n_items: int
    values: Floats | None = None
    circle: Circle | None = None

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.weights) == len(self.times) == self.indptr[-1]:
            raise BadInput("items, weights and times must each hold indptr[-1] values")

    @property
    def n_users(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def counts(self) -> Rows:
        """(n_users,) length of each history."""
        return np.diff(self.indptr)

    @cached_property
    def user_of(self) -> Rows:
        """(nnz,) user position of each entry."""
        return np.repeat(np.arange(self.n_users, dtype=np.intp), self.counts)

    @cached_property
    def age_rank(self) -> Rows:
        """(nnz,) 0 for a user's newest entry, 1 for the one before, and so on."""
        return np.repeat(self.indptr[1:], self.counts) - 1 - np.arange(len(self.items))

    def seen(self) -> Bools:
        """(n_users, n_items) True where the user has any entry."""
        out = np.zeros((self.n_users, self.n_items), dtype=np.bool_)
        out[self.user_of, self.items] = True
        return out

    def span(self, user: int) -> slice:
        return slice(int(self.indptr[user]), int(self.indptr[user + 1]))

    def take(self, users: Rows) -> Histories:
        """The histories of some users, in the order given; a user may repeat."""
        counts = self.counts[users]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
        index = np.arange(indptr[-1]) + np.repeat(self.indptr[users] - indptr[:-1], counts)
        return replace(
            self,
            indptr=indptr,
            items=self.items[index],
            weights=self.weights[index],
            times=self.times[index],
            values=None if self.values is None else self.values[index],
            circle=None if self.circle is None else self.circle.take(users),
        )

    def without_each(self, user: int, items: Sequence[int] | Rows) -> Histories:
        """One copy of ``user``'s history for each of ``items``, with that item left out."""
        span = self.span(user)
        parts = [np.flatnonzero(self.items[span] != item) + span.start for item in items]
        index = np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)
        indptr = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.intp)
        same = np.full(len(parts), user, dtype=np.intp)
        return replace(
            self,
            indptr=indptr,
            items=self.items[index],
            weights=self.weights[index],
            times=self.times[index],
            values=None if self.values is None else self.values[index],
            circle=None if self.circle is None else self.circle.take(same),
        )

    @staticmethod
    def of_one(
        items: Sequence[int] | Rows,
        weights: Sequence[float] | Floats,
        times: Sequence[float] | Doubles,
        n_items: int,
    ) -> Histories:
        """The history of a single person, oldest first."""
        rows = np.asarray(items, dtype=np.intp)
        return Histories(
            indptr=np.array([0, len(rows)], dtype=np.intp),
            items=rows,
            weights=np.asarray(weights, dtype=np.float32),
            times=np.asarray(times, dtype=np.float64),
            n_items=n_items,
        )


@dataclass(frozen=True)
class Interactions:
    """What people did, as parallel columns in time order (stable), in rows.

    ``weight`` is in [-1, 1]: > 0 wanted, < 0 rejected, 0 seen without an opinion.
    ``value`` is the raw value of the event (a rating, a fraction), NaN where there is none.
    ``kind`` is its place in :data:`EVENT_KINDS`; None means ratings alone.
    """

    users: Rows
    items: Rows
    weight: Floats
    time: Doubles
    n_users: int
    n_items: int
    value: Floats | None = None
    kind: npt.NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        if not len(self.users) == len(self.items) == len(self.weight) == len(self.time):
            raise BadInput("users, items, weight and time must be of one length")
        if len(self.time) > 1 and np.any(np.diff(self.time) < 0):
            raise BadInput("interactions must be in time order; sort them by time (stable)")

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def hash(self) -> str:
        """16 hex digits over users, items, weights and times."""
        digest = hashlib.sha256()
        columns = (self.users, self.items, self.weight, self.time)
        for column, kind in zip(columns, (np.int64, np.int64, np.float32, np.float64), strict=True):
            digest.update(np.ascontiguousarray(column, dtype=kind).tobytes())
        return digest.hexdigest()[:16]

    def _take(self, index: Rows | slice) -> Interactions:
        return replace(
            self,
            users=self.users[index],
            items=self.items[index],
            weight=self.weight[index],
            time=self.time[index],
            value=None if self.value is None else self.value[index],
            kind=None if self.kind is None else self.kind[index],
        )

    def where(self, kept: Bools) -> Interactions:
        """The events where ``kept`` is True, still in time order."""
        return self._take(np.flatnonzero(kept))

    def before(self, t: float) -> Interactions:
        """Everything strictly before ``t``."""
        return self._take(slice(0, int(np.searchsorted(self.time, t, side="left"))))

    def between(self, start: float, end: float) -> Interactions:
        """Everything in ``start <= time < end``."""
        lo, hi = np.searchsorted(self.time, [start, end], side="left")
        return self._take(slice(int(lo), int(hi)))

    def histories(self, user_rows: Rows | None = None) -> Histories:
        """Histories of some users (all by default), oldest first, one entry an item.

        The latest event on an item gives its weight and time; an earlier like that a later
        dislike took back must not count.
        """
        wanted = np.arange(self.n_users) if user_rows is None else np.asarray(user_rows)
        position = np.full(self.n_users, -1, dtype=np.intp)
        position[wanted] = np.arange(len(wanted))
        kept = np.flatnonzero(position[self.users] >= 0)
        # Last occurrence of each (user, item): unique on the reversed pair keys.
        keys = self.users[kept].astype(np.int64) * self.n_items + self.items[kept]
        _, last = np.unique(keys[::-1], return_index=True)
        kept = np.sort(kept[len(kept) - 1 - last])
        order = kept[np.argsort(position[self.users[kept]], kind="stable")]
        counts = np.bincount(position[self.users[order]], minlength=len(wanted))
        return Histories(
            indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
            items=self.items[order],
            weights=self.weight[order],
            times=self.time[order],
            n_items=self.n_items,
            values=None if self.value is None else self.value[order],
        )


@dataclass(frozen=True)
class Vectors:
    """Content vectors of a catalogue: unit rows where ``present``, undefined elsewhere."""

    values: Floats  # (n_items, dim)
    present: Bools  # (n_items,)
    encoder: str = ""

    @property
    def dim(self) -> int:
        return int(self.values.shape[1])


@dataclass(frozen=True)
class Training:
    """All that a strategy may fit on: what was known before ``at``."""

    catalogue: Catalogue
    interactions: Interactions
    profiles: tuple[Profile, ...]  # by user row
    content: Vectors | None
    at: float
    social: Graph | None = None  # over user rows; None: nobody follows anybody

    @cached_property
    def hash(self) -> str:
        """16 hex digits over all that a strategy may learn from."""
        seen, content = self.interactions, self.content
        told = (self.catalogue.items, self.profiles, self.at, seen.n_users, seen.n_items)
        digest = hashlib.sha256(repr((seen.hash, told)).encode())
        for column in (
            seen.value,
            seen.kind,
            *((content.values, content.present) if content else ()),
        ):
            if column is not None:
                digest.update(np.ascontiguousarray(column).tobytes())
        if self.social is not None:
            for column in (self.social.indptr, self.social.to, self.social.weight):
                digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def before(self, t: float) -> Training:
        """The same as of an earlier time."""
        return self.knowing(self.interactions.before(t), t)

    def knowing(self, interactions: Interactions, at: float) -> Training:
        """The same as of ``at``, when only some of what people did was known."""
        social = None if self.social is None else self.social.before(at)
        return replace(self, interactions=interactions, at=at, social=social)

    @cached_property
    def _pasts(self) -> Histories:
        return self.interactions.histories()

    def with_circle(self, histories: Histories, users: Rows) -> Histories:
        """The histories of ``users`` (rows), with what those whom each follows did before ``at``.

        Attached to no more people than are scored at once: a circle is longer than a history.
        """
        if self.social is None:
            return histories
        return replace(histories, circle=self.social.circles(users, self._pasts))


@dataclass(frozen=True)
class Lean:
    """What a person said of their own taste, for every item.

    ``values`` (n_items,) are added to an item's score, in standard deviations of the scores of the
    person's candidates. ``why`` (n_items,) is the place in ``labels`` of what they asked for more
    of, -1 where nothing speaks for the item.
    """

    values: Floats
    why: Rows
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """One question: what should this person be shown at this time?"""

    user: str
    history: Histories  # of one user
    at: float
    k: int = 10
    profile: Profile = Profile()
    exclude: frozenset[str] = frozenset()
    kinds: frozenset[str] | None = None  # None: every kind
    added_after: float | None = None  # only items added later than this
    again: frozenset[str] = frozenset()  # kinds that may return to who wanted them …
    again_before: float = -float("inf")  # … if they met the item before this time
    friends: tuple[str | None, ...] = ()  # by place in the circle: who may be named in a reason
    lean: Lean | None = None  # None: the person edited nothing of their taste
    within: Bools | None = None  # (n_items,) only these may be shown; None: any

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadInput(f"k must be >= 1, got {self.k}")
        if self.history.n_users != 1:
            raise BadInput(f"a query is about one person, got {self.history.n_users} histories")


@dataclass(frozen=True, slots=True)
class Reason:
    """A part of what made a score. ``share`` is in [0, 1]; an answer's shares sum to one."""

    # history | content | popularity | profile | freshness | activity | social | taste |
    # exploration
    kind: str
    text: str
    share: float
    item_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """An item in a ranking. ``score`` orders items within one answer only."""

    id: str
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """An answer, best first."""

    entries: tuple[Scored, ...]

    def __iter__(self) -> Iterator[Scored]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a person is likely to do, as calibrated probabilities.

    None where the events say nothing about it; ``unknown`` then holds the reason by the name of
    the field.
    """

    next_kind: Mapping[str, float] | None  # kind of event -> probability; sums to one
    returns: float | None  # probability of a new visit within ``horizon_days``
    horizon_days: float
    fractions: Mapping[str, float] | None  # item id -> share in [0, 1] watched once begun
    unknown: Mapping[str, str]
