"""An item's words as sentences with their places and vectors, read once for all the steps."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from segue.core.errors import BadSettings, UnreadableMedia
from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.understand.sources import Clip, Cue, ItemSource
from segue.understand.text import YEAR, UseMultilingual
from segue.understand.words.language import language_of
from segue.understand.words.sentences import body, length, sentences, spread, telling

WIDE = ("zh", "ja", "th")  # written without spaces
UTF8_BOM = "\ufeff"


@dataclass(frozen=True)
class Limits:
    """How much of an item is read. What a long text costs is bounded by ``sentences``."""

    file_bytes: int = 8_000_000  # of one text: the whole of any book
    sentences: int = 150  # of the body, evenly spread over it: a second of encoding
    sentence_chars: int = 400
    join_chars: int = 60  # cues are joined to at least this, as speech is cut by time

    def __post_init__(self) -> None:
        if min(self.file_bytes, self.sentences, self.sentence_chars, self.join_chars) < 1:
            raise BadSettings(f"every limit must be >= 1, got {self}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """``share``: where it begins in the body, in [0, 1]; ``start_s`` where there is time."""

    text: str
    share: float
    start_s: float | None = None


@dataclass(frozen=True)
class Reading:
    """The words of one item."""

    title: str
    description: tuple[str, ...]
    body: tuple[Sentence, ...]  # of what is said, else of what is written; spread over it
    total: int  # sentences of the body, of which ``body`` holds some
    language: str
    encoder: Encoder = field(repr=False)
    tags: tuple[str, ...] = ()

    @property
    def wide(self) -> bool:
        return self.language in WIDE

    @property
    def said(self) -> str:
        """What a person should know of how it was read."""
        if self.total <= len(self.body):
            return ""
        return "long texts: sentences spread over all of each were read"

    @cached_property
    def description_vectors(self) -> Floats:
        """(n, 512) float32, unit rows."""
        return self.encoder.encode(self.description)

    @cached_property
    def body_vectors(self) -> Floats:
        """(n, 512) float32, unit rows."""
        return self.encoder.encode([sentence.text for sentence in self.body])

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.description, *(sentence.text for sentence in self.body))

    @property
    def vectors(self) -> Floats:
        """Of description and body, in this order."""
        return np.concatenate([self.description_vectors, self.body_vectors])


@dataclass
class Reader:
    """Reads items, and keeps the last few: six steps read the same item one after the other."""

    encoder: Encoder = field(default_factory=UseMultilingual)
    limits: Limits = field(default_factory=Limits)
    keep: int = 256  # 0.3 MB each at most
    _kept: OrderedDict[str, Reading] = field(default_factory=OrderedDict, repr=False)

    @property
    def name(self) -> str:
        return f"{self.encoder.name}/reading-1"

    def __getstate__(self) -> dict[str, object]:
        """To another process it goes without what it has read."""
        return self.__dict__ | {"_kept": OrderedDict()}

    def source(self, item: ItemSource) -> str:
        """Hash of all words that are read; "" where there are none beside the title."""
        if not (item.description.strip() or item.cues or item.texts):
            return ""
        digest = hashlib.sha256(repr((item.title, item.description, item.tags)).encode())
        for cue in item.cues:
            digest.update(f"{cue.start_s:.2f} {cue.text}\n".encode())
        for clip in () if item.cues else item.texts:
            digest.update(clip.content_hash.encode())
        return digest.hexdigest()

    def read(self, item: ItemSource) -> Reading:
        key = self.source(item) or f"title {item.title}"
        if key not in self._kept:
            self._kept[key] = self._read(item)
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _read(self, item: ItemSource) -> Reading:
        text = "" if item.cues else self._written(item.texts)
        spoken = " ".join(cue.text for cue in item.cues[:200])
        middle = text[len(text) // 3 :]  # the beginning may be terms in another language
        language = language_of(spoken or middle or item.description or item.title)
        wide = language in WIDE
        told = self._spoken(item.cues) if item.cues else self._numbered(sentences(text))
        worth = [s for s in told if telling(s.text, wide)] or told
        kept = [worth[n] for n in spread(len(worth), self.limits.sentences)]
        chars = self.limits.sentence_chars
        return Reading(
            title=YEAR.sub("", item.title),
            description=tuple(s[:chars] for s in sentences(item.description))[
                : self.limits.sentences
            ],
            body=tuple(Sentence(s.text[:chars], s.share, s.start_s) for s in kept),
            total=len(worth),
            language=language or item.language,
            encoder=self.encoder,
            tags=item.tags,
        )

    def _written(self, clips: Sequence[Clip]) -> str:
        texts = []
        for clip in clips:
            try:
                with clip.path.open("rb") as file:
                    data = file.read(self.limits.file_bytes)
            except OSError as error:
                raise UnreadableMedia(clip.path.name, f"its text cannot be read: {error}") from None
            texts.append(body(data.decode("utf-8", "replace").lstrip(UTF8_BOM)))
        return "\n\n".join(texts)

    def _numbered(self, told: list[str]) -> list[Sentence]:
        sizes = np.cumsum([0, *(len(text) for text in told)])
        whole = max(int(sizes[-1]), 1)
        return [
            Sentence(text, float(start / whole))
            for text, start in zip(told, sizes[:-1], strict=True)
        ]

    def _spoken(self, cues: Sequence[Cue]) -> list[Sentence]:
        """Cues joined until a sentence ends; each begins when its first cue does."""
        whole = max(max(cue.end_s for cue in cues), 1e-9)
        out: list[Sentence] = []
        words, began = "", 0.0
        for n, cue in enumerate(cues):
            if not words:
                began = cue.start_s
            words = f"{words} {cue.text}".strip()
            ended = words.endswith((".", "!", "?", "…", "。", "！", "？", '"', "”"))
            enough = length(words, wide=False) >= 4 or len(words) >= self.limits.join_chars
            too_long = len(words) >= 4 * self.limits.join_chars
            if n == len(cues) - 1 or (ended and enough) or too_long:
                share = min(max(began / whole, 0.0), 1.0)
                out += [Sentence(text, share, began) for text in sentences(words)]
                words = ""
        return out
