"""Last.fm: scrobbles, as the API's pages (JSON) or as the usual exporters write them (CSV).

A scrobble is a track that played for half its length or four minutes. Times are UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from segue.connect import shapes
from segue.connect.exports.files import Ignored, Part, Refused, Row, Service, Told, entries
from segue.connect.works import Act, Work, plain
from segue.core.errors import BadInput

NAMES: Mapping[str, tuple[str, ...]] = {
    "artist": ("artist", "artist_name", "artist name"),
    "track": ("track", "title", "song", "track_name", "track name", "name"),
    "album": ("album", "album_name", "album name"),
    "time": ("uts", "timestamp", "date_uts", "utc_time", "date", "time"),
}
PLAIN_COLUMNS = ("artist", "album", "track", "time")  # of a file without a header
DATES = ("%d %b %Y %H:%M", "%d %b %Y, %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M")
MILLISECONDS = 100_000_000_000  # seconds of the year 5138: what is larger is milliseconds
FOUNDED_S = 1_009_843_200  # 2002: the first scrobbles
DEEPEST = 6  # lists of pages of lists of tracks
SEPARATORS = ",;\t"
Track = dict[str, str]


def read(parts: Sequence[Part], zone: tzinfo) -> Iterator[Row]:
    """All scrobbles."""
    for part in parts:
        found = _pages(part) if part.name.lower().endswith(".json") else _cells(part)
        try:
            for number, track in found:
                yield _row(part, number, track)
        except csv.Error as error:
            raise BadInput(f"{part.name}: not a table: {error}") from error


def _row(part: Part, number: int, track: Track) -> Row:
    if track.get("nowplaying") == "true" and not track["time"]:
        return Ignored("what was playing during the export, which has no time")
    for name in ("artist", "track"):
        if not track[name]:
            return Refused(part.name, number, name, "empty")
    time = _time(track["time"])
    if time is None:
        return Refused(part.name, number, "time", "not a time", track["time"][:200])
    key = f"{plain(track['artist'])}|{plain(track['track']) or track['track'].casefold()}"
    acts = [Act(key, "play", time, f"scrobble:{time:.0f}")]
    if track.get("loved") == "1":
        acts.append(Act(key, "like", time, "loved"))
    work = Work(
        key,
        "track",
        track["track"],
        creators=(track["artist"],),
        extra={"album": track["album"]} if track["album"] else {},
    )
    return Told(work, tuple(acts))


def _time(text: str) -> float | None:
    number = shapes.number({"it": text}, "it")
    if number is not None:
        seconds = number / 1000 if number > MILLISECONDS else number
        # Players without a clock send times of 1970.
        return seconds if FOUNDED_S < seconds < shapes.LATEST_S else None
    return shapes.instant(text, UTC, DATES)


def _cells(part: Part) -> Iterator[tuple[int, Track]]:
    text = part.text()
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    places = _places(part, next(rows, []))
    headed = places is not None
    if places is None:
        places = {name: at for at, name in enumerate(PLAIN_COLUMNS)}
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for number, cells in enumerate(rows, start=2 if headed else 1):
        if any(cells):
            track = {
                name: shapes.text({"it": cells[at]}, "it") if at < len(cells) else ""
                for name, at in places.items()
            }
            yield number, {"album": "", **track}


def _places(part: Part, header: Sequence[str]) -> dict[str, int] | None:
    """Where which column stands; None where the first line is no header."""
    names = [cell.strip().lower().partition("#")[0] for cell in header]
    found = {
        ours: names.index(theirs[0])
        for ours, known in NAMES.items()
        if (theirs := [name for name in known if name in names])
    }
    if not {"artist", "track"} & found.keys():
        return None
    missing = {"artist", "track", "time"} - found.keys()
    if missing:
        told = ", ".join(header)[:300]
        raise BadInput(f"{part.name}: no column for {min(missing)}; it has {told}")
    return found


def _pages(part: Part) -> Iterator[tuple[int, Track]]:
    yield from enumerate(_tracks(entries(part), 0), start=1)


def _tracks(found: Any, depth: int) -> Iterator[Track]:
    """Tracks in whatever lists and pages they lie."""
    if depth > DEEPEST:
        return
    if isinstance(found, list):
        for one in found:
            yield from _tracks(one, depth + 1)
    elif isinstance(found, Mapping):
        if "artist" in found:
            yield _track(found)
            return
        for name in ("recenttracks", "track"):
            yield from _tracks(found.get(name), depth + 1)


def _track(row: Mapping[str, Any]) -> Track:
    artist, album, date = (row.get(name) for name in ("artist", "album", "date"))
    return {
        "artist": _named(artist),
        "album": _named(album),
        "track": shapes.text(row, "name") or shapes.text(row, "track"),
        "time": shapes.text(date if isinstance(date, Mapping) else {"uts": date}, "uts", 40),
        "loved": shapes.text(row, "loved", 4),
        "nowplaying": shapes.text(shapes.table(row, "@attr"), "nowplaying", 8),
    }


def _named(value: Any) -> str:
    """The name of an artist or album, which is a text or an object."""
    if isinstance(value, Mapping):
        return shapes.text(value, "#text") or shapes.text(value, "name")
    return shapes.text({"it": value}, "it")


SERVICE = Service("lastfm", "Last.fm", ("*.csv", "*.tsv", "*.json"), read)
