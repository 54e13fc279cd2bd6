"""Sentences of a text in any of the languages, without the front matter of e-books."""

from __future__ import annotations

import re

import numpy as np

MARKUP = re.compile(r"<[^<>]{1,200}>|\[/?[A-Za-z][^\]]{0,80}\]")
SPACE = re.compile(r"\s+")
PARAGRAPH = re.compile(r"\n\s*\n")
# Latin and Cyrillic: a mark, closing quotes, a space, and no small letter after it. Chinese and
# Japanese: the mark alone. Hindi: the danda.
END = re.compile(
    r"""(?<=[.!?…])["'”’»)\]]*\s+(?=["'“‘«(\[¿¡—–-]?\s?[^\W\d_a-zà-ÿ]|\d)|(?<=[。！？｡।])"""
)
CLOSING = re.compile(r"^[”’」』）\"'»]+")
SHORT_FORM = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Vol|Ch|Capt|Col|Gen|Lt|Sgt|Rev|Hon|Mme|Mlle|"
    r"bzw|ca|Nr|Hr|Fr|Sra|Srta|e\.g|i\.e|z\.B|d\.h|u\.a)|(?:^|\s)[A-Z])\.$"
)
STARTS = re.compile(
    r"^.{0,3}\*{3}\s*START OF TH(?:E|IS) PROJECT GUTENBERG.*$|^.*\*END[* ].{0,80}SMALL PRINT.*$",
    re.IGNORECASE | re.MULTILINE,
)
ENDS = re.compile(
    r"^.{0,3}\*{3}\s*END OF TH(?:E|IS) PROJECT GUTENBERG|^End of (?:the )?Project Gutenberg",
    re.IGNORECASE | re.MULTILINE,
)
# Of whoever made the copy, not of the work.
TERMS = re.compile(
    r"gutenberg|copyright|all rights reserved|public domain|licen[cs]e|e-?texts?\b|e-?books?\b|"
    r"isbn|https?:|www\.|\.(?:com|org|net)\b|transcrib|proofread|produced by|posting date|"
    r"release date|character set|encoding:|first published|trademark|donation|subtitles? by|"
    r"table of contents|版权|保留所有权利|许可|字幕|译者|urheberrecht|alle rechte|"
    r"tous droits réservés|derechos reservados|все права",
    re.IGNORECASE,
)
HEADING = re.compile(
    r"^\W*(?:chapter|book|part|canto|act|scene|kapitel|chapitre|capítulo|capitolo|глава|第.{1,6}[章回节卷])"
    r"\W+[ivxlc\d]*\W*",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """Of running text, in order, spaces tidied; a paragraph ends a sentence too."""
    found: list[str] = []
    for paragraph in PARAGRAPH.split(text):
        plain = SPACE.sub(" ", MARKUP.sub(" ", paragraph)).strip()
        if plain:
            found += _joined(END.split(plain))
    return found


def _joined(pieces: list[str]) -> list[str]:
    """Puts back what was cut after a title or an initial, and quotes that close a sentence."""
    out: list[str] = []
    for piece in pieces:
        piece = piece.strip()
        closing = CLOSING.match(piece)
        if closing and out:
            out[-1] += closing[0]
            piece = piece[closing.end() :].strip()
        if piece and out and SHORT_FORM.search(out[-1]):
            out[-1] += f" {piece}"
        elif piece:
            out.append(piece)
    return out


def body(text: str) -> str:
    """The work itself: what stands between the notices of Project Gutenberg, where they stand."""
    starts = [match.end() for match in STARTS.finditer(text[: len(text) // 2])]
    if starts:
        text = text[starts[-1] :]
    ends = ENDS.search(text)
    return text[: ends.start()] if ends else text


def length(text: str, wide: bool) -> float:
    """In words; of Chinese and Japanese, two characters count as one."""
    return sum(not c.isspace() for c in text) / 2 if wide else float(len(text.split()))


def telling(sentence: str, wide: bool) -> bool:
    """Whether it is a sentence of the work: not terms, a heading, a list or a fragment."""
    letters = sum(c.isalpha() for c in sentence)
    if not 4 <= length(sentence, wide) <= 80 or letters < 0.6 * len(sentence.replace(" ", "")):
        return False
    capitals = sum(c.isupper() for c in sentence)
    return not (capitals > 0.5 * letters or TERMS.search(sentence) or HEADING.match(sentence))


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of ``count`` positions, evenly over all of them, the first included."""
    if count <= most:
        return list(range(count))
    return [int(n) for n in np.linspace(0, count - 1, most).round()]
