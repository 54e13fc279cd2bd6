"""Which language a text is in: script first, then letters, then small words.

``py3langid`` (Lui and Baldwin 2012) judges by byte n-grams, 4.6 MB and numpy alone; on a few words
it wavers, and the small words of a language (the, und, les) tell more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

LANGUAGES = (
    "ar", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
    "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
KANA = re.compile(r"[\u3040-\u30ff]")
HANGUL = re.compile(r"[\uac00-\ud7af]")
HAN = re.compile(r"[\u3400-\u9fff]")
LETTER = re.compile(r"[^\W\d_]")
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class LanguageRule:
    """When a guess is given."""

    max_chars: int = 4_000
    least: float = 0.5  # probability below which nothing is said
    small_word: float = 1.5  # nats that each small word of a language adds to it
    votes: int = 20  # words that are looked up

    def __post_init__(self) -> None:
        if self.max_chars < 1 or not 0 <= self.least <= 1:
            from segue.core.errors import BadSettings  # noqa: PLC0415 - only to complain

            raise BadSettings(f"max_chars must be >= 1 and least in [0, 1], got {self}")


DEFAULT_RULE = LanguageRule()


def language_of(text: str, rule: LanguageRule = DEFAULT_RULE) -> str:
    """BCP 47 of the text's main language, or "" where too little can be read."""
    text = text[: rule.max_chars]
    script = by_script(text)
    if script:
        return script
    if not LETTER.search(text):
        return ""
    scores = dict(_identifier().rank(text.lower() if text.isupper() else text))
    logs = {name: np.log(max(float(p), 1e-9)) for name, p in scores.items()}
    for word in WORD.findall(text.casefold())[: rule.votes]:
        for name in _speakers().get(word, ()):
            logs[name] += rule.small_word
    best = max(logs, key=lambda name: logs[name])
    total = sum(np.exp(value - logs[best]) for value in logs.values())
    return best if 1.0 / total >= rule.least else ""


def by_script(text: str) -> str:
    """The scripts that one language writes; a third of the letters is enough, as names of films
    and people stand in other scripts."""
    letters = len(LETTER.findall(text))
    kana, han = len(KANA.findall(text)), len(HAN.findall(text))
    if letters and len(HANGUL.findall(text)) * 3 > letters:
        return "ko"
    if letters and (kana + han) * 3 > letters:
        return "ja" if kana * 8 > kana + han else "zh"
    return ""


@cache
def _identifier() -> Any:
    from py3langid.langid import (  # noqa: PLC0415 - 1 s to read its model
        MODEL_FILE,
        LanguageIdentifier,
    )

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier


@cache
def _speakers() -> dict[str, tuple[str, ...]]:
    """Languages by small word; words of more than two languages tell little and are left out."""
    by_word: dict[str, list[str]] = {}
    for name in LANGUAGES:
        for word in small_words(name):
            by_word.setdefault(word, []).append(name)
    return {word: tuple(names) for word, names in by_word.items() if len(names) <= 2}


@cache
def small_words(language: str) -> frozenset[str]:
    """Words that carry no content of their own, in lower case; empty for an unknown language."""
    import stopwordsiso  # noqa: PLC0415 - reads its lists

    if not stopwordsiso.has_lang(language):
        return frozenset()
    return frozenset(word.casefold() for word in stopwordsiso.stopwords(language))
