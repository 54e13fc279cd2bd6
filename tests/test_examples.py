"""The examples run as they stand, and answer sensibly."""

import runpy
from pathlib import Path

import pytest

from segue import datasets
from segue.core.errors import SegueError

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) <= 30


def test_first_list_continues_star_wars(capsys):
    try:
        datasets.get("movielens-100k")
    except SegueError as error:
        pytest.skip(f"MovieLens-100K cannot be had here: {error}")
    runpy.run_path(str(EXAMPLES[0]))
    assert "Return of the Jedi" in capsys.readouterr().out.splitlines()[0]
