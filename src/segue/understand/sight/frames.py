"""The pictures of an item that a step looks at, opened once and safely."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segue.core.errors import BadInput, UnreadableMedia
from segue.understand.sources import Clip, ItemSource

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture and the stretch it stands for; the times are None where nobody knows them."""

    clip: Clip
    start_s: float | None = None
    end_s: float | None = None

    @property
    def middle_s(self) -> float | None:
        if self.start_s is None or self.end_s is None:
            return None
        return (self.start_s + self.end_s) / 2


@dataclass(frozen=True)
class Opened:
    """The readable frames of one item, and what was wrong with the others."""

    frames: tuple[Frame, ...]
    pictures: tuple[Image.Image, ...]
    said: str = ""


def frames(item: ItemSource, most: int) -> tuple[Frame, ...]:
    """Up to ``most`` frames spread over the item: its scenes' keyframes, else its pictures."""
    found = [Frame(s.keyframe, s.start_s, s.end_s) for s in item.scenes if s.keyframe is not None]
    return some(found or [Frame(clip) for clip in item.pictures], most)


def some(found: Sequence[Frame], most: int) -> tuple[Frame, ...]:
    """Up to ``most`` of them, evenly spread."""
    if most < 1:
        raise BadInput(f"most must be >= 1, got {most}")
    if len(found) <= most:
        return tuple(found)
    return tuple(found[n] for n in np.linspace(0, len(found) - 1, most).round().astype(int))


def frames_hash(wanted: Sequence[Frame]) -> str:
    """Hash of the pictures and their times; "" where there is none."""
    if not wanted:
        return ""
    said = repr([(f.clip.content_hash, f.start_s, f.end_s) for f in wanted])
    return hashlib.sha256(said.encode()).hexdigest()


def opened(wanted: Sequence[Frame], side_px: int) -> Opened:
    """RGB pictures whose JPEGs are decoded no larger than needed for ``side_px``.

    Raises :class:`UnreadableMedia` where not one of several can be read.
    """
    good, pictures, bad = [], [], []
    for frame in wanted:
        try:
            with Image.open(frame.clip.path) as picture:
                picture.draft("RGB", (side_px, side_px))
                pictures.append(picture.convert("RGB"))
            good.append(frame)
        except UNREADABLE as error:
            bad.append(f"{frame.clip.path.name}: not a readable picture: {error}")
    if bad and not good:
        name, _, reason = bad[0].partition(": ")
        raise UnreadableMedia(name, reason)
    return Opened(tuple(good), tuple(pictures), "; ".join(bad))
