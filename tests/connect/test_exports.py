"""Histories that people take out of other services, in the shapes in which these hand them out."""

import json
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from click.testing import CliRunner

from segue.cli.main import main
from segue.connect.exports import SERVICES
from segue.connect.exports.take import import_export
from segue.core.errors import BadInput, NotFound
from segue.core.types import Item
from segue.store import catalogue
from segue.store.catalogue import load_catalogue

LETTERBOXD = {
    "ratings.csv": "Date,Name,Year,Letterboxd URI,Rating\n"
    "2022-05-10,Swades,2004,https://boxd.it/1Swa,3.5\n"
    '2022-05-10,"Good, the Bad, The",1966,https://boxd.it/1Goo,5\n'
    "2022-05-11,,1999,https://boxd.it/x,3\n"
    "2022-05-12,Heat,1995,https://boxd.it/1Hea,11\n"
    "12/05/2022,Ran,1985,https://boxd.it/1Ran,4\n"
    "2022-05-13,Alien,next year,https://boxd.it/1Ali,4\n",
    "diary.csv": "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n"
    "2022-05-10,Swades,2004,https://boxd.it/2Pl09z,3.5,,,2022-01-15\n"
    "2022-10-01,Swades,2004,https://boxd.it/3heOm7,,Yes,theatre,2022-03-12\n",
    "watched.csv": "Date,Name,Year,Letterboxd URI\n"
    "2022-05-10,Swades,2004,https://boxd.it/1Swa\n"
    "2022-06-01,Stalker,1979,https://boxd.it/1Sta\n",
    "watchlist.csv": "Date,Name,Year,Letterboxd URI\n2022-06-02,Solaris,1972,https://boxd.it/1Sol\n",
    "likes/films.csv": "Date,Name,Year,Letterboxd URI\n"
    "2022-06-03,Stalker,1979,https://boxd.it/1Sta\n",
    "profile.csv": "Date Joined,Username\n2020-01-01,anna\n",
}
TRAKT = {
    "watched/history-1.json": [
        {"id": 101, "watched_at": "2024-03-01T20:00:00.000Z", "action": "scrobble", "type": "movie",
         "movie": {"title": "Heat", "year": 1995,
                   "ids": {"trakt": 60, "slug": "heat-1995", "imdb": "tt0113277", "tmdb": 949}}},
        {"id": 102, "watched_at": "2024-03-02T20:00:00.000Z", "action": "watch", "type": "episode",
         "episode": {"season": 1, "number": 2, "title": "The Detail", "ids": {"trakt": 9}},
         "show": {"title": "The Wire", "year": 2002, "ids": {"trakt": 1429}}},
        {"id": 103, "watched_at": "yesterday", "type": "movie", "movie": {"title": "Ran"}},
        "nonsense",
    ],
    "watched/watched-movies.json": [
        {"plays": 3, "last_watched_at": "2024-03-01T20:00:00.000Z",
         "movie": {"title": "Heat", "year": 1995, "ids": {"trakt": 60}}},
    ],
    "ratings/movies.json": [
        {"rated_at": "2024-03-01T22:00:00.000Z", "rating": 9, "type": "movie",
         "movie": {"title": "Heat", "year": 1995, "ids": {"trakt": 60}}},
        {"rated_at": "2024-03-01T22:00:00.000Z", "rating": 90, "type": "movie",
         "movie": {"title": "Ran", "year": 1985, "ids": {"trakt": 61}}},
        {"rated_at": "2024-03-01T22:00:00.000Z", "rating": 8, "type": "episode",
         "episode": {"season": 1, "number": 2}, "show": {"title": "The Wire", "year": 2002,
                                                        "ids": {"trakt": 1429}}},
    ],
    "lists/watchlist.json": [
        {"listed_at": "2024-04-01T00:00:00.000Z", "type": "show",
         "show": {"title": "Treme", "year": 2010, "ids": {"trakt": 7}}},
    ],
}  # fmt: skip
SPOTIFY = [
    {"ts": "2020-04-11T00:27:53Z", "platform": "iOS", "ms_played": 174674, "conn_country": "SG",
     "ip_addr": "203.0.113.7", "master_metadata_track_name": "Jack To The Future",
     "master_metadata_album_artist_name": "Alex Metric",
     "master_metadata_album_album_name": "Jack To The Future",
     "spotify_track_uri": "spotify:track:74cksX4vgcm0cHKaV7XE2L", "episode_name": None,
     "episode_show_name": None, "spotify_episode_uri": None, "reason_start": "trackdone",
     "reason_end": "trackdone", "shuffle": False, "skipped": False, "offline": False,
     "offline_timestamp": None, "incognito_mode": False},
]  # fmt: skip


