"""Join films of a workspace with TMDB's plots, keywords and people by title and year."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from segue.core.types import Item
from segue.store import catalogue
from segue.store.workspace import Workspace

_ARTICLE = re.compile(r"^(.*), (the|a|an|il|la|le|les|l'|el|das|der|die|los)$", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*\([^)]*\)")
MAX_KEYWORDS = 12
MAX_CAST = 3
MAX_YEARS_APART = 1  # catalogues date a film by festival or by release


def plain_title(title: str) -> str:
    """``"Usual Suspects, The"`` → ``"the usual suspects"``: one spelling for both catalogues."""
    bare = _BRACKETS.sub("", title).strip()
    moved = _ARTICLE.match(bare)
    if moved:
        bare = f"{moved[2]} {moved[1]}"
    ascii_only = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", ascii_only.lower().replace("&", " and ")))


def readable_title(title: str) -> str:
    """``"Usual Suspects, The"`` → ``"The Usual Suspects"``, as people write it."""
    moved = _ARTICLE.match(title.strip())
    return f"{moved[2]} {moved[1]}" if moved else title


def _names(column: str, limit: int) -> tuple[str, ...]:
    return tuple(str(part["name"]) for part in json.loads(column)[:limit])


def _films(folder: Path) -> Iterator[dict[str, Any]]:
    films = pl.read_csv(folder / "movies.csv", infer_schema_length=0)
    credit = pl.read_csv(folder / "credits.csv", infer_schema_length=0)
    people = dict(
        zip(credit["movie_id"], zip(credit["cast"], credit["crew"], strict=True), strict=True)
    )
    for film in films.iter_rows(named=True):
        cast, crew = people.get(film["id"], ("[]", "[]"))
        directors = [p["name"] for p in json.loads(crew) if p.get("job") == "Director"]
        yield {
            "titles": {plain_title(film["title"]), plain_title(film["original_title"])},
            "year": int((film["release_date"] or "0")[:4]),
            "overview": film["overview"] or "",
            "keywords": _names(film["keywords"], MAX_KEYWORDS),
            "creators": (*directors[:1], *_names(cast, MAX_CAST)),
            "language": film["original_language"],
            "runtime_s": float(film["runtime"] or 0) * 60 or None,
        }


def _merged(item: Item, film: dict[str, Any]) -> Item:
    return replace(
        item,
        title=readable_title(item.title),
        description=item.description or film["overview"],
        tags=tuple(dict.fromkeys((*item.tags, *film["keywords"]))),
        creators=item.creators or film["creators"],
        language=item.language or film["language"],
        duration_s=item.duration_s or film["runtime_s"],
    )


def enrich_films(workspace: Workspace, folder: Path) -> int:
    """Add what TMDB knows to the films of ``workspace``; returns how many were joined.

    ``folder`` holds ``movies.csv`` and ``credits.csv``. Ratings, votes and popularity are left
    out: they come from later than the events and would leak the future into training.
    """
    by_title: dict[str, list[dict[str, Any]]] = {}
    for film in _films(folder):
        for title in film["titles"]:
            by_title.setdefault(title, []).append(film)
    joined, changed = 0, []
    for item in catalogue.load_catalogue(workspace.engine).catalogue.items:
        if item.kind != "movie":
            continue
        near = [
            film
            for film in by_title.get(plain_title(item.title), ())
            if item.year is not None and abs(film["year"] - item.year) <= MAX_YEARS_APART
        ]
        best = min(near, key=lambda film: abs(film["year"] - (item.year or 0)), default=None)
        joined += best is not None
        changed.append(
            replace(item, title=readable_title(item.title)) if best is None else _merged(item, best)
        )
    catalogue.put_items(workspace.engine, changed)
    return joined
