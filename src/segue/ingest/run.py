"""Ingest folders of media: each new file once, each item whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from segue.engine.registry import make_engine
from segue.ingest.elsewhere import Elsewhere
from segue.ingest.examiners import Examiner, Here
from segue.ingest.group import Entry, Group, gather
from segue.ingest.limits import MediaLimits
from segue.ingest.naming import SIDE_SUFFIXES, artwork_of
from segue.ingest.scan import Skipped, scan
from segue.ingest.shelf import Place, Shelf
from segue.ingest.sidecar import KEYS as SIDECAR_KEYS
from segue.ingest.sidecar import Sidecars
from segue.ingest.single import Singles
from segue.ingest.step import Desk, Pending, Told, decided
from segue.ingest.together import Groups


@dataclass(frozen=True, slots=True)
class Progress:
    """One file is dealt with, or a folder of them that is one item. ``status``: added | unchanged
    | updated | moved | attached | refused."""

    done: int
    total: int
    path: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did, in files; a folder that is one item counts as one, and each of its files
    that was refused. ``refused`` and ``damaged`` are (path, reason).

    ``orphaned`` are items (id, title and events) whose files are another item since this run: the
    folder became one item, or is one no longer, or a file has other content. They stay, as the
    rows of fitted models are those of items and what people did with them is kept, but are shown
    to nobody until such a file comes back.
    """

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    attached: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    updated: int = 0  # known already, but its sidecar or its files say something new
    damaged: tuple[tuple[str, str], ...] = ()  # added, but parts of them could not be read
    left: int = 0  # files that the time did not reach
    orphaned: tuple[tuple[str, str], ...] = ()


@dataclass
class _Tally:
    files: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)

    def add(self, told: Told) -> None:
        self.files += told.files
        self.counts[told.status] = self.counts.get(told.status, 0) + 1
        if told.status == "refused":
            self.refused.append((told.path, told.reason))
        elif told.status == "added" and told.reason:
            self.damaged.append((told.path, told.reason))

    def report(self) -> IngestReport:
        get = self.counts.get
        return IngestReport(
            added=get("added", 0),
            unchanged=get("unchanged", 0),
            moved=get("moved", 0),
            attached=get("attached", 0),
            refused=tuple(self.refused),
            updated=get("updated", 0),
            damaged=tuple(self.damaged),
        )


def ingest(
    workspace: Place,
    folders: Sequence[str | os.PathLike[str]],
    *,
    progress: Callable[[Progress], None] | None = None,
    source: str = "",
    licence: str = "",
    limits: MediaLimits | None = None,
    engine: str = "here",
    workers: int | None = None,
    address: str | None = None,
    budget_s: float | None = None,
    clock: Callable[[], float] = time.time,
) -> IngestReport:
    """Make items of the media files below ``folders``.

    A file is known by the sha256 of its content: a moved file stays the same item, and a second
    run over unchanged files opens none of them. ``source`` and ``licence`` hold where neither a
    sidecar (``segue-media.toml``) nor the file itself says otherwise. An edited sidecar acts on
    the next run; what it no longer says stays as it was. The files of a folder whose sidecar has a
    table ``[item]`` are one item, which stays the same when they change. When ``progress`` is
    called the file is committed: killing the process afterwards does not lose it.

    ``engine`` is where files are looked at: ``here`` by ``workers`` confined children (1), on all
    ``cores``, or by a ``dask`` cluster whose scheduler is at ``address``; there the folders must be
    reachable under the same path on every worker. A worker that dies costs a try of its own file,
    and after :class:`~segue.engine.engine.EngineLost` the same call goes on from there. No file is
    begun once ``budget_s`` seconds are used up.
    """
    ends = None if budget_s is None else time.monotonic() + budget_s
    entries = sorted(scan(folders), key=_is_side_file)
    roots = tuple(str(Path(folder).resolve()) for folder in folders)
    limits = MediaLimits() if limits is None else limits
    given = {"source": source, "licence": licence}
    shelf, sidecars = Shelf(workspace), Sidecars()
    together = gather(entries, sidecars)  # a broken sidecar stops here, not half-way
    with _examiner(engine, workers, address)(roots, limits) as examiner:
        desk = Desk(
            shelf, examiner, sidecars, {k: v for k, v in given.items() if v}, clock,
            shelf.known(), shelf.stated(SIDECAR_KEYS), shelf.groups(),
        )  # fmt: skip
        had = {old.item_num for old in desk.known.values() if old.item_num and old.status == "done"}
        run = _Run(desk, len(entries), progress)
        report = run.all(together, lambda: ends is not None and time.monotonic() >= ends)
        return replace(report, orphaned=tuple(shelf.without_files(had)) if had else ())


def _examiner(
    engine: str, workers: int | None, address: str | None
) -> Callable[[Sequence[str], MediaLimits], Examiner]:
    if engine == "here":
        make_engine(engine, address=address)  # refuses what does not fit
        return partial(Here, workers=1 if workers is None else workers)
    return partial(Elsewhere, make_engine(engine, workers=workers, address=address))


def _is_side_file(entry: Entry) -> bool:
    """Whether it speaks of a file that must come before it."""
    if isinstance(entry, Group):
        return False
    return entry.path.lower().endswith(SIDE_SUFFIXES) or bool(artwork_of(entry.path))


def _n_files(entry: Entry) -> int:
    return len(entry.files) if isinstance(entry, Group) else 1


class _Run:
    """One run over a list of entries."""

    def __init__(self, desk: Desk, total: int, progress: Callable[[Progress], None] | None) -> None:
        self._examiner = desk.examiner
        self._singles = Singles(desk)
        self._groups = Groups(desk)
        self._total = total
        self._progress = progress
        self._tally = _Tally()
        self._waiting: list[Pending] = []

    def all(self, entries: Sequence[Entry], over: Callable[[], bool]) -> IngestReport:
        """Every entry in order, until ``over``: what is begun by then is finished."""
        left = list(reversed(entries))
        while left and not over():
            entry = left.pop()
            if _is_side_file(entry):
                self._finish(0)  # it needs the items before it to be committed
            self._take(self._begin(entry))
            self._finish(self._examiner.ahead)
        self._finish(0)
        return replace(self._tally.report(), left=sum(_n_files(entry) for entry in left))

    def _begin(self, entry: Entry) -> Pending:
        if isinstance(entry, Skipped):
            return decided(Told(entry.path, "refused", entry.reason))
        if isinstance(entry, Group):
            return self._groups.begin(entry)
        return self._singles.begin(entry)

    def _take(self, pending: Pending) -> None:
        if pending.futures:
            self._waiting.append(pending)
        else:
            self._count(pending)

    def _finish(self, most: int) -> None:
        """Commit what is ready, until at most ``most`` files are being looked at."""
        while sum(len(pending.futures) for pending in self._waiting) > most:
            ready = [pending for pending in self._waiting if pending.ready()]
            if not ready:
                every = [f for pending in self._waiting for f in pending.futures if not f.done()]
                self._examiner.wait(every)
            for pending in ready:
                self._waiting.remove(pending)
                self._count(pending)

    def _count(self, pending: Pending) -> None:
        for told in pending.finish():
            self._tally.add(told)
            if self._progress is not None:
                done = self._tally.files
                self._progress(Progress(done, self._total, told.path, told.status, told.reason))
