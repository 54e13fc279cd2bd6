"""Where ingest keeps its results: derived files first, then one transaction that names them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from segue.ingest.media import Asset, Found, Scene, Shot
from segue.store import schema
from segue.store.catalogue import without_files
from segue.store.events import insert_ignore

GROUP = "group"  # items.extra["media"] of an item of several files


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


@dataclass(frozen=True, slots=True)
class Grouped:
    """An item of several files: the folder that speaks for it, and its cover's name."""

    folder: str
    cover: str


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

    def groups(self) -> dict[int, Grouped]:
        """Items of several files. Of several copies the first folder that is there speaks."""
        items, f = schema.items.c, schema.files.c
        query = (
            sa.select(items.num, items.extra, f.path)
            .join_from(schema.files, schema.items, f.item_num == items.num)
            .where(items.extra["media"].as_string() == GROUP)
            .order_by(f.path)
        )
        folders: dict[int, list[str]] = {}
        covers: dict[int, str] = {}
        with self._engine.connect() as tx:
            for num, extra, path in tx.execute(query):
                folders.setdefault(num, []).append(os.path.dirname(path))
                covers[num] = extra.get("cover", "")
        return {
            num: Grouped(next(filter(os.path.isdir, dict.fromkeys(some)), some[0]), covers[num])
            for num, some in folders.items()
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

    def files_of(self, item_num: int) -> list[tuple[str, str, str]]:
        """(path, status, reason) of every file of an item, refused ones too."""
        f = schema.files.c
        query = sa.select(f.path, f.status, f.reason).where(f.item_num == item_num)
        with self._engine.connect() as tx:
            return [(row[0], row[1], row[2]) for row in tx.execute(query.order_by(f.path))]

    def without_files(self, nums: Collection[int]) -> list[tuple[str, str]]:
        """Those of the items that no file is of any more: (id, what is kept of it)."""
        items, e = schema.items.c, schema.events.c
        n_events = sa.select(sa.func.count()).where(e.item_num == items.num).scalar_subquery()
        query = sa.select(items.num, items.id, items.title, n_events).where(
            items.num.in_(without_files())
        )
        with self._engine.connect() as tx:
            rows = tx.execute(query.order_by(items.num)).all()
        return [(row[1], f"{row[2]!r}, {row[3]} events") for row in rows if row[0] in nums]

    def media_at(self, paths: Sequence[str]) -> int | None:
        """The item of the first of ``paths`` that is a finished file."""
        f = schema.files.c
        query = sa.select(f.path, f.item_num).where(f.path.in_(paths), f.status == "done")
        with self._engine.connect() as tx:
            found = {row[0]: int(row[1]) for row in tx.execute(query)}
        return next((found[path] for path in paths if path in found), None)

    def alone_in(self, folder: str) -> list[str]:
        """The one finished video of a folder; nothing where there are several."""
        found = [path for path, _ in self._of_medium(folder, "video")]
        return found if len(found) == 1 else []

    def sounds_in(self, folder: str) -> list[int]:
        """Items of the finished sounds of a folder."""
        return list(dict.fromkeys(num for _, num in self._of_medium(folder, "audio")))

    def anything_below(self, folder: str) -> bool:
        """Whether a finished video or sound lies in a folder or below."""
        with self._engine.connect() as tx:
            return tx.execute(_below(folder, ("video", "audio")).limit(1)).first() is not None

    def _of_medium(self, folder: str, media: str) -> list[tuple[str, int]]:
        """Finished files of a folder itself, with their items."""
        with self._engine.connect() as tx:
            rows = tx.execute(_below(folder, (media,))).all()
        return [(row[0], row[1]) for row in rows if os.path.dirname(row[0]) == folder]

    def adorn(
        self,
        nums: Sequence[int],
        posters: Sequence[Asset],
        row: dict[str, Any],
        old_hash: str | None,
    ) -> None:
        """Put posters before those that items have; those of the file's earlier version go. Of
        several items only those that have none get them: sounds may carry a cover of their own."""
        made = self._publish(row["content_hash"], posters) if posters else []
        a = schema.assets.c
        with self._engine.begin() as tx:
            for num in nums:
                self._drop(tx, num, {old_hash, row["content_hash"]})
                mine = sa.and_(a.item_num == num, a.kind == "poster")
                had = tx.execute(sa.select(a.position).where(mine)).scalars().all()
                if had and len(nums) > 1:
                    continue
                for position in sorted(had, reverse=True):
                    moved = sa.update(schema.assets).where(mine, a.position == position)
                    tx.execute(moved.values(position=position + len(made)))
                if made:
                    tx.execute(sa.insert(schema.assets), [one | {"item_num": num} for one in made])
            self._write(tx, [row | {"item_num": nums[0]}])

    @staticmethod
    def _drop(tx: sa.Connection, item_num: int, hashes: AbstractSet[str | None]) -> None:
        """Remove an item's assets that were made of files of these hashes."""
        a = schema.assets.c
        for content_hash in hashes - {None}:
            own = a.path.startswith(f"{_folder(str(content_hash))}/")
            tx.execute(sa.delete(schema.assets).where(a.item_num == item_num, own))

    def describe(
        self,
        item_num: int,
        values: Mapping[str, Any],
        extra: Mapping[str, Any],
        ids: Mapping[str, str],
        row: dict[str, Any],
    ) -> None:
        """Write what the file of ``row`` says of an item: ``values``, more ``extra``, and ``ids``
        elsewhere by the name of whose they are."""
        items = schema.items
        with self._engine.begin() as tx:
            had = tx.execute(sa.select(items.c.extra).where(items.c.num == item_num)).scalar_one()
            news = {**values, "extra": {**had, **extra}}
            tx.execute(sa.update(items).where(items.c.num == item_num).values(**news))
            known = [
                {"entity": "item", "platform": whose, "external_id": id_, "num": item_num}
                for whose, id_ in ids.items()
            ]
            insert_ignore(tx, schema.identities, known)
            self._write(tx, [row | {"item_num": item_num}])

    def record(self, row: dict[str, Any], gone: Sequence[str] = ()) -> None:
        """Write one file row and drop those of ``gone`` paths."""
        self.record_all([row], gone)

    def record_all(self, rows: Sequence[dict[str, Any]], gone: Sequence[str] = ()) -> None:
        """Write file rows and drop those of ``gone`` paths."""
        with self._engine.begin() as tx:
            self._write(tx, rows, gone)

    def add(
        self,
        item: dict[str, Any],
        assets: Sequence[Asset],
        rows: Sequence[dict[str, Any]],
        spans: Mapping[str, Sequence[Shot | Scene]] | None = None,
        folder: str = "",
    ) -> int:
        """Publish derived files, then item, assets, spans and file rows in one transaction.

        ``spans`` are shots and scenes by level (``shot``, ``scene``), in order of time. ``folder``
        is a hash that names the folder of the derived files; by default the item's.
        """
        made = self._publish(folder or item["content_hash"], assets)
        with self._engine.begin() as tx:
            key = tx.execute(sa.insert(schema.items).values(**item)).inserted_primary_key
            num = int(key[0]) if key else -1
            self._fill(tx, num, made, spans or {}, rows)
        return num

    def replace(
        self,
        item_num: int,
        item: dict[str, Any],
        assets: Sequence[Asset],
        rows: Sequence[dict[str, Any]],
        spans: Mapping[str, Sequence[Shot | Scene]],
        folder: str,
        gone: Sequence[str] = (),
    ) -> None:
        """Give an item other assets, spans, file rows and the values of ``item``; it stays the
        same item. ``folder`` as in :meth:`add`; the derived files that it had are removed."""
        made = self._publish(folder, assets)
        a, s = schema.assets.c, schema.scenes.c
        with self._engine.begin() as tx:
            had = tx.execute(sa.select(a.path).where(a.item_num == item_num)).scalars().all()
            tx.execute(sa.delete(schema.assets).where(a.item_num == item_num))
            tx.execute(sa.delete(schema.scenes).where(s.item_num == item_num))
            row = schema.items.c.num == item_num
            tx.execute(sa.update(schema.items).where(row).values(**item))
            self._fill(tx, item_num, made, spans, rows, gone)
        for old in {os.path.dirname(path) for path in had} - {_folder(folder)}:
            shutil.rmtree(self._derived / old, ignore_errors=True)

    def _fill(
        self,
        tx: sa.Connection,
        num: int,
        made: Sequence[dict[str, Any]],
        spans: Mapping[str, Sequence[Shot | Scene]],
        rows: Sequence[dict[str, Any]],
        gone: Sequence[str] = (),
    ) -> None:
        """What belongs to an item: rows of its assets, spans and files."""
        if made:
            tx.execute(sa.insert(schema.assets), [one | {"item_num": num} for one in made])
        if parts := _span_rows(num, spans):
            tx.execute(sa.insert(schema.scenes), parts)
        self._write(tx, [row | {"item_num": num} for row in rows], gone)

    def attach(
        self, item_num: int, assets: Sequence[Asset], row: dict[str, Any], old_hash: str | None
    ) -> None:
        """Add a subtitle's assets to an item; those of its earlier version go."""
        rows = self._publish(row["content_hash"], assets)
        a = schema.assets.c
        with self._engine.begin() as tx:
            self._drop(tx, item_num, {old_hash, row["content_hash"]})
            for new in rows:
                same = sa.and_(a.item_num == item_num, a.kind == new["kind"])
                last = tx.execute(sa.select(sa.func.max(a.position)).where(same)).scalar()
                position = 0 if last is None else int(last) + 1
                values = new | {"item_num": item_num, "position": position}
                tx.execute(sa.insert(schema.assets).values(**values))
            self._write(tx, [row | {"item_num": item_num}])

    @staticmethod
    def _write(tx: sa.Connection, rows: Sequence[dict[str, Any]], gone: Sequence[str] = ()) -> None:
        path = schema.files.c.path
        # One by one: databases bound how many values a statement may have.
        for old in (*gone, *(row["path"] for row in rows)):
            tx.execute(sa.delete(schema.files).where(path == old))
        if rows:
            tx.execute(sa.insert(schema.files), list(rows))

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


def _below(folder: str, media: Sequence[str]) -> sa.Select[Any]:
    """(path, item) of finished files of some media in a folder or below it, by path."""
    items, f = schema.items.c, schema.files.c
    return (
        sa.select(f.path, items.num)
        .join_from(schema.files, schema.items, f.item_num == items.num)
        .where(f.status == "done", f.path.startswith(f"{folder}{os.sep}", autoescape=True))
        .where(items.extra["media"].as_string().in_(media))
        .order_by(f.path)
    )


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
