"""Vectors of items: float16 blobs in the store, and a memory-mapped snapshot of them to serve."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from segue.core.errors import BadPackage, NotFound
from segue.core.types import Floats, Vectors
from segue.store import schema
from segue.store.workspace import Workspace

BLOB = np.dtype("<f2")
Nums = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VectorRow:
    """One vector to be stored. ``source_hash`` is of all that it was made from."""

    item_num: int
    modality: str  # content | text | picture | sound
    encoder: str
    source_hash: str
    vector: Floats  # (dim,)


@dataclass(frozen=True)
class Snapshot:
    """Vectors as of one moment; ``vectors.values`` lies on disk and is paged in when read."""

    nums: Nums  # (n_items,) item numbers, growing: row order
    vectors: Vectors


def to_blob(vector: Floats) -> bytes:
    return vector.astype(BLOB).tobytes()


def from_blob(data: bytes) -> Floats:
    """(dim,) float32."""
    return np.frombuffer(data, dtype=BLOB).astype(np.float32)


def put_vectors(connection: sa.Connection, rows: Sequence[VectorRow]) -> None:
    """Write or replace vectors within the caller's transaction.

    Those that other encoders made of the same items stand beside them until :func:`retire`.
    """
    table = schema.vectors
    if not rows:
        return
    same = (
        (table.c.item_num == sa.bindparam("num"))
        & (table.c.modality == sa.bindparam("mod"))
        & (table.c.encoder == sa.bindparam("enc"))
    )
    keys = [{"num": r.item_num, "mod": r.modality, "enc": r.encoder} for r in rows]
    connection.execute(sa.delete(table).where(same), keys)
    connection.execute(
        sa.insert(table),
        [
            {
                "item_num": row.item_num,
                "modality": row.modality,
                "encoder": row.encoder,
                "source_hash": row.source_hash,
                "dim": len(row.vector),
                "data": to_blob(row.vector),
            }
            for row in rows
        ],
    )


def drop_vectors(connection: sa.Connection, nums: Iterable[int], modality: str) -> None:
    """Take away vectors whose source is gone."""
    table = schema.vectors
    same = (table.c.item_num == sa.bindparam("num")) & (table.c.modality == modality)
    keys = [{"num": num} for num in nums]
    if keys:
        connection.execute(sa.delete(table).where(same), keys)


def retire(connection: sa.Connection, keep: Collection[str]) -> int:
    """Drop all vectors of other encoders than these; returns how many."""
    table = schema.vectors
    gone = connection.execute(sa.delete(table).where(table.c.encoder.not_in(list(keep))))
    return int(gone.rowcount)


def coverage(engine: sa.Engine, modality: str = "content") -> dict[str, int]:
    """How many items each encoder has vectors of, most first."""
    table = schema.vectors
    count = sa.func.count()
    query = (
        sa.select(table.c.encoder, count).where(table.c.modality == modality)
        .group_by(table.c.encoder).order_by(count.desc(), table.c.encoder)
    )  # fmt: skip
    with engine.connect() as connection:
        return {encoder: int(n) for encoder, n in connection.execute(query)}


def stored_sources(
    engine: sa.Engine, modality: str, encoder: str = ""
) -> dict[int, tuple[str, str]]:
    """(encoder, source hash) of every stored vector of a modality, by item number; of one
    ``encoder`` when it is named."""
    table = schema.vectors
    query = sa.select(table.c.item_num, table.c.encoder, table.c.source_hash)
    query = query.where(table.c.modality == modality)
    if encoder:
        query = query.where(table.c.encoder == encoder)
    with engine.connect() as connection:
        return {num: (made_by, source) for num, made_by, source in connection.execute(query)}


def load_vectors(
    engine: sa.Engine,
    item_nums: Sequence[int] | Nums,
    modality: str = "content",
    encoder: str = "",
) -> Vectors:
    """Vectors in the order of ``item_nums``, float32.

    Vectors of two encoders cannot be compared: those of the ``encoder`` that is named are given,
    else of the one that made most, as a change of encoder may be half way; others count as absent.
    """
    nums = np.asarray(item_nums, dtype=np.int64)
    table = schema.vectors
    query = sa.select(table.c.item_num, table.c.encoder, table.c.dim, table.c.data)
    with engine.connect() as connection:
        rows = connection.execute(query.where(table.c.modality == modality)).all()
    if not rows:
        return Vectors(np.zeros((len(nums), 0), np.float32), np.zeros(len(nums), np.bool_))
    made = Counter((row.encoder, row.dim) for row in rows if not encoder or row.encoder == encoder)
    if not made:
        return Vectors(np.zeros((len(nums), 0), np.float32), np.zeros(len(nums), np.bool_))
    (encoder, dim), _ = made.most_common(1)[0]
    blobs = {row.item_num: row.data for row in rows if (row.encoder, row.dim) == (encoder, dim)}
    present = np.fromiter((int(num) in blobs for num in nums), np.bool_, len(nums))
    values = np.zeros((len(nums), dim), dtype=np.float32)
    for row in np.flatnonzero(present):
        values[row] = from_blob(blobs[int(nums[row])])
    return Vectors(values, present, encoder)


def snapshot(workspace: Workspace, modality: str = "content", encoder: str = "") -> Path:
    """Write all vectors of a modality as .npy files and point to them; returns the pointer.

    Of several encoders the one that is named, else the one that made most.

    The pointer is replaced in one step, after its files are on disk: a reader finds either the
    old snapshot or the new one, whatever is killed when. Files that nothing points to any more
    are removed; a process that has them mapped keeps them.
    """
    with workspace.engine.connect() as connection:
        found = connection.scalars(sa.select(schema.items.c.num).order_by(schema.items.c.num))
        nums = np.fromiter(found, dtype=np.int64)
    vectors = load_vectors(workspace.engine, nums, modality, encoder)
    folder = workspace.snapshots
    digest = hashlib.sha256(vectors.encoder.encode())
    for part in (nums, vectors.present, vectors.values):
        digest.update(np.ascontiguousarray(part).tobytes())
    stem = f"{modality}-{digest.hexdigest()[:16]}"
    _replace(folder / f"{stem}.npy", lambda file: np.save(file, vectors.values))
    # Row numbers and presence in one array: 0 marks an absent vector, numbers start at 1.
    marked = np.stack([nums, vectors.present.astype(np.int64)])
    _replace(folder / f"{stem}.nums.npy", lambda file: np.save(file, marked))
    pointer = folder / f"{modality}.json"
    told = json.dumps({"format": 1, "stem": stem, "encoder": vectors.encoder})
    _replace(pointer, lambda file: file.write(told.encode()))
    for old in folder.glob(f"{modality}-*.npy"):
        if not old.name.startswith(stem):
            old.unlink(missing_ok=True)
    return pointer


def open_snapshot(workspace: Workspace, modality: str = "content") -> Snapshot:
    """The newest snapshot, memory-mapped."""
    pointer = workspace.snapshots / f"{modality}.json"
    if not pointer.is_file():
        raise NotFound(f"no snapshot of {modality} vectors; make one with: segue understand")
    told = json.loads(pointer.read_text("utf-8"))
    if told.get("format") != 1:
        raise BadPackage(f"{pointer.name}: format {told.get('format')!r}, expected 1")
    marked = np.load(workspace.snapshots / f"{told['stem']}.nums.npy")
    values = np.load(workspace.snapshots / f"{told['stem']}.npy", mmap_mode="r")
    return Snapshot(marked[0], Vectors(values, marked[1].astype(np.bool_), told["encoder"]))


def _replace(path: Path, write: Any) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        _write_through(file, write)
    part.replace(path)


def _write_through(file: IO[bytes], write: Any) -> None:
    write(file)
    file.flush()
    os.fsync(file.fileno())
