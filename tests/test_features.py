"""What ranking would have seen of a person at an earlier time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from segue.cli.main import main
from segue.core.errors import NotFound
from segue.core.types import DAY_S, Event, Item, Profile, User
from segue.features import features
from segue.store import events, tastes
from segue.store.catalogue import put_items, put_users
from segue.store.tastes import Edit
from segue.store.workspace import Workspace

NOW = 1_000 * DAY_S


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "w")
    put_items(made.engine, [Item(f"m{n}", "movie", f"Film {n}") for n in range(6)])
    put_users(made.engine, [User("ann", Profile(gender="F", age=40, device="tv"))])
    days = {"m0": 0, "m1": 100, "m2": 199, "m3": 200, "m4": 300}
    did = [Event(f"e{i}", "ann", i, "like", NOW + d * DAY_S) for i, d in days.items()]
    events.write(made.engine, did)
    return made


def test_later_events_are_in_nothing(workspace):
    at = NOW + 200 * DAY_S
    before = features(workspace, "ann", at)
    assert [e.item_id for e in before.history] == ["m2", "m1", "m0"]
    assert [e.days_ago for e in before.history] == [1, 100, 200]
    assert before.behaviour["entries"] == 3
    assert before.behaviour["days since last"] == pytest.approx(1)
    events.write(workspace.engine, [Event("late", "ann", "m5", "hide", at + 1)])
    events.write(workspace.engine, [Event("same", "ann", "m0", "hide", at)])
    assert features(workspace, "ann", at) == before
    assert features(workspace, "ann", at + 2).behaviour["rejected share"] > 0


def test_a_stretch_that_was_lent_counts_from_when_it_was_said(workspace):
    at = NOW + 400 * DAY_S
    lent = Edit(kind="lent", start=NOW + 99 * DAY_S, end=NOW + 250 * DAY_S, at=at)
    whole = features(workspace, "ann", at)
    tastes.add(workspace.engine, "ann", lent)
    assert features(workspace, "ann", at) == whole
    later = features(workspace, "ann", at + 1)
    assert [e.item_id for e in later.history] == ["m4", "m0"]


def test_fields_that_ranking_may_not_use_are_not_seen(workspace):
    told = features(workspace, "ann", NOW).profile
    assert told == {"gender": "F", "age": 40, "device": "tv"}
    settings = workspace.root / "segue.toml"
    settings.write_text('[profile]\nuse = ["age"]\n')
    assert features(workspace, "ann", NOW).profile == {"age": 40}


def test_somebody_unknown_is_said(workspace):
    with pytest.raises(NotFound, match="'bob' is not known"):
        features(workspace, "bob", NOW)


def test_the_command(workspace):
    asked = ["features", "ann", "--at", str(NOW + 150 * DAY_S), "-w", str(workspace.root)]
    told = CliRunner().invoke(main, [*asked, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["behaviour"]["entries"] == 2
    told = CliRunner().invoke(main, asked)
    assert "Film 1" in told.output
    assert "Film 2" not in told.output
