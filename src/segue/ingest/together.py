"""A group of files on its way: one item, kept in place when its files change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from segue.core.errors import UnreadableMedia
from segue.ingest.examiners import Unfinished
from segue.ingest.group import Group, Part, group_hash, joined
from segue.ingest.media import Examined, Found, Scene, Shot
from segue.ingest.naming import is_side_text, item_row
from segue.ingest.shelf import Known, file_row
from segue.ingest.step import SIDE_TEXT, Desk, Pending, Told, decided, unchanged

Refusals = dict[str, tuple[Found, str, str | None]]  # by path: the file, why, its hash if known


@dataclass(frozen=True, slots=True)
class _Read:
    """The files of a group that have bytes, with their hashes, and those that have not."""

    group: Group
    num: int | None  # the item that this folder speaks for
    hashes: dict[str, str]  # by name
    refused: Refusals

    @property
    def content_hash(self) -> str:
        return group_hash(self.hashes)

    @property
    def files(self) -> list[Found]:
        return [f for f in self.group.files if os.path.basename(f.path) in self.hashes]

    def hash_of(self, found: Found) -> str:
        return self.hashes[os.path.basename(found.path)]


class Groups:
    """Folders whose sidecar says that their files are one item."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows: dict[str, dict[str, Known]] = {}
        for path, known in desk.known.items():
            self._rows.setdefault(os.path.dirname(path), {})[path] = known
        self._speaks = {old.folder: num for num, old in desk.groups.items()}

    def begin(self, group: Group) -> Pending:
        rows = self._rows.get(group.folder, {})
        settled = self._settled(group, rows)
        if settled is not None:
            return decided(*self._as_before(group, rows, settled))
        read = self._read(group, rows)
        files = read.files
        existing = self._desk.shelf.item_of(read.content_hash) if files else None
        if not files or (existing is not None and not self._looks_new(read, existing)):
            return Pending(partial(self._finish, read, ()))
        futures = tuple(self._desk.examiner.submit(found) for found in files)
        return Pending(partial(self._finish, read, futures), futures)

    def _settled(self, group: Group, rows: dict[str, Known]) -> int | None:
        """The item that was made of exactly these files, cover and all."""
        nums = {known.item_num for known in rows.values()}
        if len(nums) != 1 or set(rows) != {found.path for found in group.files}:
            return None
        (num,) = nums
        if num is None or num not in self._desk.groups:
            return None
        old = self._desk.groups[num]
        if old.folder == group.folder and old.cover != group.cover:
            return None
        same = all(unchanged(rows[found.path], found) for found in group.files)
        return num if same else None

    def _as_before(self, group: Group, rows: dict[str, Known], num: int) -> list[Told]:
        refused = [
            Told(path, "refused", rows[path].reason)
            for path in sorted(rows)
            if rows[path].status == "refused"
        ]
        news = ""
        if num in self._desk.stated and self._desk.groups[num].folder == group.folder:
            news = self._desk.restate(num, dict(group.said))
        status = "updated" if news else "unchanged"
        reason = f"the sidecar changed its {news}" if news else ""
        return [*refused, Told(group.folder, status, reason, len(group.files) - len(refused))]

    def _read(self, group: Group, rows: dict[str, Known]) -> _Read:
        """Hashes of all its files; only those that changed are opened."""
        hashes: dict[str, str] = {}
        refused: Refusals = {}
        for found in group.files:
            old = rows.get(found.path)
            try:
                if is_side_text(found.path):
                    raise UnreadableMedia(found.path, SIDE_TEXT)
                if old is not None and old.content_hash and unchanged(old, found):
                    digest = old.content_hash
                else:
                    digest = self._desk.hashed(found)
            except UnreadableMedia as error:
                refused[found.path] = (found, error.reason, None)
            else:
                hashes[os.path.basename(found.path)] = digest
        return _Read(group, self._speaks.get(group.folder), hashes, refused)

    def _looks_new(self, read: _Read, existing: int) -> bool:
        """Whether an item of the same files must be made anew: it has another cover now, or not
        all its files had been read."""
        if existing != read.num:
            return False
        rows = self._rows.get(read.group.folder, {})
        whole = all(
            f.path in rows
            and (rows[f.path].item_num, rows[f.path].content_hash) == (existing, read.hash_of(f))
            for f in read.files
        )
        return not whole or self._desk.groups[existing].cover != read.group.cover

    def _finish(self, read: _Read, futures: Sequence[Any]) -> list[Told]:
        existing = self._desk.shelf.item_of(read.content_hash) if read.hashes else None
        if existing is not None and (existing != read.num or not futures):
            for future in futures:
                future.cancel()
            return self._again(read, existing)
        parts, unfinished = self._parts(read, futures)
        told = [Told(path, "refused", why) for path, (_, why, _) in read.refused.items()]
        told += [Told(path, "refused", why) for path, why in unfinished.items()]
        told.sort(key=lambda one: one.path)
        if not parts:
            self._desk.shelf.record_all(self._refusals(read, read.num), self._gone(read))
            return told
        examined = joined(read.group, parts, self._desk.examiner.limits)
        try:
            status = self._write(read, parts, examined)
        except sa.exc.IntegrityError:
            other = self._desk.shelf.item_of(read.content_hash)  # another run was faster
            if other is None:
                raise
            return self._again(read, other)
        return [*told, Told(read.group.folder, status, examined.note, len(parts))]

    def _parts(self, read: _Read, futures: Sequence[Any]) -> tuple[list[Part], dict[str, str]]:
        """What could be read, and what another run must try again; bad files become refusals."""
        parts: list[Part] = []
        unfinished: dict[str, str] = {}
        for found, future in zip(read.files, futures, strict=True):
            try:
                parts.append((found, self._desk.examiner.result(found, future)))
            except UnreadableMedia as error:
                read.refused[found.path] = (found, error.reason, read.hash_of(found))
            except Unfinished as error:
                unfinished[found.path] = str(error)
        return parts, unfinished

    def _write(self, read: _Read, parts: Sequence[Part], examined: Examined) -> str:
        desk, now = self._desk, self._desk.clock()
        group = read.group
        said = dict(group.said)
        row = desk.filled(item_row(group.as_found(), examined, said, read.content_hash, now))
        names = [os.path.basename(found.path) for found, _ in parts]
        row["extra"] |= {"cover": group.cover, "files": names}
        rows = [file_row(found, "done", one.note, read.hash_of(found), now) for found, one in parts]
        rows += self._refusals(read, None)
        spans: dict[str, Sequence[Shot | Scene]] = {
            "shot": examined.shots,
            "scene": examined.scenes,
        }
        # The folder of its derived files is named by all that they depend on: those of the item
        # as it was stay whole until the new ones are committed.
        folder = hashlib.sha256(repr((read.content_hash, group.cover, names)).encode()).hexdigest()
        if read.num is None:
            desk.shelf.add(row, examined.assets, rows, spans, folder)
            return "added"
        kept = {k: v for k, v in row.items() if k not in ("id", "added_at")}
        desk.shelf.replace(
            read.num, kept, examined.assets, rows, spans, folder, gone=self._gone(read)
        )
        return "updated"

    def _refusals(self, read: _Read, num: int | None) -> list[dict[str, Any]]:
        now = self._desk.clock()
        return [
            file_row(found, "refused", why, digest, now) | {"item_num": num}
            for found, why, digest in read.refused.values()
        ]

    def _gone(self, read: _Read) -> list[str]:
        """Files that were in the folder."""
        here = {found.path for found in read.group.files}
        return [path for path in self._rows.get(read.group.folder, {}) if path not in here]

    def _again(self, read: _Read, num: int) -> list[Told]:
        """Files that are an item already: touched, at a new place, or at one more place."""
        desk = self._desk
        before = desk.shelf.files_of(num)
        as_before = {os.path.basename(path): said for path, *said in before}
        elsewhere = [p for p, *_ in before if os.path.dirname(p) != read.group.folder]
        gone = [path for path in elsewhere if not os.path.lexists(path)]
        now = desk.clock()
        rows, told = self._refusals(read, num), []
        for found in read.files:
            status, reason = as_before.get(os.path.basename(found.path), ("done", ""))
            row = file_row(found, status, reason, read.hash_of(found), now)
            rows.append(row | {"item_num": num})
        desk.shelf.record_all(rows, [*gone, *self._gone(read)])
        told = [Told(r["path"], "refused", r["reason"]) for r in rows if r["status"] == "refused"]
        status, reason = "unchanged", ""
        if gone:
            status, reason = "moved", f"was {os.path.dirname(gone[0])}"
        elif elsewhere:
            status, reason = "attached", f"same content as {os.path.dirname(elsewhere[0])}"
        return [*told, Told(read.group.folder, status, reason, len(rows) - len(told))]
