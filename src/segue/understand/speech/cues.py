"""Words into cues that can be read as subtitles, and WebVTT in and out."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import BadInput, UnreadableMedia
from segue.understand.sources import Cue

ENDS = (".", "?", "!", "。", "？", "！", "…")
CLOSING = "\"'”’»」』）)"
RESTS = (",", ";", ":", "，", "；", "：", "、", "—")
TITLES = frozenset({"mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "hr.", "fr."})
MAX_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was heard. Its text keeps the space before it, where its language has one."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class CueRule:
    """How long a cue may be: two lines of subtitles, and the time to read them."""

    most_s: float = 7.0
    most_width: int = 84  # characters; those of Chinese, Japanese and Korean count as two
    least_width: int = 12  # a sentence shorter than this goes on with the next one
    pause_s: float = 0.8  # a longer pause ends a cue

    def __post_init__(self) -> None:
        if self.most_s <= 0 or self.most_width < 1 or self.pause_s < 0 or self.least_width < 0:
            raise BadInput(f"cues: {self} needs most_s > 0, most_width >= 1 and nothing negative")


DEFAULT_RULE = CueRule()


def width(text: str) -> int:
    """In columns of a terminal or a line of subtitles."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def to_cues(words: Iterable[Word], rule: CueRule = DEFAULT_RULE) -> list[Cue]:
    """Cues end at pauses and sentence ends; one that grows too long ends at its last comma."""
    cues: list[Cue] = []
    held: list[Word] = []
    for word in words:
        if not word.text.strip():
            continue
        if held and word.start_s - held[-1].end_s > rule.pause_s:
            held = _flush(cues, held)
        while held and not _fits([*held, word], rule):
            rest = held[_cut(held) :]
            _flush(cues, held[: len(held) - len(rest)])
            held = rest
        held.append(word)
        if _ends_sentence(word.text) and width(_text(held)) >= rule.least_width:
            held = _flush(cues, held)
    _flush(cues, held)
    return cues


def _text(words: Sequence[Word]) -> str:
    return " ".join("".join(word.text for word in words).split())


def _fits(words: Sequence[Word], rule: CueRule) -> bool:
    short = words[-1].end_s - words[0].start_s <= rule.most_s
    return short and width(_text(words)) <= rule.most_width


def _ends_sentence(word: str) -> bool:
    text = word.strip()
    return text.rstrip(CLOSING).endswith(ENDS) and text.lower() not in TITLES


def _cut(words: Sequence[Word]) -> int:
    """How many words end at the last comma of the second half; all of them without one."""
    for count in range(len(words) - 1, len(words) // 2, -1):
        if words[count - 1].text.strip().endswith(RESTS):
            return count
    return len(words)


def _flush(cues: list[Cue], words: Sequence[Word]) -> list[Word]:
    """Append a cue of these words, not before the end of the one before. Returns no words."""
    if words:
        start = max(words[0].start_s, cues[-1].end_s if cues else 0.0)
        cues.append(Cue(start, max(words[-1].end_s, start), _text(words)))
    return []


def to_webvtt(cues: Iterable[Cue]) -> str:
    """A WebVTT file of these cues, read by browsers and players."""
    import pysubs2  # noqa: PLC0415 - only where subtitles are written

    file = pysubs2.SSAFile()
    for cue in cues:
        event = pysubs2.SSAEvent(start=round(cue.start_s * 1000), end=round(cue.end_s * 1000))
        event.plaintext = html.escape(cue.text, quote=False)  # "<" would begin a tag
        file.append(event)
    return file.to_string("vtt")


def read_webvtt(path: Path) -> tuple[Cue, ...]:
    """Cues of a WebVTT file in order of time; lines of a cue are joined."""
    import pysubs2  # noqa: PLC0415 - only where there are subtitles

    try:
        with path.open("rb") as file:
            written = file.read(MAX_BYTES).decode("utf-8", "replace")
        events = pysubs2.SSAFile.from_string(written, "vtt")
    except (OSError, pysubs2.Pysubs2Error, ValueError) as error:
        raise UnreadableMedia(path.name, f"not readable as WebVTT: {error}") from error
    cues = (
        Cue(event.start / 1000, event.end / 1000, " ".join(html.unescape(event.plaintext).split()))
        for event in events
        if not event.is_comment
    )
    return tuple(sorted((cue for cue in cues if cue.text), key=lambda cue: cue.start_s))
