"""Trakt: history, ratings and watch list of its JSON export, or of the API's own answers.

What a row is shows by its date: ``watched_at``, ``rated_at`` or ``listed_at``. Episodes count for
their show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from segue.connect import shapes
from segue.connect.exports.files import Ignored, Part, Refused, Row, Service, Told, objects
from segue.connect.works import Act, Work, plain, plays

RATING_SCALE = 2.0  # Trakt rates from 1 to 10
Entry = Mapping[str, Any]


def read(parts: Sequence[Part], zone: tzinfo) -> Iterator[Row]:
    """All rows. Sums of plays are used only where the export holds no history."""
    loaded = [(part, row) for part in parts for row in objects(part)]
    dated = any(not isinstance(row, Refused) and "watched_at" in row[1] for _, row in loaded)
    for part, row in loaded:
        if isinstance(row, Refused):
            yield row
        elif "last_watched_at" in row[1] and dated:
            yield Ignored("sums of plays, as the history tells each")
        else:
            yield _row(part, *row, zone)


def _row(part: Part, number: int, row: Entry, zone: tzinfo) -> Row:
    work = _work(row)
    if work is None:
        return Refused(part.name, number, "movie or show", "without a title", str(row)[:200])
    field = next((n for n in _ACTS if n in row), "")
    if not field:
        return Ignored("rows that tell of nothing that was done (a collection, a hidden item)")
    time = shapes.instant(row[field], zone)
    if time is None:
        return Refused(part.name, number, field, "not a time in ISO 8601", str(row[field])[:200])
    acts = _ACTS[field](row, work, time)
    if isinstance(acts, str):
        return Refused(part.name, number, "rating", acts, str(row.get("rating"))[:200])
    if not acts:
        return Ignored("ratings of single seasons and episodes")
    return Told(work, tuple(acts))


def _work(row: Entry) -> Work | None:
    kind = "movie" if isinstance(row.get("movie"), Mapping) else "show"
    about = shapes.table(row, kind)
    title = shapes.text(about, "title")
    if not title:
        return None
    ids = shapes.table(about, "ids")
    year = shapes.year(about, "year")
    known = {name: shapes.text(ids, name, 100) for name in ("trakt", "imdb", "tmdb", "tvdb")}
    named = next((value for value in known.values() if value), f"{plain(title)}:{year or ''}")
    provided = {name: value for name, value in known.items() if value}
    return Work(
        f"{kind}:{named}",
        "movie" if kind == "movie" else "series",
        title,
        year=year,
        extra={"provider_ids": provided} if provided else {},
    )


def _watched(row: Entry, work: Work, time: float) -> list[Act]:
    number = shapes.text(row, "id", 40)
    episode = shapes.table(row, "episode")
    place = f"{shapes.text(episode, 'season', 10)}x{shapes.text(episode, 'number', 10)}"
    key = f"history:{number}" if number else f"watched:{place}:{time:.0f}"
    return [Act(work.key, "complete" if work.kind == "movie" else "play", time, key)]


def _summed(row: Entry, work: Work, time: float) -> list[Act]:
    count = shapes.whole(row, "plays") or 1
    return plays(work.key, count, time, kind="complete" if work.kind == "movie" else "play")


def _rated(row: Entry, work: Work, time: float) -> list[Act] | str:
    rating = shapes.number(row, "rating", 1, 10)
    if rating is None:
        return "not a rating from 1 to 10"
    if isinstance(row.get("episode"), Mapping) or isinstance(row.get("season"), Mapping):
        return []
    return [Act(work.key, "rating", time, f"rating:{rating:g}:{time:.0f}", rating / RATING_SCALE)]


def _listed(_row: Entry, work: Work, time: float) -> list[Act]:
    return [Act(work.key, "save", time, "listed")]


_ACTS = {
    "watched_at": _watched,
    "rated_at": _rated,
    "last_watched_at": _summed,
    "listed_at": _listed,
}

SERVICE = Service(
    "trakt", "Trakt", ("*history*.json", "*ratings*.json", "*watched*.json", "*watchlist*.json",
                       "ratings/*.json", "watched/*.json"),
    read,
)  # fmt: skip
