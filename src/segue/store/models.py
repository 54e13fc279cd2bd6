"""Which model packages a workspace holds, and which one serves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from segue.store import schema


@dataclass(frozen=True)
class StoredModel:
    """A row of the model registry. ``path`` is relative to the workspace's ``models/``."""

    version: str
    strategy: str
    path: str
    created_at: float
    data_hash: str
    status: str  # champion | challenger | retired
    metrics: Mapping[str, Any]


def put_champion(
    engine: sa.Engine,
    *,
    version: str,
    strategy: str,
    path: str,
    data_hash: str,
    metrics: Mapping[str, Any],
) -> None:
    """Register a package and let it serve; the former champion is retired, not deleted."""
    table = schema.models
    with engine.begin() as connection:
        connection.execute(
            sa.update(table).where(table.c.status == "champion").values(status="retired")
        )
        connection.execute(sa.delete(table).where(table.c.version == version))
        connection.execute(
            sa.insert(table).values(
                version=version,
                strategy=strategy,
                path=path,
                created_at=time.time(),
                data_hash=data_hash,
                status="champion",
                metrics=dict(metrics),
            )
        )


def champion(engine: sa.Engine) -> StoredModel | None:
    """The model that serves, None when nothing was trained yet."""
    query = sa.select(schema.models).where(schema.models.c.status == "champion")
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else StoredModel(**row)
