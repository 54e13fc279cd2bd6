"""What a step of understanding says of one item: plain values, so that a step may run anywhere.

A step reads an item's matter and returns :class:`Findings`; it writes nothing. The one loop in
:mod:`segue.understand.steps` runs steps, keeps what they found and remembers what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from segue.understand.sources import Cue, ItemSource


@dataclass(frozen=True, slots=True)
class Label:
    """A class that fits, as a whole or for a stretch of time. ``score`` is in [0, 1]."""

    kind: str  # genre | mood | setting | instrument | key | sound-span | topic | keyword | …
    label: str
    score: float
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A number, as a whole or at a time. The name carries the unit: ``tempo_bpm``."""

    name: str
    value: float
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A text about the item. ``generated``: a language model wrote it, so it may be wrong."""

    kind: str  # summary | on-screen | …
    text: str
    language: str = ""
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Print:
    """A fingerprint of the content, by which copies in another encoding are found."""

    kind: str  # picture | sound | text
    data: bytes


@dataclass(frozen=True)
class Findings:
    """All that one step says of one item. They replace what the step said before."""

    labels: tuple[Label, ...] = ()
    measures: tuple[Measure, ...] = ()
    cues: tuple[Cue, ...] = ()
    notes: tuple[Note, ...] = ()
    prints: tuple[Print, ...] = ()
    language: str = ""  # of what is spoken or written, BCP 47; "" where the step cannot tell
    said: str = ""  # what the person at the command should know, such as a fallback
    again: bool = False  # these stand in for better ones: the next run tries again
    extra: dict[str, str] = field(default_factory=dict)


class Step(Protocol):
    """One way to understand an item."""

    @property
    def name(self) -> str:
        """``"speech"``"""

    @property
    def model(self) -> str:
        """``"whisper-base-int8@1.0.0"``: what it says is kept under this name, its alone."""

    def source(self, item: ItemSource) -> str:
        """Hash of all that :meth:`run` would read of the item; "" where there is nothing to do."""

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order. Raises :class:`~segue.core.errors.UnreadableMedia` for
        matter that cannot be read."""
