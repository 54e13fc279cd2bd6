"""Ingest folders of media: each new file once, each item whole or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Found, open_blob
from segue.ingest.naming import SUBTITLE_SUFFIXES, is_side_text, item_row, media_beside
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import Skipped, scan
from segue.ingest.shelf import Known, Place, Shelf, file_row
from segue.ingest.sidecar import KEYS as SIDECAR_KEYS
from segue.ingest.sidecar import Sidecars

ORPHAN = "subtitle without a video or sound of the same name beside it"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """One file is dealt with. ``status``: added | unchanged | updated | moved | attached
    | refused."""

    done: int
    total: int
    path: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. ``refused`` and ``damaged`` are (path, reason)."""

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    attached: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    updated: int = 0  # known already, but its sidecar says something new
    damaged: tuple[tuple[str, str], ...] = ()  # added, but parts of them could not be read


@dataclass(frozen=True, slots=True)
class _Step:
    """A file on its way: already decided (``status``) or in the sandbox (``future``)."""

    path: str
    status: str = ""
    reason: str = ""
    found: Found | None = None
    content_hash: str = ""
    future: Any = None


@dataclass
class _Tally:
    counts: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)


def ingest(
    workspace: Place,
    folders: Sequence[str | os.PathLike[str]],
    *,
    progress: Callable[[Progress], None] | None = None,
    source: str = "",
    licence: str = "",
    limits: MediaLimits | None = None,
    workers: int = 1,
    clock: Callable[[], float] = time.time,
) -> IngestReport:
    """Make items of the media files below ``folders``.

    A file is known by the sha256 of its content: a moved file stays the same item, and a second
    run over unchanged files opens none of them. ``source`` and ``licence`` hold where neither a
    sidecar (``segue-media.toml``) nor the file itself says otherwise. An edited sidecar acts on
    the next run; what it no longer says stays as it was. When ``progress`` is called
    the file is committed: killing the process afterwards does not lose it.
    """
    entries = sorted(scan(folders), key=lambda e: e.path.lower().endswith(SUBTITLE_SUFFIXES))
    roots = tuple(str(Path(folder).resolve()) for folder in folders)
    limits = MediaLimits() if limits is None else limits
    given = {"source": source, "licence": licence}
    with Sandbox(roots, limits, workers) as sandbox:
        run = _Run(Shelf(workspace), sandbox, {k: v for k, v in given.items() if v}, clock)
        return run.all(entries, progress, ahead=workers)


