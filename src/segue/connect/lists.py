"""Which items of a workspace a server has, and under which key: what lists are written with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from segue.store import schema
from segue.store.workspace import Workspace

LIST_LENGTH = 50


@dataclass(frozen=True)
class Shelf:
    """The items that a server has, of some kinds."""

    keys: dict[str, str]  # item id -> key on the server
    others: frozenset[str]  # all other items of the workspace: what a list must not hold


def shelf(workspace: Workspace, platform: str, kinds: Collection[str]) -> Shelf:
    """What a list for a server may hold: things that it has itself."""
    i, known = schema.items.c, schema.identities.c
    there = (
        sa.select(i.id, sa.func.min(known.external_id))
        .join_from(schema.items, schema.identities, known.num == i.num)
        .where(known.entity == "item", known.platform == platform, i.kind.in_(list(kinds)))
        .group_by(i.id)
    )
    with workspace.engine.connect() as connection:
        keys = {row[0]: row[1] for row in connection.execute(there)}
        every = connection.execute(sa.select(i.id)).scalars().all()
    return Shelf(keys, frozenset(every) - keys.keys())
