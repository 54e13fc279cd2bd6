"""Letterboxd: ratings, diary, watched films, watch list and likes of its CSV export.

Days are the person's own. A film is known by title and year: the addresses in the diary are those
of diary entries, not of films.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from segue.connect import shapes
from segue.connect.exports.files import Part, Refused, Row, Service, Told, table
from segue.connect.works import Act, Work, plain

COLUMNS = ("Date", "Name", "Year")
LOWEST, HIGHEST = 0.5, 5.0
MARKS = {"watchlist.csv": "save", "films.csv": "like"}
Fields = dict[str, str]


def read(parts: Sequence[Part], zone: tzinfo) -> Iterator[Row]:
    """All known files; the diary first, whose days are those of watching."""
    order = sorted(parts, key=lambda part: not part.name.endswith("diary.csv"))
    watched: set[str] = set()
    for part in order:
        for row in table(part, COLUMNS):
            if isinstance(row, Refused):
                yield row
                continue
            yield _row(part, *row, zone, watched)


def _row(part: Part, number: int, fields: Fields, zone: tzinfo, watched: set[str]) -> Row:
    name = part.name.rsplit("/", 1)[-1]
    for field, reason in _wrong(name, fields):
        return Refused(part.name, number, field, reason, fields.get(field, ""))
    title, year = shapes.text(fields, "Name"), shapes.year(fields, "Year")
    key = f"{plain(title) or title.casefold()}:{year or ''}"
    time = shapes.instant(fields["Date"], zone) or 0.0
    acts: list[Act] = []
    if name == "diary.csv":
        seen = shapes.instant(fields["Watched Date"], zone) or 0.0
        acts.append(_diary(key, fields, seen, watched))
    elif name == "watched.csv":
        acts += [] if key in watched else [Act(key, "complete", time, "watched")]
    elif name in MARKS:
        acts.append(Act(key, MARKS[name], time, name.removesuffix(".csv")))
    value = shapes.number(fields, "Rating", LOWEST, HIGHEST)
    if value is not None:
        acts.append(Act(key, "rating", time, f"rating:{value:g}:{fields['Date']}", value))
    return Told(Work(key, "movie", title, year=year), tuple(acts))


def _wrong(name: str, fields: Fields) -> Iterator[tuple[str, str]]:
    """(field, reason) of what a row lacks."""
    if not shapes.text(fields, "Name"):
        yield "Name", "empty title"
    for field in ("Date", "Watched Date") if name == "diary.csv" else ("Date",):
        if shapes.instant(fields.get(field)) is None:
            yield field, "not a day like 2024-01-31"
    if fields["Year"] and shapes.year(fields, "Year") is None:
        yield "Year", "not a year"
    if fields.get("Rating") and shapes.number(fields, "Rating", LOWEST, HIGHEST) is None:
        yield "Rating", "not a rating from 0.5 to 5"


def _diary(key: str, fields: Fields, seen: float, watched: set[str]) -> Act:
    """One watching. The first has the key that ``watched.csv`` gives, so that it counts once."""
    again = key in watched or fields.get("Rewatch") == "Yes"
    watched.add(key)
    name = f"rewatch:{fields['Watched Date']}" if again else "watched"
    return Act(key, "complete", seen, name)


SERVICE = Service(
    "letterboxd",
    "Letterboxd",
    ("ratings.csv", "diary.csv", "watched.csv", "watchlist.csv", "likes/films.csv"),
    read,
)
