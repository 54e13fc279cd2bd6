"""Events: written once, read by person (newest first) or all in time order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.errors import BadInput
from segue.core.types import (
    EVENT_KINDS,
    Catalogue,
    Event,
    Floats,
    Histories,
    Interactions,
    Rows,
)
from segue.store import schema
from segue.store.links import pointers, stands_for

_COLUMNS = (
    "event_id", "user_num", "item_num", "kind", "value", "time", "platform", "session",
    "position", "model_version",
)  # fmt: skip


BULK_CACHE_KB = 262_144
Stretch = tuple[float, float]
"""Start and end in Unix seconds; the end is outside."""


class Weigher(Protocol):
    """Turns kinds and values of events into weights in [-1, 1], NaN for no interaction."""

    def weigh(self, kinds: npt.NDArray[np.str_], values: Floats) -> Floats: ...

    def running(
        self, pairs: npt.NDArray[np.int64], kinds: npt.NDArray[np.str_], weights: Floats
    ) -> Floats:
        """Where a person stands on an item after each event; see ``BehaviourWeights``."""
        ...


@dataclass(frozen=True)
class Written:
    """How many events were new and how many were already there (same event id)."""

    added: int
    known: int


def numbers(
    connection: sa.Connection, table: sa.Table, ids: Iterable[str], *, step: int = 500
) -> dict[str, int]:
    """Database keys of some ids of ``items`` or ``users``; unknown ids are left out."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), step):
        rows = connection.execute(
            sa.select(table.c.id, table.c.num).where(table.c.id.in_(wanted[start : start + step]))
        )
        found.update((row[0], row[1]) for row in rows)
    return found


def keys(engine: sa.Engine, table: sa.Table) -> dict[str, int]:
    """Database keys of all ``items`` or ``users`` by id."""
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.select(table.c.id, table.c.num))}


def insert_ignore(
    connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]
) -> int:
    """Insert rows, skipping those whose unique key exists. Returns how many were inserted."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - one of two dialects
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415
    statement = insert(table).on_conflict_do_nothing()
    return int(connection.execute(statement, rows).rowcount)


def write(engine: sa.Engine, events: Sequence[Event]) -> Written:
    """Store events durably; a repeated ``event_id`` is not an error and changes nothing.

    People who are not known yet are added. Raises :class:`BadInput` when an item is unknown;
    then nothing of the batch is stored.
    """
    if not events:
        return Written(0, 0)
    with engine.begin() as connection:
        item_nums = numbers(connection, schema.items, (e.item_id for e in events))
        unknown = [e for e in events if e.item_id not in item_nums]
        if unknown:
            raise BadInput(
                f"event {unknown[0].event_id!r}: item {unknown[0].item_id!r} is not in the "
                f"catalogue ({len(unknown)} of {len(events)} events); import the item first"
            )
        user_ids = dict.fromkeys(e.user_id for e in events)
        user_nums = numbers(connection, schema.users, user_ids)
        new = [{"id": i, "interests": []} for i in user_ids if i not in user_nums]
        if new:
            insert_ignore(connection, schema.users, new)
            user_nums = numbers(connection, schema.users, user_ids)
        rows = []
        for event in events:
            row = asdict(event)
            row["user_num"] = user_nums[row.pop("user_id")]
            row["item_num"] = item_nums[row.pop("item_id")]
            rows.append(row)
        added = insert_ignore(connection, schema.events, rows)
    return Written(added, len(events) - added)


def write_rows(engine: sa.Engine, rows: Sequence[tuple[Any, ...]]) -> Written:
    """Bulk path: tuples in the order of ``BULK_COLUMNS``, keys already resolved.

    The driver's own executemany skips SQLAlchemy's per-row work: a million rows in seconds.
    """
    mark = {"qmark": "?", "format": "%s", "pyformat": "%s"}[engine.dialect.paramstyle]
    sql = (
        f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES ({', '.join([mark] * len(_COLUMNS))}) "
        "ON CONFLICT (event_id) DO NOTHING"
    )
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # New ids land all over the index: with the default 2 MB every page is written many
            # times. Halves the time of a million rows; stays for the next chunk.
            connection.exec_driver_sql(f"PRAGMA cache_size=-{BULK_CACHE_KB}")
        added = connection.exec_driver_sql(sql, list(rows)).rowcount if rows else 0
    return Written(int(added), len(rows) - int(added))


BULK_COLUMNS = _COLUMNS


class Prepared:
    """A statement that is compiled once a dialect and run by the driver itself.

    Building, coercing and compiling the same statement costs more than SQLite takes to answer it.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self._compiled: dict[str, sa.Compiled] = {}

    def all(self, connection: sa.Connection, **given: Any) -> Sequence[tuple[Any, ...]]:
        """All rows as the driver gives them; ``given`` holds every bound parameter."""
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._statement.compile(dialect=dialect)
        compiled = self._compiled[dialect.name]
        bound: Any = {**compiled.params, **given}
        if dialect.positional:
            bound = tuple(bound[name] for name in compiled.positiontup or ())  # type: ignore[attr-defined]
        cursor = connection.connection.cursor()
        try:
            cursor.execute(str(compiled), bound)
            return cursor.fetchall()
        finally:
            cursor.close()


