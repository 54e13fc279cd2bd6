"""What there is to encode: texts, frames and sound of every item of a workspace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from segue.store import schema
from segue.understand.text import item_text

MAX_FRAMES = 6
EXCERPT_BYTES = 20_000
EXCERPT_CUES = 200
SKIP_CHARS = 1_500  # title pages and terms stand before the text proper


@dataclass(frozen=True, slots=True)
class Clip:
    """A derived file and the sha256 of its content."""

    content_hash: str
    path: Path


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are spoken or shown during a stretch of time."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A scene: a run of similar shots, and the picture that stands for it."""

    start_s: float
    end_s: float
    keyframe: Clip | None


@dataclass(frozen=True, slots=True)
class Still:
    """A keyframe and when it is shown; None for a picture that belongs to no time."""

    clip: Clip
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class ItemSource:
    """One item's raw matter; what is not there is empty."""

    num: int
    text: str  # what the text encoder reads
    pictures: tuple[Clip, ...]  # up to MAX_FRAMES, spread over the item
    sounds: tuple[Clip, ...]
    kind: str = ""
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    language: str = ""
    duration_s: float | None = None
    texts: tuple[Clip, ...] = ()  # plain text of a book or of subtitles
    subtitles: tuple[Clip, ...] = ()  # WebVTT
    scenes: tuple[Span, ...] = ()
    stills: tuple[Still, ...] = ()  # every keyframe, in order of time
    cues: tuple[Cue, ...] = ()  # the transcript, once a step has made it

    def clips(self, kind: str) -> tuple[Clip, ...]:
        return self.pictures if kind == "picture" else self.sounds


def item_sources(engine: sa.Engine, derived: Path) -> list[ItemSource]:
    """All items, in row order."""
    i = schema.items.c
    items = sa.select(
        i.num, i.kind, i.title, i.tags, i.description, i.creators, i.language, i.duration_s
    ).order_by(i.num)
    with engine.connect() as connection:
        clips, frames = _clips(connection, derived)
        scenes = _scenes(connection, frames)
        stills = _stills(frames)
        cues = _cues(connection)
        rows = connection.execute(items).all()
    return [
        ItemSource(
            num=row.num,
            text=item_text(
                row.title,
                row.tags,
                row.description,
                row.creators,
                _excerpt(clips[row.num, "text"], cues[row.num]),
            ),
            pictures=_spread(clips[row.num, "keyframe"] or clips[row.num, "poster"]),
            sounds=tuple(clips[row.num, "audio16k"][:1]),
            kind=row.kind,
            title=row.title,
            description=row.description,
            tags=tuple(row.tags),
            creators=tuple(row.creators),
            language=row.language or "",
            duration_s=row.duration_s,
            texts=tuple(clips[row.num, "text"]),
            subtitles=tuple(clips[row.num, "subtitle"]),
            scenes=tuple(scenes[row.num]),
            stills=tuple(stills[row.num]),
            cues=tuple(cues[row.num]),
        )
        for row in rows
    ]


Clips = dict[tuple[int, str], list[Clip]]
Frames = dict[tuple[int, int], Still]


def _clips(connection: sa.Connection, derived: Path) -> tuple[Clips, Frames]:
    """Derived files by item and kind in order, and keyframes by item and position."""
    a = schema.assets.c
    query = sa.select(a.item_num, a.kind, a.position, a.content_hash, a.path, a.time_s).order_by(
        a.item_num, a.position
    )
    clips: Clips = defaultdict(list)
    frames: Frames = {}
    for num, kind, position, content_hash, path, time_s in connection.execute(query):
        clip = Clip(content_hash, derived / path)
        clips[num, kind].append(clip)
        if kind == "keyframe":
            frames[num, position] = Still(clip, time_s)
    return clips, frames


def _scenes(connection: sa.Connection, frames: Frames) -> dict[int, list[Span]]:
    c = schema.scenes.c
    query = sa.select(c.item_num, c.start_s, c.end_s, c.keyframe).where(c.level == "scene")
    scenes: dict[int, list[Span]] = defaultdict(list)
    for num, start_s, end_s, keyframe in connection.execute(query.order_by(c.item_num, c.position)):
        still = frames.get((num, keyframe))
        scenes[num].append(Span(start_s, end_s, None if still is None else still.clip))
    return scenes


def _stills(frames: Frames) -> dict[int, list[Still]]:
    stills: dict[int, list[Still]] = defaultdict(list)
    for (num, _), still in frames.items():
        stills[num].append(still)
    return stills


def _cues(connection: sa.Connection) -> dict[int, list[Cue]]:
    c = schema.cues.c
    query = sa.select(c.item_num, c.start_s, c.end_s, c.text).order_by(c.item_num, c.position)
    cues: dict[int, list[Cue]] = defaultdict(list)
    for num, start_s, end_s, text in connection.execute(query):
        cues[num].append(Cue(start_s, end_s, text))
    return cues


def _spread(frames: list[Clip]) -> tuple[Clip, ...]:
    """Up to ``MAX_FRAMES``, spread over the item, each content once."""
    different = list({frame.content_hash: frame for frame in frames}.values())
    if len(different) <= MAX_FRAMES:
        return tuple(different)
    kept = np.linspace(0, len(different) - 1, MAX_FRAMES).round().astype(int)
    return tuple(different[n] for n in kept)


def _excerpt(texts: Sequence[Clip], cues: Sequence[Cue]) -> str:
    """Words from a little after the beginning: of what is said, else of what is written."""
    said = " ".join(cue.text for cue in cues[:EXCERPT_CUES])
    if said:
        return said
    if not texts or not texts[0].path.is_file():
        return ""
    with texts[0].path.open("rb") as file:
        text = file.read(EXCERPT_BYTES).decode("utf-8", "ignore")
    return text[min(SKIP_CHARS, len(text) // 10) :].partition(" ")[2]
