"""segue audience, from tables over training to a list, a file, a picture and contacts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from segue.cli.audience import _plain
from segue.cli.main import main
from segue.store import schema
from segue.store.workspace import Workspace

DAY_S = 86_400
PEOPLE, ITEMS, DAYS = 240, 80, 240


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        out.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Even people like even items nine times in ten; every fourth stopped after a third of the
    time. Even people live in NL, odd ones in DE.
    """
    root = tmp_path_factory.mktemp("audience")
    rng = np.random.default_rng(0)
    n = 9_000
    user = rng.integers(0, PEOPLE, n)
    end = np.where(user % 4 == 0, DAYS // 3, DAYS)
    half = np.where(rng.random(n) < 0.9, user % 2, 1 - user % 2)
    item = 2 * np.minimum(rng.geometric(0.06, n) - 1, ITEMS // 2 - 1) + half
    time = np.round(rng.random(n) * end * DAY_S)
    tags = [["even", "odd"][i % 2] for i in range(ITEMS)]
    write(root / "items.csv", ["id", "kind", "title", "tags"],
          [[f"i{i}", "movie", f"Film {i}", tags[i]] for i in range(ITEMS)]
          + [["new", "movie", "Unmet", "even"]])  # fmt: skip
    write(root / "users.csv", ["id", "country", "age"],
          [[f"u{u}", ["NL", "DE"][u % 2], 20 + u % 3] for u in range(PEOPLE)])  # fmt: skip
    write(root / "events.csv", ["event_id", "user_id", "item_id", "kind", "time"],
          [[f"e{k}", f"u{user[k]}", f"i{item[k]}", "play", time[k]] for k in range(n)])  # fmt: skip
    assert run("init", root / "w").exit_code == 0
    for what in ("items", "users", "events"):
        done = run("import", what, root / f"{what}.csv", "--workspace", root / "w")
        assert done.exit_code == 0, done.output
    trained = run("train", "--workspace", root / "w")
    assert trained.exit_code == 0, trained.output
    return root / "w"


def told(folder: Path, *more: object) -> dict[str, Any]:
    done = run("audience", *more, "--json", "--workspace", folder)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.output)
    return answer


def test_the_audience_of_an_even_film_is_even_people_who_did_not_stop(folder: Path) -> None:
    found = told(folder, "i60", "--k", 30)
    numbers = [int(user["user_id"][1:]) for user in found["users"]]
    # Of those who are still there and have not taken it, a quarter is even.
    assert np.mean([n % 2 == 0 for n in numbers]) > 0.55
    assert np.mean([n % 4 == 0 for n in numbers]) < 0.1
    assert found["left_out"]["took it already"] > 10
    assert found["met"] is True
    assert 20 <= found["horizon_days"] <= 30
    first = found["segments"][0]
    assert first["lift"] > 1.2
    assert first["people"] >= 20


def test_an_item_that_nobody_met_has_an_audience_from_its_content(folder: Path) -> None:
    found = told(folder, "new", "--k", 30)
    assert found["met"] is False
    assert found["left_out"] == {}
    assert found["people"] == PEOPLE
    numbers = [int(user["user_id"][1:]) for user in found["users"]]
    assert np.mean([n % 4 == 0 for n in numbers]) < 0.1  # they have stopped


def test_a_table_and_a_picture_are_written(folder: Path, tmp_path: Path) -> None:
    table, picture = tmp_path / "a.csv", tmp_path / "a.png"
    done = run("audience", "Film 30", "--k", 12, "--csv", table, "--picture", picture, "-w", folder)
    assert done.exit_code == 0, done.output
    assert "12 people written" in done.output
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["place"] for row in rows] == [str(n) for n in range(1, 13)]
    chances = [float(row["probability"]) for row in rows]
    assert chances == sorted(chances, reverse=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_no_cell_of_a_table_is_a_formula() -> None:
    assert _plain("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert _plain("anna") == "anna"


def test_a_terminal_sees_people_segments_and_who_is_left_out(folder: Path) -> None:
    done = run("audience", "i30", "--workspace", folder)
    assert done.exit_code == 0, done.output
    for words in ("Film 30", "would take it within", "left out: took it already", "Segments"):
        assert words in done.output
    only = run("audience", "i30", "--segments", "--workspace", folder)
    assert "probability" not in only.output


def test_contacts_are_recorded_and_respected(folder: Path) -> None:
    first = told(folder, "i31", "--k", 5, "--contact", "spring")
    assert first["contacts_recorded"] == 5
    again = told(folder, "i31", "--k", 5, "--contact", "spring")
    assert again["left_out"]["contacted about it lately"] == 5
    assert not {u["user_id"] for u in first["users"]} & {u["user_id"] for u in again["users"]}
    with Workspace.open(folder).engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.contacts)) == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "no item has the id or the title"),
        (("i1", "--at", "soon"), "is no time"),
        (("i1", "--k", "0"), "0 is not in the range"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("audience", *arguments, "--workspace", folder)
    assert done.exit_code != 0
    assert words in done.output


def test_an_earlier_time_may_be_asked_for(folder: Path) -> None:
    early = told(folder, "i30", "--at", 100 * DAY_S)
    assert early["at"] == 100 * DAY_S
    assert told(folder, "i30", "--at", "1970-04-11")["at"] == 100 * DAY_S


def test_before_training_the_remedy_is_named(tmp_path: Path) -> None:
    assert run("init", tmp_path / "w").exit_code == 0
    items = tmp_path / "items.csv"
    write(items, ["id", "kind", "title"], [["a", "movie", "A"]])
    assert run("import", "items", items, "--workspace", tmp_path / "w").exit_code == 0
    done = run("audience", "a", "--workspace", tmp_path / "w")
    assert done.exit_code == 2
    assert "segue train" in done.output
