"""Which pairs of works are worth a look: those that share a rare key. Linear in the catalogue.

A key is a spelling of the title, a pair of its rarest words, a rare part of its letters, its main
part, or who made it when and how long it is. Buckets that are too full tell nothing and are
thinned by year (Christen 2012, Data Matching, ch. 4).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segue.core.types import Floats
from segue.match.titles import Title, triples

Key = tuple[str, ...]


@dataclass(frozen=True)
class Blocking:
    """How hard candidates are looked for."""

    most_in_bucket: int = 60
    rare_words: int = 3  # of a title that are keys, alone or in pairs
    rare_triples: int = 4
    word_at_most: int = 40  # items that a word may occur in to be a key alone
    triple_at_most: int = 25
    years_apart: int = 2  # beyond it a shared key other than the whole title is chance
    neighbours: int = 5  # nearest content vectors
    least_cosine: float = 0.8


@dataclass(frozen=True)
class Work:
    """What is compared of an item. ``platforms``: sources that have it."""

    row: int
    kind: str
    titles: tuple[Title, ...]
    year: int | None
    creators: frozenset[str]  # plain names
    duration_s: float | None
    tags: frozenset[str]
    platforms: frozenset[str]
    ids: tuple[tuple[str, str], ...] = ()  # of registries: (imdb, tt0113277)


def pairs(works: Sequence[Work], how: Blocking, vectors: Floats | None = None) -> list[
    tuple[int, int]
]:  # fmt: skip
    """(first, second) positions in ``works``, ascending, each once; never of one platform only."""
    buckets: dict[Key, list[int]] = defaultdict(list)
    for at, work in enumerate(works):
        for key in set(_keys(work, how)):
            buckets[key].append(at)
    for key, at in _rare(works, how):
        buckets[key].append(at)
    found: set[tuple[int, int]] = set()
    for key, members in buckets.items():
        if len(members) > 1:
            found.update(_of_bucket(works, key, members, how))
    if vectors is not None:
        found.update(_nearest(works, vectors, how))
    return sorted(found)


def _keys(work: Work, how: Blocking) -> Iterator[Key]:
    for title in work.titles:
        yield (work.kind, "title", "".join(title.words))
        yield (work.kind, "main", " ".join(title.main))
    if work.year is not None and work.duration_s:
        for name in work.creators:
            for year in (work.year, work.year + 1):
                yield (work.kind, "made", name, str(year), str(int(work.duration_s // 240)))
    for registry, number in work.ids:
        yield ("id", registry, number)


def _rare(works: Sequence[Work], how: Blocking) -> Iterator[tuple[Key, int]]:
    """Keys that depend on how often their parts occur in all works."""
    words = Counter(w for work in works for w in {w for t in work.titles for w in t.words})
    parts = Counter(p for work in works for p in {p for t in work.titles for p in triples(t.text)})
    for at, work in enumerate(works):
        keys: set[Key] = set()
        for title in work.titles:
            rare = sorted(set(title.words), key=lambda w: (words[w], w))[: how.rare_words]
            keys |= {(work.kind, "word", w) for w in rare if words[w] <= how.word_at_most}
            keys |= {(work.kind, "words", *sorted((a, b))) for a in rare for b in rare if a < b}
            odd = sorted(triples(title.text), key=lambda p: (parts[p], p))[: how.rare_triples]
            keys |= {(work.kind, "letters", p) for p in odd if parts[p] <= how.triple_at_most}
        yield from ((key, at) for key in keys)


def _of_bucket(
    works: Sequence[Work], key: Key, members: Sequence[int], how: Blocking
) -> Iterator[tuple[int, int]]:
    whole = key[1] == "title" or key[0] == "id"
    if len(members) > how.most_in_bucket:
        by_year: dict[int | None, list[int]] = defaultdict(list)
        for at in members:
            by_year[works[at].year].append(at)
        parts = [p for p in by_year.values() if len(p) <= how.most_in_bucket]
    else:
        parts = [list(members)]
    for part in parts:
        for n, a in enumerate(part):
            for b in part[n + 1 :]:
                if worth(works[a], works[b], how, whole=whole):
                    yield (a, b) if a < b else (b, a)


def worth(a: Work, b: Work, how: Blocking, *, whole: bool) -> bool:
    """A platform has a work once, and works of other years share words by chance."""
    if a.platforms & b.platforms or a.kind != b.kind:
        return False
    near = a.year is None or b.year is None or abs(a.year - b.year) <= how.years_apart
    return whole or near


def _nearest(
    works: Sequence[Work], vectors: Floats, how: Blocking, block: int = 512
) -> Iterator[tuple[int, int]]:
    """Neighbours in content: what a translated title hides. Rows without a vector are zero."""
    for start in range(0, len(works), block):
        cosines = vectors[start : start + block] @ vectors.T
        best = np.argpartition(-cosines, how.neighbours, axis=1)[:, : how.neighbours + 1]
        for n, others in enumerate(best.tolist()):
            a = start + n
            for b in others:
                near = a != b and cosines[n, b] >= how.least_cosine
                if near and worth(works[a], works[b], how, whole=False):
                    yield (a, b) if a < b else (b, a)
