"""What was shown to whom, by which probability, and whether it was then taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.types import DAY_S, Bools, Doubles, Rows
from segue.store import schema
from segue.store.events import insert_ignore, numbers

TAKEN = ("click", "play", "progress", "complete", "like", "save", "share", "rating")
TAKEN_WITHIN_S = 7 * DAY_S
NEWEST = 20_000  # exposures that are learned from
_X, _E = schema.exposures.c, schema.events.c


@dataclass(frozen=True)
class Exposure:
    """One place of one list."""

    item_num: int
    position: int
    propensity: float  # in (0, 1]


@dataclass(frozen=True)
class Shown:
    """Who was shown what, when, by which policy and model."""

    request_id: str
    user_id: str
    policy: str
    model_version: str
    at: float


def write(engine: sa.Engine, shown: Shown, exposures: Sequence[Exposure]) -> None:
    """Store a list as it was shown; a repeated ``request_id`` changes nothing.

    A person who is not known yet is added.
    """
    logged = sa.select(_X.num).where(_X.request_id == shown.request_id).limit(1)
    with engine.begin() as connection:
        if connection.scalar(logged) is not None:
            return
        insert_ignore(connection, schema.users, [{"id": shown.user_id, "interests": []}])
        user = numbers(connection, schema.users, [shown.user_id])[shown.user_id]
        rows = [
            {
                "request_id": shown.request_id, "user_num": user, "item_num": e.item_num,
                "position": e.position, "propensity": e.propensity, "policy": shown.policy,
                "model_version": shown.model_version, "at": shown.at,
            }
            for e in exposures
        ]  # fmt: skip
        if rows:
            connection.execute(sa.insert(schema.exposures), rows)


@dataclass(frozen=True)
class Outcomes:
    """The newest exposures, oldest first, in rows of a catalogue."""

    items: Rows  # (n,)
    at: Doubles  # (n,)
    taken: Bools  # (n,) within a week


_WAS_TAKEN = (
    sa.select(sa.literal(1))
    .where(_E.user_num == _X.user_num, _E.item_num == _X.item_num)
    .where(_E.time >= _X.at, _E.time < _X.at + TAKEN_WITHIN_S, _E.kind.in_(TAKEN))
    .exists()
)


def outcomes(engine: sa.Engine, item_nums: npt.NDArray[np.int64]) -> Outcomes:
    """The newest exposures of items of a catalogue whose row r has key ``item_nums[r]``."""
    query = sa.select(_X.item_num, _X.at, _WAS_TAKEN).order_by(_X.num.desc()).limit(NEWEST)
    with engine.connect() as connection:
        found: Sequence[Any] = connection.execute(query).all()[::-1]
    nums = np.array([row[0] for row in found], dtype=np.int64)
    rows = np.minimum(np.searchsorted(item_nums, nums), max(len(item_nums) - 1, 0))
    known = item_nums[rows] == nums if len(item_nums) else np.zeros(0, dtype=np.bool_)
    at = np.array([row[1] for row in found], dtype=np.float64)
    taken = np.array([bool(row[2]) for row in found], dtype=np.bool_)
    return Outcomes(rows[known].astype(np.intp), at[known], taken[known])


def event_counts(engine: sa.Engine, item_nums: npt.NDArray[np.int64]) -> Rows:
    """(n_items,) how many events each item of a catalogue has."""
    query = sa.select(_E.item_num, sa.func.count()).group_by(_E.item_num)
    out = np.zeros(len(item_nums), dtype=np.intp)
    with engine.connect() as connection:
        found = connection.execute(query).all()
    row_of = {int(num): row for row, num in enumerate(item_nums)}
    for num, count in found:
        if num in row_of:
            out[row_of[num]] = count
    return out