def heard(ts, ms, end="fwdbtn", **more):
    return {**SPOTIFY[0], "ts": ts, "ms_played": ms, "reason_end": end, **more}


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, "utf-8")
    return folder


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def titles(workspace):
    return {item.title: item for item in load_catalogue(workspace.engine).catalogue.items}


def test_letterboxd(workspace, tmp_path, events_of):
    berlin = ZoneInfo("Europe/Berlin")
    folder = put(tmp_path / "letterboxd", LETTERBOXD)
    done = import_export(workspace, "letterboxd", [folder], "anna", zone=berlin)
    assert events_of() == [
        ("anna", "Swades", "complete", None, at("2022-01-15 12:00", berlin)),
        ("anna", "Swades", "complete", None, at("2022-03-12 12:00", berlin)),
        ("anna", "Swades", "rating", 3.5, at("2022-05-10 12:00", berlin)),
        ("anna", "Good, the Bad, The", "rating", 5.0, at("2022-05-10 12:00", berlin)),
        ("anna", "Stalker", "complete", None, at("2022-06-01 12:00", berlin)),
        ("anna", "Solaris", "save", None, at("2022-06-02 12:00", berlin)),
        ("anna", "Stalker", "like", None, at("2022-06-03 12:00", berlin)),
    ]
    assert titles(workspace)["Swades"].year == 2004
    rejects = pl.read_csv(done.rejects[0])
    assert rejects.rows() == [
        (4, "Name", "empty title", ""),
        (5, "Rating", "not a rating from 0.5 to 5", "11"),
        (6, "Date", "not a day like 2024-01-31", "12/05/2022"),
        (7, "Year", "not a year", "next year"),
    ]
    assert (done.rejected, len(done.rejects)) == (4, 1)


def test_letterboxd_as_the_zip_that_it_came_in(workspace, tmp_path, events_of):
    put(tmp_path / "letterboxd", LETTERBOXD)
    packed = tmp_path / "letterboxd-anna-2024.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in LETTERBOXD:
            archive.write(tmp_path / "letterboxd" / name, name)
    import_export(workspace, "letterboxd", [packed], "anna")
    assert len(events_of()) == 7


def test_trakt(workspace, tmp_path, events_of):
    done = import_export(workspace, "trakt", [put(tmp_path / "trakt", TRAKT)], "anna")
    assert events_of() == [
        ("anna", "Heat", "complete", None, at("2024-03-01 20:00")),
        ("anna", "Heat", "rating", 4.5, at("2024-03-01 22:00")),
        ("anna", "The Wire", "play", None, at("2024-03-02 20:00")),
        ("anna", "Treme", "save", None, at("2024-04-01 00:00")),
    ]
    heat = titles(workspace)["Heat"]
    # The rating's row names one id alone; what the history's row names is kept.
    assert heat.extra["provider_ids"] == {"trakt": "60", "imdb": "tt0113277", "tmdb": "949"}
    assert done.rejected == 3
    assert done.taken.left_out == {
        "sums of plays, as the history tells each": 1, "ratings of single seasons and episodes": 1,
    }  # fmt: skip


def test_trakt_sums_count_where_there_is_no_history(workspace, tmp_path, events_of):
    only = {"watched-movies.json": TRAKT["watched/watched-movies.json"]}
    import_export(workspace, "trakt", [put(tmp_path / "t", only)], "anna")
    assert [e[2] for e in events_of()] == ["complete"] * 3


