"""What the kinds of entries have in common on their way from the disk to the shelf."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from segue.core.errors import UnreadableMedia
from segue.ingest.examiners import Examiner
from segue.ingest.media import Found, open_blob
from segue.ingest.shelf import Grouped, Known, Shelf, file_row
from segue.ingest.sidecar import Sidecars

ORPHAN = "subtitle without a video or sound of the same name beside it"
NFO_ORPHAN = "NFO without a video of the same name beside it, or alone in its folder"
SIDE_TEXT = "a read-me or licence text, not a work"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Told:
    """``files`` files are dealt with, and that is committed; statuses as in ``Progress``."""

    path: str
    status: str
    reason: str = ""
    files: int = 1


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry on its way. When all ``futures`` are done (or at once), ``finish`` commits it."""

    finish: Callable[[], Sequence[Told]]
    futures: tuple[Any, ...] = ()

    def ready(self) -> bool:
        return all(future.done() for future in self.futures)


def decided(*told: Told) -> Pending:
    """An entry for which nothing needs to be looked at."""
    return Pending(lambda: told)


@dataclass(frozen=True)
class Desk:
    """What one run works with, and what earlier runs left.

    ``given`` are values of items where neither a sidecar nor the file has any; ``stated`` is by
    item, see :meth:`Shelf.stated`; ``groups`` are items of several files.
    """

    shelf: Shelf
    examiner: Examiner
    sidecars: Sidecars
    given: dict[str, str]
    clock: Callable[[], float]
    known: dict[str, Known]
    stated: dict[int, tuple[str, dict[str, Any]]]
    groups: dict[int, Grouped]

    def hashed(self, found: Found) -> str:
        return hash_file(found, self.examiner.limits.max_file_bytes)

    def refuse(self, found: Found, reason: str, content_hash: str | None = None) -> Told:
        self.shelf.record(file_row(found, "refused", reason, content_hash, self.clock()))
        return Told(found.path, "refused", reason)

    def filled(self, item: dict[str, Any]) -> dict[str, Any]:
        """The row of an item, with ``given`` where it says nothing."""
        return item | {key: value for key, value in self.given.items() if not item[key]}

    def restate(self, item_num: int, said: dict[str, Any]) -> str:
        """Names of the fields that a sidecar, edited since, says otherwise; now written."""
        _, values = self.stated[item_num]
        news = {key: value for key, value in said.items() if values.get(key) != value}
        if news:
            self.shelf.restate(item_num, news)
        return ", ".join(news)


def unchanged(old: Known, found: Found) -> bool:
    return (old.size, old.mtime_ns) == (found.size, found.mtime_ns)


def hash_file(found: Found, max_bytes: int) -> str:
    """Sha256 of a file's content, hex; only bytes are read here, nothing is parsed."""
    if found.size > max_bytes:
        raise UnreadableMedia(found.path, f"{found.size:,} bytes, limit {max_bytes:,}")
    digest = hashlib.sha256()
    with open_blob(found) as blob:
        while chunk := blob.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