_E, _I, _U = schema.events.c, schema.items.c, schema.users.c
_WORK = schema.links.alias("work")
# What was done with any row of a work was done with the row that stands for it.
_ITEM = sa.func.coalesce(_WORK.c.into_num, _E.item_num)
_LINKED = (_WORK.c.entity == "item") & (_WORK.c.num == _E.item_num)
_DONE = schema.events.outerjoin(_WORK, _LINKED)
_RECENT = Prepared(
    sa.select(_E.time, _E.num, _I.id, _I.title, _E.kind, _E.value)
    .select_from(_DONE.join(schema.items, _I.num == _ITEM))
    .where(_E.user_num == sa.bindparam("user"))
    .order_by(_E.time.desc(), _E.num.desc())
    .limit(sa.bindparam("limit"))
)
_HISTORY = Prepared(
    sa.select(_E.time, _E.num, _ITEM, _E.kind, _E.value)
    .select_from(_DONE)
    .where(_E.user_num == sa.bindparam("user"), _E.time < sa.bindparam("before"))
    .order_by(_E.time.desc(), _E.num.desc())
    .limit(sa.bindparam("limit"))
)


def _whose() -> sa.Select[Any]:
    """Keys of all accounts of one person, the one that stands for them first."""
    own, mine = schema.links.alias("own"), schema.links.alias("mine")
    linked = (own.c.entity == "user") & (own.c.num == _U.num)
    root = (
        sa.select(sa.func.coalesce(own.c.into_num, _U.num).label("num"))
        .select_from(schema.users.outerjoin(own, linked))
        .where(_U.id == sa.bindparam("user"))
        .cte("root")
    )
    others = sa.select(mine.c.num, sa.literal(1)).where(
        mine.c.entity == "user", mine.c.into_num == root.c.num
    )
    found = sa.select(root.c.num, sa.literal(0).label("place")).union_all(others).subquery()
    return sa.select(found.c.num).order_by(found.c.place, found.c.num)


_WHOSE = Prepared(_whose())

# In order of arrival, which every database keeps at hand; sorting by time is faster here.
_ALL = Prepared(sa.select(_E.user_num, _E.item_num, _E.kind, _E.value, _E.time).order_by(_E.num))


class Seen(NamedTuple):  # not a dataclass: 200 of them are made a request, five times as fast
    """One event of a person as the page shows it."""

    item_id: str
    title: str
    kind: str
    value: float | None
    time: float


def person_nums(connection: sa.Connection, user_id: str) -> tuple[int, ...]:
    """Keys of all accounts of one person, the one that stands for them first; () when unknown."""
    return tuple(row[0] for row in _WHOSE.all(connection, user=user_id))


def _newest(
    statement: Prepared, connection: sa.Connection, user_id: str, limit: int, **given: float
) -> Sequence[tuple[Any, ...]]:
    """A person's newest events over all their accounts; rows begin with the time and the key."""
    nums = person_nums(connection, user_id)
    found = [statement.all(connection, user=num, limit=limit, **given) for num in nums]
    if len(found) == 1:
        return found[0]
    every = sorted((row for rows in found for row in rows), key=lambda r: r[:2], reverse=True)
    return every[:limit]


def recent(engine: sa.Engine, user_id: str, limit: int = 200) -> tuple[Seen, ...]:
    """A person's last events, newest first; empty for an unknown person."""
    with engine.connect() as connection:
        found = _newest(_RECENT, connection, user_id, limit)
    return tuple(Seen._make((*row[2:], row[0])) for row in found)


@dataclass(frozen=True)
class Read:
    """A person's history; ``cut`` when there are older events than were read."""

    history: Histories
    cut: bool


def history(
    engine: sa.Engine, user_id: str, item_nums: npt.NDArray[np.int64], weigher: Weigher,
    *, limit: int = 1000, without: Sequence[Stretch] = (), before: float = np.inf,
) -> Read:  # fmt: skip
    """A person's history for a catalogue whose row r has key ``item_nums[r]`` (ascending).

    It holds what they did on every account that is theirs, with each work under the row that
    stands for it. Events on items outside the catalogue are left out, and those of the stretches
    ``without``, and those not strictly ``before`` a time. Empty for an unknown person.
    """
    with engine.connect() as connection:
        found = _newest(_HISTORY, connection, user_id, limit, before=before)
    own = [row for row in found[::-1] if not inside(row[0], without)] if without else found[::-1]
    return Read(_one_history(own, item_nums, weigher), len(found) == limit)


def inside(time: float, stretches: Sequence[Stretch]) -> bool:
    """Does a time fall into any of the stretches?"""
    return any(start <= time < end for start, end in stretches)


