"""A summary of two or three sentences that stand in the text: nothing is made up.

Sentences near the centre of all (Radev et al. 2004, MEAD's centroid and position) are chosen one
by one, each unlike those already chosen (maximal marginal relevance, Carbonell and Goldstein
1998), with the text encoder's vectors in place of counted words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadSettings
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.findings import Note
from segue.understand.words.reading import Reading
from segue.understand.words.sentences import length, telling

# Hangs on what was said before, so it tells little alone; and what somebody says in a tale.
DEPENDENT = re.compile(
    r"^[\"'“‘«„「『—–-]|^(?:and|but|so|then|this|that|these|those|it|he|she|they|however|thus|und|"
    r"aber|doch|dann|er|sie|es|et|mais|elle|ils?|y|pero|ella|ellos|e|ma)\b|"
    r"^(?:但|而|然后|于是|他|她|它|这|那)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SummaryRule:
    """How long a summary is, and what makes a sentence worth telling."""

    sentences: int = 3
    words: float = 60.0
    short_words: float = 70.0  # a description no longer than this is a summary already
    least_words: float = 10.0  # a shorter description is none
    sentence_words: float = 35.0  # a longer sentence leaves no room for another
    sameness: float = 0.5  # what likeness to a chosen sentence takes away
    position: float = 0.15  # what standing first adds; a tenth into the text, a third of it
    dependent: float = 0.12  # what leaning on the sentence before takes away

    def __post_init__(self) -> None:
        if self.sentences < 1 or not 0 < self.sentence_words <= self.words:
            raise BadSettings(
                f"sentences must be >= 1 and sentence_words in (0, words], got {self}"
            )


DEFAULT_SUMMARY = SummaryRule()


def summary(reading: Reading, rule: SummaryRule = DEFAULT_SUMMARY) -> Note | None:
    """Of a long description, else of the body; none where the description is short already."""
    told = sum(length(s, reading.wide) for s in reading.description)
    if rule.least_words <= told <= rule.short_words:
        return None
    if told > rule.short_words:
        texts, vectors = reading.description, reading.description_vectors
        shares = [n / len(texts) for n in range(len(texts))]
    else:
        texts = tuple(s.text for s in reading.body)
        vectors, shares = reading.body_vectors, [s.share for s in reading.body]
    fit = [n for n, text in enumerate(texts) if telling(text, reading.wide)]
    fit = [n for n in fit if length(texts[n], reading.wide) <= rule.sentence_words] or fit
    if len(fit) < 2:
        return None
    places = np.asarray([shares[n] for n in fit], dtype=np.float32)
    leans = np.asarray([bool(DEPENDENT.match(texts[n])) for n in fit])
    worth = (
        vectors[fit] @ unit(vectors[fit].mean(axis=0))
        + rule.position * np.exp(-places / 0.1)
        - rule.dependent * leans
    )
    sizes = [length(texts[n], reading.wide) for n in fit]
    chosen = _choose(vectors[fit], worth, sizes, rule)
    kept = [texts[fit[n]] for n in sorted(chosen)]  # in the order of the text
    return Note("summary", ("" if reading.wide else " ").join(kept), reading.language)


def _choose(vectors: Floats, worth: Floats, sizes: list[float], rule: SummaryRule) -> list[int]:
    """Rows, the best first, as many as there is room for."""
    chosen: list[int] = []
    room = rule.words
    left = worth.copy()
    while len(chosen) < rule.sentences:
        fits = [n for n in range(len(left)) if n not in chosen and sizes[n] <= room]
        if not fits:
            break
        best = max(fits, key=lambda n: (left[n], -n))
        chosen.append(best)
        room -= sizes[best]
        alike = vectors @ vectors[chosen].T
        left = worth - rule.sameness * alike.max(axis=1)
    return chosen or [int(worth.argmax())]
