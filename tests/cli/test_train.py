"""segue train and segue evaluate, from tables to a served report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from segue import tuning
from segue.cli.main import main
from segue.serve.app import create_app
from segue.serve.opening import open_service
from segue.store.workspace import Workspace
from tastes import two_tastes


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("train")
    seen = two_tastes().interactions
    with (root / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "kind", "title"])
        rows.writerows([f"i{n}", "movie", f"Film {n}"] for n in range(seen.n_items))
    with (root / "events.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["event_id", "user_id", "item_id", "kind", "time"])
        events = zip(seen.users, seen.items, seen.time, strict=True)
        rows.writerows(
            [f"e{n}", f"u{u}", f"i{i}", "play", float(t)] for n, (u, i, t) in enumerate(events)
        )
    assert run("init", root / "w").exit_code == 0
    for what in ("items", "events"):
        done = run("import", what, root / f"{what}.csv", "--workspace", root / "w")
        assert done.exit_code == 0, done.output
    return root / "w"


@pytest.fixture(scope="module")
def trained(folder: Path) -> Any:
    (folder / "segue.toml").write_text('track = "tensorboard"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "MAX_TRIALS", 2)
        return run("train", "--budget", "10m", "--with", "als", "--workspace", folder)


def test_a_budget_tunes_and_the_report_shows_before_and_after(trained: Any, folder: Path) -> None:
    assert trained.exit_code == 0, trained.output
    for words in ("Before and after", "Who wins where", "tuned linear: NDCG@10", "what serves"):
        assert words in trained.output
    report = json.loads(next((folder / "models").glob("*.report.json")).read_text())
    assert {t["strategy"] for t in report["tuned"]} >= {"linear", "als"}
    assert report["steps"][0]["label"] == "popularity"
    page = next((folder / "models").glob("*.report.html")).read_text()
    assert "Which strategy wins where" in page
    assert page.count("data:image/png;base64,") >= 3
    assert not (folder / "models" / ".training").exists()


def test_evaluate_prints_what_training_measured(trained: Any, folder: Path) -> None:
    assert trained.exit_code == 0
    shown = json.loads(run("evaluate", "--json", "--workspace", folder).stdout)
    report = json.loads(next((folder / "models").glob("*.report.json")).read_text())
    assert shown == report


def test_evaluate_measures_another_split_and_serves_nothing(trained: Any, folder: Path) -> None:
    before = sorted(p.name for p in (folder / "models").iterdir())
    done = run("evaluate", "--split", "last", "--json", "--workspace", folder)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["split"] == "last event out"
    assert sorted(p.name for p in (folder / "models").iterdir()) == before


@pytest.mark.parametrize("time", ["0s", "ten", "-1m"])
def test_a_time_that_is_none_is_refused(folder: Path, time: str) -> None:
    done = run("train", "--budget", time, "--workspace", folder)
    assert done.exit_code == 2
    assert "write it like 90s, 10m or 2h" in done.output


def test_an_unknown_strategy_names_the_known_ones(folder: Path) -> None:
    done = run("train", "--with", "nope", "--workspace", folder)
    assert done.exit_code == 2
    assert "strategy 'nope' is not known; known: popular," in done.output


def test_strategies_are_listed_with_their_state() -> None:
    rows = {row["name"]: row for row in json.loads(run("strategies", "--json").stdout)}
    assert rows["linear"]["default"] == "true"
    assert rows["als"] == {**rows["als"], "default": "false", "state": "available"}
    assert not [row for row in rows.values() if "`" in row["about"] or not row["about"]]
    shown = run("strategies").output
    assert "default blend" in shown
    assert "[x; y; z]" in shown  # brackets are text here, not colours


def test_what_was_trained_forecasts_behaviour_over_the_api(trained: Any, folder: Path) -> None:
    assert trained.exit_code == 0
    app = create_app(open_service(Workspace.open(folder)))
    client = TestClient(app, base_url="http://127.0.0.1")
    found = client.get("/v1/users/u1/outlook", params={"items": "i3,i4"})
    assert found.status_code == 200, found.text
    assert 0 <= found.json()["returns"] <= 1
    assert "fractions" in found.json()["unknown"]
    assert client.get("/v1/users/u1/outlook", params={"items": "none"}).status_code == 404