_MET = Prepared(
    sa.select(_E.time, _E.num, _I.id, _E.kind)
    .select_from(_DONE.join(schema.items, _I.num == _ITEM))
    .where(_E.user_num == sa.bindparam("user"))
    .where(_E.kind != "impression", _E.kind != "skip")
    .order_by(_E.time, _E.num)
)


def met_ever(engine: sa.Engine, user_id: str, *, without: Sequence[Stretch] = ()) -> dict[str, str]:
    """Item id -> the last opinion or sign of consumption, over all that a person ever did.

    A request reads the newest events alone; what was hidden or finished before them must not come
    back for that. Of the stretches ``without`` only what was hidden counts.
    """
    with engine.connect() as connection:
        found: dict[str, str] = {}
        nums = person_nums(connection, user_id)
        met = [row for num in nums for row in _MET.all(connection, user=num)]
        if len(nums) > 1:
            met.sort(key=lambda row: row[:2])
        for time, _, item_id, kind in met:
            if kind != "hide" and inside(time, without):
                continue
            if found.get(item_id) not in ("hide", "dislike") or kind in ("like", "rating"):
                found[item_id] = kind
    return found


_SHOWN = Prepared(
    sa.select(_I.id)
    .join_from(schema.events, schema.items, _E.item_num == _I.num)
    .where(_E.user_num == sa.select(_U.num).where(_U.id == sa.bindparam("user")).scalar_subquery())
    .where(_E.kind == "impression", _E.platform == sa.bindparam("platform"))
    .order_by(_E.num)
)


def shown_on(engine: sa.Engine, user_id: str, platform: str) -> tuple[str, ...]:
    """Ids of the items that a person was only shown on a platform, oldest first."""
    with engine.connect() as connection:
        return tuple(row[0] for row in _SHOWN.all(connection, user=user_id, platform=platform))


def _one_history(
    found: Sequence[Any], item_nums: npt.NDArray[np.int64], weigher: Weigher
) -> Histories:
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    times = np.array(columns[0], dtype=np.float64)
    nums = np.array(columns[2], dtype=np.int64)
    kinds = np.array(columns[3], dtype=np.str_)
    values = np.array(columns[4], dtype=np.float32)  # None becomes NaN
    weights = weigher.weigh(kinds, values) if len(found) else values
    rows = np.searchsorted(item_nums, nums)
    known = (rows < len(item_nums)) & ~np.isnan(weights)
    known[known] = item_nums[rows[known]] == nums[known]
    items = rows[known].astype(np.intp)
    interactions = Interactions(
        users=np.zeros(len(items), dtype=np.intp),
        items=items,
        weight=weigher.running(items.astype(np.int64), kinds[known], weights[known]),
        time=times[known],
        n_users=1,
        n_items=len(item_nums),
        value=values[known],
    )
    return interactions.histories()


def interactions(
    engine: sa.Engine,
    catalogue: Catalogue,
    item_nums: npt.NDArray[np.int64],
    user_nums: npt.NDArray[np.int64],
    weigher: Weigher,
    *,
    without: Mapping[int, Sequence[Stretch]] | None = None,
) -> Interactions:
    """Everything people did, in time order, in rows of ``item_nums`` and ``user_nums``.

    Rows of one work, and accounts of one person, count as the row that stands for them.
    ``without`` holds the stretches of people (by key) whose events are left out.
    """
    with engine.connect() as connection:
        found = _ALL.all(connection)
        works, accounts = pointers(connection, "item"), pointers(connection, "user")
    if without:
        found = [row for row in found if not inside(row[4], without.get(row[0], ()))]
    users, items, kinds, values, times = list(zip(*found, strict=True)) if found else [()] * 5
    del found
    time = np.array(times, dtype=np.float64)
    order = np.argsort(time, kind="stable")
    value = np.array(values, dtype=np.float32)[order]  # None becomes NaN
    named = np.array(kinds, dtype=np.str_)[order]
    weight = weigher.weigh(named, value)
    kept = ~np.isnan(weight)
    user = _rows(user_nums, users, accounts)[order][kept]
    item = _rows(item_nums, items, works)[order][kept]
    pairs = user.astype(np.int64) * len(catalogue) + item
    return Interactions(
        users=user,
        items=item,
        weight=weigher.running(pairs, named[kept], weight[kept]),
        time=time[order][kept],
        n_users=len(user_nums),
        n_items=len(catalogue),
        value=value[kept],
        kind=_code(named[kept]),
    )


def _code(kinds: npt.NDArray[np.str_]) -> npt.NDArray[np.int8]:
    """(n,) place of each kind in ``EVENT_KINDS``."""
    known, at = np.unique(kinds, return_inverse=True)
    return np.array([EVENT_KINDS.index(k) for k in known.tolist()], dtype=np.int8)[at]


def _rows(nums: npt.NDArray[np.int64], wanted: Sequence[int], into: Mapping[int, int]) -> Rows:
    rows = np.searchsorted(nums, np.array(wanted, dtype=np.int64)).astype(np.intp)
    speaks = stands_for(nums, into)
    return rows if speaks is None else speaks[rows]
