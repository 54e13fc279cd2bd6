"""The social graph: who follows whom, and what those whom a person follows did of late."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.errors import BadInput, NotFound
from segue.core.social import MOST_TIES, NEWEST, Circle, Graph
from segue.core.types import Histories, Interactions
from segue.store import schema
from segue.store.events import (
    Prepared,
    Stretch,
    Weigher,
    insert_ignore,
    numbers,
    person_nums,
)
from segue.store.links import pointers

_G, _E, _U = schema.edges.c, schema.events.c, schema.users.c
FOLLOWED = 10_000  # people that one person's request reads at most

_ACCOUNT, _MORE, _WORK = (schema.links.alias(n) for n in ("account", "more", "work"))
# An account that is followed stands for a person, who may have others.
_ROOT = sa.func.coalesce(_ACCOUNT.c.into_num, _G.dst_num)
_FOLLOWED = schema.edges.outerjoin(
    _ACCOUNT, (_ACCOUNT.c.entity == "user") & (_ACCOUNT.c.num == _G.dst_num)
)
_TIES = Prepared(
    sa.select(_ROOT, _G.weight, _G.time, _U.id, _U.shares)
    .select_from(_FOLLOWED.join(schema.users, _G.dst_num == _U.num))
    .where(_G.src_num == sa.bindparam("user"), _G.weight > 0)
    .order_by(_G.weight.desc(), _G.dst_num)
    .limit(sa.bindparam("limit"))
)
_ACCOUNTS = Prepared(
    sa.select(_MORE.c.into_num, _MORE.c.num)
    .select_from(_FOLLOWED.join(_MORE, _MORE.c.into_num == _ROOT))
    .where(_G.src_num == sa.bindparam("user"), _MORE.c.entity == "user")
)
_NEWEST = Prepared(
    sa.select(_E.time, _E.num, sa.func.coalesce(_WORK.c.into_num, _E.item_num), _E.kind, _E.value)
    .select_from(
        schema.events.outerjoin(_WORK, (_WORK.c.entity == "item") & (_WORK.c.num == _E.item_num))
    )
    .where(_E.user_num == sa.bindparam("num"), _E.time < sa.bindparam("at"))
    .where(_E.kind != "impression")
    .order_by(_E.time.desc(), _E.num.desc())
    .limit(sa.bindparam("limit"))
)


@dataclass(frozen=True)
class Following:
    """One tie of a person; ``shares``: whether the other lets be seen what they like."""

    user_id: str
    kind: str
    weight: float
    time: float | None
    shares: bool


@dataclass(frozen=True)
class Around:
    """The circle of one person, and by place who may be named (None: does not share)."""

    circle: Circle
    friends: tuple[str | None, ...]


def load_graph(engine: sa.Engine, user_nums: npt.NDArray[np.int64]) -> Graph | None:
    """All ties, in rows of ``user_nums`` (ascending); None where there are none.

    Accounts of one person count as the one that stands for them.
    """
    with engine.connect() as connection:
        found = connection.execute(sa.select(_G.src_num, _G.dst_num, _G.weight, _G.time)).all()
        into = pointers(connection, "user")
    if not found:
        return None
    src, dst, weight, since = zip(*found, strict=True)
    ends = [np.array([into.get(num, num) for num in column]) for column in (src, dst)]
    return Graph.of(
        np.searchsorted(user_nums, ends[0]).astype(np.intp),
        np.searchsorted(user_nums, ends[1]).astype(np.intp),
        np.array(weight, dtype=np.float32),
        np.array(since, dtype=np.float64),  # None becomes NaN
        len(user_nums),
    )


def circle(
    engine: sa.Engine, user_id: str, at: float, item_nums: npt.NDArray[np.int64],
    weigher: Weigher, *, without: Mapping[int, Sequence[Stretch]] | None = None,
) -> Around:  # fmt: skip
    """What those whom a person follows did before ``at``, by the arithmetic of a training.

    Reads the newest NEWEST events of each of the MOST_TIES strongest. ``without`` holds the
    stretches of people (by key) whose events are left out.
    """
    with engine.connect() as connection:
        ties, accounts = _ties(connection, user_id, at)
        nums = sorted({tie[0] for tie in ties})
        place = {num: row for row, num in enumerate(nums, start=1)}  # 0 is the person
        graph = Graph.of(
            np.zeros(len(ties), dtype=np.intp),
            np.array([place[tie[0]] for tie in ties], dtype=np.intp),
            np.array([tie[1] for tie in ties], dtype=np.float32),
            np.full(len(ties), np.nan),
            len(nums) + 1,
        )
        strongest = graph.to[:MOST_TIES].tolist()
        done: list[tuple[Any, ...]] = []
        for row in strongest:
            num = nums[row - 1]
            newest = _newest(connection, [num, *accounts.get(num, ())], at, without or {})
            done += [(row, *event) for event in newest]
    named = {place[tie[0]]: tie[3] for tie in ties if tie[4]}
    return Around(
        graph.circles(np.zeros(1, dtype=np.intp), _pasts(done, len(nums) + 1, item_nums, weigher)),
        tuple(named.get(row) for row in strongest),
    )


def _ties(
    connection: sa.Connection, user_id: str, at: float
) -> tuple[list[tuple[Any, ...]], dict[int, list[int]]]:
    """(who, weight, time, id, shares) of each tie before ``at``, and other accounts of each."""
    ties: list[tuple[Any, ...]] = []
    accounts: dict[int, list[int]] = {}
    own = person_nums(connection, user_id)
    for num in own:
        ties += _TIES.all(connection, user=num, limit=FOLLOWED)
        for who, other in _ACCOUNTS.all(connection, user=num):
            accounts.setdefault(who, []).append(other)
    known = [t for t in ties if t[0] not in own and (t[2] is None or t[2] < at)]
    return known, {who: sorted(set(others)) for who, others in accounts.items()}


def _newest(
    connection: sa.Connection,
    nums: Sequence[int],
    at: float,
    without: Mapping[int, Sequence[Stretch]],
) -> list[tuple[Any, ...]]:
    """The newest NEWEST events over a person's accounts, oldest first."""
    found = [
        row
        for num in nums
        for row in _NEWEST.all(connection, num=num, at=at, limit=NEWEST)
        if not any(start <= row[0] < end for start, end in without.get(num, ()))
    ]
    return sorted(found, key=lambda row: row[:2])[-NEWEST:]


