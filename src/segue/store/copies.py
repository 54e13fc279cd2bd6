"""Pairs of items that look like one work, and what a person decided of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.errors import NotFound
from segue.store import schema

PRINTS = "prints"  # who proposes: understanding, by pictures and sound …
MATCHER = "matcher"  # … or the matcher of works, whose evidence has the mark below
_MARK = "rival"
Proposal = tuple[int, int, float, Mapping[str, float]]  # lower key, higher key, score, evidence


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


def propose(connection: sa.Connection, proposals: Sequence[Proposal], by: str) -> int:
    """Put proposals in the place of those that ``by`` made before; returns how many there are.

    What a person decided stays, and so does what the other proposed.
    """
    c = schema.copies
    rows = connection.execute(sa.select(c.c.item_num, c.c.other_num, c.c.status, c.c.evidence))
    kept, gone = set(), []
    for first, second, status, evidence in rows:
        mine = status == "proposed" and ((_MARK in evidence) == (by == MATCHER))
        if mine:
            gone.append((first, second))
        else:
            kept.add((first, second))
    for first, second in gone:
        connection.execute(sa.delete(c).where(c.c.item_num == first, c.c.other_num == second))
    new = [
        {"item_num": a, "other_num": b, "score": score, "evidence": dict(told),
         "status": "proposed"}
        for a, b, score, told in proposals if (a, b) not in kept
    ]  # fmt: skip
    if new:
        connection.execute(sa.insert(c), new)
    return len(new)
