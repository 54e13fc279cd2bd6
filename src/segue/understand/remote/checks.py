"""Whether a generated text may be shown: borne out by its source, plain, and about the item.

Names and numbers are what small models make up; each of them must stand in the source. What is
refused wrongly costs little: the local method's text is shown.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from segue.understand.remote.prompts import is_chinese

LETTER = r"[^\W\d_\u3400-\u4dbf\u4e00-\u9fff]"  # Chinese has no spaces between words
WORD = re.compile(rf"{LETTER}+(?:['.-]{LETTER}+)*")
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
HAN_NUMBER = re.compile(r"[零〇一二三四五六七八九十百千万亿两]{2,}")
HAN_TITLE = re.compile(r"《([^《》]{1,80})》")
QUOTED = re.compile(r"《[^《》]{1,80}》|[“\"«][^“”\"«»]{1,120}[”\"»]")
ENDS = ".!?。！？:：…\n"
NEAR = 4  # words: two words of one name stand so near each other in the source
ODD = re.compile(
    r"https?:|www\.|</?[a-z!]|```|\]\(|[{}\x00-\x08\x0b-\x1f]|"
    r"\b(as an ai|language model|i (cannot|can't|am unable)|sure, here|here is (a|the) summary)\b|"
    r"作为(一个)?(ai|人工智能)|语言模型|<data|data-[0-9a-f]{6}",
    re.IGNORECASE,
)
# Words that may open a sentence, and so have a capital, without being a name.
OPENERS_TEXT = """
a about across after against all along alongside although among an and another any are around as
at back based because before behind being below between both but by can could despite did directed
do does down during each either else even eventually every everyone everything featuring few
finally first following for from had has have he her here hers him his how however i if in inside
instead into is it its just last later like many maybe meanwhile more most much must my near
neither never next no nobody not nothing now of off often on once one only or other others our out
outside over part people perhaps set several she should since so some someone something soon still
such suddenly than that the their them then there these they this those though three through
throughout thus to together told too two ultimately under until up upon was we were what when
where whether which while who whose why will with within without yet you young your
"""
OPENERS = frozenset(OPENERS_TEXT.split())
UNDER_21 = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
NUMBER_WORDS = {word: str(value) for value, word in enumerate(UNDER_21.split())} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "thousand": "1000", "million": "1000000",
}  # fmt: skip
FREE_NUMBERS = frozenset({"one", "zero"})  # mostly not meant as numbers


def unsupported(text: str, source: str) -> list[str]:
    """Names and numbers of ``text`` that ``source`` does not bear out; empty where all are."""
    text, source = _plain(text), _plain(source)
    words = _words(source)
    return [
        *_bad_names(text, words),
        *_bad_pairs(text, words),
        *_bad_numbers(text, source),
        *(f"《{t}》" for t in HAN_TITLE.findall(text) if _tight(t) not in _tight(source)),
    ]


def odd(text: str, source: str, max_chars: int = 700) -> str:
    """Why ``text`` cannot be shown as it is, whatever it says; "" where nothing is wrong."""
    if len(text) > max_chars:
        return f"it is longer than {max_chars} characters"
    found = ODD.search(text)
    if found is not None:
        return f"it holds {found[0]!r}"
    if any(unicodedata.category(c) in ("Cf", "Co", "Cs") for c in text):
        return "it holds invisible characters"
    if is_chinese(source) != is_chinese(text):
        return "it is in another language than the item"
    return ""


def same_facts(new: str, old: str, titles: Sequence[str] = ()) -> bool:
    """Whether a rewording keeps every title, quotation and number, and adds no name."""
    kept = [*(t for t in titles if t and t in old), *(q[1:-1] for q in QUOTED.findall(old))]
    numbers = sorted(_digits(old))
    return (
        all(_tight(title) in _tight(new) for title in kept)
        and sorted(_digits(new)) == numbers
        and not unsupported(new, f"{old} {' '.join(titles)}")
    )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("’", "'")


def _tight(text: str) -> str:
    return "".join(text.casefold().split())


def _words(text: str) -> dict[str, list[int]]:
    """Places of each word, in any case; a hyphenated one also by its parts."""
    places: dict[str, list[int]] = {}
    for n, found in enumerate(WORD.finditer(text)):
        for form in {found[0], *re.split(r"['.-]", found[0])}:
            places.setdefault(_stem(form), []).append(n)
    return places


def _stem(word: str) -> str:
    return word.casefold().removesuffix("'s").rstrip("'.")


def _names(text: str) -> Iterator[tuple[str, bool, int, int]]:
    """Words with a capital, or any Latin word within Chinese: (word, opens a sentence, begin,
    end)."""
    chinese = is_chinese(text)
    for found in WORD.finditer(text):
        if found[0][0].isupper() or chinese:
            before = text[: found.start()].rstrip().rstrip("\"'“‘(«").rstrip()
            yield found[0], not before or before[-1] in ENDS, found.start(), found.end()


def _bad_names(text: str, words: dict[str, list[int]]) -> list[str]:
    bad = []
    for word, opens, _, _ in _names(text):
        stem = _stem(word)
        known = stem in words or all(_stem(p) in words for p in re.split(r"['.-]", word) if p)
        # An adverb or participle that opens a sentence is hardly a name.
        free = stem == "i" or (
            opens and (stem in OPENERS or (len(stem) > 5 and stem.endswith(("ing", "ed", "ly"))))
        )
        if not known and not free:
            bad.append(word)
    return bad


def _bad_pairs(text: str, words: dict[str, list[int]]) -> list[str]:
    """Two words of one name whose parts are in the source, but never near each other."""
    bad = []
    names = list(_names(text))
    for (first, opens, _, end), (second, _, begin, _) in itertools.pairwise(names):
        if text[end:begin] != " " or (opens and _stem(first) in OPENERS):
            continue
        here, there = words.get(_stem(first), []), words.get(_stem(second), [])
        if here and there and min(abs(a - b) for a in here for b in there) > NEAR:
            bad.append(f"{first} {second}")
    return bad


def _digits(text: str) -> list[str]:
    return [found.replace(",", "").rstrip("0").rstrip(".") if "." in found
            else found.replace(",", "") for found in NUMBER.findall(_plain(text))]  # fmt: skip


def _bad_numbers(text: str, source: str) -> list[str]:
    known = set(_digits(source)) | {
        NUMBER_WORDS[w] for w in re.findall(r"[a-z]+", source.casefold()) if w in NUMBER_WORDS
    }
    written = [w for w in re.findall(r"[a-z]+", text.casefold()) if w in NUMBER_WORDS]
    return [
        *(n for n in _digits(text) if n not in known),
        *(w for w in written if w not in FREE_NUMBERS and NUMBER_WORDS[w] not in known),
        *(n for n in HAN_NUMBER.findall(text) if n not in source),
    ]
