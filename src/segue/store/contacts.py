"""Whom campaigns have addressed: recorded when a list goes out, read before the next one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.store import schema

Nums = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reached:
    """Keys of people, ascending, who must be left in peace for now."""

    often: Nums  # addressed as often as is allowed, about anything
    lately: Nums  # addressed about this very item


def reached(
    engine: sa.Engine, item_num: int, *, most: int, since: float, since_same: float
) -> Reached:
    """People with ``most`` contacts or more after ``since``, or one about the item lately."""
    c, account = schema.contacts.c, schema.links.alias()
    linked = (account.c.entity == "user") & (account.c.num == c.user_num)
    person = sa.func.coalesce(account.c.into_num, c.user_num)  # of several accounts, who speaks
    told = sa.select(person).select_from(schema.contacts.outerjoin(account, linked))
    often = told.where(c.at > since).group_by(person).having(sa.func.count() >= most)
    same = told.where(c.item_num == item_num, c.at > since_same).distinct()
    with engine.connect() as connection:
        found = [np.sort(np.array(connection.scalars(q).all(), np.int64)) for q in (often, same)]
    return Reached(*found)


def record(
    engine: sa.Engine, user_nums: Sequence[int] | Nums, item_num: int, campaign: str, at: float
) -> int:
    """One contact of each person about an item; returns how many were recorded."""
    rows = [
        {"user_num": int(num), "item_num": item_num, "campaign": campaign, "at": at}
        for num in user_nums
    ]
    if rows:
        with engine.begin() as connection:
            connection.execute(sa.insert(schema.contacts), rows)
    return len(rows)
