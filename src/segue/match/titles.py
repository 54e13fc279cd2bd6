"""Titles as catalogues write them, brought to one spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

ARTICLES = frozenset(
    {"the", "a", "an", "il", "la", "le", "les", "l", "el", "los", "las", "das", "der", "die", "lo",
     "un", "une", "den", "det", "o", "os"}
)  # fmt: skip
_MOVED = re.compile(
    r"^(.*\S),\s+(the|a|an|il|la|le|les|l'|el|los|las|das|der|die|lo|un|une)$", re.I
)
_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]")
_YEAR = re.compile(r"^(18|19|20)\d\d$")
_AKA = re.compile(r"^(a\.?k\.?a\.?|also known as)[: ]+", re.I)
_SPLIT = re.compile(r"\s*(?::\s|\s[-–—]\s|/)\s*")
_ROMAN = {
    "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9",
    "x": "10", "xi": "11", "xii": "12", "xiii": "13",
}  # fmt: skip
_WORDS = {
    "and": "", "vs": "versus", "dr": "doctor", "mr": "mister", "st": "saint", "vol": "volume",
    "pt": "part", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
    "thirteen": "13", "hundred": "100", "thousand": "1000", "colors": "colours", "color": "colour",
    "theatre": "theater",
}  # fmt: skip
_PART = frozenset({"part", "volume", "chapter", "episode", "book"})


@dataclass(frozen=True)
class Title:
    """One spelling of one title."""

    words: tuple[str, ...]  # letters and digits alone, articles and "and" left out
    main: tuple[str, ...]  # those before a colon or dash; all where there is none
    numbers: frozenset[str]  # of a sequel or part; years are none

    @property
    def text(self) -> str:
        return " ".join(self.words)


@lru_cache(maxsize=1 << 17)
def read(title: str) -> Title:
    """``"Godfather: Part II, The (1974)"`` -> godfather part 2, main: godfather, numbers: 2."""
    bare = _BRACKETS.sub("", title).strip() or title
    parts = [_article(part) for part in _SPLIT.split(bare) if part.strip()]
    words = _plain(" ".join(parts)) or (bare.casefold(),)  # a title of signs alone
    main = _plain(parts[0]) if parts else words
    numbers = frozenset(w for w in words if w.isdigit() and len(w) < 4 and w != "1")
    return Title(words, main or words, numbers)


def variants(title: str, others: Iterable[str] = ()) -> tuple[Title, ...]:
    """All spellings of one work's title: the title, what stands in its brackets, other titles."""
    inside = [_AKA.sub("", part).strip() for part in _BRACKETS.findall(title)]
    wanted = [title, *(p for p in inside if len(p) > 3 and not _YEAR.match(p)), *others]
    found = dict.fromkeys(read(one) for one in wanted if one)
    return tuple(t for t in found if t.words)


def year_in(title: str) -> int | None:
    """The year that stands in brackets, ``"Heat (1995)"``."""
    found = [part for part in _BRACKETS.findall(title) if _YEAR.match(part)]
    return int(found[-1]) if found else None


def _article(part: str) -> str:
    moved = _MOVED.match(part.strip())
    return f"{moved[2]} {moved[1]}" if moved else part


def _plain(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKD", text.replace("½", " 1 2 ").replace("'", ""))
    bare = "".join(c for c in folded.casefold() if not unicodedata.combining(c))
    bare = bare.replace("’", "").replace("‘", "").replace(".", " ").replace("&", " and ")
    bare = re.sub(r"(?<=\d),(?=\d{3}\b)", "", bare)
    words = re.findall(r"[^\W_]+", bare)
    words = _letters_joined(words)
    out = []
    for n, word in enumerate(words):
        after = words[n - 1] in _PART if n else False
        if n and (word in _ROMAN) and (after or n == len(words) - 1 or word != "v"):
            word = _ROMAN[word]
        elif after and word == "i":
            word = "1"
        word = _WORDS.get(word, word)
        if word and not (word in ARTICLES and len(words) > 1):
            out.append(word)
    return tuple(out) or tuple(words)


def _letters_joined(words: list[str]) -> list[str]:
    """Lone letters in a row are one word: "u s a" is "usa", "e t" is "et"."""
    out: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            run.append(word)
            continue
        out += ["".join(run)] if len(run) > 1 else run
        run = []
        if word:
            out.append(word)
    return out


def triples(text: str) -> frozenset[str]:
    """Runs of three letters, with the ends marked."""
    padded = f" {text} "
    return frozenset(padded[n : n + 3] for n in range(len(padded) - 2))
