"""What a server may do to us, and what the user is told then."""

import contextlib
import gc
import json
import logging
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from click.testing import CliRunner

from connect.media_servers import API_KEY
from segue.cli.main import main
from segue.config import Connection, read_settings
from segue.connect.http import BadAnswer, Caller, Denied, Place, Unreachable, refuse_public_http
from segue.connect.run import read_jellyfin
from segue.connect.settings import Named, named
from segue.core.errors import BadInput, BadSettings
from segue.store.catalogue import load_catalogue


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("segue.connect.http.MOST_WAIT_S", 0.0)


@pytest.mark.parametrize("mode", ["broken", "busy", "cut", "hangs_up"])
def test_what_passes_is_tried_again(workspace, home, jellyfin, mode):
    jellyfin.mode, jellyfin.bad_for = mode, 2
    assert read_jellyfin(workspace, home).works_added == 4


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        ("broken", BadAnswer, "status 500; look into the server's log"),
        ("cut", Unreachable, "not reachable"),
        ("html", BadAnswer, "a web page; is this the address of the server itself"),
        ("nested", BadAnswer, "not JSON"),
        ("redirects", BadAnswer, "a redirect, which is not followed"),
        ("huge", BadAnswer, "left unread"),
    ],
)
def test_what_stays_is_told(workspace, home, jellyfin, mode, error, words):
    jellyfin.mode = mode
    with pytest.raises(error, match=words):
        read_jellyfin(workspace, home)
    assert jellyfin.bytes_written < 200_000_000


@pytest.mark.parametrize("mode", ["slow", "endless"])
def test_an_answer_that_does_not_end_is_given_up(jellyfin, mode):
    jellyfin.mode = mode
    place = Place(jellyfin.url, timeout_s=0.2, tries=2, pause_s=0)
    with Caller(place) as caller, pytest.raises(Unreachable, match=r"within 0\.2 s"):
        caller.call("GET", "System/Info/Public")
    assert len(jellyfin.asked) == 2


def test_nobody_there(workspace, home, jellyfin):
    jellyfin.shutdown()
    jellyfin.server_close()
    with pytest.raises(Unreachable, match="does the server run, is the port right"):
        read_jellyfin(workspace, home)


def test_what_makes_something_is_not_tried_again(jellyfin):
    jellyfin.mode = "broken"
    with Caller(Place(jellyfin.url)) as caller, pytest.raises(BadAnswer):
        caller.call("POST", "Playlists", body={}, again=False)
    assert len(jellyfin.asked) == 1


NONSENSE = (
    None, True, 7, "text", [], [[]], [None], {}, {"Items": None}, {"Items": {}}, {"Items": [1, []]},
    {"Items": [{}], "TotalRecordCount": "many"}, {"Items": [{"Id": 5, "Name": [], "Type": {}}]},
    {"Items": [{"Id": "x", "Type": "Movie", "Name": "\ud800\0", "UserData": [1]}]},
)  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE, ids=str)
def test_json_of_other_shapes_ends_in_a_told_error_or_in_nothing(
    workspace, home, jellyfin, nonsense
):
    good = jellyfin.answer

    def odd(method, path, headers, body):
        told = good(method, path, headers, body)
        return (200, nonsense) if path.startswith(("/Items", "/Users")) else told

    jellyfin.answer = odd
    with contextlib.suppress(BadInput):  # any other error is one too many
        read_jellyfin(workspace, home)
    assert len(load_catalogue(workspace.engine).catalogue) == 0


@pytest.mark.parametrize("nonsense", NONSENSE, ids=str)
def test_an_answer_of_another_service_is_no_jellyfin(workspace, home, jellyfin, nonsense):
    jellyfin.mode, jellyfin.nonsense = "wrong_types", nonsense
    with pytest.raises(BadAnswer, match="no Jellyfin server"):
        read_jellyfin(workspace, home)


def test_a_listing_that_repeats_itself_ends(workspace, home, jellyfin, monkeypatch):
    monkeypatch.setattr("segue.connect.jellyfin.PAGE", 1)
    film = {"Id": "f", "Type": "Movie", "Name": "Again"}
    good = jellyfin.answer
    jellyfin.answer = lambda m, path, h, b: (
        (200, {"Items": [film]}) if path.startswith("/Items") else good(m, path, h, b)
    )
    assert read_jellyfin(workspace, home).works_added == 1


