"""Everybody's histories, a few people at a time: for questions about one item and all people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.types import PROFILE_FIELDS, Bools, Doubles, Histories, Interactions, Profile
from segue.store import schema
from segue.store.catalogue import joined, profile_of
from segue.store.events import Prepared, Stretch, Weigher, inside
from segue.store.links import pointers

STEP = 2_000  # keys of people that are read at once: some 100 MB where each has hundreds of events

Nums = npt.NDArray[np.int64]

_E = schema.events.c
_ASKED = sa.select(_E.user_num, _E.item_num, _E.kind, _E.value, _E.time)
_DONE = Prepared(  # a range alone, so that it is read along the index
    _ASKED.where(_E.user_num >= sa.bindparam("first"), _E.user_num < sa.bindparam("end"))
    .where(_E.time < sa.bindparam("before"))
    .order_by(_E.user_num, _E.time, _E.num)
)


@dataclass(frozen=True)
class People:
    """Some people in order of their keys, with what each did before a time."""

    ids: tuple[str, ...]
    nums: Nums
    profiles: tuple[Profile, ...]
    histories: Histories

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Links:
    """Keys of accounts and items that are read as others."""

    accounts: Mapping[int, int]
    works: Mapping[int, int]

    @staticmethod
    def of(nums: Sequence[int], into: Mapping[int, int]) -> Nums:
        if not into:
            return np.array(nums, dtype=np.int64)
        return np.array([into.get(num, num) for num in nums], dtype=np.int64)


@dataclass(frozen=True)
class Crowd:
    """Everybody in the store, for a catalogue whose row r has key ``item_nums[r]`` (ascending)."""

    engine: sa.Engine
    item_nums: Nums
    weigher: Weigher
    limit: int = 1000  # newest events of a person that are read, as for a request
    without: Mapping[int, Sequence[Stretch]] = field(default_factory=dict)  # when others used it
    uses: tuple[str, ...] = PROFILE_FIELDS  # of profiles; the others are empty

    def size(self) -> int:
        """How many people there are."""
        with self.engine.connect() as connection:
            counted = connection.scalar(sa.select(sa.func.count()).select_from(schema.users))
            return int(counted or 0)

    def newest(self) -> float:
        """The time of the newest event; minus infinity without any."""
        with self.engine.connect() as connection:
            found = connection.scalar(sa.select(sa.func.max(schema.events.c.time)))
            return -np.inf if found is None else float(found)

    def chunks(self, before: float) -> Iterator[People]:
        """All people, with what they did before a time."""
        with self.engine.connect() as connection:
            last = connection.scalar(sa.select(sa.func.max(schema.users.c.num)))
            links = Links(pointers(connection, "user"), pointers(connection, "item"))
            for first in range(0, int(last or 0) + 1, STEP):
                found = self._read(connection, links, first, before)
                if len(found):
                    yield found

    def _read(self, connection: sa.Connection, links: Links, first: int, before: float) -> People:
        u, e = schema.users.c, _E
        end = first + STEP
        others = [num for num, into in links.accounts.items() if first <= into < end]
        query = sa.select(schema.users).where(
            ((u.num >= first) & (u.num < end)) | u.num.in_(others)
        )
        rows = connection.execute(query.order_by(u.num)).mappings().all()
        speaks = [row for row in rows if row["num"] not in links.accounts]
        nums = np.array([row["num"] for row in speaks], dtype=np.int64)
        events = _DONE.all(connection, first=first, end=end, before=before)
        elsewhere = [num for num in others if not first <= num < end]
        if elsewhere:
            theirs = _ASKED.where(e.user_num.in_(elsewhere), e.time < before)
            more = connection.execute(theirs.order_by(e.user_num, e.time, e.num)).all()
            events = [*events, *map(tuple, more)]
        own = events
        if links.accounts or self.without:
            away = {num for num, into in links.accounts.items() if not first <= into < end}
            own = [
                row
                for row in events
                if row[0] not in away and not inside(row[4], self.without.get(row[0], ()))
            ]
        columns: list[tuple[Any, ...]] = list(zip(*own, strict=True)) if own else [()] * 5
        return People(
            tuple(row["id"] for row in speaks),
            nums,
            tuple(p.only(self.uses) for p in _profiles(rows, links.accounts)),
            self._histories(nums, columns, links),
        )

    def _histories(self, nums: Nums, columns: list[tuple[Any, ...]], links: Links) -> Histories:
        user = np.searchsorted(nums, links.of(columns[0], links.accounts))
        item = links.of(columns[1], links.works)
        kinds = np.array(columns[2], dtype=np.str_)
        values = np.array(columns[3], dtype=np.float32)  # None becomes NaN
        time = np.array(columns[4], dtype=np.float64)
        weight = self.weigher.weigh(kinds, values) if len(time) else values
        row = np.searchsorted(self.item_nums, item)
        kept = (row < len(self.item_nums)) & ~np.isnan(weight)
        kept[kept] = self.item_nums[row[kept]] == item[kept]
        kept &= self._newest(user, time)
        order = np.flatnonzero(kept)[np.argsort(time[kept], kind="stable")]
        user, row = user[order].astype(np.intp), row[order].astype(np.intp)
        pairs = user.astype(np.int64) * len(self.item_nums) + row
        return Interactions(
            users=user,
            items=row,
            weight=self.weigher.running(pairs, kinds[order], weight[order]),
            time=time[order],
            n_users=len(nums),
            n_items=len(self.item_nums),
            value=values[order],
        ).histories()

    def _newest(self, user: Nums, time: Doubles) -> Bools:
        """(n,): is it among the newest events of its person that are read?"""
        order = np.lexsort((time, user))
        counts = np.bincount(user)
        ends = np.repeat(np.cumsum(counts), counts)
        out = np.zeros(len(user), dtype=np.bool_)
        out[order] = ends - np.arange(len(user)) <= self.limit
        return out


def _profiles(rows: Sequence[Any], accounts: Mapping[int, int]) -> tuple[Profile, ...]:
    """Of everybody who speaks for themselves, with what their other accounts tell."""
    several: dict[int, list[Profile]] = {}
    for row in sorted(rows, key=lambda row: row["num"] in accounts):  # who stands for all is first
        several.setdefault(accounts.get(row["num"], row["num"]), []).append(profile_of(row))
    own = [row["num"] for row in rows if row["num"] not in accounts]
    return tuple(several[num][0] if len(several[num]) == 1 else joined(several[num]) for num in own)
