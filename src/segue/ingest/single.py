"""A file that is an item by itself, or speaks of the file beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from segue.core.errors import UnreadableMedia
from segue.ingest.beside import Beside
from segue.ingest.examiners import Unfinished
from segue.ingest.media import Examined, Found, Scene, Shot
from segue.ingest.naming import is_side_text, item_row
from segue.ingest.shelf import Known, file_row
from segue.ingest.step import NFO_ORPHAN, ORPHAN, SIDE_TEXT, Desk, Pending, Told, decided, unchanged

MIN_TEXT_CHARS = 40  # a shorter text is no work; beside the pictures of a post it may be


class Singles:
    """Files one by one: each is an item of its own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._beside = Beside(desk)

    def begin(self, found: Found) -> Pending:
        desk = self._desk
        old = desk.known.get(found.path)
        if old is not None and self._settled(old, found):
            return decided(self._as_before(found, old))
        if is_side_text(found.path):
            return decided(desk.refuse(found, SIDE_TEXT))
        try:
            content_hash = desk.hashed(found)
        except UnreadableMedia as error:
            return decided(desk.refuse(found, error.reason))
        if desk.shelf.item_of(content_hash) is not None:
            return Pending(partial(self._finish, found, content_hash, None))
        future = desk.examiner.submit(found)
        return Pending(partial(self._finish, found, content_hash, future), (future,))

    def _settled(self, old: Known, found: Found) -> bool:
        """Whether an earlier run has said all there is to say of the file.

        Not of a subtitle whose video may have come since, nor of a file that was part of a group
        whose sidecar is gone.
        """
        return (
            unchanged(old, found)
            and old.reason not in (ORPHAN, NFO_ORPHAN)
            and old.item_num not in self._desk.groups
        )

    def _as_before(self, found: Found, old: Known) -> Told:
        if old.status == "refused":
            return Told(found.path, "refused", old.reason)
        if old.status == "done" and (news := self._restate(found, old.item_num)):
            return Told(found.path, "updated", f"the sidecar changed its {news}")
        return Told(found.path, "unchanged")

    def _restate(self, found: Found, item_num: int | None) -> str:
        """Of several copies only the first path speaks for the item."""
        path, _ = self._desk.stated.get(-1 if item_num is None else item_num, ("", {}))
        if item_num is None or path != found.path:
            return ""
        return self._desk.restate(item_num, self._desk.sidecars.of(found.path, found.folder))

    def _finish(self, found: Found, content_hash: str, future: Any) -> Sequence[Told]:
        status, reason = self._commit(found, content_hash, future)
        return (Told(found.path, status, reason),)

    def _commit(self, found: Found, content_hash: str, future: Any) -> tuple[str, str]:
        """(status, reason), committed."""
        desk = self._desk
        existing = desk.shelf.item_of(content_hash)
        if existing is not None:
            if future is not None:
                future.cancel()
            return self._again(found, content_hash, existing)
        try:
            examined = desk.examiner.result(found, future)
        except UnreadableMedia as error:
            return "refused", desk.refuse(found, error.reason, content_hash).reason
        except Unfinished as error:
            return "refused", str(error)
        beside = self._beside.take(found, examined, content_hash)
        if beside is not None:
            return beside
        if _is_scrap(examined):
            why = f"fewer than {MIN_TEXT_CHARS} characters"
            return "refused", desk.refuse(found, why, content_hash).reason
        now = desk.clock()
        said = desk.sidecars.of(found.path, found.folder)
        item = desk.filled(item_row(found, examined, said, content_hash, now))
        row = file_row(found, "done", examined.note, content_hash, now)
        spans: dict[str, Sequence[Shot | Scene]] = {
            "shot": examined.shots,
            "scene": examined.scenes,
        }
        try:
            desk.shelf.add(item, examined.assets, [row], spans)
        except sa.exc.IntegrityError:
            other = desk.shelf.item_of(content_hash)  # another run was faster
            if other is None:
                raise
            return self._again(found, content_hash, other)
        return "added", examined.note

    def _again(self, found: Found, content_hash: str, num: int) -> tuple[str, str]:
        """Content that is an item already: at a new place, or at one more place."""
        desk = self._desk
        elsewhere = [path for path in desk.shelf.paths_of(num) if path != found.path]
        gone = [path for path in elsewhere if not os.path.lexists(path)]
        row = file_row(found, "done", "", content_hash, desk.clock()) | {"item_num": num}
        desk.shelf.record(row, gone)
        if gone:
            return "moved", f"was {gone[0]}"
        if elsewhere:
            return "attached", f"same content as {elsewhere[0]}"
        return "unchanged", ""


def _is_scrap(examined: Examined) -> bool:
    """A plain text of a few words."""
    chars = sum(len(a.data.decode()) for a in examined.assets if a.kind == "text")
    return examined.format == "text" and chars < MIN_TEXT_CHARS
