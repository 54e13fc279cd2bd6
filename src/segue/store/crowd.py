"""Everybody's histories, a few people at a time: for questions about one item and all people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.types import Histories, Interactions, Profile
from segue.store import schema
from segue.store.catalogue import _profile
from segue.store.events import Weigher

STEP = 2_000  # keys of people that are read at once: some 100 MB where each has hundreds of events

Nums = npt.NDArray[np.int64]


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
class Crowd:
    """Everybody in the store, for a catalogue whose row r has key ``item_nums[r]`` (ascending)."""

    engine: sa.Engine
    item_nums: Nums
    weigher: Weigher
    limit: int = 1000  # newest events of a person that are read, as for a request

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
            for first in range(0, int(last or 0) + 1, STEP):
                found = self._read(connection, first, first + STEP, before)
                if len(found):
                    yield found

    def _read(self, connection: sa.Connection, first: int, end: int, before: float) -> People:
        u, e = schema.users.c, schema.events.c
        query = sa.select(schema.users).where(u.num >= first, u.num < end).order_by(u.num)
        rows = connection.execute(query).mappings().all()
        nums = np.array([row["num"] for row in rows], dtype=np.int64)
        events = connection.execute(
            sa.select(e.user_num, e.item_num, e.kind, e.value, e.time)
            .where(e.user_num >= first, e.user_num < end, e.time < before)
            .order_by(e.user_num, e.time, e.num)
        ).all()
        columns: list[tuple[Any, ...]] = list(zip(*events, strict=True)) if events else [()] * 5
        return People(
            tuple(row["id"] for row in rows),
            nums,
            tuple(_profile(row) for row in rows),
            self._histories(nums, columns),
        )

    def _histories(self, nums: Nums, columns: list[tuple[Any, ...]]) -> Histories:
        user = np.searchsorted(nums, np.array(columns[0], dtype=np.int64))
        item = np.array(columns[1], dtype=np.int64)
        kinds = np.array(columns[2], dtype=np.str_)
        values = np.array(columns[3], dtype=np.float32)  # None becomes NaN
        time = np.array(columns[4], dtype=np.float64)
        weight = self.weigher.weigh(kinds, values) if len(time) else values
        counts = np.bincount(user, minlength=len(nums))
        rank = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(user))  # 0: the newest
        row = np.searchsorted(self.item_nums, item)
        kept = (rank < self.limit) & (row < len(self.item_nums)) & ~np.isnan(weight)
        kept[kept] = self.item_nums[row[kept]] == item[kept]
        user, row = user[kept].astype(np.intp), row[kept].astype(np.intp)
        pairs = user.astype(np.int64) * len(self.item_nums) + row
        # By person and time already: what stands after each event needs the order of a person only.
        standing = self.weigher.running(pairs, kinds[kept], weight[kept])
        order = np.argsort(time[kept], kind="stable")
        return Interactions(
            users=user[order],
            items=row[order],
            weight=standing[order],
            time=time[kept][order],
            n_users=len(nums),
            n_items=len(self.item_nums),
            value=values[kept][order],
        ).histories()
