"""NFO files of a whole library: its works, and what their owner watched and rated.

Media servers keep there how often a film was played, when last, how far and what it was rated
(Kodi's wiki, "NFO files"). Each file is read in the confined child, as media are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from segue.connect import shapes
from segue.connect.intake import Intake, Taken
from segue.connect.works import Act, Work, plain, plays
from segue.core.errors import BadInput, UnreadableMedia
from segue.ingest.media import Examined, Found
from segue.ingest.naming import ID, NFO_SUFFIX
from segue.ingest.rejects import SCHEMA, write_rejects
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import scan
from segue.store import events, schema
from segue.store.workspace import Workspace

PLATFORM = "nfo"
KINDS = {
    "movie": "movie", "tvshow": "series", "episodedetails": "video", "musicvideo": "video",
    "album": "album",
}  # fmt: skip
RATING_SCALE = 2.0  # 1 to 10 there, segue to 5
NEAR_END = 0.97
WORKERS = 2
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What is read of a library."""

    person: str = ""  # whose plays and ratings the files tell; empty: works alone are read
    episodes: bool = False  # each episode an item; else its plays count for the series
    zone: tzinfo = UTC  # of times, which name none


@dataclass(frozen=True)
class Read:
    """What became of a library. ``rejects`` tells files that could not be used, and why."""

    taken: Taken
    files: int
    refused: int
    rejects: Path | None


@dataclass(frozen=True)
class _Nfo:
    path: str
    changed_at: float  # dates what the file does not date
    root: str
    told: Examined

    @property
    def key(self) -> str:
        """Its first id, which files of other versions of the work share; else where it lies."""
        ids = [
            f"{k.removeprefix(ID)}:{v}" for k, v in self.told.raw_tags.items() if k.startswith(ID)
        ]
        return ids[0] if ids else f"{self.told.format}:{os.path.relpath(self.path, self.root)}"


def read(
    workspace: Workspace,
    folders: Sequence[Path],
    options: Options | None = None,
    progress: Progress | None = None,
) -> Read:
    """Works of all NFO files below ``folders`` and what the person did; a second run adds nothing.

    Items that ``segue ingest`` made of the media beside are the works that their files tell of.
    Raises :class:`BadInput` where there is no NFO at all.
    """
    options = Options() if options is None else options
    files = [f for f in scan(folders) if isinstance(f, Found) and _is_nfo(f.path)]
    if not files:
        raise BadInput(
            f"no {NFO_SUFFIX} file below {', '.join(map(str, folders))}; switch on saving of NFO "
            "files in the media server, or export its library to them"
        )
    found: list[_Nfo] = []
    refused: list[tuple[int, str, str, str]] = []
    for number, (file, told) in enumerate(_examined(files, progress), start=1):
        if isinstance(told, Examined):
            found.append(_Nfo(file.path, file.mtime_ns / 1e9, file.folder, told))
        else:
            refused.append((number, "file", told, file.path[:200]))
    shows = {os.path.dirname(nfo.path): nfo for nfo in found if nfo.told.format == "tvshow"}
    _know(workspace, found)
    intake = Intake(workspace, PLATFORM, "NFO files")
    works: dict[str, Work] = {}
    acts: list[Act] = []
    for nfo in found:
        work, done = _row(nfo, shows, options)
        if work is None:
            intake.taken.leave_out(f"{nfo.told.format} files, which tell of no work")
            continue
        works.setdefault(work.key, work)
        acts += done
    intake.take_works(works.values())
    if options.person.strip():
        intake.take_acts(options.person, acts)
    elif acts:
        intake.taken.leave_out("plays and ratings, as nobody was named: give --person", len(acts))
    frame = pl.DataFrame(refused, schema=SCHEMA, orient="row")
    return Read(
        intake.taken,
        len(files),
        len(refused),
        write_rejects(workspace.rejects, "nfo", "library", frame),
    )


def _is_nfo(path: str) -> bool:
    return path.lower().endswith(NFO_SUFFIX)


