"""Media files and pictures of items. A client names an item, never a path."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from segue.core.errors import NotFound
from segue.store import schema

# Written out: the system's own table differs between machines.
MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg",
    ".mov": "video/quicktime", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo",
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".oga": "audio/ogg",
    ".ogg": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif",
    ".webp": "image/webp", ".avif": "image/avif", ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8", ".srt": "text/plain; charset=utf-8",
    ".pdf": "application/pdf", ".epub": "application/epub+zip",
}  # fmt: skip
UNKNOWN_TYPE = "application/octet-stream"
PLAYS = ("video", "audio", "image", "text")
SHOWN_ASSETS = ("poster", "keyframe", "text", "subtitle")


@dataclass(frozen=True)
class Served:
    """A file that may be sent."""

    path: Path
    media_type: str
    etag: str = ""

    @property
    def inline(self) -> bool:
        """False for what a browser should save rather than show."""
        return self.media_type not in (UNKNOWN_TYPE, "application/epub+zip")


def media_type(path: Path, item_kind: str = "") -> str:
    """By file name; ``.ogg`` holds either, so the item's kind decides."""
    found = MEDIA_TYPES.get(path.suffix.lower(), UNKNOWN_TYPE)
    if found == "audio/ogg" and item_kind in ("video", "movie", "short", "series"):
        return "video/ogg"
    return found


def in_order(paths: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """(path, kind of item) pairs, what plays first: an item may be made of several files."""

    def rank(pair: tuple[Path, str]) -> tuple[int, str]:
        kind = media_type(*pair).partition("/")[0]
        return PLAYS.index(kind) if kind in PLAYS else len(PLAYS), str(pair[0])

    return sorted(paths, key=rank)


def _regular(path: Path) -> bool:
    try:
        # lstat: a file swapped for a link after it was ingested is not followed.
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


@dataclass(frozen=True)
class Shelf:
    """What each item has to show: pictures made from it and its own file."""

    derived: Path
    pictures: dict[str, Counter[str]]  # item id -> kind of asset -> how many
    playable: dict[str, str]  # item id -> content type

    @staticmethod
    def load(engine: sa.Engine, derived: Path) -> Shelf:
        """Read which items have assets and files."""
        i, a, f = schema.items.c, schema.assets.c, schema.files.c
        pictures: dict[str, Counter[str]] = {}
        with engine.connect() as connection:
            assets = sa.select(i.id, a.kind).join_from(schema.assets, schema.items)
            for item_id, kind in connection.execute(assets):
                pictures.setdefault(item_id, Counter())[kind] += 1
            media = (
                sa.select(i.id, i.kind, f.path)
                .join_from(schema.files, schema.items, f.item_num == i.num)
                .where(f.status == "done")
            )
            paths: dict[str, list[tuple[Path, str]]] = {}
            for item_id, kind, path in connection.execute(media):
                paths.setdefault(item_id, []).append((Path(path), kind))
        playable = {item_id: media_type(*in_order(found)[0]) for item_id, found in paths.items()}
        return Shelf(derived, pictures, playable)

    def asset(self, engine: sa.Engine, item_id: str, kind: str, position: int) -> Served:
        """A poster, keyframe, text or subtitle of an item."""
        i, a = schema.items.c, schema.assets.c
        query = (
            sa.select(a.path, a.content_hash)
            .join_from(schema.assets, schema.items)
            .where(i.id == item_id, a.kind == kind, a.position == position)
        )
        with engine.connect() as connection:
            found = connection.execute(query).first()
        if found is None:
            raise NotFound(f"item {item_id!r} has no {kind} number {position}")
        path = (self.derived / found[0]).resolve()
        if not path.is_relative_to(self.derived.resolve()) or not _regular(path):
            raise NotFound(f"the {kind} of item {item_id!r} is gone; run segue ingest again")
        return Served(path, media_type(path), str(found[1]))


def media(engine: sa.Engine, item_id: str) -> Served:
    """The file of an item, as ingest recorded it."""
    i, f = schema.items.c, schema.files.c
    query = (
        sa.select(f.path, i.kind, f.content_hash)
        .join_from(schema.files, schema.items, f.item_num == i.num)
        .where(i.id == item_id, f.status == "done")
        .order_by(f.path)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    if not rows:
        raise NotFound(f"item {item_id!r} has no media file")
    hashes = {Path(path): content_hash or "" for path, _, content_hash in rows}
    for path, kind in in_order([(Path(path), kind) for path, kind, _ in rows]):
        if _regular(path):
            return Served(path, media_type(path, kind), hashes[path])
    raise NotFound(f"the media file of item {item_id!r} was moved or removed; run segue ingest")
