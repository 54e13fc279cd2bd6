"""What the commands call: one server read whole, and lists written to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from segue.connect import jellyfin, jellyfin_lists, subsonic
from segue.connect.http import Caller
from segue.connect.intake import Taken
from segue.connect.lists import shelf
from segue.connect.settings import Named
from segue.store.workspace import Workspace

Progress = Callable[[str, int, int], None]
Recommend = Callable[[str, int, Collection[str], Collection[str]], list[str]]
"""(person, how many, kinds, items that it must not hold) -> item ids, best first."""


@dataclass(frozen=True)
class Written:
    """A list that went back to a server."""

    person: str
    media: str
    outcome: str  # created | replaced | nothing to write
    items: int


@contextmanager
def _jellyfin(connection: Named) -> Iterator[jellyfin.Jellyfin]:
    headers = jellyfin.headers(connection.secret())
    with Caller(connection.place, headers) as caller:
        yield jellyfin.Jellyfin(caller)


def _options(connection: Named, full: bool = False) -> jellyfin.Options:
    return jellyfin.Options(
        people=connection.people(),
        episodes=connection.told.episodes,
        full=full,
        prefix=connection.name,
    )


def read_jellyfin(
    workspace: Workspace, connection: Named, *, full: bool = False, progress: Progress | None = None
) -> Taken:
    """Library and history of a Jellyfin server into the workspace."""
    with _jellyfin(connection) as server:
        return jellyfin.read(server, workspace, _options(connection, full), progress)


def write_jellyfin(
    workspace: Workspace, connection: Named, recommend: Recommend, k: int
) -> list[Written]:
    """A list of at most ``k`` for each person and medium, as playlists that only they see."""
    out = []
    with _jellyfin(connection) as server:
        for media, kinds in jellyfin_lists.MEDIA.items():
            there = shelf(workspace, server.platform, kinds)
            if not there.keys:
                continue
            for _, user, person in jellyfin.chosen(server, _options(connection)):
                wanted = recommend(person, k, kinds, there.others)
                keys = [there.keys[item] for item in wanted if item in there.keys]
                outcome = jellyfin_lists.put_list(
                    server, workspace, user, media, connection.told.playlist, keys
                )
                out.append(Written(person, media, outcome, len(keys)))
    return out


@contextmanager
def _subsonic(connection: Named) -> Iterator[subsonic.Subsonic]:
    account = subsonic.Account(connection.told.user, connection.secret())
    with Caller(connection.place) as caller:
        yield subsonic.Subsonic(caller, account)


def _person(connection: Named) -> str:
    return connection.told.person or f"{connection.name}/{connection.told.user}"


def read_subsonic(
    workspace: Workspace, connection: Named, *, full: bool = False, progress: Progress | None = None
) -> Taken:
    """Library and history of one account of a Subsonic server into the workspace."""
    with _subsonic(connection) as server:
        return subsonic.read(server, workspace, _person(connection), full=full, progress=progress)


def write_subsonic(
    workspace: Workspace, connection: Named, recommend: Recommend, k: int
) -> list[Written]:
    """A list of at most ``k`` songs as a private playlist of the account."""
    with _subsonic(connection) as server:
        there = shelf(workspace, server.platform, ("track",))
        person = _person(connection)
        wanted = recommend(person, k, ("track",), there.others)
        keys = [there.keys[item] for item in wanted if item in there.keys]
        if not keys:
            return [Written(person, "Audio", "nothing to write", 0)]
        outcome = subsonic.put_list(server, workspace, connection.told.playlist, keys)
        return [Written(person, "Audio", outcome, len(keys))]
