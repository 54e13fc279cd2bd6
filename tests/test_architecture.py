"""Promises about the whole: versions, registries, what stays out of the base install."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import segue
from segue.recommend.registry import RATERS, STRATEGIES, make, make_rater

ROOT = Path(__file__).parent.parent


def test_the_changelog_speaks_of_this_version():
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert first is not None
    assert first[1] == segue.__version__ == project["version"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_registered_strategy_resolves(name):
    assert hasattr(make(name), "scores")


@pytest.mark.parametrize("name", RATERS)
def test_every_registered_rater_resolves(name):
    assert hasattr(make_rater(name), "ratings")


def test_every_dependency_is_pinned():
    def plain(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    pins = {plain(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = (
        project["project"]["dependencies"],
        project["dependency-groups"]["dev"],
        *project["project"]["optional-dependencies"].values(),
    )
    wanted = [name for group in groups for name in group]
    assert {plain(re.match(r"[\w.-]+", want)[0]) for want in wanted} <= pins


def test_serving_loads_neither_torch_nor_a_media_decoder():
    code = (
        "import sys, segue.serve.opening, segue.assembly, segue.recommend.pipeline;"
        "print(sorted({'torch', 'av', 'onnxruntime', 'pickle5'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_readme_names_commands_that_exist():
    from segue.cli.main import COMMANDS  # noqa: PLC0415

    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^ {3}segue (\w+)", readme, re.MULTILINE))
    assert named
    assert named <= set(COMMANDS)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)", readme)) <= set(targets)
