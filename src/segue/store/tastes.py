"""What people said of their own taste: kept as edits, each of which can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.errors import BadInput
from segue.store import schema
from segue.store.events import Stretch, insert_ignore, numbers, person_nums

EDIT_KINDS = ("more", "less", "lent")


@dataclass(frozen=True)
class Edit:
    """One thing a person said of their taste. ``num`` is 0 until it is stored."""

    kind: str  # more | less | lent
    at: float
    label: str = ""  # of the interest, in words
    items: tuple[str, ...] = ()  # ids that stand for the interest
    start: float | None = None  # of a stretch when somebody else used the account …
    end: float | None = None  # … Unix seconds, the end outside
    num: int = 0

    def __post_init__(self) -> None:
        if self.kind not in EDIT_KINDS:
            raise BadInput(f"edit kind {self.kind!r} is not one of {', '.join(EDIT_KINDS)}")
        if self.kind != "lent":
            if not self.items:
                raise BadInput(f"an edit {self.kind!r} needs the items of an interest, got none")
        elif self.start is None or self.end is None or not self.start < self.end:
            raise BadInput(
                "an edit 'lent' needs a start before its end, "
                f"got start {self.start} and end {self.end}"
            )


_T = schema.taste_edits.c


def _edit(row: Any) -> Edit:
    fields = {name: row[name] for name in ("kind", "at", "label", "start", "end", "num")}
    return Edit(**fields, items=tuple(row["items"]))


def edits(engine: sa.Engine, user_id: str) -> tuple[Edit, ...]:
    """What a person said on any of their accounts, oldest first; empty for an unknown person."""
    with engine.connect() as connection:
        nums = person_nums(connection, user_id)
        if not nums:
            return ()
        mine = _T.user_num == nums[0] if len(nums) == 1 else _T.user_num.in_(nums)
        query = sa.select(schema.taste_edits).where(mine).order_by(_T.num)
        return tuple(_edit(row) for row in connection.execute(query).mappings())


def add(engine: sa.Engine, user_id: str, edit: Edit) -> int:
    """Store an edit and return its number; a person who is not known yet is added."""
    with engine.begin() as connection:
        insert_ignore(connection, schema.users, [{"id": user_id, "interests": []}])
        num = numbers(connection, schema.users, [user_id])[user_id]
        values = {
            "user_num": num,
            "kind": edit.kind,
            "label": edit.label,
            "items": list(edit.items),
            "start": edit.start,
            "end": edit.end,
            "at": edit.at,
        }
        made = connection.execute(sa.insert(schema.taste_edits).values(values))
        key = made.inserted_primary_key
        assert key is not None
        return int(key[0])


def remove(engine: sa.Engine, user_id: str, num: int) -> bool:
    """Take one edit of a person back. False when they have none of that number."""
    with engine.begin() as connection:
        mine = _T.user_num.in_(person_nums(connection, user_id))
        gone = sa.delete(schema.taste_edits).where(_T.num == num, mine)
        return bool(connection.execute(gone).rowcount)


def lent(engine: sa.Engine) -> Mapping[int, Sequence[Stretch]]:
    """Key of a person -> the stretches when somebody else used their account."""
    query = sa.select(_T.user_num, _T.start, _T.end).where(_T.kind == "lent")
    out: dict[int, list[Stretch]] = {}
    with engine.connect() as connection:
        for user_num, start, end in connection.execute(query):
            out.setdefault(user_num, []).append((start, end))
    return out
