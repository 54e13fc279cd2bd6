"""Which rows are one work, or one person. A merge is a row of ``links``; undoing it deletes that.

Nothing else is touched: events, profiles and identities keep the row they came with, and are read
as those of the representative. A work's rows form a tree: each row lies ``under`` the one it was
joined to, and points to the root. Taking a row out hands back whatever came with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.errors import BadInput, NotFound
from segue.core.types import Rows
from segue.store import schema

Entity = Literal["item", "user"]
UNDER = "under"  # evidence: the row that this one was joined to, at its time a root
_TABLES = {"item": schema.items, "user": schema.users}
_NAMES = {"item": "item", "user": "person"}


@dataclass(frozen=True)
class Link:
    """One row of ``links``: ``num`` is read as ``into_num``."""

    num: int
    into_num: int
    method: str
    score: float | None
    evidence: Mapping[str, Any]
    at: float

    @property
    def under(self) -> int:
        return int(self.evidence.get(UNDER, self.into_num))


@dataclass(frozen=True)
class Match:
    """Two rows that are one, and how that is known."""

    first: int
    second: int
    method: str  # learned | decided | login | email | phone
    score: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Links:
    """All links of one entity, in memory; :meth:`save` writes what was changed."""

    def __init__(self, entity: Entity, links: Iterable[Link] = ()) -> None:
        self.entity = entity
        self._links = {link.num: link for link in links}
        self._stored = dict(self._links)
        self._members: dict[int, set[int]] = {}
        for link in self._links.values():
            self._members.setdefault(link.into_num, set()).add(link.num)

    @staticmethod
    def load(connection: sa.Connection, entity: Entity) -> Links:
        table = schema.links
        columns = (getattr(table.c, name) for name in Link.__dataclass_fields__)
        query = sa.select(*columns).where(table.c.entity == entity).order_by(table.c.num)
        return Links(entity, (Link(*row) for row in connection.execute(query)))

    def __len__(self) -> int:
        return len(self._links)

    def root(self, num: int) -> int:
        """The row that stands for the work or person of ``num``."""
        link = self._links.get(num)
        return num if link is None else link.into_num

    def group(self, num: int) -> tuple[int, ...]:
        """All rows of one work or person: the representative, then the others in order."""
        root = self.root(num)
        return (root, *sorted(self._members.get(root, ())))

    def link(self, num: int) -> Link | None:
        """How a row came under its representative; None for one that stands for itself."""
        return self._links.get(num)

    def join(self, match: Match, *, at: float, weight: Mapping[int, int] | None = None) -> bool:
        """Make two rows one. The root of more ``weight`` stands for both, else the older one.

        False where they were one before.
        """
        roots = [self.root(match.first), self.root(match.second)]
        if roots[0] == roots[1]:
            return False
        of = weight or {}
        root, other = sorted(roots, key=lambda num: (-of.get(num, 0), num))
        evidence = dict(match.evidence) | {UNDER: root}
        for num in self._members.pop(other, set()):
            self._put(replace(self._links[num], into_num=root))
        self._put(Link(other, root, match.method, match.score, evidence, at))
        return True

    def part(self, num: int) -> tuple[Link, ...]:
        """Take a row out; what lay under it goes with it, what it lay under stays.

        Of a root, each row that was joined to it parts from it. Returns the links that ended.
        """
        if num in self._links:
            return (self._cut(num),)
        children = [n for n in self._members.get(num, ()) if self._links[n].under == num]
        return tuple(self._cut(child) for child in sorted(children))

    def split(self, first: int, second: int) -> tuple[Link, ...]:
        """Take two rows of one work apart: the second goes, unless the first came with it."""
        if self.root(first) != self.root(second):
            return ()
        goes = first if second == self.root(first) or first in self._below(second) else second
        return self.part(goes)

    def _cut(self, num: int) -> Link:
        gone = self._links.pop(num)
        self._members[gone.into_num].discard(num)
        for below in self._below(num, gone.into_num):
            self._members[gone.into_num].discard(below)
            self._put(replace(self._links[below], into_num=num))
        return gone

    def _below(self, num: int, root: int | None = None) -> list[int]:
        """Rows that came with ``num`` to the work of ``root``; its own by default."""
        inside, found = {num}, [num]
        members = self._members.get(self.root(num) if root is None else root, set())
        while found:
            found = [n for n in members if n not in inside and self._links[n].under in found]
            inside.update(found)
        return sorted(inside - {num})

    def _put(self, link: Link) -> None:
        self._links[link.num] = link
        self._members.setdefault(link.into_num, set()).add(link.num)

    def save(self, connection: sa.Connection) -> None:
        """Write what differs from what was loaded."""
        table = schema.links
        ended = [n for n, link in self._stored.items() if self._links.get(n) != link]
        begun = [link for n, link in self._links.items() if self._stored.get(n) != link]
        for start in range(0, len(ended), 500):
            part = ended[start : start + 500]
            mine = (table.c.entity == self.entity) & table.c.num.in_(part)
            connection.execute(sa.delete(table).where(mine))
        rows = [
            {name: getattr(link, name) for name in Link.__dataclass_fields__}
            | {"entity": self.entity, "evidence": dict(link.evidence)}
            for link in begun
        ]
        if rows:
            connection.execute(sa.insert(table), rows)
        self._stored = dict(self._links)


def merge(
    engine: sa.Engine, entity: Entity, matches: Sequence[Match], *, at: float | None = None
) -> int:
    """Make rows one, all in one transaction; returns how many links began.

    What people did most with stands for a work, so that a model keeps the rows that it knows.
    """
    when = time.time() if at is None else at
    with engine.begin() as connection:
        links = Links.load(connection, entity)
        roots = {links.root(num) for match in matches for num in (match.first, match.second)}
        weight = _events_of(connection, entity, roots)
        begun = sum(links.join(match, at=when, weight=weight) for match in matches)
        links.save(connection)
    return begun


def unmerge(engine: sa.Engine, entity: Entity, num: int) -> tuple[Link, ...]:
    """Take a row out of its work or person; returns the links that ended."""
    with engine.begin() as connection:
        links = Links.load(connection, entity)
        ended = links.part(num)
        links.save(connection)
    return ended


def keep_apart(engine: sa.Engine, entity: Entity, first: int, second: int) -> tuple[Link, ...]:
    """Take two rows apart where they are one; returns the links that ended."""
    with engine.begin() as connection:
        links = Links.load(connection, entity)
        ended = links.split(first, second)
        links.save(connection)
    return ended


def _events_of(connection: sa.Connection, entity: Entity, nums: Iterable[int]) -> dict[int, int]:
    e = schema.events.c
    column = e.item_num if entity == "item" else e.user_num
    wanted, found = sorted(nums), {}
    if len(wanted) > 500:  # one pass over all beats thousands of questions
        query = sa.select(column, sa.func.count()).group_by(column)
        return {row[0]: row[1] for row in connection.execute(query)}
    for start in range(0, len(wanted), 500):
        query = (
            sa.select(column, sa.func.count())
            .where(column.in_(wanted[start : start + 500]))
            .group_by(column)
        )
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


def num_of(engine: sa.Engine, entity: Entity, name: str) -> int:
    """The key of an item or person; :class:`NotFound` names an unknown one."""
    table = _TABLES[entity]
    with engine.connect() as connection:
        num = connection.scalar(sa.select(table.c.num).where(table.c.id == name))
    if num is None:
        where = "in the catalogue" if entity == "item" else "known here"
        raise NotFound(f"{_NAMES[entity]} {name!r} is not {where}")
    return int(num)


def pair_of(engine: sa.Engine, entity: Entity, first: str, second: str) -> tuple[int, int]:
    """The keys of two different items or people."""
    if first == second:
        raise BadInput(f"{_NAMES[entity]} {first!r} is one already; name two")
    return num_of(engine, entity, first), num_of(engine, entity, second)


def ids_of(engine: sa.Engine, entity: Entity, nums: Sequence[int]) -> dict[int, str]:
    """Ids by key."""
    table, found = _TABLES[entity], {}
    with engine.connect() as connection:
        for start in range(0, len(nums), 500):
            some = nums[start : start + 500]
            query = sa.select(table.c.num, table.c.id).where(table.c.num.in_(some))
            found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


def pointers(connection: sa.Connection, entity: Entity) -> dict[int, int]:
    """Key of each linked row -> key of its representative."""
    table = schema.links.c
    query = sa.select(table.num, table.into_num).where(table.entity == entity)
    return {row[0]: row[1] for row in connection.execute(query)}


def stands_for(nums: npt.NDArray[np.int64], into: Mapping[int, int]) -> Rows | None:
    """(n,) the row that speaks for each row of ``nums`` (ascending); None where all do so alone.

    A link to something outside ``nums`` is left out.
    """
    if not into:
        return None
    linked = np.fromiter(into, np.int64, len(into))
    roots = np.fromiter(into.values(), np.int64, len(into))
    at, to = np.searchsorted(nums, linked), np.searchsorted(nums, roots)
    inside = (at < len(nums)) & (to < len(nums))
    inside[inside] = (nums[at[inside]] == linked[inside]) & (nums[to[inside]] == roots[inside])
    out = np.arange(len(nums), dtype=np.intp)
    out[at[inside]] = to[inside]
    return out
