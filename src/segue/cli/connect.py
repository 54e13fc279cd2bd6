"""segue connect: media servers and exports of other services, read; lists written back."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segue.cli.shared import json_option, progress_bar, workspace_option

if TYPE_CHECKING:
    from segue.connect.intake import Taken
    from segue.connect.run import Recommend, Written
    from segue.connect.settings import Named
    from segue.store.workspace import Workspace


@click.group("connect")
def command() -> None:
    """Read a media server, or an export of another service, into the workspace.

    Items are added or brought up to date, what people did becomes events; a second run adds
    nothing. Tokens and passwords come from the environment or a file, never from the command line.
    """


def _server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--name", default="", help="Of the settings' section [connect.NAME]."),
        click.option("--address", default="", help="Of the server: http://192.168.1.10:8096."),
        click.option("--full", is_flag=True, help="Read all again, not only what is new."),
        click.option("--write-back", is_flag=True, help="Then write each person's list there."),
        click.option(
            "--length", "-k", default=50, show_default=True, type=click.IntRange(1, 500),
            help="Of a list that is written.",
        ),
        workspace_option,
        json_option,
    )[::-1]:  # fmt: skip
        function = option(function)
    return function


@command.command("jellyfin")
@_server_options
def jellyfin(
    name: str, address: str, full: bool, write_back: bool, length: int, workspace: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Films, series, music and books of a Jellyfin server, and what its users watched.

    The API key (Dashboard, API Keys) belongs in the environment variable SEGUE_JELLYFIN_SECRET.
    """
    from segue.connect import run

    opened, connection = _open(workspace, "jellyfin", name, address=address)
    with progress_bar("items", quiet=as_json) as progress:
        taken = run.read_jellyfin(opened, connection, full=full, progress=progress)
    lists = run.write_jellyfin(opened, connection, _recommend(opened), length) if write_back else []
    _tell(taken, lists, as_json)


@command.command("subsonic")
@click.option("--user", default="", help="The account on the server.")
@click.option("--person", default="", help="Its id here; NAME/USER when not given.")
@_server_options
def subsonic(
    user: str, person: str, name: str, address: str, full: bool, write_back: bool, length: int,
    workspace: Path, as_json: bool,
) -> None:  # fmt: skip
    """Songs of Navidrome or another Subsonic server, with plays, stars and ratings of an account.

    The password belongs in the environment variable SEGUE_SUBSONIC_SECRET.
    """
    from segue.connect import run

    opened, connection = _open(
        workspace, "subsonic", name, address=address, user=user, person=person
    )
    with progress_bar("albums", quiet=as_json) as progress:
        taken = run.read_subsonic(opened, connection, full=full, progress=progress)
    lists = run.write_subsonic(opened, connection, _recommend(opened), length) if write_back else []
    _tell(taken, lists, as_json)


def _export(service: str, title: str, about: str) -> None:
    """A command for the files of one service."""

    @command.command(service, help=about, short_help=f"History that {title} hands out as files.")
    @click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
    @click.option("--person", required=True, help="Whose history it is: their id here.")
    @click.option(
        "--zone", default="UTC", show_default=True,
        help="Where they were, for days that name no time zone: Europe/Berlin.",
    )  # fmt: skip
    @workspace_option
    @json_option
    def read(
        files: tuple[Path, ...], person: str, zone: str, workspace: Path, as_json: bool
    ) -> None:
        from segue.connect.exports.take import import_export
        from segue.connect.shapes import zone_of
        from segue.store.workspace import Workspace

        opened = Workspace.open(workspace)
        with progress_bar("rows", quiet=as_json) as progress:
            done = import_export(
                opened, service, files, person, zone=zone_of(zone), progress=progress
            )
        if as_json:
            rejects = [str(path) for path in done.rejects]
            counts = {"rows": done.rows, "rejected": done.rejected, "rejects": rejects}
            click.echo(json.dumps({**counts, **asdict(done.taken)}))
            return
        click.echo(f"{done.rows:,} rows, {done.rejected:,} rejected\n{in_words(done.taken)}")
        for path in done.rejects:
            click.echo(f"rejected rows and reasons: {path}")


