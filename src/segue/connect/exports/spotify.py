"""Spotify: the streaming history, extended (``Streaming_History_Audio_*.json``, ``endsong_*.json``)
or of the last year (``StreamingHistory*.json``).

Addresses, devices and countries are not read; what was heard in a private session is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from statistics import median
from typing import Any

from segue.connect import shapes
from segue.connect.exports.files import Ignored, Part, Refused, Row, Service, Told, objects
from segue.connect.works import Act, Work, plain

SKIP_MS = 30_000  # less is a skip
SHORT_FORM = ("%Y-%m-%d %H:%M",)  # of the last year's files; UTC
Entry = Mapping[str, Any]
Lengths = Mapping[str, float]


def read(parts: Sequence[Part], zone: tzinfo) -> Iterator[Row]:
    """All plays. How long a track is shows by how long it ran when it ended by itself."""
    loaded = [(part, row) for part in parts for row in objects(part)]
    heard: dict[str, list[float]] = defaultdict(list)
    for _, row in loaded:
        if isinstance(row, Refused) or row[1].get("reason_end") != "trackdone":
            continue
        played = shapes.number(row[1], "ms_played", SKIP_MS)
        work = _work(row[1])
        if played is not None and work is not None and work.kind == "track":
            heard[work.key].append(played)
    lengths = {key: median(several) for key, several in heard.items()}
    for part, row in loaded:
        yield row if isinstance(row, Refused) else _row(part, *row, lengths)


def _row(part: Part, number: int, row: Entry, lengths: Lengths) -> Row:
    if row.get("incognito_mode") is True:
        return Ignored("heard in a private session")
    field = "ts" if "ts" in row else "endTime"
    time = shapes.instant(row.get(field), UTC, SHORT_FORM)
    if time is None:
        return Refused(part.name, number, field, "not a time", str(row.get(field))[:200])
    field = "ms_played" if "ms_played" in row else "msPlayed"
    played = shapes.number(row, field, 0)
    if played is None:
        return Refused(part.name, number, field, "not a time", str(row.get(field))[:200])
    work = _work(row)
    if work is None:
        return Ignored("without a title: no longer on Spotify")
    if not played:
        return Ignored("never began to play")
    length = lengths.get(work.key)
    kind, value = _meant(row, played, length)
    # The whole second and the time played: files that overlap tell the same play alike.
    act = Act(work.key, kind, time, f"{time:.0f}:{played:.0f}", value)
    return Told(_with_length(work, length), (act,))


def _work(row: Entry) -> Work | None:
    artist = shapes.text(row, "master_metadata_album_artist_name") or shapes.text(row, "artistName")
    title = shapes.text(row, "master_metadata_track_name") or shapes.text(row, "trackName")
    if artist and title:
        extra = {
            "album": shapes.text(row, "master_metadata_album_album_name"),
            "spotify": shapes.text(row, "spotify_track_uri", 100),
        }
        key = f"{plain(artist)}|{plain(title) or title.casefold()}"
        kept = {name: value for name, value in extra.items() if value}
        return Work(key, "track", title, creators=(artist,), extra=kept)
    for kind, field in (("podcast", "episode_show_name"), ("speech", "audiobook_title")):
        name = shapes.text(row, field)
        if name:  # a show or a book is one work, whichever part of it played
            return Work(f"{kind}:{plain(name) or name.casefold()}", kind, name)
    return None


def _with_length(work: Work, length: float | None) -> Work:
    if length is None:
        return work
    return Work(
        work.key, work.kind, work.title, creators=work.creators, extra=work.extra,
        duration_s=round(length / 1000, 1),
    )  # fmt: skip


def _meant(row: Entry, played: float, length: float | None) -> tuple[str, float | None]:
    """(kind, fraction): a play to the end, a skip, or a part."""
    fraction = None if length is None else min(1.0, round(played / length, 4))
    if played < SKIP_MS:
        return "skip", fraction
    if row.get("reason_end") == "trackdone":
        return "complete", None
    return ("play", None) if fraction is None else ("progress", fraction)


SERVICE = Service(
    "spotify", "Spotify",
    ("streaming_history_audio_*.json", "endsong*.json", "streaminghistory*.json"),
    read,
)  # fmt: skip
