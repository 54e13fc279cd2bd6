"""Words and phrases that tell what a text is about, in any of the languages.

Phrases between small words and punctuation (RAKE, Rose et al. 2010), Chinese cut into words first;
counted, earlier ones higher; and weighed by how near they are to the whole text in the encoder's
space (as in KeyBERT, Grootendorst 2020), so that what is merely frequent falls behind.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadSettings
from segue.understand.align import unit
from segue.understand.findings import Label
from segue.understand.words.language import small_words
from segue.understand.words.reading import Reading

TOKEN = re.compile(r"[^\W\d_](?:[^\W_]|['’-](?=[^\W\d_]))*|[^\s\w]")
WORDY = re.compile(r"[^\W\d_]")
POSSESSIVE = re.compile(r"['’]s$")


@dataclass(frozen=True)
class KeywordRule:
    """Which phrases are kept."""

    most: int = 12
    candidates: int = 60  # by count and place; these are encoded
    phrase_words: int = 3
    near: float = 0.6  # weight of nearness in meaning, the rest is count and place
    alike: float = 0.75  # cosine from which a phrase repeats a better one

    def __post_init__(self) -> None:
        if not 1 <= self.most <= self.candidates or not 0 <= self.near <= 1:
            raise BadSettings(f"most must be in [1, candidates], near in [0, 1], got {self}")


DEFAULT_KEYWORDS = KeywordRule()


def keywords(reading: Reading, rule: KeywordRule = DEFAULT_KEYWORDS) -> tuple[Label, ...]:
    """Up to ``most`` labels of kind ``keyword``, best first; the best has score 1."""
    weight = _counted(reading, rule)
    if not weight:
        return ()
    names = sorted(weight, key=lambda name: (-weight[name], name))[: rule.candidates]
    vectors = reading.encoder.encode(names)
    centre = unit(reading.vectors.mean(axis=0))
    near = np.maximum(vectors @ centre, 0.0)
    counted = np.asarray([weight[name] for name in names])
    scores = rule.near * near / max(float(near.max()), 1e-9)
    scores += (1 - rule.near) * counted / counted.max()
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        same = any(vectors[row] @ vectors[k] > rule.alike for k in kept)
        if not same and not any(_within(names[row], names[k]) for k in kept):
            kept.append(int(row))
        if len(kept) == rule.most:
            break
    best = float(scores[kept[0]])
    return tuple(Label("keyword", names[n], float(scores[n]) / best) for n in kept)


def _within(one: str, other: str) -> bool:
    """Whether either phrase holds all words of the other."""
    a, b = set(one.split()), set(other.split())
    return a <= b or b <= a


def _counted(reading: Reading, rule: KeywordRule) -> dict[str, float]:
    """Phrases in lower case by count and place. Of a long text, what stands but once is left."""
    counts: Counter[str] = Counter()
    first: dict[str, float] = {}
    texts = reading.texts
    for n, text in enumerate(texts):
        found = _chinese(text) if reading.wide else _phrases(text, reading.language, rule)
        for phrase in found:
            counts[phrase] += 1
            first.setdefault(phrase, n / len(texts))
    least = 2 if len(texts) > 40 and max(counts.values(), default=0) > 2 else 1
    return {
        phrase: (1.0 + np.log(count)) * (1.0 - 0.5 * first[phrase])
        for phrase, count in counts.items()
        if count >= least
    }


def _phrases(text: str, language: str, rule: KeywordRule) -> list[str]:
    """Runs of up to ``phrase_words`` words between small words and punctuation."""
    small = small_words(language or "en")
    runs: list[list[str]] = [[]]
    for token in TOKEN.findall(text):
        word = POSSESSIVE.sub("", token.casefold())
        if len(word) < 3 or word in small or not WORDY.match(word):
            runs.append([])
        else:
            runs[-1].append(word)
    out = []
    for run in runs:
        if 1 < len(run) <= rule.phrase_words:
            out.append(" ".join(run))
        out += run
    return out


def _chinese(text: str) -> list[str]:
    """Words of two characters or more that are no small words, as a dictionary cuts them."""
    import rjieba  # noqa: PLC0415 - 4 MB of dictionary

    small = small_words("zh")
    return [
        word
        for word in rjieba.cut(text)
        if len(word) > 1 and word not in small and all(map(str.isalpha, word))
    ]
