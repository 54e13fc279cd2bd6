"""Rows of Jellyfin's API as works and acts. Names and units are those of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from segue.connect import shapes
from segue.connect.works import Act, Work, plays

KINDS = {
    "Movie": "movie", "Series": "series", "Episode": "video", "Video": "video",
    "MusicVideo": "video", "Audio": "track", "MusicAlbum": "album", "Book": "book",
    "AudioBook": "speech",
}  # fmt: skip
FIELDS = (
    "OriginalTitle", "Overview", "Genres", "Tags", "People", "ProviderIds", "Path",
    "ProductionLocations", "DateCreated", "Studios",
)  # fmt: skip
TICKS_PER_S = 10_000_000  # a tick is 100 ns
MADE_BY = ("Director", "Writer", "Author", "Artist", "AlbumArtist", "Composer", "Creator")
MOST_ACTORS = 5
RATING_SCALE = 2.0  # Jellyfin rates from 0 to 10, segue to 5
NEAR_END = 0.97  # Jellyfin forgets positions beyond; a stored one is a part
Row = Mapping[str, Any]


def work_of(row: Row) -> Work | None:
    """A work; None where the row lacks what makes one."""
    kind = KINDS.get(shapes.text(row, "Type"))
    key = shapes.text(row, "Id", shapes.MAX_ID_CHARS)
    title = shapes.text(row, "Name")
    if kind is None or not key or not title:
        return None
    ticks = shapes.number(row, "RunTimeTicks", 1)
    return Work(
        key=key,
        kind=kind,
        title=_episode_title(row, title),
        description=shapes.text(row, "Overview", shapes.MAX_TEXT_CHARS),
        tags=tuple(dict.fromkeys((*shapes.texts(row, "Genres"), *shapes.texts(row, "Tags")))),
        creators=_creators(row),
        year=shapes.year(row, "ProductionYear"),
        language=shapes.text(row, "OriginalLanguage", 20) or None,
        duration_s=None if ticks is None or kind in ("series", "album") else ticks / TICKS_PER_S,
        released_at=shapes.instant(row.get("PremiereDate")),
        extra=_extra(row),
    )


def _episode_title(row: Row, title: str) -> str:
    """ "Series S01E02 Title" for an episode, whose own title says little alone."""
    series = shapes.text(row, "SeriesName")
    if shapes.text(row, "Type") != "Episode" or not series:
        return title
    season, number = shapes.whole(row, "ParentIndexNumber"), shapes.whole(row, "IndexNumber")
    place = "" if season is None or number is None else f" S{season:02}E{number:02}"
    return f"{series}{place} {title}"


def _creators(row: Row) -> tuple[str, ...]:
    """Artists of music; else who made it, then the first of the cast."""
    artists = shapes.texts(row, "Artists") or tuple(
        shapes.text(artist, "Name") for artist in shapes.rows(row, "AlbumArtists")
    )
    if artists:
        return tuple(filter(None, dict.fromkeys(artists)))
    people = shapes.rows(row, "People")[: shapes.MAX_LIST]
    made = [shapes.text(one, "Name") for one in people if shapes.text(one, "Type") in MADE_BY]
    cast = [shapes.text(one, "Name") for one in people if shapes.text(one, "Type") == "Actor"]
    return tuple(filter(None, dict.fromkeys((*made, *cast[:MOST_ACTORS]))))


def _extra(row: Row) -> dict[str, Any]:
    ids = shapes.table(row, "ProviderIds")
    found = {
        "original_title": shapes.text(row, "OriginalTitle"),
        "path": shapes.text(row, "Path", 4_000),
        "album": shapes.text(row, "Album"),
        "provider_ids": {
            name.lower()[:40]: shapes.text(ids, name, 100) for name in list(ids)[: shapes.MAX_LIST]
        },
        "certificate": shapes.text(row, "OfficialRating", 40),
        "series": shapes.text(row, "SeriesName"),
    }
    return {name: value for name, value in found.items() if value}


def acts_of(row: Row, now: float) -> list[Act]:
    """What one person did with one work, from the state that the server keeps of both.

    ``now`` dates what the server does not date (a favourite, a rating): when it was first read.
    """
    key = shapes.text(row, "Id", shapes.MAX_ID_CHARS)
    state = shapes.table(row, "UserData")
    if not key or not state:
        return []
    return [*_watched(key, row, state, now), *_opinions(key, state, now)]


def _watched(key: str, row: Row, state: Row, now: float) -> list[Act]:
    last = shapes.instant(state.get("LastPlayedDate"))
    count = shapes.whole(state, "PlayCount") or 0
    done = state.get("Played") is True
    if done:
        count = max(count, 1)  # marked by hand
    time = now if last is None else last
    found = plays(key, count, time)
    part = fraction(row, state)
    if part is not None:
        # In whole percents: a position that did not move is the same act.
        percent = round(100 * part)
        found.append(Act(key, "progress", time, f"progress:{max(count, 1)}:{percent}", part))
    elif done:
        found.append(Act(key, "complete", time, f"complete:{count}"))
    return found


def fraction(row: Row, state: Row) -> float | None:
    """How far a work that is begun was seen, in (0, 1); None where it is at its beginning."""
    position = shapes.number(state, "PlaybackPositionTicks", 1)
    runtime = shapes.number(row, "RunTimeTicks", 1)
    percent = shapes.number(state, "PlayedPercentage", 0, 100)
    if position is None:
        return None
    if runtime is not None:
        return min(position / runtime, NEAR_END)
    return None if not percent else min(percent / 100, NEAR_END)


def _opinions(key: str, state: Row, now: float) -> list[Act]:
    found = []
    if state.get("IsFavorite") is True:
        found.append(Act(key, "like", now, "favourite"))
    if state.get("Likes") is True:
        found.append(Act(key, "like", now, "likes"))
    elif state.get("Likes") is False:
        found.append(Act(key, "dislike", now, "dislikes"))
    rating = shapes.number(state, "Rating", 0.5, 10)
    if rating is not None:
        value = max(0.5, round(rating / RATING_SCALE, 2))
        found.append(Act(key, "rating", now, f"rating:{value:g}", value))
    return found


def series_acts(row: Row, now: float) -> list[Act]:
    """What was done with an episode, as plays of its series, each named by episode and number."""
    series = shapes.text(row, "SeriesId", shapes.MAX_ID_CHARS)
    episode = shapes.text(row, "Id", shapes.MAX_ID_CHARS)
    state = shapes.table(row, "UserData")
    watched = _watched(episode, row, state, now)
    if not series or not watched:
        return []
    count = max(1, sum(act.kind == "play" for act in watched))
    seen = plays(series, count, watched[-1].time)
    return [replace(act, key=f"episode:{episode}:{act.key}") for act in seen]


def series_progress(row: Row, now: float) -> list[Act]:
    """A series' own state: all seen, or how much of it."""
    key = shapes.text(row, "Id", shapes.MAX_ID_CHARS)
    state = shapes.table(row, "UserData")
    last = shapes.instant(state.get("LastPlayedDate"))
    time = now if last is None else last
    percent = shapes.number(state, "PlayedPercentage", 0, 100)
    found = _opinions(key, state, now)
    if state.get("Played") is True:
        found.append(Act(key, "complete", time, "complete"))
    elif percent:
        found.append(Act(key, "progress", time, f"progress:{round(percent)}", percent / 100))
    return found
