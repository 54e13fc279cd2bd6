"""Items and people: written idempotently by id, read whole in row order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.types import Catalogue, Item, Profile, User
from segue.store import schema
from segue.store.events import insert_ignore, numbers

_ITEM_FIELDS = (
    "id", "kind", "title", "description", "tags", "creators", "year", "language", "duration_s",
    "released_at", "added_at", "source", "licence", "content_hash", "extra",
)  # fmt: skip
_PROFILE_FIELDS = ("gender", "age", "country", "language", "occupation", "interests")


@dataclass(frozen=True)
class Upserted:
    """How many rows were new, changed, or the same as before."""

    added: int
    changed: int
    unchanged: int


def _item_row(item: Item) -> dict[str, Any]:
    row = {name: getattr(item, name) for name in _ITEM_FIELDS}
    return row | {
        "tags": list(item.tags), "creators": list(item.creators), "extra": dict(item.extra)
    }  # fmt: skip


def _user_row(user: User) -> dict[str, Any]:
    row = {name: getattr(user.profile, name) for name in _PROFILE_FIELDS}
    return row | {"id": user.id, "interests": list(user.profile.interests)}


def _upsert(engine: sa.Engine, table: sa.Table, rows: Sequence[dict[str, Any]]) -> Upserted:
    """Insert new ids and update those whose given fields differ."""
    unique = {row["id"]: row for row in rows}
    added = changed = 0
    with engine.begin() as connection:
        known = numbers(connection, table, unique)
        new = [row for row in unique.values() if row["id"] not in known]
        added = insert_ignore(connection, table, new)
        columns = [table.c[name] for name in next(iter(unique.values()), {})]
        stored = {}
        nums = list(known.values())
        for start in range(0, len(nums), 500):
            part = sa.select(*columns).where(table.c.num.in_(nums[start : start + 500]))
            stored.update({row["id"]: row for row in connection.execute(part).mappings()})
        for id_, row in unique.items():
            if id_ not in stored or all(stored[id_][name] == row[name] for name in row):
                continue
            connection.execute(sa.update(table).where(table.c.num == known[id_]).values(row))
            changed += 1
    return Upserted(added, changed, len(unique) - added - changed)


def put_items(engine: sa.Engine, items: Sequence[Item]) -> Upserted:
    """Write items by id. ``added_at`` is set on the first write and kept afterwards."""
    now = time.time()
    rows = [_item_row(item) for item in items]
    with engine.connect() as connection:
        known = numbers(connection, schema.items, (row["id"] for row in rows))
        found = connection.execute(
            sa.select(schema.items.c.id, schema.items.c.added_at)
        ) if known else ()  # fmt: skip
        first = {row[0]: row[1] for row in found}
    for row in rows:
        if row["added_at"] is None:
            row["added_at"] = first.get(row["id"], now)
    return _upsert(engine, schema.items, rows)


def put_users(engine: sa.Engine, users: Sequence[User]) -> Upserted:
    """Write people by id."""
    return _upsert(engine, schema.users, [_user_row(user) for user in users])


@dataclass(frozen=True)
class StoredCatalogue:
    """A catalogue with the database key of each row, ascending."""

    catalogue: Catalogue
    nums: npt.NDArray[np.int64]


def _item(row: Any) -> Item:
    fields = {name: row[name] for name in _ITEM_FIELDS}
    return Item(**fields | {"tags": tuple(row["tags"]), "creators": tuple(row["creators"])})


def load_catalogue(engine: sa.Engine) -> StoredCatalogue:
    """All items in row order (order of arrival)."""
    query = sa.select(schema.items).order_by(schema.items.c.num)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    nums = np.array([row["num"] for row in rows], dtype=np.int64)
    return StoredCatalogue(Catalogue(tuple(_item(row) for row in rows)), nums)


def _profile(row: Any) -> Profile:
    fields = {name: row[name] for name in _PROFILE_FIELDS}
    return Profile(**fields | {"interests": tuple(row["interests"] or ())})


@dataclass(frozen=True)
class StoredPeople:
    """All people in row order, with the database key of each, ascending."""

    ids: tuple[str, ...]
    profiles: tuple[Profile, ...]
    nums: npt.NDArray[np.int64]


def load_people(engine: sa.Engine) -> StoredPeople:
    """All people in row order (order of arrival)."""
    query = sa.select(schema.users).order_by(schema.users.c.num)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    nums = np.array([row["num"] for row in rows], dtype=np.int64)
    return StoredPeople(
        tuple(row["id"] for row in rows), tuple(_profile(row) for row in rows), nums
    )


def load_user(engine: sa.Engine, user_id: str) -> User | None:
    """One person, or None when unknown."""
    query = sa.select(schema.users).where(schema.users.c.id == user_id)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else User(row["id"], _profile(row))
