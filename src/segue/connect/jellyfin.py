"""Jellyfin: its library and what its users watched; lists go back as playlists of each user.

Read and written by the documented HTTP API (10.8 and later), with an API key or a user's token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.connect import jellyfin_rows as rows
from segue.connect import shapes
from segue.connect.http import BadAnswer, Caller, Denied
from segue.connect.intake import Intake, Taken
from segue.connect.works import Act, Work
from segue.core.errors import BadInput, BadSettings, NotFound
from segue.store.workspace import Workspace

PAGE = 200  # rows a call; the people of 200 films are about 2 MB
MOST_ROWS = 2_000_000  # a server that never ends
OVERLAP_S = 86_400.0  # read again behind the last reading: clocks differ
OLDEST = (10, 8)
FOLDERS = ("Series", "MusicAlbum")  # never played themselves, so without a date
Progress = Callable[[str, int, int], None]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """What is read of a server."""

    people: Mapping[str, str]  # user name there -> id here; empty: everybody that the token sees
    episodes: bool = False  # each episode an item; else what was seen of them counts for the series
    full: bool = False  # all again, not only what is new since the last reading
    prefix: str = "jellyfin"  # of the ids of people who are not named above


class Jellyfin:
    """One server. ``caller`` is open and carries the token (see :func:`headers`)."""

    def __init__(self, caller: Caller, clock: Callable[[], float] = time.time) -> None:
        self.caller = caller
        self.clock = clock
        self.server_id, self.version = self._greet()

    def _greet(self) -> tuple[str, tuple[int, ...]]:
        told = self._get("System/Info/Public")
        told = told if isinstance(told, Mapping) else {}
        server_id, version = shapes.text(told, "Id", 64), shapes.text(told, "Version", 40)
        if not server_id or not version:
            raise BadAnswer(f"{self.caller.place.address} answers, but it is no Jellyfin server")
        numbers = tuple(int(part) for part in version.split("-")[0].split(".") if part.isdigit())
        if numbers < OLDEST:
            raise BadInput(
                f"{self.caller.place.address} is Jellyfin {version}; "
                f"{OLDEST[0]}.{OLDEST[1]} or later is needed: update the server"
            )
        return server_id, numbers

    @property
    def platform(self) -> str:
        """The name of this server's ids."""
        return f"jellyfin:{self.server_id[:32]}"

    def people(self) -> dict[str, str]:
        """User names and their ids there: all with an API key, oneself with a user's token."""
        try:
            found = self._get("Users")
        except Denied:
            me = self._get("Users/Me")
            found = [me]
        users = shapes.rows({"it": found}, "it")
        ids = {shapes.text(u, "Name"): shapes.text(u, "Id", shapes.MAX_ID_CHARS) for u in users}
        return {name: user for name, user in ids.items() if name and user}

    def pages(self, query: Mapping[str, str], user: str = "") -> Iterator[list[Row]]:
        """All rows of ``/Items``, page by page; ends where the server brings nothing new."""
        seen: set[str] = set()
        start = 0
        asked = {"recursive": "true", "fields": ",".join(rows.FIELDS), "limit": str(PAGE), **query}
        if user:
            asked["userId"] = user
        while start < MOST_ROWS:
            told = self._get("Items", {**asked, "startIndex": str(start)})
            if not isinstance(told, Mapping) or not isinstance(told.get("Items"), list):
                raise BadAnswer(f"{self.caller.place.address}: Items brought no list of items")
            ids = {
                shapes.text(row, "Id", shapes.MAX_ID_CHARS) for row in shapes.rows(told, "Items")
            }
            if not ids - seen:
                return
            seen |= ids
            start += len(told["Items"])
            yield shapes.rows(told, "Items")
            if len(told["Items"]) < PAGE:
                return

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self.caller.call("GET", path, query=query)


def headers(token: str) -> dict[str, str]:
    """What carries the token: the header that Jellyfin documents."""
    if not token.isascii() or not token.isalnum():
        raise BadSettings("a Jellyfin token is of letters and digits alone; this one is not")
    return {
        "Authorization": f'MediaBrowser Client="segue", Device="segue", DeviceId="segue", '
        f'Version="1", Token="{token}"'
    }


