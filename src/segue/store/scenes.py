"""Scenes of items: where they are, what picture stands for them, and their vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from segue.core.types import Floats
from segue.store import schema
from segue.store.vectors import from_blob, to_blob

LOOKUP = 400  # keys a query; databases bound the number of parameters


@dataclass(frozen=True, slots=True)
class SceneRow:
    """One scene. ``vector`` is (dim,) float32, unit, in the space of the content vectors."""

    item_num: int
    position: int
    start_s: float
    end_s: float
    keyframe: int | None  # position among the item's keyframes
    vector: Floats | None = None


@dataclass(frozen=True, slots=True)
class SceneVector:
    """A vector to be stored. ``source_hash`` is of all that it was made from."""

    item_num: int
    position: int
    encoder: str
    source_hash: str
    vector: Floats


def put_scene_vectors(
    connection: sa.Connection, item_num: int, rows: Sequence[SceneVector]
) -> None:
    """Replace all vectors of one item's scenes within the caller's transaction."""
    table = schema.scene_vectors
    connection.execute(sa.delete(table).where(table.c.item_num == item_num))
    values = [
        {
            "item_num": row.item_num,
            "position": row.position,
            "encoder": row.encoder,
            "source_hash": row.source_hash,
            "dim": len(row.vector),
            "data": to_blob(row.vector),
        }
        for row in rows
    ]
    if values:
        connection.execute(sa.insert(table), values)


def stored_scene_sources(engine: sa.Engine) -> dict[int, tuple[str, str]]:
    """(encoder, joint source hash) of every item whose scenes have vectors."""
    c = schema.scene_vectors.c
    query = sa.select(c.item_num, c.encoder, c.source_hash).where(c.position == 0)
    with engine.connect() as connection:
        return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def load_scenes(
    engine: sa.Engine, item_nums: Sequence[int] | None = None, encoder: str = ""
) -> dict[int, list[SceneRow]]:
    """Scenes in order of time by item number; of all items when none are named.

    Vectors of another ``encoder`` than the one asked for count as absent.
    """
    s, v = schema.scenes.c, schema.scene_vectors.c
    same = (s.item_num == v.item_num) & (s.position == v.position)
    query = (
        sa.select(s.item_num, s.position, s.start_s, s.end_s, s.keyframe, v.encoder, v.data)
        .select_from(schema.scenes.outerjoin(schema.scene_vectors, same))
        .where(s.level == "scene")
        .order_by(s.item_num, s.position)
    )
    found: dict[int, list[SceneRow]] = defaultdict(list)
    wanted = [None] if item_nums is None else _parts([int(num) for num in item_nums])
    with engine.connect() as connection:
        for part in wanted:
            some = query if part is None else query.where(s.item_num.in_(part))
            for num, position, start_s, end_s, keyframe, made_by, data in connection.execute(some):
                usable = data is not None and (not encoder or made_by == encoder)
                vector = from_blob(data) if usable else None
                found[num].append(SceneRow(num, position, start_s, end_s, keyframe, vector))
    return dict(found)


def _parts(nums: list[int]) -> list[list[int] | None]:
    return [nums[at : at + LOOKUP] for at in range(0, len(nums), LOOKUP)]


@dataclass(frozen=True)
class SceneMatrix:
    """All scenes that have a vector: ``vectors`` is (n_scenes, dim) float32."""

    rows: tuple[SceneRow, ...]
    vectors: Floats

    @staticmethod
    def of(scenes: dict[int, list[SceneRow]]) -> SceneMatrix:
        rows = tuple(r for some in scenes.values() for r in some if r.vector is not None)
        vectors = [row.vector for row in rows if row.vector is not None]
        stacked = np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)
        return SceneMatrix(rows, np.asarray(stacked, dtype=np.float32))
