"""What there is to encode: texts, frames and sound of every item of a workspace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from segue.store import schema
from segue.understand.text import item_text

MAX_FRAMES = 6
EXCERPT_BYTES = 20_000
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
    cues: tuple[Cue, ...] = ()  # the transcript, once a step has made it

    def clips(self, kind: str) -> tuple[Clip, ...]:
        return self.pictures if kind == "picture" else self.sounds


def item_sources(engine: sa.Engine, derived: Path) -> list[ItemSource]:
    """All items, in row order."""
    i, a = schema.items.c, schema.assets.c
    items = sa.select(i.num, i.title, i.tags, i.description, i.creators).order_by(i.num)
    assets = sa.select(a.item_num, a.kind, a.content_hash, a.path).order_by(a.item_num, a.position)
    clips: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    with engine.connect() as connection:
        for num, kind, content_hash, path in connection.execute(assets):
            clips[num, kind].append(Clip(content_hash, derived / path))
        rows = connection.execute(items).all()
    return [
        ItemSource(
            row.num,
            item_text(row.title, row.tags, row.description, row.creators, _excerpt(clips, row.num)),
            _spread(clips[row.num, "keyframe"] or clips[row.num, "poster"]),
            tuple(clips[row.num, "audio16k"][:1]),
        )
        for row in rows
    ]


def _spread(frames: list[Clip]) -> tuple[Clip, ...]:
    """Up to ``MAX_FRAMES``, spread over the item, each content once."""
    different = list({frame.content_hash: frame for frame in frames}.values())
    if len(different) <= MAX_FRAMES:
        return tuple(different)
    kept = np.linspace(0, len(different) - 1, MAX_FRAMES).round().astype(int)
    return tuple(different[n] for n in kept)


def _excerpt(clips: dict[tuple[int, str], list[Clip]], num: int) -> str:
    texts = clips[num, "text"]
    if not texts or not texts[0].path.is_file():
        return ""
    with texts[0].path.open("rb") as file:
        text = file.read(EXCERPT_BYTES).decode("utf-8", "ignore")
    return text[min(SKIP_CHARS, len(text) // 10) :].partition(" ")[2]
