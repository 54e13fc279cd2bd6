"""A library kept in NFO files, read with and without the media beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import media_makers
from segue.cli.main import main
from segue.connect.nfo import Options, read
from segue.connect.shapes import instant, zone_of
from segue.core.errors import BadInput
from segue.ingest.run import ingest
from segue.store import schema
from segue.store.workspace import Workspace

FILM = """<movie><title>Low Tide</title><year>2009</year><genre>Drama</genre>
<uniqueid type="imdb" default="true">tt0012345</uniqueid><playcount>2</playcount>
<lastplayed>2024-05-03 21:14:00</lastplayed><userrating>8</userrating></movie>"""
BEGUN = """<movie><title>High Water</title><year>2011</year><lastplayed>2024-05-04</lastplayed>
<resume><position>600</position><total>2400</total></resume></movie>"""
SHOW = '<tvshow><title>Harbour</title><year>2015</year><uniqueid type="tvdb">77</uniqueid></tvshow>'
EPISODE = """<episodedetails><title>{title}</title><showtitle>Harbour</showtitle><season>1</season>
<episode>{number}</episode><playcount>{played}</playcount></episodedetails>"""
ALBUM = "<album><title>Quays</title><artist>Mo</artist><year>1999</year></album>"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    written = {
        "films/Low Tide/Low Tide.nfo": FILM,
        "films/High Water/movie.nfo": BEGUN,
        "shows/Harbour/tvshow.nfo": SHOW,
        "shows/Harbour/Season 1/e1.nfo": EPISODE.format(title="Ropes", number=1, played=1),
        "shows/Harbour/Season 1/e2.nfo": EPISODE.format(title="Sails", number=2, played=0),
        "music/Mo/artist.nfo": "<artist><name>Mo</name></artist>",
        "music/Mo/Quays/album.nfo": ALBUM,
        "films/Odd/release.nfo": "░▒▓ greetings ▓▒░",
    }
    for name, text in written.items():
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "library"


def titles(workspace: Workspace) -> dict[str, str]:
    i = schema.items.c
    with workspace.engine.connect() as tx:
        return {row[0]: row[1] for row in tx.execute(sa.select(i.title, i.kind))}


def acts(workspace: Workspace) -> set[tuple[str, str, float, float | None]]:
    e, i = schema.events.c, schema.items.c
    query = sa.select(i.title, e.kind, e.time, e.value).join_from(schema.events, schema.items)
    with workspace.engine.connect() as tx:
        return {(row[0], row[1], row[2], row[3]) for row in tx.execute(query)}


def test_a_library_becomes_works_and_its_owner_s_history(workspace, library):
    zone = zone_of("Europe/Berlin")
    done = read(workspace, [library], Options("anna", zone=zone))
    assert titles(workspace) == {
        "Low Tide": "movie", "High Water": "movie", "Harbour": "series", "Quays": "album"
    }  # fmt: skip
    assert (done.files, done.refused) == (8, 1)
    assert "release.nfo" in done.rejects.read_text()
    assert done.taken.left_out == {"artist files, which tell of no work": 1}
    seen = instant("2024-05-03T21:14:00", zone)
    found = {(title, kind, value) for title, kind, _, value in acts(workspace)}
    assert found == {
        ("Low Tide", "play", None), ("Low Tide", "complete", None), ("Low Tide", "rating", 4.0),
        ("High Water", "progress", 0.25), ("Harbour", "play", None),
    }  # fmt: skip
    assert ("Low Tide", "play", seen, None) in acts(workspace)
    assert done.taken.events_added == 6
    again = read(workspace, [library], Options("anna", zone=zone)).taken
    assert (again.works_added, again.works_changed, again.events_added) == (0, 0, 0)
    assert again.events_known == 6


def test_a_play_more_is_one_event_more(workspace, library):
    read(workspace, [library], Options("anna"))
    path = library / "films" / "Low Tide" / "Low Tide.nfo"
    path.write_text(FILM.replace(">2<", ">3<").replace("05-03", "06-09"))
    again = read(workspace, [library], Options("anna")).taken
    assert again.events_added == 2  # the third play, and that it was the third to the end


def test_episodes_may_be_items(workspace, library):
    read(workspace, [library], Options("anna", episodes=True))
    assert titles(workspace)["Harbour S01E01 Ropes"] == "video"
    assert ("Harbour S01E01 Ropes", "play") in {act[:2] for act in acts(workspace)}


def test_nobody_s_history_is_taken_unless_somebody_is_named(workspace, library):
    taken = read(workspace, [library]).taken
    assert taken.works_added == 4
    assert acts(workspace) == set()
    assert sum(taken.left_out.values()) == 7


def test_what_ingest_made_of_the_media_is_the_same_work(workspace, library):
    folder = library / "films" / "Low Tide"
    media_makers.video(folder / "Low Tide.mp4")
    ingest(workspace, [library / "films"])
    done = read(workspace, [library], Options("anna"))
    assert sorted(titles(workspace)) == ["Harbour", "High Water", "Low Tide", "Quays"]
    assert done.taken.works_matched == 1
    with workspace.engine.connect() as tx:
        item_id = tx.scalar(sa.select(schema.items.c.id).where(schema.items.c.title == "Low Tide"))
    assert item_id.startswith("media:")
    assert ("Low Tide", "rating") in {act[:2] for act in acts(workspace)}


def test_a_folder_without_nfo_says_what_to_do(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="switch on saving of NFO"):
        read(workspace, [tmp_path / "empty"])


def test_the_command(workspace, library):
    asked = ["connect", "nfo", str(library), "--person", "anna", "-w", str(workspace.root)]
    told = CliRunner().invoke(main, [*asked, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["events_added"] == 6
    told = CliRunner().invoke(main, asked)
    assert "8 NFO files, 1 refused" in told.output
    assert "6 known already" in told.output
