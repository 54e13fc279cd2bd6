"""Servers that speak the Subsonic API (Navidrome, Gonic, Airsonic, …): songs, plays and stars.

All calls are forms that are posted, so that neither token nor salt stands in an address that a
proxy would log. The API tells a play counter and the last play, no list of plays.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segue.connect import shapes
from segue.connect.http import BadAnswer, Caller, Denied
from segue.connect.intake import Intake, Taken
from segue.connect.works import Act, Work, plays
from segue.core.errors import BadInput, BadSettings
from segue.store.workspace import Workspace

VERSION = "1.13.0"  # of the API: the first with token and salt
PAGE = 500  # the most that the API allows
MOST_ALBUMS = 500_000
OVERLAP_S = 86_400.0
WRONG_SECRET = (40, 41, 42, 43, 44, 50)
TOO_OLD = 30
Progress = Callable[[str, int, int], None]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Account:
    """Who asks. ``secret`` is the password; it is never sent, only hashed with a salt."""

    user: str
    secret: str

    def __post_init__(self) -> None:
        if not self.user:
            raise BadSettings("whose account? Give --user NAME, or user in the settings")

    def __repr__(self) -> str:
        return f"Account(user={self.user!r})"

    def form(self) -> list[tuple[str, str]]:
        """What proves the account, with a salt of its own for each call."""
        salt = secrets.token_hex(8)
        token = hashlib.md5((self.secret + salt).encode(), usedforsecurity=False).hexdigest()
        return [
            ("u", self.user), ("t", token), ("s", salt), ("v", VERSION), ("c", "segue"),
            ("f", "json"),
        ]  # fmt: skip


class Subsonic:
    """One account on one server; ``caller`` is open."""

    def __init__(
        self, caller: Caller, account: Account, clock: Callable[[], float] = time.time
    ) -> None:
        self.caller = caller
        self.account = account
        self.clock = clock
        self.call("ping")

    @property
    def platform(self) -> str:
        """The name of this server's ids. The API tells no id of the server, so its address."""
        address = self.caller.place.address.rstrip("/").lower()
        return f"subsonic:{hashlib.sha256(address.encode()).hexdigest()[:16]}"

    def call(self, name: str, *given: tuple[str, str], again: bool = True) -> Row:
        """The answer of one method, or the server's refusal as an error."""
        form = [*self.account.form(), *given]
        told = self.caller.call("POST", f"rest/{name}.view", form=form, again=again)
        answer = shapes.table(told, "subsonic-response")
        if answer.get("status") == "ok":
            return answer
        where = f"{self.caller.place.address}, {name}"
        if answer.get("status") != "failed":
            raise BadAnswer(f"{where}: it answers, but it is no Subsonic server")
        error = shapes.table(answer, "error")
        code, words = shapes.whole(error, "code") or 0, shapes.text(error, "message", 200)
        if code in WRONG_SECRET:
            raise Denied(
                f"{where}: {words} (code {code}); check user and password. Accounts of an LDAP "
                "directory cannot use this API: make one of the server's own"
            )
        if code == TOO_OLD:
            raise BadInput(f"{where}: {words}; the server must speak API {VERSION} or later")
        raise BadAnswer(f"{where}: {words} (code {code})")

    def albums(self, order: str) -> Iterator[list[Row]]:
        """All albums in an order of ``getAlbumList2``, page by page."""
        seen: set[str] = set()
        start = 0
        while start < MOST_ALBUMS:
            asked = [("type", order), ("size", str(PAGE)), ("offset", str(start))]
            page = shapes.rows(
                shapes.table(self.call("getAlbumList2", *asked), "albumList2"), "album"
            )
            ids = {shapes.text(row, "id", shapes.MAX_ID_CHARS) for row in page} - {""}
            if not ids - seen:
                return
            seen |= ids
            start += len(page)
            yield page  # a short page is no end: some servers give fewer than they are asked for

    def album(self, key: str) -> Row:
        """An album with its songs."""
        return shapes.table(self.call("getAlbum", ("id", key)), "album")


def read(
    server: Subsonic, workspace: Workspace, person: str, *, full: bool = False,
    progress: Progress | None = None,
) -> Taken:  # fmt: skip
    """Songs, albums, plays, stars and ratings into the workspace; a second run adds nothing.

    After the first time only albums that are new or were played since are asked for their songs.
    """
    tell = progress or (lambda *_: None)
    intake = Intake(workspace, server.platform, "Subsonic")
    began = server.clock()
    mark = f"connect:{server.platform}:{person}"
    last = None if full else workspace.get_meta(mark)
    since = float(last) - OVERLAP_S if isinstance(last, int | float) else None
    for done, key in enumerate(_wanted(server, since), start=1):
        _take_album(server, intake, person, server.album(key))
        tell("albums", done, done)
    _take_stars(server, intake, person)
    workspace.set_meta(mark, began)
    return intake.taken


def _wanted(server: Subsonic, since: float | None) -> Iterator[str]:
    """Keys of the albums to ask for, each once."""
    if since is None:
        for page in server.albums("alphabeticalByName"):
            yield from filter(None, (shapes.text(row, "id", shapes.MAX_ID_CHARS) for row in page))
        return
    seen: set[str] = set()
    for order, date in (("newest", "created"), ("recent", "played")):
        for page in server.albums(order):
            dates = [shapes.instant(row.get(date)) for row in page]
            # A server that tells no dates is read on: too much is better than too little.
            fresh = [
                shapes.text(row, "id", shapes.MAX_ID_CHARS)
                for row, at in zip(page, dates, strict=True)
                if at is None or at >= since
            ]
            yield from (key for key in fresh if key and key not in seen)
            seen.update(fresh)
            if len(fresh) < len(page):
                break


