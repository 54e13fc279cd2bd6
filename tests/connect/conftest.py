"""A workspace and the two servers, with a few things in them."""

import pytest
import sqlalchemy as sa

from connect.media_servers import API_KEY, PASSWORD, TICKS, JellyfinServer, SubsonicServer, running
from segue.config import Connection
from segue.connect.settings import Named
from segue.store import schema
from segue.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "ws")


@pytest.fixture
def events_of(workspace):
    """(user, item title, kind, value, time) of all events, in time order."""

    def read():
        e, i, u = schema.events.c, schema.items.c, schema.users.c
        query = (
            sa.select(u.id, i.title, e.kind, e.value, e.time)
            .join_from(schema.events, schema.items, e.item_num == i.num)
            .join(schema.users, e.user_num == u.num)
            .order_by(e.time, e.num)
        )
        with workspace.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    return read


def filled_jellyfin():
    server = JellyfinServer()
    server.heat = server.add(
        "heat", "Movie", "Heat", OriginalTitle="Heat", ProductionYear=1995,
        Overview="A thief and a detective.", Genres=["Crime", "Thriller"], Tags=["heist"],
        People=[
            {"Name": "Al Pacino", "Type": "Actor"}, {"Name": "Michael Mann", "Type": "Director"},
        ],
        RunTimeTicks=6_000 * TICKS, ProviderIds={"Imdb": "tt0113277", "Tmdb": "949"},
        Path="/media/films/Heat (1995).mkv", PremiereDate="1995-12-15T00:00:00.0000000Z",
        UserData="not a table",
    )  # fmt: skip
    server.ran = server.add("ran", "Movie", "Ran", ProductionYear=1985, RunTimeTicks=9_600 * TICKS)
    server.show = server.add("show", "Series", "The Wire", ProductionYear=2002)
    server.episodes = [
        server.add(
            f"e{n}", "Episode", f"Part {n}", SeriesId=server.show, SeriesName="The Wire",
            ParentIndexNumber=1, IndexNumber=n, RunTimeTicks=3_600 * TICKS,
        )
        for n in (1, 2, 3)
    ]  # fmt: skip
    server.song = server.add(
        "song", "Audio", "Teardrop", Artists=["Massive Attack"], Album="Mezzanine",
        ProductionYear=1998, RunTimeTicks=330 * TICKS,
    )  # fmt: skip
    server.did("anna", server.heat, Played=True, PlayCount=2,
               LastPlayedDate="2024-03-01T20:00:00.1234567Z", IsFavorite=True)  # fmt: skip
    server.did("anna", server.ran, PlayCount=1, PlaybackPositionTicks=2_400 * TICKS,
               LastPlayedDate="2024-03-02T20:00:00Z")  # fmt: skip
    server.did("anna", server.episodes[0], Played=True, PlayCount=1,
               LastPlayedDate="2024-03-03T20:00:00Z")  # fmt: skip
    server.did("anna", server.show, PlayedPercentage=100 / 3)
    server.did("ben", server.song, PlayCount=3, Played=True, Likes=True,
               LastPlayedDate="2024-03-04T20:00:00Z")  # fmt: skip
    server.did("ben", server.heat, Likes=False)
    return server


@pytest.fixture
def jellyfin():
    with running(filled_jellyfin()) as server:
        yield server


@pytest.fixture
def home(jellyfin, tmp_path, monkeypatch):
    """The connection to the Jellyfin server, by API key."""
    monkeypatch.setenv("SEGUE_HOME_SECRET", API_KEY)
    told = Connection(kind="jellyfin", address=jellyfin.url, pause_s=0, timeout_s=20)
    return Named("home", told, tmp_path)


def filled_subsonic():
    server = SubsonicServer()
    server.albums["a1"] = {
        "id": "a1", "name": "Blue Lines", "artist": "Massive Attack", "year": 1991,
        "created": "2023-02-19T14:06:49.266174771Z", "played": "2024-03-01T20:00:00Z",
        "genre": "Trip-Hop", "duration": 2715, "starred": "2024-01-05T10:00:00Z",
        "song": [
            {"id": "s1", "title": "Safe from Harm", "artist": "Massive Attack",
             "album": "Blue Lines", "year": 1991, "duration": 318, "playCount": 2,
             "played": "2024-03-01T20:00:00Z", "type": "music", "isVideo": False,
             "genres": [{"name": "Trip-Hop"}]},
            {"id": "s2", "title": "One Love", "artist": "Massive Attack", "album": "Blue Lines",
             "year": 1991, "duration": 288, "starred": "2024-01-06T10:00:00Z", "userRating": 4},
        ],
    }  # fmt: skip
    server.albums["a2"] = {
        "id": "a2", "name": "Dummy", "artist": "Portishead", "created": "2023-02-20T14:06:49Z",
        "song": [{"id": "s3", "title": "Roads", "artist": "Portishead", "duration": 302}],
    }  # fmt: skip
    return server


@pytest.fixture
def subsonic():
    with running(filled_subsonic()) as server:
        yield server


@pytest.fixture
def stereo(subsonic, tmp_path, monkeypatch):
    """The connection to the Subsonic server."""
    monkeypatch.setenv("SEGUE_STEREO_SECRET", PASSWORD)
    told = Connection(
        kind="subsonic", address=subsonic.url, user="anna", person="anna", pause_s=0, timeout_s=20
    )
    return Named("stereo", told, tmp_path)