def test_calls_keep_their_distance(jellyfin):
    asked = []  # before and after each wait

    def clock() -> float:
        asked.append(time.monotonic())
        return asked[-1]

    with Caller(Place(jellyfin.url, pause_s=0.05), clock=clock) as caller:
        for _ in range(4):
            caller.call("GET", "System/Info/Public")
    gaps = [after - before for before, after in pairwise(asked[1::2])]
    assert len(gaps) == 3
    assert min(gaps) > 0.049  # never less, however slow the machine is


def test_a_wrong_token_says_so_and_shows_no_token(workspace, home, monkeypatch, caplog):
    monkeypatch.setenv("SEGUE_HOME_SECRET", "0000aaaa")
    with caplog.at_level(logging.DEBUG), pytest.raises(Denied, match="does not accept") as told:
        read_jellyfin(workspace, home)
    assert "0000aaaa" not in caplog.text + str(told.value)


def test_the_secret_shows_in_no_log(workspace, home, caplog):
    with caplog.at_level(logging.DEBUG):
        read_jellyfin(workspace, home)
    assert "HTTP Request" in caplog.text  # the logs are on
    assert API_KEY not in caplog.text


def test_a_secret_goes_to_public_addresses_encrypted_alone():
    with pytest.raises(BadSettings, match="clear text"):
        refuse_public_http(Place("http://8.8.8.8:8096"))
    for kept in ("https://8.8.8.8", "http://192.168.1.10:8096", "http://[fd00::1]:8096"):
        refuse_public_http(Place(kept))
    refuse_public_http(Place("http://8.8.8.8:8096", plain_http=True))


@pytest.mark.parametrize(
    "address", ["media:8096", "ftp://a", "http://", "http://u:p@a", "http://a/?k=1", "file:///etc"]
)
def test_odd_addresses_are_refused(address):
    with pytest.raises(BadSettings, match="address must"):
        Place(address)


def test_no_secret_no_call(home, jellyfin, workspace, monkeypatch):
    monkeypatch.delenv("SEGUE_HOME_SECRET")
    with pytest.raises(BadSettings, match="environment variable SEGUE_HOME_SECRET"):
        read_jellyfin(workspace, home)
    assert not jellyfin.asked


def test_a_secret_file_is_read(home, tmp_path, monkeypatch):
    monkeypatch.delenv("SEGUE_HOME_SECRET")
    (tmp_path / "key").write_text("abc123\n")
    with_file = replace(home, told=replace(home.told, secret_file="key"))
    assert with_file.secret() == "abc123"
    (tmp_path / "key").write_text("x" * 20_000)
    with pytest.raises(BadSettings, match="too long"):
        with_file.secret()


def test_settings_name_connections(workspace):
    (workspace.root / "segue.toml").write_text(
        '[connect.home]\nkind = "jellyfin"\naddress = "http://h:1"\npeople = ["anna = a"]\n'
    )
    found = named(read_settings(workspace.root).connect, "jellyfin", "home", workspace.root)
    assert (found.place.address, found.people()) == ("http://h:1", {"anna": "a"})
    with pytest.raises(BadSettings, match="segue connect jellyfin"):
        named({"home": found.told}, "subsonic", "home", workspace.root)
    with pytest.raises(BadSettings, match="kind must be one of"):
        named({"home": Connection()}, "subsonic", "home", workspace.root)
    with pytest.raises(BadSettings, match=r"\[connect.x\]"):
        _ = Named("x", Connection(), workspace.root).place


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[connect.home]\nadress = "x"', "did you mean 'address'"),
        ('connect = "x"', r"\[connect.NAME\]"),
        ('[connect]\naddress = "http://x"', r"\[connect.NAME\]"),
    ],
)
def test_settings_that_are_wrong_say_how_to_write_them(workspace, text, words):
    (workspace.root / "segue.toml").write_text(text)
    with pytest.raises(BadSettings, match=words):
        read_settings(workspace.root)


def test_the_command_reads_and_says_what_it_did(workspace, home, jellyfin, monkeypatch):
    monkeypatch.setenv("SEGUE_JELLYFIN_SECRET", API_KEY)
    given = ["connect", "jellyfin", "--address", jellyfin.url, "-w", str(workspace.root)]
    told = CliRunner().invoke(main, given)
    assert told.exit_code == 0, told.output
    assert "items: 4 added" in told.output
    assert "of 2 people: jellyfin/anna, jellyfin/ben" in told.output
    again = json.loads(CliRunner().invoke(main, [*given, "--json"]).output)
    assert (again["works_added"], again["events_added"]) == (0, 0)
    before_training = CliRunner().invoke(main, [*given, "--write-back"])
    assert before_training.exit_code == 2
    assert "segue train" in before_training.output
    gc.collect()