def _take_album(server: Subsonic, intake: Intake, person: str, row: Row) -> None:
    songs = shapes.rows(row, "song")
    works = [album_of(row), *(song_of(song) for song in songs)]
    good = [work for work in works if work is not None]
    if len(good) < len(works):
        intake.taken.leave_out("songs or albums without an id or a title", len(works) - len(good))
    intake.take_works(good)
    now = server.clock()
    acts = [act for song in songs for act in song_acts(song, now)]
    intake.take_acts(person, [*acts, *_opinions(_album_key(row), row, now)])


def _take_stars(server: Subsonic, intake: Intake, person: str) -> None:
    starred = shapes.table(server.call("getStarred2"), "starred2")
    now = server.clock()
    songs, albums = shapes.rows(starred, "song"), shapes.rows(starred, "album")
    works = [*map(song_of, songs), *map(album_of, albums)]
    intake.take_works(w for w in works if w is not None and w.key not in intake.keys)
    acts = [act for song in songs for act in _opinions(_song_key(song), song, now)]
    acts += [act for album in albums for act in _opinions(_album_key(album), album, now)]
    intake.take_acts(person, acts)


def _song_key(row: Row) -> str:
    return f"song:{shapes.text(row, 'id', shapes.MAX_ID_CHARS)}"


def _album_key(row: Row) -> str:
    return f"album:{shapes.text(row, 'id', shapes.MAX_ID_CHARS)}"


def song_of(row: Row) -> Work | None:
    """A song, or an episode or book that the server says it is; None without id or title."""
    title = shapes.text(row, "title")
    if not title or not shapes.text(row, "id") or row.get("isVideo") is True:
        return None
    kind = {"podcast": "podcast", "audiobook": "speech"}.get(shapes.text(row, "type"), "track")
    extra = {
        "album": shapes.text(row, "album"),
        "path": shapes.text(row, "path", 4_000),
        "musicbrainz": shapes.text(row, "musicBrainzId", 60),
    }
    return Work(
        key=_song_key(row),
        kind=kind,
        title=title,
        tags=_genres(row),
        creators=_artists(row),
        year=shapes.year(row, "year"),
        duration_s=shapes.number(row, "duration", 0.001),
        extra={name: value for name, value in extra.items() if value},
    )


def album_of(row: Row) -> Work | None:
    """An album; None without id or name."""
    title = shapes.text(row, "name") or shapes.text(row, "title")
    if not title or not shapes.text(row, "id"):
        return None
    return Work(
        key=_album_key(row),
        kind="album",
        title=title,
        tags=_genres(row),
        creators=_artists(row),
        year=shapes.year(row, "year"),
        duration_s=shapes.number(row, "duration", 0.001),
    )


def _genres(row: Row) -> tuple[str, ...]:
    many = (shapes.text(genre, "name") for genre in shapes.rows(row, "genres"))
    return tuple(filter(None, dict.fromkeys((*many, shapes.text(row, "genre")))))


def _artists(row: Row) -> tuple[str, ...]:
    many = tuple(filter(None, (shapes.text(one, "name") for one in shapes.rows(row, "artists"))))
    one = shapes.text(row, "artist") or shapes.text(row, "displayArtist")
    return tuple(dict.fromkeys(many)) or ((one,) if one else ())


def song_acts(row: Row, now: float) -> list[Act]:
    """Plays, star and rating of one song."""
    key = _song_key(row)
    count = shapes.whole(row, "playCount") or 0
    last = shapes.instant(row.get("played"))
    return [*plays(key, count, now if last is None else last), *_opinions(key, row, now)]


def _opinions(key: str, row: Row, now: float) -> list[Act]:
    found = []
    starred = shapes.instant(row.get("starred"))
    if starred is not None:
        found.append(Act(key, "like", starred, "star"))
    rating = shapes.whole(row, "userRating", 1, 5)
    if rating is not None:
        found.append(Act(key, "rating", now, f"rating:{rating}", float(rating)))
    return found


def put_list(server: Subsonic, workspace: Workspace, name: str, keys: Sequence[str]) -> str:
    """Make the account's list hold these songs in this order: "created" or "replaced".

    Only a list that this workspace made is replaced; another of the same name is left alone.
    """
    songs = [("songId", key.removeprefix("song:")) for key in keys]
    mark = f"connect:{server.platform}:list:{server.account.user}"
    known = workspace.get_meta(mark)
    mine = shapes.rows(shapes.table(server.call("getPlaylists"), "playlists"), "playlist")
    before = {shapes.text(row, "id", shapes.MAX_ID_CHARS) for row in mine}
    if isinstance(known, str) and known in before:
        server.call("createPlaylist", ("playlistId", known), *songs)
        return "replaced"
    answer = server.call("createPlaylist", ("name", name), *songs, again=False)
    made = shapes.text(shapes.table(answer, "playlist"), "id", shapes.MAX_ID_CHARS)
    if not made:  # before API 1.14 it is not told
        after = shapes.rows(shapes.table(server.call("getPlaylists"), "playlists"), "playlist")
        new = [
            shapes.text(row, "id", shapes.MAX_ID_CHARS) for row in after
            if shapes.text(row, "name") == name
        ]  # fmt: skip
        made = next((key for key in new if key and key not in before), "")
    if not made:
        raise BadAnswer(f"{server.caller.place.address}: the list was not made")
    workspace.set_meta(mark, made)
    server.call("updatePlaylist", ("playlistId", made), ("public", "false"))
    return "created"