def read(
    server: Jellyfin, workspace: Workspace, options: Options, progress: Progress | None = None
) -> Taken:
    """Library and history into the workspace; a second run adds nothing.

    What is read is stored page by page; a run that was cut off goes on with the same command.
    """
    tell = progress or (lambda *_: None)
    intake = Intake(workspace, server.platform, "Jellyfin")
    began = server.clock()
    mark = f"connect:{server.platform}:{'episodes' if options.episodes else 'series'}"
    last = None if options.full else workspace.get_meta(mark)
    since = float(last) - OVERLAP_S if isinstance(last, int | float) else None
    _read_library(server, intake, options, since, tell)
    for name, user, person in chosen(server, options):
        _read_person(_Reading(server, intake, options, since), user, person)
        tell(name, 1, 1)
    workspace.set_meta(mark, began)
    return intake.taken


def chosen(server: Jellyfin, options: Options) -> list[tuple[str, str, str]]:
    """(name there, id there, id here) of those who are read."""
    known = server.people()
    missing = [name for name in options.people if name not in known]
    if missing:
        raise NotFound(
            f"no user {missing[0]!r} on this server, or the token may not see it; "
            f"it sees: {', '.join(known) or 'nobody'}"
        )
    names = list(options.people) or list(known)
    return [(n, known[n], options.people.get(n, f"{options.prefix}/{n}")) for n in names]


def _read_library(
    server: Jellyfin, intake: Intake, options: Options, since: float | None, tell: Progress
) -> None:
    kinds = [k for k in rows.KINDS if options.episodes or k != "Episode"]
    query = {
        "includeItemTypes": ",".join(kinds),
        "sortBy": "DateCreated,SortName",
        "enableUserData": "false",
    }
    if since is not None:
        query["minDateLastSaved"] = _iso(since)
    done = 0
    for page in server.pages(query):
        works = [rows.work_of(row) for row in page]
        good = [work for work in works if work is not None]
        if len(good) < len(page):
            intake.taken.leave_out("items without an id, a title or a kind", len(page) - len(good))
        intake.take_works(good)
        done += len(page)
        tell("library", done, done)


@dataclass(frozen=True)
class _Reading:
    server: Jellyfin
    intake: Intake
    options: Options
    since: float | None


def _read_person(reading: _Reading, user: str, person: str) -> None:
    """Newest plays first, down to the last reading; then what is marked without a date."""
    base = {"enableUserData": "true", "includeItemTypes": ",".join(rows.KINDS)}
    single = ",".join(kind for kind in rows.KINDS if kind not in FOLDERS)
    played = {
        **base, "includeItemTypes": single, "sortBy": "DatePlayed", "sortOrder": "Descending",
    }  # fmt: skip
    for page in reading.server.pages(played, user):
        dates = [_last_played(row) for row in page]
        fresh = [
            row for row, date in zip(page, dates, strict=True)
            if date is not None and (reading.since is None or date >= reading.since)
        ]  # fmt: skip
        _store(reading, person, fresh)
        if len(fresh) < len(page):
            break
    for page in reading.server.pages({**base, "includeItemTypes": "Series"}, user):
        _store(reading, person, page)  # how much of each was seen has no date
    marks = ["IsFavorite", "Likes", "Dislikes"]
    if reading.since is None:
        marks += ["IsPlayed", "IsResumable"]
    for mark in marks:
        for page in reading.server.pages({**base, "filters": mark}, user):
            _store(reading, person, page)


def _last_played(row: Row) -> float | None:
    return shapes.instant(shapes.table(row, "UserData").get("LastPlayedDate"))


def _store(reading: _Reading, person: str, page: Sequence[Row]) -> None:
    acts: list[Act] = []
    unknown: list[Work] = []
    now = reading.server.clock()
    for row in page:
        kind = shapes.text(row, "Type")
        if kind == "Series":
            acts += rows.series_progress(row, now)
        elif kind == "Episode" and not reading.options.episodes:
            acts += rows.series_acts(row, now)
            continue
        else:
            acts += rows.acts_of(row, now)
        work = rows.work_of(row)
        if work is not None and work.key not in reading.intake.keys:
            unknown.append(work)  # came after the library was read, or is theirs alone
    reading.intake.take_works(unknown)
    reading.intake.take_acts(person, acts)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
