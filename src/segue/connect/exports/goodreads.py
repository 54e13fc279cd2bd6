"""Goodreads: the library export, one row a book. Reviews and private notes are not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from segue.connect import shapes
from segue.connect.exports.files import Part, Refused, Row, Service, Told, table
from segue.connect.works import Act, Work

COLUMNS = ("Book Id", "Title", "Author", "My Rating", "Date Added", "Exclusive Shelf")
SERIES = re.compile(r"\s*\([^()]*#[\d.\-–]+\)\s*$")  # "Mort (Discworld, #4)"
SHELVES = {"to-read": "save", "currently-reading": "play"}
Fields = dict[str, str]


def read(parts: Sequence[Part], zone: tzinfo) -> Iterator[Row]:
    """All books of the library."""
    for part in parts:
        for row in table(part, COLUMNS):
            yield row if isinstance(row, Refused) else _row(part, *row, zone)


def _row(part: Part, number: int, fields: Fields, zone: tzinfo) -> Row:
    key, title = shapes.text(fields, "Book Id", 40), shapes.text(fields, "Title")
    if not key or not title:
        return Refused(part.name, number, "Title" if key else "Book Id", "empty")
    added = _day(fields["Date Added"], zone)
    if added is None:
        return Refused(part.name, number, "Date Added", "not like 2024/01/31", fields["Date Added"])
    rating = shapes.whole(fields, "My Rating", 0, 5)
    if rating is None:
        return Refused(part.name, number, "My Rating", "not 0 to 5", fields["My Rating"])
    when = _day(fields.get("Date Read", ""), zone) or added
    shelf = fields["Exclusive Shelf"]
    acts = [Act(key, "complete", when, f"read:{fields.get('Date Read', '')}")]
    if shelf != "read":
        acts = [Act(key, SHELVES[shelf], added, shelf)] if shelf in SHELVES else []
    if rating:  # 0 is "not rated"
        acts.append(Act(key, "rating", when, f"rating:{rating}", float(rating)))
    return Told(_book(key, title, fields), tuple(acts))


def _day(text: str, zone: tzinfo) -> float | None:
    """Noon of a day, as for days elsewhere."""
    return shapes.instant(text.replace("/", "-"), zone)


def _book(key: str, title: str, fields: Fields) -> Work:
    more = fields.get("Additional Authors", "").split(",")
    names = (" ".join(name.split()) for name in (fields["Author"], *more))
    year = shapes.year(fields, "Original Publication Year") or shapes.year(fields, "Year Published")
    isbn = re.sub(r"[^0-9Xx]", "", fields.get("ISBN13", "") or fields.get("ISBN", ""))
    return Work(
        key,
        "book",
        SERIES.sub("", title) or title,
        creators=tuple(filter(None, dict.fromkeys(names))),
        year=year,
        extra={"provider_ids": {"isbn": isbn}} if isbn else {},
    )


SERVICE = Service("goodreads", "Goodreads", ("goodreads*.csv", "*library*export*.csv"), read)