def _examined(
    files: Sequence[Found], progress: Progress | None
) -> Iterator[tuple[Found, Examined | str]]:
    """Each file with what it tells, or why it tells nothing, in order."""
    with Sandbox(sorted({file.folder for file in files}), workers=WORKERS) as box:

        def look(file: Found) -> Examined | str:
            try:
                return box.examine(file)
            except UnreadableMedia as error:
                return error.reason

        with ThreadPoolExecutor(WORKERS) as pool:
            for number, told in enumerate(pool.map(look, files)):
                yield files[number], told
                if progress is not None:
                    progress("NFO files", number + 1, len(files))


def _know(workspace: Workspace, found: Sequence[_Nfo]) -> None:
    """Items that ingest gave what a file says are the works that it tells of."""
    f = schema.files.c
    query = sa.select(f.path, f.item_num).where(f.status == "attached", f.item_num.is_not(None))
    with workspace.engine.begin() as connection:
        items = {row[0]: row[1] for row in connection.execute(query)}
        rows = [
            {"entity": "item", "platform": PLATFORM, "external_id": nfo.key, "num": num}
            for nfo in found
            if (num := items.get(nfo.path)) is not None
        ]
        events.insert_ignore(connection, schema.identities, rows)


def _row(nfo: _Nfo, shows: Mapping[str, _Nfo], options: Options) -> tuple[Work | None, list[Act]]:
    """The work that a file tells of, and what was done with it."""
    kind = KINDS.get(nfo.told.format)
    if kind is None or not nfo.told.title:
        return None, []
    if nfo.told.format != "episodedetails" or options.episodes:
        work = _work(nfo, kind)
        return work, _acts(nfo, work.key, options)
    return _of_series(nfo, shows, options)


def _work(nfo: _Nfo, kind: str) -> Work:
    told = nfo.told
    return Work(
        key=nfo.key,
        kind=kind,
        title=told.title,
        description=told.description,
        tags=told.tags,
        creators=told.creators,
        year=told.year,
        duration_s=told.duration_s if kind in ("movie", "video") else None,
        released_at=shapes.instant(told.raw_tags.get("premiered")),
        extra={"nfo": told.raw_tags},
    )


def _of_series(
    nfo: _Nfo, shows: Mapping[str, _Nfo], options: Options
) -> tuple[Work | None, list[Act]]:
    """An episode counts for its series: that of the nearest tvshow.nfo above, else its name."""
    show = next((shows[str(up)] for up in Path(nfo.path).parents if str(up) in shows), None)
    name = nfo.told.raw_tags.get("showtitle", "")
    if show is not None and show.told.title:
        work = _work(show, KINDS["tvshow"])
    elif plain(name):
        work = Work(f"series:{plain(name)}", KINDS["tvshow"], name)
    else:
        return None, []
    watched = [act for act in _acts(nfo, work.key, options) if act.kind == "play"]
    return work, [replace(act, key=f"episode:{nfo.key}:{act.key}") for act in watched]


def _acts(nfo: _Nfo, work: str, options: Options) -> list[Act]:
    """Plays, how far, and the owner's rating."""
    tags = nfo.told.raw_tags
    last = shapes.instant(tags.get("lastplayed"), options.zone)
    time = nfo.changed_at if last is None else last
    count = shapes.whole(tags, "playcount") or 0
    if tags.get("watched", "").lower() == "true":
        count = max(count, 1)
    found = plays(work, count, time)
    at, total = shapes.number(tags, "resume_s", 1), shapes.number(tags, "total_s", 1)
    if at is not None and total is not None:
        part = min(at / total, NEAR_END)
        key = f"progress:{max(count, 1)}:{round(100 * part)}"
        found.append(Act(work, "progress", time, key, part))
    elif count:
        found.append(Act(work, "complete", time, f"complete:{count}"))
    rating = shapes.number(tags, "userrating", 1, 10)
    if rating is not None:
        value = rating / RATING_SCALE
        found.append(Act(work, "rating", nfo.changed_at, f"rating:{value:g}", value))
    return found
