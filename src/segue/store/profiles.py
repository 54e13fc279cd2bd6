"""What a person said about themselves: read, and changed field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.errors import BadInput
from segue.core.types import PROFILE_FIELDS, Profile
from segue.store import schema
from segue.store.events import insert_ignore

SHARES = "shares"
_U = schema.users.c


@dataclass(frozen=True)
class Told:
    """A profile, and whether friends may see what the person likes."""

    profile: Profile
    shares: bool


def load(engine: sa.Engine, user_id: str) -> Told | None:
    """What one account says; None when it is unknown."""
    columns = [_U[name] for name in (*PROFILE_FIELDS, SHARES)]
    with engine.connect() as connection:
        row = connection.execute(sa.select(*columns).where(_U.id == user_id)).mappings().first()
    if row is None:
        return None
    fields = {name: row[name] for name in PROFILE_FIELDS}
    profile = Profile(**{**fields, "interests": tuple(row["interests"] or ())})
    return Told(profile, bool(row[SHARES]))


def change(engine: sa.Engine, user_id: str, fields: Mapping[str, Any]) -> Told:
    """Set some fields, None empties one; the others stay. A new person is added."""
    for name in fields:
        if name not in (*PROFILE_FIELDS, SHARES):
            known = ", ".join((*PROFILE_FIELDS, SHARES))
            raise BadInput(f"{name!r} is no field of a profile; known: {known}")
    values = dict(fields)
    if "interests" in values:
        values["interests"] = list(values["interests"] or ())
    with engine.begin() as connection:
        insert_ignore(connection, schema.users, [{"id": user_id, "interests": []}])
        if values:
            connection.execute(sa.update(schema.users).where(_U.id == user_id).values(values))
    found = load(engine, user_id)
    assert found is not None
    return found


def put_shares(engine: sa.Engine, said: Mapping[str, bool]) -> None:
    """Store who lets friends see what they like."""
    rows = [{"person": user_id, "said": shares} for user_id, shares in said.items()]
    if not rows:
        return
    update = sa.update(schema.users).where(_U.id == sa.bindparam("person"))
    with engine.begin() as connection:
        connection.execute(update.values(shares=sa.bindparam("said")), rows)
