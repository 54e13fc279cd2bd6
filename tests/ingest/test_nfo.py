"""NFO files and artwork, as Kodi, Jellyfin and tinyMediaManager leave them beside media."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

import media_makers
from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, open_blob
from segue.ingest.naming import artwork_of
from segue.ingest.nfo import examine_nfo
from segue.ingest.run import IngestReport, ingest
from segue.ingest.scan import scan
from segue.store import schema
from segue.store.workspace import Workspace

MOVIE = media_makers.NFO
LATIN = '<?xml version="1.0" encoding="iso-8859-1"?><movie><title>Müde</title></movie>'
EPISODE = """<episodedetails><title>Ropes</title><showtitle>Harbour</showtitle>
<season>1</season><episode>2</episode><plot>Knots.</plot></episodedetails>"""


def webm(path: Path, seconds: float) -> Path:
    """Its name sorts after that of its NFO."""
    return media_makers.video(path, seconds, "libvpx", None)


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def read(folder: Path, written: str | bytes) -> Examined:
    path = folder / "some.nfo"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    (found,) = scan([folder])
    with open_blob(found) as blob:  # type: ignore[arg-type]
        return examine_nfo(blob, MediaLimits())


def test_what_a_film_s_nfo_says(tmp_path):
    told = read(tmp_path, MOVIE)
    assert (told.media, told.format, told.title, told.year) == ("nfo", "movie", "Low Tide", 2009)
    assert told.description == "A ferry runs aground & nobody minds."
    assert told.tags == ("Drama", "Sea", "Comedy", "ferry")
    assert told.creators == ("Bo Strand", "Ada Pen", "Cy Rock", "Di Vale")
    assert told.duration_s == 96 * 60
    wanted = {
        "id:imdb": "tt0012345", "id:tmdb": "1234", "playcount": "2", "userrating": "8",
        "lastplayed": "2024-05-03 21:14:00", "resume_s": "600.0", "total_s": "5760.0",
    }  # fmt: skip
    assert wanted.items() <= told.raw_tags.items()
    assert next(key for key in told.raw_tags if key.startswith("id:")) == "id:imdb"


def test_an_episode_is_named_with_its_series(tmp_path):
    assert read(tmp_path, EPISODE).title == "Harbour S01E02 Ropes"


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("<movie><title>Salt & Pepper</title></movie>", "Salt & Pepper"),
        ("<movie><title>Caf&eacute; &lt;3</title></movie>", "Café <3"),
        ("<Movie><title>Upper</title></Movie>", "Upper"),
        (EPISODE + EPISODE.replace("Ropes", "Sails"), "Harbour S01E02 Ropes"),
        ('<?xml version="1.0"?><movie><title>Ü</title></movie>'.encode("utf-16"), "Ü"),
        (b"\xef\xbb\xbf<movie><title>Marked</title></movie>", "Marked"),
        (LATIN.encode("latin-1"), "Müde"),
    ],
    ids=["ampersand", "entity", "case", "several", "utf-16", "mark", "latin"],
)
def test_files_as_they_are_found(tmp_path, written, title):
    assert read(tmp_path, written).title == title


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("https://example.org/title/tt0012345", "no NFO that media servers write"),
        ("░▒▓ RELEASE ▓▒░", "no NFO that media servers write"),
        ("<movie><title>x</title>", "does not end"),
        ("<movie><title>x</movie>", "damaged XML"),
        ("<movie>" + "<a>" * 50 + "</movie>", "damaged XML"),
        (f"<movie><title>{BOMB}&b;</title></movie>", "damaged XML"),
    ],
    ids=["address", "art", "cut", "crossed", "deep", "entities"],
)
def test_what_is_no_nfo_says_why(tmp_path, written, reason):
    with pytest.raises(UnreadableMedia, match=reason):
        read(tmp_path, written)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


def items(workspace: Workspace) -> dict[str, Any]:
    with workspace.engine.connect() as tx:
        rows = tx.execute(sa.select(schema.items)).mappings().all()
    return {row["title"]: row for row in rows}


def posters(workspace: Workspace, num: int) -> list[bytes]:
    a = schema.assets.c
    query = sa.select(a.path).where(a.item_num == num, a.kind == "poster").order_by(a.position)
    with workspace.engine.connect() as tx:
        return [(workspace.derived / path).read_bytes() for path in tx.execute(query).scalars()]


def run(workspace: Workspace, folder: Path) -> IngestReport:
    return ingest(workspace, [folder])


def library(folder: Path) -> Path:
    film = folder / "Low Tide (2009)"
    film.mkdir(parents=True)
    media_makers.video(film / "Low Tide (2009).mp4")
    (film / "Low Tide (2009).nfo").write_text(MOVIE)
    media_makers.picture(film / "poster.jpg", 60, 90)
    media_makers.picture(film / "fanart.jpg", 160, 90)
    show = folder / "Harbour" / "Season 1"
    show.mkdir(parents=True)
    (show.parent / "tvshow.nfo").write_text("<tvshow><title>Harbour</title></tvshow>")
    media_makers.picture(show.parent / "season01-poster.jpg", 61, 90)
    webm(show / "s01e02.webm", 2.0)
    (show / "s01e02.nfo").write_text(EPISODE)
    return folder


def test_a_library_is_read_with_what_its_owner_keeps_beside_the_films(workspace, tmp_path):
    report = run(workspace, library(tmp_path / "films"))
    found = items(workspace)
    assert set(found) == {"Low Tide", "Harbour S01E02 Ropes"}  # no artwork among them
    assert (report.added, report.attached) == (2, 5)
    ((path, reason),) = report.refused
    assert path.endswith("tvshow.nfo")
    assert "whole series; segue connect nfo reads it" in reason
    film = found["Low Tide"]
    assert (film["kind"], film["year"]) == ("movie", 2009)
    assert film["creators"][:2] == ["Bo Strand", "Ada Pen"]
    assert film["extra"]["nfo"]["id:tmdb"] == "1234"
    assert film["extra"]["media"] == "video"  # what was known stays
    i = schema.identities.c
    with workspace.engine.connect() as tx:
        known = tx.execute(sa.select(i.platform, i.external_id, i.num)).all()
    assert {tuple(row) for row in known} == {
        ("imdb", "tt0012345", film["num"]), ("tmdb", "1234", film["num"])
    }  # fmt: skip
    first, second = posters(workspace, film["num"])
    assert size_of(first) == (60, 90)
    assert size_of(second) != (60, 90)  # made of the film itself
    again = run(workspace, tmp_path / "films")
    assert (again.added, again.attached, again.unchanged) == (0, 0, 7)


def test_an_nfo_and_a_poster_that_changed_are_read_again(workspace, tmp_path):
    folder = library(tmp_path / "films") / "Low Tide (2009)"
    run(workspace, folder)
    (folder / "Low Tide (2009).nfo").write_text(MOVIE.replace("Low Tide", "Lowest Tide"))
    media_makers.picture(folder / "poster.jpg", 50, 70)
    run(workspace, folder)
    film = items(workspace)["Lowest Tide"]
    shown = posters(workspace, film["num"])
    assert len(shown) == 2
    assert size_of(shown[0]) == (50, 70)


def test_the_owner_s_own_words_win_over_an_nfo(workspace, tmp_path):
    folder = library(tmp_path / "films") / "Low Tide (2009)"
    (folder / "segue-media.toml").write_text('[[file]]\nname = "*.mp4"\ntitle = "Mine"\n')
    run(workspace, folder)
    mine = items(workspace)["Mine"]
    assert (mine["year"], mine["kind"]) == (2009, "movie")


def test_movie_nfo_is_of_the_one_film_in_its_folder(workspace, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "movie.nfo").write_text(MOVIE)
    report = run(workspace, folder)
    assert "without a video" in report.refused[0][1]
    webm(folder / "ebbe.webm", 1.0)  # it came later, and sorts later
    assert run(workspace, folder).attached == 1
    assert set(items(workspace)) == {"Low Tide"}
    webm(folder / "other.webm", 2.0)
    (folder / "movie.nfo").write_text(MOVIE.replace("Low", "High"))
    assert "without a video" in run(workspace, folder).refused[0][1]


def test_a_cover_is_that_of_the_sounds_that_have_none(workspace, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name, seconds in (("one.flac", 1.0), ("two.flac", 1.5)):
        media_makers.sound(folder / name, seconds, tags={"title": name[:3]})
    media_makers.picture(folder / "cover.jpg", 70, 70)
    run(workspace, folder)
    found = items(workspace)
    assert set(found) == {"one", "two"}
    for row in found.values():
        assert [size_of(data) for data in posters(workspace, row["num"])] == [(70, 70)]


def test_pictures_without_media_are_works_whatever_their_name(workspace, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    media_makers.picture(folder / "poster.jpg", 60, 90)
    assert run(workspace, folder).added == 1


@pytest.mark.parametrize(
    ("name", "artwork"),
    [
        ("poster.jpg", "poster"),
        ("Film (2009)-poster.PNG", "poster"),
        ("film-fanart2.jpg", "fanart"),
        ("season02-poster.jpg", "season"),
        ("season-specials-banner.jpg", "season"),
        ("holiday.jpg", ""),
        ("new-poster-ideas.jpg", ""),
        ("poster.mp4", ""),
    ],
)
def test_names_of_artwork(name, artwork):
    assert artwork_of(name) == artwork
