"""Public catalogues as items: what each source says of a work, and its ids there.

Ratings, votes and scores are left out: they come from later than the events of any data set here
and would leak the future into training.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import NotFound
from segue.core.types import Item
from segue.store import catalogue
from segue.store.events import insert_ignore, numbers
from segue.store.schema import identities, items
from segue.store.workspace import Workspace

MAX_KEYWORDS = 12
MAX_CAST = 8
BATCH = 2000
_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")


@dataclass(frozen=True)
class Public:
    """A catalogue that :func:`bring` knows: its package, platform and reader."""

    package: str
    platform: str
    read: Callable[[Path], Iterator[tuple[str, Item]]]  # (id there, item)


def _names(column: str, limit: int) -> tuple[str, ...]:
    return tuple(str(part["name"]) for part in json.loads(column or "[]")[:limit])


def movielens_100k(folder: Path) -> Iterator[tuple[str, Item]]:
    """MovieLens' own ids, so that its events find their films."""
    with (folder / "ml-100k.item").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            year = row["release_year:token"]
            key = row["item_id:token"]
            yield (
                key,
                Item(
                    key,
                    "movie",
                    row["movie_title:token_seq"],
                    tags=tuple(row["class:token_seq"].split()),
                    year=int(year) if year.isdigit() else None,
                    source="MovieLens 100K",
                ),
            )


def tmdb_5000(folder: Path) -> Iterator[tuple[str, Item]]:
    """TMDB: plots, keywords, director and cast; the original title where it is another."""
    csv.field_size_limit(1 << 24)
    with (folder / "credits.csv").open(encoding="utf-8", newline="") as file:
        people = {row["movie_id"]: (row["cast"], row["crew"]) for row in csv.DictReader(file)}
    with (folder / "movies.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cast, crew = people.get(row["id"], ("[]", "[]"))
            directors = [p["name"] for p in json.loads(crew) if p.get("job") == "Director"]
            other = row["original_title"] != row["title"]
            yield (
                row["id"],
                Item(
                    f"tmdb:{row['id']}",
                    "movie",
                    row["title"],
                    description=row["overview"] or "",
                    tags=_names(row["genres"], MAX_KEYWORDS)
                    + _names(row["keywords"], MAX_KEYWORDS),
                    creators=tuple(dict.fromkeys((*directors, *_names(cast, MAX_CAST)))),
                    year=int(row["release_date"][:4]) if row["release_date"] else None,
                    language=row["original_language"] or None,
                    duration_s=float(row["runtime"] or 0) * 60 or None,
                    source="TMDB 5000",
                    extra={"titles": [row["original_title"]]} if other else {},
                ),
            )


def wikidata_films(folder: Path) -> Iterator[tuple[str, Item]]:
    """Films of Wikidata with director, cast and length."""
    asked = 'SELECT imdbID, Title, Year, Runtime, Genre, Director, "Cast" FROM omdb ORDER BY ID'
    with closing(_open(folder / "movies.db")) as database:
        for key, title, year, minutes, genre, director, cast in database.execute(asked):
            people = (*_list(director), *_list(cast)[:MAX_CAST])
            yield (
                key,
                Item(
                    f"wikidata:{key}",
                    "movie",
                    title,
                    tags=tuple(_list(genre)),
                    creators=tuple(dict.fromkeys(people)),
                    year=year,
                    duration_s=float(minutes) * 60 if minutes else None,
                    source="Wikidata",
                    extra={"ids": {"imdb": key}},
                ),
            )


def media_recommender(folder: Path) -> Iterator[tuple[str, Item]]:
    """Films (IMDb), games (Steam) and books (Goodreads): titles, years and genres of films.

    Its own 50-d space is not read: across kinds segue compares by its own vectors.
    """
    tables = (("movie", "imdb_id", "imdb"), ("game", "steam_id", "steam"),
              ("book", "goodreads_id", "goodreads"))  # fmt: skip
    with closing(_open(folder / "recommender.db")) as database:
        for kind, column, site in tables:
            genres = "genres" if kind == "movie" else "''"
            asked = f"SELECT {column}, title, {genres} FROM {kind} ORDER BY id"
            for number, told, tags in database.execute(asked):
                key = f"tt{number:07d}" if site == "imdb" else str(number)
                title, year = _dated(told)
                yield (
                    f"{site}/{key}",
                    Item(
                        f"{site}:{key}",
                        kind,
                        title,
                        tags=tuple(t for t in tags.split("::") if t and t != "(no genres listed)"),
                        year=year,
                        source="media-recommender",
                        extra={"ids": {site: key}},
                    ),
                )


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _list(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _dated(title: str) -> tuple[str, int | None]:
    """``"Toy Story (1995)"`` -> title and year."""
    found = _YEAR.search(title)
    return (title, None) if found is None else (title[: found.start()], int(found[1]))


CATALOGUES = {
    "movielens-100k": Public("movielens-100k", "movielens", movielens_100k),
    "tmdb-5000": Public("tmdb-5000", "tmdb", tmdb_5000),
    "wikidata-films": Public("wikidata-films", "wikidata", wikidata_films),
    "media-recommender": Public("media-recommender", "media-recommender", media_recommender),
}


def known(name: str) -> Public:
    """A catalogue by name; :class:`NotFound` names those that there are."""
    if name not in CATALOGUES:
        raise NotFound(f"no catalogue named {name!r}; known: {', '.join(CATALOGUES)}")
    return CATALOGUES[name]


def bring(
    workspace: Workspace, name: str, folder: Path, progress: Callable[[str, int, int], None]
) -> catalogue.Upserted:
    """Write a public catalogue's items with their ids there; a second time changes nothing."""
    public = known(name)
    rows = list(public.read(folder))
    stored = catalogue.Upserted(0, 0, 0)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        stored += catalogue.put_items(workspace.engine, [item for _, item in batch])
        _identify(workspace, public.platform, batch)
        progress(name, start + len(batch), len(rows))
    return stored


def _identify(workspace: Workspace, platform: str, batch: list[tuple[str, Item]]) -> None:
    with workspace.engine.begin() as connection:
        nums = numbers(connection, items, [item.id for _, item in batch])
        found: list[dict[str, Any]] = [
            {"entity": "item", "platform": platform, "external_id": key, "num": nums[item.id]}
            for key, item in batch
        ]
        insert_ignore(connection, identities, found)