class _Run:
    """One run over a list of files."""

    def __init__(
        self, shelf: Shelf, sandbox: Sandbox, given: dict[str, str], clock: Callable[[], float]
    ) -> None:
        self._shelf = shelf
        self._sandbox = sandbox
        self._given = given
        self._clock = clock
        self._sidecars = Sidecars()
        self._known = shelf.known()
        self._stated = shelf.stated(SIDECAR_KEYS)

    def all(
        self,
        entries: Sequence[Found | Skipped],
        progress: Callable[[Progress], None] | None,
        ahead: int,
    ) -> IngestReport:
        tally = _Tally()
        waiting: deque[_Step] = deque()
        done = 0
        for position in range(len(entries) + ahead):
            if position < len(entries):
                entry = entries[position]
                # A subtitle needs the items before it to be committed.
                while waiting and entry.path.lower().endswith(SUBTITLE_SUFFIXES):
                    done = self._count(waiting.popleft(), tally, done, len(entries), progress)
                waiting.append(self._begin(entry))
            if waiting and (len(waiting) > ahead or position >= len(entries)):
                done = self._count(waiting.popleft(), tally, done, len(entries), progress)
        while waiting:
            done = self._count(waiting.popleft(), tally, done, len(entries), progress)
        get = tally.counts.get
        return IngestReport(
            added=get("added", 0),
            unchanged=get("unchanged", 0),
            moved=get("moved", 0),
            attached=get("attached", 0),
            refused=tuple(tally.refused),
            updated=get("updated", 0),
            damaged=tuple(tally.damaged),
        )

    def _count(
        self,
        step: _Step,
        tally: _Tally,
        done: int,
        total: int,
        progress: Callable[[Progress], None] | None,
    ) -> int:
        status, reason = self._finish(step)
        tally.counts[status] = tally.counts.get(status, 0) + 1
        if status == "refused":
            tally.refused.append((step.path, reason))
        elif status == "added" and reason:
            tally.damaged.append((step.path, reason))
        if progress is not None:
            progress(Progress(done + 1, total, step.path, status, reason))
        return done + 1

    def _begin(self, entry: Found | Skipped) -> _Step:
        if isinstance(entry, Skipped):
            return _Step(entry.path, "refused", entry.reason)
        old = self._known.get(entry.path)
        if old is not None and self._same(old, entry):
            if old.status == "done" and (news := self._restate(entry, old.item_num)):
                return _Step(entry.path, "updated", f"the sidecar changed its {news}")
            status = "refused" if old.status == "refused" else "unchanged"
            return _Step(entry.path, status, old.reason if status == "refused" else "")
        if is_side_text(entry.path):
            return self._refuse(entry, "a read-me or licence text, not a work", None)
        self._sidecars.of(entry.path, entry.folder)  # a broken sidecar stops here, not half-way
        try:
            content_hash = hash_file(entry, self._sandbox.limits.max_file_bytes)
        except UnreadableMedia as error:
            return self._refuse(entry, error.reason, None)
        if self._shelf.item_of(content_hash) is not None:
            return _Step(entry.path, found=entry, content_hash=content_hash)
        future = self._sandbox.submit(entry)
        return _Step(entry.path, found=entry, content_hash=content_hash, future=future)

    def _restate(self, entry: Found, item_num: int | None) -> str:
        """Names of the fields that a sidecar, edited since, says otherwise; now written.

        Of several copies only the first path speaks for the item.
        """
        path, values = self._stated.get(-1 if item_num is None else item_num, ("", {}))
        said = self._sidecars.of(entry.path, entry.folder)
        news = {key: value for key, value in said.items() if values.get(key) != value}
        if item_num is None or path != entry.path or not news:
            return ""
        self._shelf.restate(item_num, news)
        return ", ".join(news)

    @staticmethod
    def _same(old: Known, entry: Found) -> bool:
        same = (old.size, old.mtime_ns) == (entry.size, entry.mtime_ns)
        return same and old.reason != ORPHAN  # its video may have come since

    def _refuse(self, found: Found, reason: str, content_hash: str | None) -> _Step:
        self._shelf.record(file_row(found, "refused", reason, content_hash, self._clock()))
        return _Step(found.path, "refused", reason)

    def _finish(self, step: _Step) -> tuple[str, str]:
        """(status, reason), committed."""
        if step.found is None:
            return step.status, step.reason
        existing = self._shelf.item_of(step.content_hash)
        if existing is not None:
            if step.future is not None:
                step.future.cancel()
            return self._again(step.found, step.content_hash, existing)
        try:
            examined = self._sandbox.result(step.found, step.future)
        except UnreadableMedia as error:
            refusal = self._refuse(step.found, error.reason, step.content_hash)
            return refusal.status, refusal.reason
        if examined.media == "subtitle":
            return self._attach(step.found, examined.assets, step.content_hash)
        now = self._clock()
        said = self._sidecars.of(step.found.path, step.found.folder)
        item = item_row(step.found, examined, said, step.content_hash, now)
        item |= {key: value for key, value in self._given.items() if not item[key]}
        row = file_row(step.found, "done", examined.note, step.content_hash, now)
        try:
            self._shelf.add(
                item, examined.assets, row, {"shot": examined.shots, "scene": examined.scenes}
            )
        except sa.exc.IntegrityError:
            other = self._shelf.item_of(step.content_hash)  # another run was faster
            if other is None:
                raise
            return self._again(step.found, step.content_hash, other)
        return "added", examined.note

    def _again(self, found: Found, content_hash: str, num: int) -> tuple[str, str]:
        """Content that is an item already: at a new place, or at one more place."""
        elsewhere = [path for path in self._shelf.paths_of(num) if path != found.path]
        gone = [path for path in elsewhere if not os.path.lexists(path)]
        row = file_row(found, "done", "", content_hash, self._clock()) | {"item_num": num}
        self._shelf.record(row, gone)
        if gone:
            return "moved", f"was {gone[0]}"
        if elsewhere:
            return "attached", f"same content as {elsewhere[0]}"
        return "unchanged", ""

    def _attach(self, found: Found, assets: Sequence[Asset], content_hash: str) -> tuple[str, str]:
        beside = media_beside(found.path)
        num = self._shelf.media_at(beside)
        if num is None:
            refusal = self._refuse(found, ORPHAN, content_hash)
            return refusal.status, refusal.reason
        old = self._known.get(found.path)
        row = file_row(found, "attached", "", content_hash, self._clock())
        self._shelf.attach(num, assets, row, old.content_hash if old else None)
        return "attached", ""


def hash_file(found: Found, max_bytes: int) -> str:
    """Sha256 of a file's content, hex; only bytes are read here, nothing is parsed."""
    if found.size > max_bytes:
        raise UnreadableMedia(found.path, f"{found.size:,} bytes, limit {max_bytes:,}")
    digest = hashlib.sha256()
    with open_blob(found) as blob:
        while chunk := blob.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
