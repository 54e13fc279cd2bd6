"""Joining films by title and year."""

import csv
import json

import pytest

from segue.core.types import Item
from segue.enrich import enrich_films, plain_title, readable_title
from segue.store import catalogue
from segue.store.workspace import Workspace


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("Usual Suspects, The", "the usual suspects"),
        ("Postino, Il", "il postino"),
        ("Shanghai Triad (Yao a yao yao dao waipo qiao)", "shanghai triad"),
        ("Amélie", "amelie"),
        ("Fast & Furious", "fast and furious"),
    ],
)
def test_one_spelling_for_both_catalogues(title, plain):
    assert plain_title(title) == plain


def test_titles_are_shown_as_people_write_them():
    assert readable_title("Usual Suspects, The") == "The Usual Suspects"
    assert readable_title("Good, the Bad and the Ugly, The") == "The Good, the Bad and the Ugly"
    assert readable_title("GoldenEye") == "GoldenEye"


@pytest.fixture
def plots(tmp_path):
    with (tmp_path / "movies.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["id", "title", "original_title", "release_date", "overview", "keywords",
             "original_language", "runtime"]
        )  # fmt: skip
        keywords = json.dumps([{"id": 1, "name": "heist"}])
        writer.writerow(
            ["7", "The Usual Suspects", "The Usual Suspects", "1995-07-19", "A plot.", keywords,
             "en", "106"]
        )  # fmt: skip
    with (tmp_path / "credits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["movie_id", "title", "cast", "crew"])
        crew = json.dumps([{"job": "Director", "name": "Bryan Singer"}])
        writer.writerow(["7", "x", json.dumps([{"name": "Kevin Pollak"}]), crew])
    return tmp_path


def test_a_film_takes_plot_keywords_and_people_and_a_remake_does_not(tmp_path, plots):
    workspace = Workspace.create(tmp_path / "w")
    catalogue.put_items(
        workspace.engine,
        [
            Item("a", "movie", "Usual Suspects, The", year=1995, tags=("Crime",)),
            Item("b", "movie", "Usual Suspects, The", year=2024),
            Item("c", "book", "Usual Suspects, The", year=1995),
        ],
    )
    assert enrich_films(workspace, plots) == 1
    film, remake, book = catalogue.load_catalogue(workspace.engine).catalogue.items
    assert (film.description, film.tags) == ("A plot.", ("Crime", "heist"))
    assert film.creators == ("Bryan Singer", "Kevin Pollak")
    assert film.duration_s == 106 * 60
    assert (remake.title, remake.description) == ("The Usual Suspects", "")
    assert book.title == "Usual Suspects, The"
    workspace.engine.dispose()