LASTFM_CSV = {
    "headed": 'uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n'
    '"1709323200","01 Mar 2024, 20:00","Björk","","Post","","Hyperballad",""\n'
    '"0","01 Jan 1970, 00:00","Björk","","Post","","Hyperballad",""\n'
    '"1709323500","01 Mar 2024, 20:05","","","","","Nothing",""\n',
    "plain": 'Björk,Post,Hyperballad,01 Mar 2024 20:00\nBjörk,Post,Hyperballad,01 Jan 1970 0:0x\n'
    ",,Nothing,01 Mar 2024 20:05\n",
    "stats": "Artist;Album;AlbumId;Track;Date#anna\nBjörk;Post;x;Hyperballad;1709323200000\n"
    "Björk;Post;x;Hyperballad;soon\n;;x;Nothing;1709323200000\n",
}  # fmt: skip


@pytest.mark.parametrize("form", LASTFM_CSV)
def test_lastfm_tables_of_the_usual_exporters(workspace, tmp_path, events_of, form):
    folder = put(tmp_path / "l", {"scrobbles.csv": LASTFM_CSV[form]})
    done = import_export(
        workspace, "lastfm", [folder / "scrobbles.csv"], "anna", zone=ZoneInfo("Asia/Tokyo")
    )
    assert events_of() == [("anna", "Hyperballad", "play", None, 1709323200.0)]
    assert titles(workspace)["Hyperballad"].creators == ("Björk",)
    assert [row[1] for row in pl.read_csv(done.rejects[0]).rows()] == ["time", "artist"]


def test_lastfm_pages_of_the_api(workspace, tmp_path, events_of):
    track = {
        "artist": {"mbid": "", "#text": "Björk"}, "streamable": "0", "mbid": "",
        "album": {"mbid": "", "#text": "Post"}, "name": "Hyperballad", "url": "https://…",
        "date": {"uts": "1709323200", "#text": "01 Mar 2024, 20:00"}, "loved": "1",
    }  # fmt: skip
    playing = {k: v for k, v in track.items() if k != "date"} | {"@attr": {"nowplaying": "true"}}
    pages = [{"recenttracks": {"track": [playing, track], "@attr": {"page": "1"}}},
             {"recenttracks": {"track": track}}]  # fmt: skip
    done = import_export(workspace, "lastfm", [put(tmp_path / "l", {"a.json": pages})], "anna")
    assert [(e[1], e[2]) for e in events_of()] == [("Hyperballad", "play"), ("Hyperballad", "like")]
    assert sum(done.taken.left_out.values()) == 1


def test_spotify_skips_parts_and_whole_plays(workspace, tmp_path, events_of):
    rows = [
        *SPOTIFY,
        heard("2020-04-12T00:00:00Z", 29_999),
        heard("2020-04-13T00:00:00Z", 87_337),
        heard("2020-04-14T00:00:00Z", 50_000, master_metadata_track_name="Never whole"),
        heard("2020-04-15T00:00:00Z", 60_000, incognito_mode=True),
        heard("2020-04-16T00:00:00Z", 0),
        heard("2020-04-17T00:00:00Z", 60_000, master_metadata_track_name=None),
        heard("2020-04-18T00:00:00Z", 60_000, master_metadata_track_name=None,
              episode_name="One", episode_show_name="A Show"),
        heard("not a time", 60_000),
        heard("2020-04-19T00:00:00Z", "long"),
        heard("2020-04-19T00:00:00Z", -1),
        None,
    ]  # fmt: skip
    folder = put(tmp_path / "s", {"Streaming_History_Audio_2020_1.json": rows})
    done = import_export(workspace, "spotify", [folder], "anna", zone=ZoneInfo("Asia/Tokyo"))
    jack = "Jack To The Future"
    assert events_of() == [
        ("anna", jack, "complete", None, at("2020-04-11 00:27:53")),
        ("anna", jack, "skip", 0.1717, at("2020-04-12")),
        ("anna", jack, "progress", 0.5, at("2020-04-13")),
        ("anna", "Never whole", "play", None, at("2020-04-14")),
        ("anna", "A Show", "play", None, at("2020-04-18")),
    ]
    assert titles(workspace)[jack].duration_s == 174.7
    assert titles(workspace)["A Show"].kind == "podcast"
    assert done.rejected == 4
    assert done.taken.left_out == {
        "heard in a private session": 1, "never began to play": 1,
        "without a title: no longer on Spotify": 1,
    }  # fmt: skip
    assert b"203.0.113" not in (workspace.root / "segue.db").read_bytes()


