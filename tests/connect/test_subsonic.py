"""Subsonic over real HTTP: songs, plays and stars come in, a list goes back."""

from dataclasses import replace

import pytest

from segue.connect import subsonic as sub
from segue.connect.http import Denied
from segue.connect.run import read_subsonic, write_subsonic
from segue.core.errors import BadInput, BadSettings
from segue.store.catalogue import load_catalogue


def items_of(workspace):
    return {item.title: item for item in load_catalogue(workspace.engine).catalogue.items}


def test_songs_albums_plays_stars_and_ratings(workspace, stereo, events_of):
    taken = read_subsonic(workspace, stereo)
    items = items_of(workspace)
    assert {t: i.kind for t, i in items.items()} == {
        "Blue Lines": "album", "Safe from Harm": "track", "One Love": "track", "Dummy": "album",
        "Roads": "track",
    }  # fmt: skip
    song = items["Safe from Harm"]
    assert (song.creators, song.year, song.duration_s) == (("Massive Attack",), 1991, 318.0)
    assert song.tags == ("Trip-Hop",)
    told = events_of()
    assert [e for e in told if e[2] != "rating"] == [
        ("anna", "Blue Lines", "like", None, 1704448800.0),
        ("anna", "One Love", "like", None, 1704535200.0),
        ("anna", "Safe from Harm", "play", None, 1709323200.0),
        ("anna", "Safe from Harm", "play", None, 1709323200.0),
    ]
    assert [e[:4] for e in told if e[2] == "rating"] == [("anna", "One Love", "rating", 4.0)]
    assert (taken.works_added, taken.events_added, taken.people) == (5, 5, ("anna",))


@pytest.mark.parametrize("full", [False, True])
def test_a_second_run_adds_nothing(workspace, stereo, full):
    read_subsonic(workspace, stereo)
    again = read_subsonic(workspace, stereo, full=full)
    assert (again.works_added, again.works_changed, again.events_added) == (0, 0, 0)


def test_a_rerun_asks_for_new_and_played_albums_alone(workspace, stereo, subsonic):
    read_subsonic(workspace, stereo)
    subsonic.forms.clear()
    album = subsonic.albums["a2"]
    album["played"] = album["song"][0]["played"] = "2099-01-01T00:00:00Z"
    album["song"][0]["playCount"] = 1
    assert read_subsonic(workspace, stereo).events_added == 1
    assert [form["id"] for form in subsonic.forms if "id" in form] == ["a2"]


def test_all_pages_are_read_even_where_they_are_shorter_than_asked(workspace, stereo, subsonic):
    for n in range(25):
        subsonic.albums[f"x{n}"] = {"id": f"x{n}", "name": f"Album {n}", "song": []}
    subsonic.most_albums = 4
    assert read_subsonic(workspace, stereo).works_added == 30


def test_the_password_is_never_sent(workspace, stereo, subsonic):
    read_subsonic(workspace, stereo)
    assert all(stereo.secret() not in str(form) for form in subsonic.forms)
    assert all("?" not in path for _, path, _ in subsonic.asked)
    salts = [form["s"] for form in subsonic.forms]
    assert len(set(salts)) == len(salts)
    assert stereo.secret() not in repr(sub.Account("anna", stereo.secret()))


def test_a_wrong_password_says_so(workspace, stereo, monkeypatch):
    monkeypatch.setenv("SEGUE_STEREO_SECRET", "wrong")
    with pytest.raises(Denied, match=r"Wrong username or password \(code 40\); check user"):
        read_subsonic(workspace, stereo)


def test_an_account_is_needed(workspace, stereo):
    with pytest.raises(BadSettings, match="whose account"):
        read_subsonic(workspace, replace(stereo, told=replace(stereo.told, user="")))


@pytest.mark.parametrize("tells", [True, False])
def test_a_list_is_made_once_and_then_replaced(workspace, stereo, subsonic, tells):
    subsonic.tells_new_list = tells
    subsonic.playlists["theirs"] = {"name": "For you — segue", "public": True, "songs": ["s9"]}
    read_subsonic(workspace, stereo)

    def recommend(_person, k, kinds, others):
        items = load_catalogue(workspace.engine).catalogue.items
        return [i.id for i in items[::-1] if i.kind in kinds and i.id not in others][:k]

    assert write_subsonic(workspace, stereo, recommend, 2)[0].outcome == "created"
    made = next(key for key in subsonic.playlists if key != "theirs")
    assert subsonic.playlists[made] == {
        "name": "For you — segue", "public": False, "songs": ["s3", "s2"],
    }  # fmt: skip
    assert write_subsonic(workspace, stereo, lambda *a: recommend(*a)[:1], 2)[0].outcome == (
        "replaced"
    )
    assert subsonic.playlists[made]["songs"] == ["s3"]
    assert subsonic.playlists["theirs"]["songs"] == ["s9"]
    assert len(subsonic.playlists) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"subsonic-response": {"status": "failed", "error": {"code": 30}}}, "1.13.0 or later"),
        ({"subsonic-response": {"status": "failed", "error": "no"}}, "code 0"),
        ({"subsonic-response": []}, "no Subsonic server"),
        ([1], "no Subsonic server"),
    ],
)
def test_odd_answers_are_told(workspace, stereo, subsonic, answer, words):
    subsonic.mode, subsonic.nonsense = "wrong_types", answer
    with pytest.raises(BadInput, match=words):
        read_subsonic(workspace, stereo)