_FILES = "FILES are files, folders or the zip as it came; a second import adds nothing."
for _service, _title, _about in (
    ("letterboxd", "Letterboxd", "Films of a Letterboxd export: watched, rated, liked, wished."),
    ("trakt", "Trakt", "Films and series of a Trakt export: history, ratings, watch list."),
    ("lastfm", "Last.fm", "Scrobbles of Last.fm: the API's JSON, or CSV of the usual exporters."),
    ("spotify", "Spotify", "Plays of a Spotify export; less than 30 seconds are a skip."),
    ("goodreads", "Goodreads", "Books of a Goodreads export: read, rated, wished."),
):
    _export(_service, _title, f"{_about}\n\n{_FILES}")


@command.command("nfo")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--person", default="", help="Whose plays and ratings they tell: their id here.")
@click.option("--episodes", is_flag=True, help="Each episode an item, not its series.")
@click.option(
    "--zone", default="UTC", show_default=True,
    help="Of the times in the files, which name none: Europe/Berlin.",
)  # fmt: skip
@workspace_option
@json_option
def nfo(
    folders: tuple[Path, ...], person: str, episodes: bool, zone: str, workspace: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Library kept in NFO files: Kodi, Jellyfin, Emby, tinyMediaManager.

    Films, series, videos and albums become items. With --person, what the files say was played and
    rated becomes that person's history. The media need not be there.
    """
    from segue.connect import nfo as library
    from segue.connect.shapes import zone_of
    from segue.store.workspace import Workspace

    options = library.Options(person, episodes, zone_of(zone))
    with progress_bar("files", quiet=as_json) as progress:
        done = library.read(Workspace.open(workspace), folders, options, progress)
    if as_json:
        counts = {"files": done.files, "refused": done.refused}
        rejects = None if done.rejects is None else str(done.rejects)
        click.echo(json.dumps({**counts, "rejects": rejects, **asdict(done.taken)}))
        return
    click.echo(f"{done.files:,} NFO files, {done.refused:,} refused\n{in_words(done.taken)}")
    if done.rejects is not None:
        click.echo(f"refused files and reasons: {done.rejects}")


def _open(folder: Path, kind: str, name: str, **over: str) -> tuple[Workspace, Named]:
    from segue.config import read_settings
    from segue.connect.settings import named
    from segue.store.workspace import Workspace

    opened = Workspace.open(folder)
    known = read_settings(opened.root).connect
    return opened, named(known, kind, name or kind, opened.root, **over)


def _recommend(workspace: Workspace) -> Recommend:
    from segue.serve.opening import open_service

    service = open_service(workspace)
    model = service.model()

    def recommend(
        person: str, k: int, kinds: Collection[str], others: Collection[str]
    ) -> list[str]:
        query = service.query(person, k=k, kinds=kinds, exclude=others)
        return [entry.id for entry in model.recommend(query)]

    return recommend


def _tell(taken: Taken, lists: list[Written], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(taken), "lists": [asdict(one) for one in lists]}))
        return
    click.echo(in_words(taken))
    for one in lists:
        click.echo(f"list of {one.person} ({one.media}): {one.outcome}, {one.items} items")


def in_words(taken: Taken) -> str:
    """What was read, in a few lines."""
    lines = [
        f"items: {taken.works_added:,} added, {taken.works_changed:,} changed, "
        f"{taken.works_unchanged:,} unchanged, {taken.works_matched:,} the same as items from "
        "elsewhere",
        f"events: {taken.events_added:,} added, {taken.events_known:,} known already, "
        f"of {len(taken.people)} {'person' if len(taken.people) == 1 else 'people'}"
        + (f": {', '.join(taken.people[:10])}" if taken.people else ""),
    ]
    lines += [f"left out, {reason}: {n:,}" for reason, n in sorted(taken.left_out.items())]
    return "\n".join(lines)
