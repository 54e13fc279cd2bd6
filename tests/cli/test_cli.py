"""The command line: quick to load, clear when wrong, JSON for machines."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from segue import __version__
from segue.cli import shared
from segue.cli.main import COMMANDS, main

HEAVY = ("numpy", "polars", "sqlalchemy", "rich", "fastapi", "onnxruntime", "lightgbm", "av")


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def folder(tmp_path):
    assert run("init", tmp_path / "w").exit_code == 0
    return tmp_path / "w"


def _loaded(code):
    code = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_segue_loads_nothing_heavy():
    assert _loaded("import segue") == "[]"


def test_the_command_line_loads_nothing_heavy_before_a_command_runs():
    code = "from click.testing import CliRunner; from segue.cli.main import main\n"
    code += "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    assert _loaded(code) == "[]"


def test_help_names_every_command():
    told = run("--help").output
    assert all(f"  {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("name", ["init", "import", "ingest", "data", "understand"])
def test_a_command_tells_its_own_help(name):
    done = run(name, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_version():
    assert __version__ in run("--version").output


def test_an_unknown_command_is_refused():
    assert run("recomend").exit_code == 2


def test_init_is_safe_to_repeat(folder):
    done = run("init", folder, "--json")
    assert json.loads(done.stdout) == {"workspace": str(folder)}


def test_import_in_words_and_in_json(folder, tmp_path):
    items = tmp_path / "i.csv"
    items.write_text("id,title\na,Heat\n,no id\n")
    done = run("import", "items", items, "-w", folder, "--set", "kind=movie")
    assert done.exit_code == 0, done.output
    assert "1 added, 0 changed, 0 unchanged, 1 rejected" in done.stdout
    assert "i.csv-items.csv" in done.stdout
    done = run("import", "items", items, "-w", folder, "--set", "kind=movie", "--json")
    report = json.loads(done.stdout)
    assert (report["rows"], report["unchanged"], report["rejected"]) == (2, 1, 1)


def test_import_by_mapping_file(folder, tmp_path):
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        '[items]\ncolumns = { id = "nr", title = "name" }\nconstants.kind = "book"\n'
    )
    books = tmp_path / "books.tsv"
    books.write_text("nr\tname\n7\tEmma\n")
    done = run("import", "items", books, "-w", folder, "-m", mapping, "--json")
    assert json.loads(done.stdout)["added"] == 1
    done = run("import", "items", books, "-w", folder, "-m", mapping, "-p", "movielens-1m")
    assert done.exit_code == 2
    assert "not both" in done.stderr


def test_the_workspace_may_come_from_the_environment(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGUE_WORKSPACE", str(folder))
    people = tmp_path / "u.csv"
    people.write_text("id\nann\n")
    assert json.loads(run("import", "users", people, "--json").stdout)["added"] == 1


def test_an_error_is_one_line_on_stderr_and_exit_2(tmp_path):
    done = run("import", "items", "nope.csv", "-w", tmp_path)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "segue init" in done.stderr


def test_an_error_is_json_for_machines(tmp_path):
    done = run("import", "items", "nope.csv", "-w", tmp_path, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"] == "NotFound"


def test_bad_set_option_is_refused_with_an_example(folder, tmp_path):
    done = run("import", "items", tmp_path / "x.csv", "-w", folder, "--set", "kind")
    assert done.exit_code == 2
    assert "--set kind=movie" in done.stderr


def test_data_list_names_movielens():
    found = json.loads(run("data", "list", "--json").stdout)["packages"]
    assert "movielens-100k" in {p["name"] for p in found}


def test_data_get_of_an_unknown_name_says_what_is_known():
    done = run("data", "get", "movielens-9")
    assert done.exit_code == 2
    assert "movielens-100k" in done.stderr


def test_each_step_has_its_own_pace(capsys, monkeypatch):
    """What an earlier step took is not counted against a later one."""
    clock = iter([0.0, 100.0, 100.0, 104.0])  # the start; then each time that something is told
    monkeypatch.setattr(shared, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with shared.progress_bar("items") as tell:
        tell("slow", 50, 50)
        tell("quick", 1, 100)
        tell("quick", 100, 100)
    shown = capsys.readouterr().err
    assert "0.5 items/s" in shown
    assert "25 items/s" in shown


def test_ingest_of_an_empty_folder(folder, tmp_path):
    (tmp_path / "media").mkdir()
    done = run("ingest", tmp_path / "media", "-w", folder, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["added"] == 0


def test_the_bar_stays_away_from_short_work_and_shows_rows_a_second(capsys, monkeypatch):
    with shared.progress_bar("rows") as tell:
        tell("a.csv", 1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(shared, "SHOW_AFTER_S", -1.0)
    with shared.progress_bar("rows") as tell:
        tell("a.csv", 1, 2)
        tell("a.csv", 2, 2)
    shown = capsys.readouterr().err
    assert "a.csv" in shown
    assert "2/2" in shown
    assert "rows/s" in shown
    with shared.progress_bar("rows", quiet=True) as tell:
        tell("a.csv", 1, 2)
    assert capsys.readouterr().err == ""