def test_spotifys_last_year(workspace, tmp_path, events_of):
    rows = [{"endTime": "2021-01-02 12:34", "artistName": "Alex Metric",
             "trackName": "Jack", "msPlayed": 1_000}]  # fmt: skip
    import_export(
        workspace, "spotify", [put(tmp_path / "s", {"StreamingHistory0.json": rows})], "a"
    )
    assert events_of() == [("a", "Jack", "skip", None, at("2021-01-02 12:34"))]


def test_goodreads(workspace, tmp_path, events_of):
    text = (
        "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,"
        "Publisher,Binding,Number of Pages,Year Published,Original Publication Year,Date Read,"
        "Date Added,Bookshelves,Bookshelves with positions,Exclusive Shelf,My Review,"
        "Private Notes\n"
        '1,"Mort (Discworld, #4)",Terry  Pratchett,"Pratchett, Terry",,"=""0552131067""",'
        '"=""9780552131063""",4,4.2,Corgi,Paperback,317,1989,1987,2020/02/03,2020/01/01,,,'
        "read,"
        "my secret thoughts,\n"
        "2,Emma,Jane Austen,,,,,0,4,,,,1999,1815,,2020/01/05,to-read,,to-read,,\n"
        "3,,Nobody,,,,,0,4,,,,,,,2020/01/05,,,read,,\n"
    )
    folder = put(tmp_path / "g", {"goodreads_library_export.csv": text})
    done = import_export(workspace, "goodreads", [folder], "anna")
    assert events_of() == [
        ("anna", "Emma", "save", None, at("2020-01-05 12:00")),
        ("anna", "Mort", "complete", None, at("2020-02-03 12:00")),
        ("anna", "Mort", "rating", 4.0, at("2020-02-03 12:00")),
    ]
    mort = titles(workspace)["Mort"]
    assert (mort.kind, mort.year, mort.creators) == ("book", 1987, ("Terry Pratchett",))
    assert mort.extra == {"provider_ids": {"isbn": "9780552131063"}}
    assert done.rejected == 1
    assert b"secret thoughts" not in (workspace.root / "segue.db").read_bytes()


EXPORTS = {
    "letterboxd": LETTERBOXD, "trakt": TRAKT, "lastfm": {"s.csv": LASTFM_CSV["headed"]},
    "spotify": {"endsong_0.json": SPOTIFY},
}  # fmt: skip


@pytest.mark.parametrize("service", EXPORTS)
def test_a_second_import_adds_nothing(workspace, tmp_path, events_of, service):
    folder = put(tmp_path / service, EXPORTS[service])
    first = import_export(workspace, service, [folder], "anna").taken
    before = events_of()
    again = import_export(workspace, service, [folder], "anna").taken
    assert first.events_added == len(before) > 0
    assert (again.works_added, again.works_changed, again.events_added) == (0, 0, 0)
    assert events_of() == before
    another = import_export(workspace, service, [folder], "ben").taken
    assert (another.works_added, another.events_added) == (0, first.events_added)


def test_the_same_work_of_two_services_is_one_item_where_it_is_certain(workspace, tmp_path):
    import_export(workspace, "trakt", [put(tmp_path / "t", TRAKT)], "anna")
    rows = "Date,Name,Year\n2022-05-12,HEAT,1995\n2022-05-12,The Wire,2002\n2022-05-12,Treme,\n"
    done = import_export(workspace, "letterboxd", [put(tmp_path / "l", {"watched.csv": rows})], "b")
    # The series is no film, and a film without a year is any film of that title.
    assert (done.taken.works_matched, done.taken.works_added) == (1, 2)


def test_music_is_the_same_by_title_and_creators(workspace, tmp_path):
    mine = [
        Item("a", "track", "Hyper-ballad!", creators=("Bjork", "Another")),
        Item("b", "track", "Teardrop", creators=("Newton Faulkner",)),
    ]
    catalogue.put_items(workspace.engine, mine)
    rows = "artist,track,uts\nBjörk,Hyper Ballad,1709323200\nMassive Attack,Teardrop,1709323300\n"
    done = import_export(workspace, "lastfm", [put(tmp_path / "l", {"s.csv": rows})], "anna")
    assert (done.taken.works_matched, done.taken.works_added) == (1, 1)


