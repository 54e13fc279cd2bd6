"""Jellyfin over real HTTP: what becomes of its library and history, and of what goes wrong."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from connect.media_servers import ANNAS_TOKEN, TICKS
from segue.connect import jellyfin as jf
from segue.connect.run import read_jellyfin, write_jellyfin
from segue.core.errors import BadInput, NotFound
from segue.core.types import Item
from segue.store import catalogue, schema
from segue.store.catalogue import load_catalogue


def items_of(workspace):
    return {item.title: item for item in load_catalogue(workspace.engine).catalogue.items}


def changed(connection, **told):
    return replace(connection, told=replace(connection.told, **told))


def test_a_film_keeps_all_that_the_server_tells(workspace, home):
    taken = read_jellyfin(workspace, home)
    heat = items_of(workspace)["Heat"]
    assert (heat.kind, heat.year, heat.duration_s) == ("movie", 1995, 6000.0)
    assert heat.tags == ("Crime", "Thriller", "heist")
    assert heat.creators == ("Michael Mann", "Al Pacino")
    assert heat.extra["provider_ids"] == {"imdb": "tt0113277", "tmdb": "949"}
    assert heat.extra["path"] == "/media/films/Heat (1995).mkv"
    assert heat.released_at == 818985600.0
    assert taken.works_added == 4  # two films, a series, a song; no episodes
    assert items_of(workspace)["Teardrop"].creators == ("Massive Attack",)


def test_what_people_did_has_its_kind_fraction_and_time(workspace, home, events_of):
    read_jellyfin(workspace, home)
    dated = [e for e in events_of() if e[4] < 1_710_000_000]
    assert dated == [
        ("home/anna", "Heat", "play", None, pytest.approx(1709323200.123456)),
        ("home/anna", "Heat", "play", None, pytest.approx(1709323200.123456)),
        ("home/anna", "Heat", "complete", None, pytest.approx(1709323200.123456)),
        ("home/anna", "Ran", "play", None, 1709409600.0),
        ("home/anna", "Ran", "progress", 0.25, 1709409600.0),
        ("home/anna", "The Wire", "play", None, 1709496000.0),
        ("home/ben", "Teardrop", "play", None, 1709582400.0),
        ("home/ben", "Teardrop", "play", None, 1709582400.0),
        ("home/ben", "Teardrop", "play", None, 1709582400.0),
        ("home/ben", "Teardrop", "complete", None, 1709582400.0),
    ]
    undated = {
        (user, title, kind, value and round(value, 3))
        for user, title, kind, value, time in events_of() if time > 1_710_000_000
    }  # fmt: skip
    assert undated == {
        ("home/anna", "Heat", "like", None),
        ("home/anna", "The Wire", "progress", 0.333),
        ("home/ben", "Teardrop", "like", None),
        ("home/ben", "Heat", "dislike", None),
    }


@pytest.mark.parametrize("full", [False, True])
def test_a_second_run_adds_nothing(workspace, home, events_of, full):
    read_jellyfin(workspace, home)
    before = events_of()
    again = read_jellyfin(workspace, home, full=full)
    assert (again.works_added, again.works_changed, again.events_added) == (0, 0, 0)
    assert events_of() == before


def test_a_rerun_reads_what_is_new_alone(workspace, home, jellyfin, events_of, monkeypatch):
    now = 1_710_000_000.0
    real = jf.Jellyfin
    monkeypatch.setattr(
        "segue.connect.run.jellyfin.Jellyfin", lambda caller: real(caller, lambda: now)
    )
    read_jellyfin(workspace, home)
    before = len(events_of())
    now += 1e6
    jellyfin.did("anna", jellyfin.ran, PlayCount=1, Played=True, PlaybackPositionTicks=0,
                 LastPlayedDate="2024-03-10T20:00:00Z")  # fmt: skip
    jellyfin.add("new", "Movie", "Alien", ProductionYear=1979, saved="2024-03-11T00:00:00Z")
    jellyfin.asked.clear()
    taken = read_jellyfin(workspace, home)
    assert (taken.works_added, taken.works_unchanged) == (1, 0)
    assert taken.events_added == 1
    assert len(events_of()) == before + 1
    assert ("home/anna", "Ran", "complete", None, 1710100800.0) in events_of()
    assert not [path for _, path, _ in jellyfin.asked_for("IsPlayed")]


def test_pages_are_read_to_the_end(workspace, home, jellyfin, events_of, monkeypatch):
    monkeypatch.setattr(jf, "PAGE", 3)
    for n in range(20):
        key = jellyfin.add(f"film {n}", "Movie", f"Film {n}", ProductionYear=2000)
        jellyfin.did("ben", key, Played=True, LastPlayedDate=f"2024-02-{n + 1:02}T00:00:00Z")
    taken = read_jellyfin(workspace, home)
    assert taken.works_added == 24
    assert sum(e[2] == "complete" for e in events_of()) == 22
    assert taken.left_out == {}


def test_episodes_are_items_where_that_is_wished(workspace, home, events_of):
    read_jellyfin(workspace, changed(home, episodes=True))
    items = items_of(workspace)
    assert items["The Wire S01E02 Part 2"].kind == "video"
    assert ("home/anna", "The Wire S01E01 Part 1", "complete", None, 1709496000.0) in events_of()


def test_only_those_who_are_named_are_read(workspace, home, events_of):
    read_jellyfin(workspace, changed(home, people=("ben = b",)))
    assert {e[0] for e in events_of()} == {"b"}
    with pytest.raises(NotFound, match=r"no user 'carl'.*anna, ben"):
        read_jellyfin(workspace, changed(home, people=("carl",)))


def test_a_users_own_token_reads_that_user(workspace, home, events_of, monkeypatch):
    monkeypatch.setenv("SEGUE_HOME_SECRET", ANNAS_TOKEN)
    read_jellyfin(workspace, home)
    assert {e[0] for e in events_of()} == {"home/anna"}


def test_an_item_from_elsewhere_is_the_same_only_where_title_and_year_agree(workspace, home):
    others = [
        Item("film:1", "movie", "HEAT!", year=1995, description="mine"),
        Item("film:2", "movie", "Ran", year=1984),
        Item("song:1", "track", "Teardrop", creators=("José González",)),
    ]
    catalogue.put_items(workspace.engine, others)
    taken = read_jellyfin(workspace, home)
    assert (taken.works_matched, taken.works_added) == (1, 3)
    ids = [item.id for item in load_catalogue(workspace.engine).catalogue.items]
    assert len(ids) == 6
    assert items_of(workspace)["HEAT!"].description == "mine"
    again = read_jellyfin(workspace, home, full=True)
    assert (again.works_added, again.events_added) == (0, 0)


def test_two_that_it_may_be_are_none(workspace, home):
    twins = [Item(f"film:{n}", "movie", "Heat", year=1995) for n in (1, 2)]
    catalogue.put_items(workspace.engine, twins)
    assert read_jellyfin(workspace, home).works_matched == 0


def test_rows_that_are_none_are_left_out_and_told(workspace, home, jellyfin):
    jellyfin.items["bad"] = {"Id": None, "Type": "Movie", "Name": "?", "saved": "2024"}
    key = jellyfin.add(
        "odd", "Movie", "Odd", ProductionYear="soon", RunTimeTicks=-1, Genres="none",
        People=[None, 7, {"Name": ["x"]}], ProviderIds=[1], Overview={"a": 1}, Path=9 * 10**20,
    )  # fmt: skip
    jellyfin.did("ben", key, PlayCount="many", LastPlayedDate="0001-01-01T00:00:00Z", Rating="NaN")
    taken = read_jellyfin(workspace, home)
    odd = items_of(workspace)["Odd"]
    assert (odd.year, odd.duration_s, odd.tags, odd.creators) == (None, None, (), ())
    assert taken.left_out["items without an id, a title or a kind"] == 1


def test_an_old_server_is_told_from_a_wrong_address(workspace, home, jellyfin):
    jellyfin.version = "10.7.7"
    with pytest.raises(BadInput, match=r"Jellyfin 10\.7\.7; 10\.8 or later is needed"):
        read_jellyfin(workspace, home)


def recommend_all(workspace, asked=None):
    def recommend(person, k, kinds, others):
        if asked is not None:
            asked.append(person)
        items = load_catalogue(workspace.engine).catalogue.items
        return [i.id for i in items if i.kind in kinds and i.id not in others][:k]

    return recommend


def test_lists_are_made_once_and_then_replaced_with_an_api_key(workspace, home, jellyfin):
    read_jellyfin(workspace, home)
    catalogue.put_items(workspace.engine, [Item("x:1", "movie", "Not there", year=2000)])
    write = recommend_all(workspace)
    made = write_jellyfin(workspace, home, write, 10)
    assert {(w.person, w.media, w.outcome) for w in made} == {
        ("home/anna", "Video", "created"), ("home/ben", "Video", "created"),
        ("home/anna", "Audio", "created"), ("home/ben", "Audio", "created"),
    }  # fmt: skip
    annas = [
        p for p in jellyfin.playlists.values()
        if p["UserId"] == jellyfin.users["anna"] and p["MediaType"] == "Video"
    ]  # fmt: skip
    # Of the series anna gets the episode after the one that she saw.
    assert annas[0]["Ids"] == [jellyfin.heat, jellyfin.ran, jellyfin.episodes[1]]
    assert (annas[0]["Name"], annas[0]["IsPublic"]) == ("For you — segue", False)
    again = write_jellyfin(workspace, home, lambda *a: write(*a)[:1], 10)
    assert {w.outcome for w in again} == {"replaced"}
    assert len(jellyfin.playlists) == 4
    assert {len(p["Ids"]) for p in jellyfin.playlists.values()} == {1}


def test_a_users_token_replaces_in_place_and_a_deleted_list_comes_anew(
    workspace, home, jellyfin, monkeypatch
):
    monkeypatch.setenv("SEGUE_HOME_SECRET", ANNAS_TOKEN)
    read_jellyfin(workspace, home)
    write_jellyfin(workspace, home, recommend_all(workspace), 10)
    kept = set(jellyfin.playlists)
    write_jellyfin(workspace, home, lambda *a: recommend_all(workspace)(*a)[:1], 10)
    assert set(jellyfin.playlists) == kept
    assert not jellyfin.asked_for(f"/Items/{min(kept)}")
    jellyfin.playlists.clear()
    assert {w.outcome for w in write_jellyfin(workspace, home, recommend_all(workspace), 9)} == {
        "created"
    }


def test_a_list_of_the_same_name_that_is_not_ours_is_left_alone(workspace, home, jellyfin):
    mine = {"Name": "For you — segue", "Ids": ["x"], "UserId": jellyfin.users["anna"]}
    jellyfin.playlists["f" * 32] = dict(mine)
    read_jellyfin(workspace, home)
    for _ in range(2):
        write_jellyfin(workspace, home, recommend_all(workspace), 10)
    assert jellyfin.playlists["f" * 32] == mine


def test_a_run_that_was_cut_off_goes_on(workspace, home, jellyfin, monkeypatch):
    monkeypatch.setattr(jf, "PAGE", 2)
    whole = jellyfin.answer

    def dies_late(method, path, headers, body):
        return (500, None) if "startIndex=2" in path else whole(method, path, headers, body)

    monkeypatch.setattr("segue.connect.http.MOST_WAIT_S", 0.0)
    jellyfin.answer = dies_late
    with pytest.raises(BadInput, match="status 500"):
        read_jellyfin(workspace, home)
    first = len(items_of(workspace))
    assert 0 < first < 4
    jellyfin.answer = whole
    assert read_jellyfin(workspace, home).works_added == 4 - first


def test_the_key_is_sent_in_a_header_alone(workspace, home, jellyfin):
    read_jellyfin(workspace, home)
    assert not jellyfin.asked_for(home.secret())
    assert all(home.secret().encode() not in body for _, _, body in jellyfin.asked)
    with workspace.engine.connect() as connection:
        told = connection.execute(sa.select(schema.meta)).all()
    assert home.secret() not in str(told)
    assert TICKS == 10_000_000
