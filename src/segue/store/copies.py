"""Pairs of items that look like one work, and what a person decided of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.errors import NotFound
from segue.store import schema


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A pair; ``status``: proposed | same | different."""

    first: str
    first_title: str
    second: str
    second_title: str
    score: float
    evidence: Mapping[str, float]
    status: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_copies(engine: sa.Engine) -> list[CopyRow]:
    """All pairs, the surest first."""
    a, b, c = schema.items.alias("a"), schema.items.alias("b"), schema.copies
    query = (
        sa.select(a.c.id, a.c.title, b.c.id, b.c.title, c.c.score, c.c.evidence, c.c.status)
        .select_from(c.join(a, a.c.num == c.c.item_num).join(b, b.c.num == c.c.other_num))
        .order_by(c.c.score.desc(), a.c.num, b.c.num)
    )
    with engine.connect() as connection:
        return [CopyRow(*row) for row in connection.execute(query)]


def decide(engine: sa.Engine, first: str, second: str, status: str) -> None:
    """Keep what a person says of a pair; it need not have been proposed."""
    i, c = schema.items.c, schema.copies
    with engine.begin() as connection:
        nums = dict(
            connection.execute(sa.select(i.id, i.num).where(i.id.in_([first, second]))).all()
        )
        for item_id in (first, second):
            if item_id not in nums:
                raise NotFound(f"item {item_id!r} is not in the catalogue")
        if first == second:
            raise NotFound(f"item {first!r} is one item; name two")
        low, high = sorted((nums[first], nums[second]))
        pair = (c.c.item_num == low) & (c.c.other_num == high)
        old = connection.execute(sa.select(c.c.score, c.c.evidence).where(pair)).one_or_none()
        connection.execute(sa.delete(c).where(pair))
        connection.execute(
            sa.insert(c).values(
                item_num=low, other_num=high, score=old.score if old else 1.0,
                evidence=old.evidence if old else {}, status=status,
            )
        )  # fmt: skip
