"""Items and people: written idempotently by id, read whole in row order."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.types import Catalogue, Item, Profile, Rows, User
from segue.store import schema
from segue.store.events import insert_ignore, numbers, person_nums
from segue.store.links import pointers, stands_for

_ITEM_FIELDS = (
    "id", "kind", "title", "description", "tags", "creators", "year", "language", "duration_s",
    "released_at", "added_at", "source", "licence", "content_hash", "extra",
)  # fmt: skip
_PROFILE_FIELDS = ("gender", "age", "country", "language", "occupation", "device", "interests")


@dataclass(frozen=True)
class Upserted:
    """How many rows were new, changed, or the same as before."""

    added: int
    changed: int
    unchanged: int

    def __add__(self, other: Upserted) -> Upserted:
        return Upserted(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
        )


def _item_row(item: Item) -> dict[str, Any]:
    row = {name: getattr(item, name) for name in _ITEM_FIELDS}
    return row | {
        "tags": list(item.tags), "creators": list(item.creators), "extra": dict(item.extra)
    }  # fmt: skip


def _user_row(user: User) -> dict[str, Any]:
    row = {name: getattr(user.profile, name) for name in _PROFILE_FIELDS}
    return row | {"id": user.id, "interests": list(user.profile.interests)}


def _upsert(
    engine: sa.Engine, table: sa.Table, rows: Sequence[dict[str, Any]], fields: Collection[str]
) -> Upserted:
    """Insert new ids; of known ones update ``fields`` where any of them differs."""
    unique = {row["id"]: row for row in rows}
    with engine.begin() as connection:
        known = numbers(connection, table, unique)
        added = insert_ignore(connection, table, [r for i, r in unique.items() if i not in known])
        changes = _changes(connection, table, unique, known, fields) if fields else []
        if changes:
            values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in fields}
            update = sa.update(table).where(table.c.num == sa.bindparam("at")).values(values)
            connection.execute(update, changes)
    return Upserted(added, len(changes), len(unique) - added - len(changes))


def _changes(
    connection: sa.Connection,
    table: sa.Table,
    rows: Mapping[str, dict[str, Any]],
    known: Mapping[str, int],
    fields: Collection[str],
) -> list[dict[str, Any]]:
    """Bound values of the rows that differ from what is stored."""
    changes = []
    columns = [table.c[name] for name in ("id", *fields)]
    nums = list(known.values())
    for start in range(0, len(nums), 500):
        part = sa.select(*columns).where(table.c.num.in_(nums[start : start + 500]))
        for id_, *stored in connection.execute(part):
            given = [rows[id_][name] for name in fields]
            if stored != given:
                change = {f"new_{name}": v for name, v in zip(fields, given, strict=True)}
                changes.append(change | {"at": known[id_]})
    return changes


def put_items(
    engine: sa.Engine, items: Sequence[Item], *, fields: Collection[str] | None = None
) -> Upserted:
    """Write items by id. ``added_at`` is set on the first write and kept afterwards.

    Of items that are known, ``fields`` are brought up to date (all by default), so that a file
    with titles alone does not wipe descriptions that came from elsewhere.
    """
    now = time.time()
    rows = [_item_row(item) for item in items]
    undated = [row for row in rows if row["added_at"] is None]
    if undated:
        with engine.connect() as connection:
            first = _added_at(connection, [row["id"] for row in undated])
        for row in undated:
            row["added_at"] = first.get(row["id"], now)
    return _upsert(engine, schema.items, rows, _ITEM_FIELDS[1:] if fields is None else fields)


def _added_at(connection: sa.Connection, ids: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for start in range(0, len(ids), 500):
        query = sa.select(schema.items.c.id, schema.items.c.added_at).where(
            schema.items.c.id.in_(ids[start : start + 500])
        )
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def put_users(
    engine: sa.Engine, users: Sequence[User], *, fields: Collection[str] | None = None
) -> Upserted:
    """Write people by id; of known people, ``fields`` of the profile are updated (default: all)."""
    rows = [_user_row(user) for user in users]
    return _upsert(engine, schema.users, rows, _PROFILE_FIELDS if fields is None else fields)


def put_edges(
    engine: sa.Engine, rows: Sequence[tuple[int, int, str, float, float | None]]
) -> Upserted:
    """Write edges of the social graph: (from, to, kind, weight, time) with keys of people."""
    e = schema.edges.c
    with engine.begin() as connection:
        found = connection.execute(sa.select(e.src_num, e.dst_num, e.kind, e.weight, e.time))
        stored = {tuple(row[:3]): tuple(row[3:]) for row in found}
        given = {row[:3]: row[3:] for row in rows}
        names = ("src_num", "dst_num", "kind", "weight", "time")
        new = [dict(zip(names, k + v, strict=True)) for k, v in given.items() if k not in stored]
        added = insert_ignore(connection, schema.edges, new)
        changed = [(k, v) for k, v in given.items() if k in stored and stored[k] != v]
        if changed:
            update = (
                sa.update(schema.edges)
                .where(e.src_num == sa.bindparam("s"), e.dst_num == sa.bindparam("d"))
                .where(e.kind == sa.bindparam("k"))
                .values(weight=sa.bindparam("w"), time=sa.bindparam("t"))
            )
            bound = [dict(zip("sdkwt", k + v, strict=True)) for k, v in changed]
            connection.execute(update, bound)
    return Upserted(added, len(changed), len(given) - added - len(changed))


@dataclass(frozen=True)
class StoredCatalogue:
    """A catalogue with the database key of each row, ascending.

    ``told_by``: the row whose description each row has, where rows of one work were put together.
    """

    catalogue: Catalogue
    nums: npt.NDArray[np.int64]
    told_by: Rows | None = None


def _item(row: Any) -> Item:
    fields = {name: row[name] for name in _ITEM_FIELDS}
    return Item(**fields | {"tags": tuple(row["tags"]), "creators": tuple(row["creators"])})


def load_catalogue(engine: sa.Engine) -> StoredCatalogue:
    """All items in row order (order of arrival)."""
    query = sa.select(schema.items).order_by(schema.items.c.num)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
        gone = connection.execute(without_files()).scalars().all()
    nums = np.array([row["num"] for row in rows], dtype=np.int64)
    withdrawn = np.isin(nums, gone) if gone else None
    items = tuple(_item(row) for row in rows)
    return StoredCatalogue(Catalogue(items, withdrawn=withdrawn), nums)


def without_files() -> sa.Select[tuple[int]]:
    """Keys of items made of media that no file is of any more: their files are another item."""
    i, f = schema.items.c, schema.files.c
    has_file = sa.exists().where(f.item_num == i.num, f.status == "done")
    return sa.select(i.num).where(i.content_hash.is_not(None), ~has_file)


def profile_of(row: Any) -> Profile:
    """The profile in a row of ``users``."""
    fields = {name: row[name] for name in _PROFILE_FIELDS}
    return Profile(**fields | {"interests": tuple(row["interests"] or ())})


@dataclass(frozen=True)
class StoredPeople:
    """All people in row order, with the database key of each, ascending."""

    ids: tuple[str, ...]
    profiles: tuple[Profile, ...]
    nums: npt.NDArray[np.int64]


def load_people(engine: sa.Engine) -> StoredPeople:
    """All people in row order (order of arrival).

    The account that stands for several has the profile of all of them; what people did is read as
    its own, so the others have no history.
    """
    query = sa.select(schema.users).order_by(schema.users.c.num)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
        into = pointers(connection, "user")
    nums = np.array([row["num"] for row in rows], dtype=np.int64)
    profiles = [profile_of(row) for row in rows]
    speaks = stands_for(nums, into)
    if speaks is not None:
        accounts: dict[int, list[Profile]] = {}
        for row in np.flatnonzero(speaks != np.arange(len(speaks))).tolist():
            accounts.setdefault(int(speaks[row]), [profiles[speaks[row]]]).append(profiles[row])
        for row, several in accounts.items():
            profiles[row] = joined(several)
    return StoredPeople(tuple(row["id"] for row in rows), tuple(profiles), nums)


def load_user(engine: sa.Engine, user_id: str) -> User | None:
    """One person, or None when unknown.

    Of several accounts of one person, what the first left empty is taken from the others.
    """
    users = sa.select(schema.users)
    with engine.connect() as connection:
        nums = person_nums(connection, user_id)
        if not nums:
            return None
        if len(nums) == 1:
            row = connection.execute(users.where(schema.users.c.num == nums[0])).mappings().one()
            return User(user_id, profile_of(row))
        rows = connection.execute(users.where(schema.users.c.num.in_(nums))).mappings()
        accounts = {row["num"]: profile_of(row) for row in rows}
    return User(user_id, joined([accounts[num] for num in nums]))


def joined(profiles: Sequence[Profile]) -> Profile:
    """One person's profile of several accounts: the first that says a thing is heard."""
    told: dict[str, Any] = {}
    for name in _PROFILE_FIELDS:
        said = (getattr(profile, name) for profile in profiles)
        told[name] = next((value for value in said if value not in (None, (), "")), None)
    told["interests"] = tuple(dict.fromkeys(i for p in profiles for i in p.interests))
    return Profile(**told)