@pytest.mark.parametrize(
    ("service", "name", "data", "words"),
    [
        ("letterboxd", "ratings.csv", b"Datum,Name,Year\n", "no column 'Date'; it has Datum"),
        ("letterboxd", "ratings.csv", b"Date,Name,Year\n\xff", "not UTF-8"),
        ("letterboxd", "films.txt", b"", "nothing that an export of Letterboxd has"),
        ("trakt", "history.json", b"{", "not JSON"),
        ("trakt", "history.json", b"[" * 100_000, "not JSON"),
        ("lastfm", "s.csv", b"artist,track\nA,B\n", "no column for time"),
        ("spotify", "endsong_0.json", b"\xef\xbb\xbf<html>", "not JSON"),
    ],
)  # fmt: skip
def test_files_that_are_none_say_why(workspace, tmp_path, service, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=words):
        import_export(workspace, service, [tmp_path / name], "anna")


def test_a_bomb_in_an_archive_is_not_unpacked(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("segue.connect.exports.files.MAX_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("watched.csv", bytes(50_000_000))
    with pytest.raises(BadInput, match="larger than 1,000,000 bytes"):
        import_export(workspace, "letterboxd", [tmp_path / "b.zip"], "anna")


def test_links_are_not_followed_out_of_a_folder(workspace, tmp_path):
    (tmp_path / "secret.csv").write_text(LETTERBOXD["watched.csv"])
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "watched.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(BadInput, match="nothing that an export"):
        import_export(workspace, "letterboxd", [tmp_path / "export"], "anna")


def test_who_and_which_must_be_said(workspace, tmp_path):
    with pytest.raises(NotFound, match="no service 'myspace'"):
        import_export(workspace, "myspace", [tmp_path], "anna")
    with pytest.raises(BadInput, match="whose history"):
        import_export(workspace, "trakt", [tmp_path], " ")
    with pytest.raises(BadInput, match="no such file"):
        import_export(workspace, "trakt", [tmp_path / "x"], "anna")


def test_every_service_has_its_command(workspace, tmp_path):
    folder = put(tmp_path / "letterboxd", LETTERBOXD)
    given = ["letterboxd", str(folder), "--person", "anna", "-w", str(workspace.root)]
    told = CliRunner().invoke(main, ["connect", *given])
    assert "12 rows, 4 rejected\nitems: 4 added" in told.output, told.output
    assert "letterboxd-ratings.csv-history.csv" in told.output
    again = json.loads(CliRunner().invoke(main, ["connect", *given, "--json"]).output)
    assert (again["rejected"], again["events_added"]) == (4, 0)
    wrong = CliRunner().invoke(main, ["connect", *given, "--zone", "Mars/Olympus"])
    assert (wrong.exit_code, "Europe/Berlin" in wrong.output) == (2, True)
    for service in SERVICES:
        assert CliRunner().invoke(main, ["connect", service, "--help"]).exit_code == 0


def test_a_damaged_member_of_a_zip_is_named(workspace, tmp_path):
    """What cannot be unpacked is bad input, whatever zipfile raises for it."""
    path = tmp_path / "export.zip"
    noise = bytes(range(256)) * 40
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", noise)
    data = bytearray(path.read_bytes())
    data[41:61] = b"\xff" * 20  # inside the packed bytes, behind the name
    path.write_bytes(bytes(data))
    with pytest.raises(BadInput, match=r"ratings\.csv: cannot be unpacked"):
        import_export(workspace, "letterboxd", [path], "anna")


def test_an_unknown_way_of_packing_is_named(workspace, tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", "Date,Name\n")
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02")
    for offset in (8, at + 10):  # both headers
        data = data[:offset] + b"\x63\x00" + data[offset + 2 :]
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"ratings\.csv: cannot be unpacked"):
        import_export(workspace, "letterboxd", [path], "anna")
