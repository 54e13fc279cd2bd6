"""Where ingest keeps its results: derived files first, then one transaction that names them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from segue.ingest.media import Asset, Found, Scene, Shot
from segue.store import schema


class Place(Protocol):
    """The part of a workspace that ingest needs."""

    @property
    def engine(self) -> sa.Engine: ...

    @property
    def derived(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Known:
    """A file that an earlier run has dealt with."""

    size: int
    mtime_ns: int
    content_hash: str | None
    item_num: int | None
    status: str
    reason: str


class Shelf:
    """Files, items and assets of one workspace."""

    def __init__(self, place: Place) -> None:
        self._engine = place.engine
        self._derived = place.derived

    def known(self) -> dict[str, Known]:
        """Every file row by path."""
        f = schema.files.c
        columns = (f.path, f.size, f.mtime_ns, f.content_hash, f.item_num, f.status, f.reason)
        with self._engine.connect() as tx:
            return {row[0]: Known(*row[1:]) for row in tx.execute(sa.select(*columns))}

    def item_of(self, content_hash: str) -> int | None:
        """The item made of this content, if any."""
        query = sa.select(schema.items.c.num).where(schema.items.c.content_hash == content_hash)
        with self._engine.connect() as tx:
            num = tx.execute(query).scalar_one_or_none()
        return None if num is None else int(num)

    def stated(self, columns: Sequence[str]) -> dict[int, tuple[str, dict[str, Any]]]:
        """By item: the first path of its content and the item's values of ``columns``."""
        items, f = schema.items.c, schema.files.c
        paths = sa.select(f.item_num, sa.func.min(f.path)).where(f.status == "done")
        values = sa.select(items.num, *(items[name] for name in columns))
        with self._engine.connect() as tx:
            path_of = {row[0]: row[1] for row in tx.execute(paths.group_by(f.item_num))}
            rows = tx.execute(values.where(items.content_hash.is_not(None)))
            return {
                row[0]: (path_of[row[0]], dict(zip(columns, row[1:], strict=True)))
                for row in rows
                if row[0] in path_of
            }

    def restate(self, item_num: int, values: dict[str, Any]) -> None:
        """Write what a sidecar now says of an item."""
        row = schema.items.c.num == item_num
        with self._engine.begin() as tx:
            tx.execute(sa.update(schema.items).where(row).values(**values))

    def paths_of(self, item_num: int) -> list[str]:
        """Paths at which an item's content was last seen."""
        f = schema.files.c
        query = sa.select(f.path).where(f.item_num == item_num, f.status == "done")
        with self._engine.connect() as tx:
            return sorted(tx.execute(query).scalars())

    def media_at(self, paths: Sequence[str]) -> int | None:
        """The item of the first of ``paths`` that is a finished file."""
        f = schema.files.c
        query = sa.select(f.path, f.item_num).where(f.path.in_(paths), f.status == "done")
        with self._engine.connect() as tx:
            found = {row[0]: int(row[1]) for row in tx.execute(query)}
        return next((found[path] for path in paths if path in found), None)

    def record(self, row: dict[str, Any], gone: Sequence[str] = ()) -> None:
        """Write one file row and drop those of ``gone`` paths."""
        with self._engine.begin() as tx:
            self._write(tx, row, gone)

    def add(
        self,
        item: dict[str, Any],
        assets: Sequence[Asset],
        row: dict[str, Any],
        spans: Mapping[str, Sequence[Shot | Scene]] | None = None,
    ) -> int:
        """Publish derived files, then item, assets, spans and file row in one transaction.

        ``spans`` are shots and scenes by level (``shot``, ``scene``), in order of time.
        """
        rows = self._publish(item["content_hash"], assets)
        with self._engine.begin() as tx:
            key = tx.execute(sa.insert(schema.items).values(**item)).inserted_primary_key
            num = int(key[0]) if key else -1
            if rows:
                tx.execute(sa.insert(schema.assets), [r | {"item_num": num} for r in rows])
            if parts := _span_rows(num, spans or {}):
                tx.execute(sa.insert(schema.scenes), parts)
            self._write(tx, row | {"item_num": num})
        return num

    def attach(
        self, item_num: int, assets: Sequence[Asset], row: dict[str, Any], old_hash: str | None
    ) -> None:
        """Add a subtitle's assets to an item; those of its earlier version go."""
        rows = self._publish(row["content_hash"], assets)
        a = schema.assets.c
        with self._engine.begin() as tx:
            for content_hash in {old_hash, row["content_hash"]} - {None}:
                mine = sa.and_(
                    a.item_num == item_num, a.path.startswith(f"{_folder(str(content_hash))}/")
                )
                tx.execute(sa.delete(schema.assets).where(mine))
            for new in rows:
                same = sa.and_(a.item_num == item_num, a.kind == new["kind"])
                last = tx.execute(sa.select(sa.func.max(a.position)).where(same)).scalar()
                position = 0 if last is None else int(last) + 1
                values = new | {"item_num": item_num, "position": position}
                tx.execute(sa.insert(schema.assets).values(**values))
            self._write(tx, row | {"item_num": item_num})

    @staticmethod
    def _write(tx: sa.Connection, row: dict[str, Any], gone: Sequence[str] = ()) -> None:
        paths = [row["path"], *gone]
        tx.execute(sa.delete(schema.files).where(schema.files.c.path.in_(paths)))
        tx.execute(sa.insert(schema.files).values(**row))

    def _publish(self, content_hash: str, assets: Sequence[Asset]) -> list[dict[str, Any]]:
        """Write files aside, fsync, rename: a folder that has its name is whole.

        A folder of the same name was left by a run that died before its commit: it is replaced.
        """
        target = self._derived / _folder(content_hash)
        aside = self._derived / ".new" / content_hash
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        positions: dict[str, int] = {}
        rows = []
        for asset in assets:
            position = positions[asset.kind] = positions.get(asset.kind, -1) + 1
            name = f"{asset.kind}-{position:03d}.{asset.suffix}"
            _write_durably(aside / name, asset.data)
            rows.append(
                {
                    "kind": asset.kind,
                    "position": position,
                    "path": f"{_folder(content_hash)}/{name}",
                    "time_s": asset.time_s,
                    "content_hash": hashlib.sha256(asset.data).hexdigest(),
                }
            )
        _sync_folder(aside)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, target)
        _sync_folder(target.parent)
        return rows


def file_row(
    found: Found, status: str, reason: str, content_hash: str | None, now: float
) -> dict[str, Any]:
    """A row of the ``files`` table."""
    return {
        "path": found.path,
        "size": found.size,
        "mtime_ns": found.mtime_ns,
        "content_hash": content_hash,
        "item_num": None,
        "status": status,
        "reason": reason,
        "checked_at": now,
    }


def _span_rows(item_num: int, spans: Mapping[str, Sequence[Shot | Scene]]) -> list[dict[str, Any]]:
    return [
        {
            "item_num": item_num,
            "level": level,
            "position": position,
            "start_s": span.start_s,
            "end_s": span.end_s,
            "keyframe": span.keyframe,
        }
        for level, some in spans.items()
        for position, span in enumerate(some)
    ]


def _folder(content_hash: str) -> str:
    return f"{content_hash[:2]}/{content_hash}"


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