def _pasts(
    done: Sequence[tuple[Any, ...]], n_users: int, item_nums: npt.NDArray[np.int64],
    weigher: Weigher,
) -> Histories:  # fmt: skip
    """Histories of (user row, time, key, item, kind, value) events on items of the catalogue."""
    columns = list(zip(*done, strict=True)) if done else [()] * 6
    times = np.array(columns[1], dtype=np.float64)
    order = np.argsort(times, kind="stable")
    nums = np.array(columns[3], dtype=np.int64)[order]
    kinds = np.array(columns[4], dtype=np.str_)[order]
    values = np.array(columns[5], dtype=np.float32)[order]  # None becomes NaN
    weights = weigher.weigh(kinds, values) if len(done) else values
    rows = np.searchsorted(item_nums, nums)
    known = (rows < len(item_nums)) & ~np.isnan(weights)
    known[known] = item_nums[rows[known]] == nums[known]
    users = np.array(columns[0], dtype=np.intp)[order][known]
    items = rows[known].astype(np.intp)
    pairs = users.astype(np.int64) * len(item_nums) + items
    return Interactions(
        users=users,
        items=items,
        weight=weigher.running(pairs, kinds[known], weights[known]),
        time=times[order][known],
        n_users=n_users,
        n_items=len(item_nums),
    ).histories()


def follow(
    engine: sa.Engine, user_id: str, other: str, kind: str, weight: float, at: float | None = None
) -> Following:
    """Make or change one tie; a person who is not known yet is added, the other must be known."""
    if user_id == other:
        raise BadInput(f"{user_id!r} cannot follow themselves")
    if not weight > 0:
        raise BadInput(f"weight must be > 0, got {weight}; to end a tie, delete it")
    with engine.begin() as connection:
        nums = numbers(connection, schema.users, [user_id, other])
        if other not in nums:
            raise NotFound(f"person {other!r} is not known")
        if user_id not in nums:
            insert_ignore(connection, schema.users, [{"id": user_id, "interests": []}])
            nums = numbers(connection, schema.users, [user_id, other])
        key = {"src_num": nums[user_id], "dst_num": nums[other], "kind": kind}
        row = {**key, "weight": weight, "time": time.time() if at is None else at}
        if not insert_ignore(connection, schema.edges, [row]):
            same = [schema.edges.c[name] == value for name, value in key.items()]
            connection.execute(sa.update(schema.edges).where(*same).values(weight=weight))
    return next(f for f in follows(engine, user_id) if (f.user_id, f.kind) == (other, kind))


def unfollow(engine: sa.Engine, user_id: str, other: str, kind: str | None = None) -> int:
    """End a tie, of one kind or of every kind; how many there were."""
    with engine.begin() as connection:
        nums = numbers(connection, schema.users, [user_id, other])
        gone = sa.delete(schema.edges).where(
            _G.src_num == nums.get(user_id, -1), _G.dst_num == nums.get(other, -1)
        )
        if kind is not None:
            gone = gone.where(_G.kind == kind)
        return int(connection.execute(gone).rowcount)


def follows(engine: sa.Engine, user_id: str, limit: int = FOLLOWED) -> tuple[Following, ...]:
    """Whom a person follows, the strongest tie first; empty for an unknown person."""
    query = (
        sa.select(_U.id, _G.kind, _G.weight, _G.time, _U.shares)
        .join_from(schema.edges, schema.users, _G.dst_num == _U.num)
        .where(_G.src_num == sa.select(_U.num).where(_U.id == user_id).scalar_subquery())
        .order_by(_G.weight.desc(), _U.id, _G.kind)
        .limit(limit)
    )
    with engine.connect() as connection:
        return tuple(Following(*row) for row in connection.execute(query))
