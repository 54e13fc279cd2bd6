"""What a connector brings: works, and what people did with them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Work:
    """A work as a source tells of it. ``key`` is its id there, and never changes."""

    key: str
    kind: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    year: int | None = None
    language: str | None = None
    duration_s: float | None = None
    released_at: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person did with a work. ``key`` tells it from all else this person did with
    this work: the same act read again has the same key."""

    work: str  # the work's key
    kind: str
    time: float
    key: str
    value: float | None = None


MOST_PLAYS = 100  # of one work that a first reading takes over: the newest


def plays(work: str, count: int, time: float, *, kind: str = "play") -> list[Act]:
    """Acts from a play counter, which tells how often, and when last.

    Each play is named by its number, so a counter that grew by one adds one act. Earlier plays are
    not later than the last one; that is all that is known of their time, and what they get.
    """
    first = max(1, count - MOST_PLAYS + 1)
    return [Act(work, kind, time, f"{kind}:{n}") for n in range(first, count + 1)]


def plain(words: str) -> str:
    """Letters and digits alone, without case, accents or punctuation: "Amélie!" is "amelie"."""
    folded = unicodedata.normalize("NFKD", words.replace("&", " and ")).casefold()
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", bare.replace("'", "").replace("’", "").replace("_", " ")))
