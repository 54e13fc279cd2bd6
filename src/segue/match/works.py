"""Are two items one work? A learned probability over what catalogues tell of them.

Fellegi and Sunter (1969), A Theory for Record Linkage, with the weights learned by logistic
regression. Three outcomes: the same, different, or a person decides.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from segue.core.types import Bools, Doubles, Item
from segue.match.blocking import Work
from segue.match.titles import Title, triples, variants, year_in

WEIGHTS_FILE = "works.json"
FEATURES = (
    "exact title", "main title only", "letters", "words", "words one side lacks", "same numbers",
    "other numbers", "same year", "one year apart", "two years apart", "far in years",
    "years unknown", "creators shared", "no creator shared", "creators unknown",
    "same length", "near length", "other length", "length unknown", "tags shared", "tags unknown",
    "rare title", "exact title and year", "exact title, far in years", "exact title and creators",
    "title and no creator", "year and creators and length", "namesakes",
    "exact title, one year apart", "exact rare title", "exact rare title, near years",
    "one title inside the other", "one inside the other, same year", "like letters, same year",
)  # fmt: skip


def work_of(item: Item, row: int, platforms: Sequence[str]) -> Work:
    """What of an item is compared."""
    others = item.extra.get("titles", ())
    given = item.extra.get("ids", {})
    return Work(
        row=row,
        kind=item.kind,
        titles=variants(item.title, [str(t) for t in others] if isinstance(others, list) else ()),
        year=item.year if item.year is not None else year_in(item.title),
        creators=frozenset(filter(None, (plain_name(name) for name in item.creators))),
        duration_s=item.duration_s,
        tags=frozenset(tag.casefold() for tag in item.tags),
        platforms=frozenset(platforms),
        ids=tuple(sorted((str(k), str(v)) for k, v in given.items()))
        if isinstance(given, dict) else (),
    )  # fmt: skip


def plain_name(name: str) -> str:
    """A person's name without case, accents and initials."""
    words = variants(name)
    return " ".join(w for w in words[0].words if len(w) > 1) if words else ""


class Rarity:
    """How much a shared word tells: log of how few works have it."""

    def __init__(self, works: Sequence[Work]) -> None:
        self.n = max(2, len(works))
        self.words = Counter(w for work in works for w in {w for t in work.titles for w in t.words})
        self.titles = Counter(
            (work.kind, text, platform)
            for work in works
            for text in {t.text for t in work.titles}
            for platform in work.platforms
        )

    def of(self, words: Sequence[str] | frozenset[str]) -> float:
        """>= 0; the sum over words."""
        return sum(math.log(self.n / (1 + min(self.words[w], self.n - 1))) for w in words)

    def namesakes(self, work: Work, title: Title) -> int:
        """How many works of its own platforms have this title."""
        return max((self.titles[work.kind, title.text, p] for p in work.platforms), default=1)


def features(a: Work, b: Work, rarity: Rarity) -> Doubles:
    """(len(FEATURES),) of one pair; the same whichever comes first."""
    told: dict[str, float] = {}
    _titles(a, b, rarity, told)
    _years(a, b, told)
    _makers(a, b, told)
    _lengths(a, b, told)
    known = bool(a.tags) and bool(b.tags)
    told["tags unknown"] = float(not known)
    if known:
        told["tags shared"] = len(a.tags & b.tags) / min(len(a.tags), len(b.tags))
    _together(told)
    return np.array([told.get(name, 0.0) for name in FEATURES])


def _titles(a: Work, b: Work, rarity: Rarity, told: dict[str, float]) -> None:
    best, pair = -1.0, None
    for one in a.titles:
        for other in b.titles:
            score = _likeness(one, other)
            if score > best:
                best, pair = score, (one, other)
    if pair is None:
        return
    one, other = pair
    exact = "".join(one.words) == "".join(other.words)
    told["exact title"] = float(exact)
    told["letters"] = best
    shared, either = set(one.words) & set(other.words), set(one.words) | set(other.words)
    told["words"] = rarity.of(frozenset(shared)) / max(rarity.of(frozenset(either)), 1e-9)
    fewer = min(one.words, other.words, key=len)
    told["words one side lacks"] = len(shared) / len(set(fewer)) * float(not exact)
    mains = one.main == other.main or one.main == other.words or other.main == one.words
    told["main title only"] = float(mains and not exact)
    told["one title inside the other"] = float(set(fewer) <= shared and not exact)
    numbers = one.numbers ^ other.numbers
    told["other numbers"] = float(bool(numbers))
    told["same numbers"] = float(bool(one.numbers) and not numbers)
    told["rare title"] = min(rarity.of(frozenset(shared)), 30.0) / 10
    same = max(rarity.namesakes(a, one), rarity.namesakes(b, other))
    told["namesakes"] = float(exact) * math.log(max(1, same))


def _likeness(one: Title, other: Title) -> float:
    x, y = triples(one.text), triples(other.text)
    return 2 * len(x & y) / (len(x) + len(y))


def _years(a: Work, b: Work, told: dict[str, float]) -> None:
    if a.year is None or b.year is None:
        told["years unknown"] = 1.0
        return
    apart = abs(a.year - b.year)
    name = {0: "same year", 1: "one year apart", 2: "two years apart"}.get(apart, "far in years")
    told[name] = 1.0


def _makers(a: Work, b: Work, told: dict[str, float]) -> None:
    if not a.creators or not b.creators:
        told["creators unknown"] = 1.0
        return
    shared = len(a.creators & b.creators)
    told["no creator shared"] = float(shared == 0)
    told["creators shared"] = min(1.0, shared / min(3, len(a.creators), len(b.creators)))


def _lengths(a: Work, b: Work, told: dict[str, float]) -> None:
    if not a.duration_s or not b.duration_s:
        told["length unknown"] = 1.0
        return
    apart = abs(math.log(a.duration_s / b.duration_s))
    name = "same length" if apart <= 0.025 else "near length" if apart <= 0.08 else "other length"
    told[name] = 1.0


def _together(told: dict[str, float]) -> None:
    """What two facts say together beyond each alone."""
    exact, year = told.get("exact title", 0.0), told.get("same year", 0.0)
    made, none = told.get("creators shared", 0.0), told.get("no creator shared", 0.0)
    told["exact title and year"] = exact * year
    told["exact title, far in years"] = exact * told.get("far in years", 0.0)
    told["exact title and creators"] = exact * made
    told["title and no creator"] = exact * none
    length = told.get("same length", 0.0)
    apart = told.get("one year apart", 0.0)
    rare, inside = told.get("rare title", 0.0), told.get("one title inside the other", 0.0)
    told["exact title, one year apart"] = exact * apart
    told["exact rare title"] = exact * rare
    told["exact rare title, near years"] = exact * rare * max(year, apart)
    told["one inside the other, same year"] = inside * year
    told["like letters, same year"] = told.get("letters", 0.0) * (1 - exact) * year
    told["year and creators and length"] = year * float(made > 0) * length


@dataclass(frozen=True)
class Model:
    """Learned weights. ``slope`` and ``shift`` calibrate the score on pairs not learned from."""

    weights: Doubles  # (len(FEATURES),)
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def probability(self, x: Doubles) -> Doubles:
        """(n,) in (0, 1): that each pair of (n, len(FEATURES)) is one work."""
        score = self.slope * (x @ self.weights + self.intercept) + self.shift
        return np.asarray(1 / (1 + np.exp(-np.clip(score, -40, 40))))

    @staticmethod
    def shipped() -> Model:
        """The weights that come with segue; benchmarks/people/learn_works.py makes them."""
        text = (resources.files("segue.match") / WEIGHTS_FILE).read_text("utf-8")
        return Model.of(json.loads(text))

    @staticmethod
    def of(told: Mapping[str, object]) -> Model:
        weights = told["weights"]
        assert isinstance(weights, dict)
        return Model(
            np.array([float(weights[name]) for name in FEATURES]),
            float(str(told["intercept"])),
            float(str(told["slope"])),
            float(str(told["shift"])),
        )


@dataclass(frozen=True)
class Scored:
    """A pair of positions with the probability that they are one work."""

    first: int
    second: int
    probability: float
    rival: float = 0.0  # the best probability of another partner of either on the same platform
    by_id: bool = False  # a registry's id settled it


def score(
    works: Sequence[Work], found: Sequence[tuple[int, int]], model: Model, rarity: Rarity,
    *, use_ids: bool = True,
) -> list[Scored]:  # fmt: skip
    """Probabilities of candidate pairs. An id of a registry that both have settles the matter."""
    if not found:
        return []
    x = np.stack([features(works[a], works[b], rarity) for a, b in found])
    p = model.probability(x)
    settled = np.zeros(len(found), dtype=np.bool_)
    if use_ids:
        settled = _settle(works, found, p)
    rivals = _rivals(works, found, p)
    return [
        Scored(a, b, float(p[n]), float(rivals[n]), bool(settled[n]))
        for n, (a, b) in enumerate(found)
    ]


def _settle(works: Sequence[Work], found: Sequence[tuple[int, int]], p: Doubles) -> Bools:
    settled = np.zeros(len(found), dtype=np.bool_)
    for n, (a, b) in enumerate(found):
        one, other = dict(works[a].ids), dict(works[b].ids)
        both = one.keys() & other.keys()
        if both:
            p[n] = 1.0 if all(one[k] == other[k] for k in both) else 0.0
            settled[n] = True
    return settled


def _rivals(works: Sequence[Work], found: Sequence[tuple[int, int]], p: Doubles) -> Doubles:
    """Of each pair: the probability of the best other candidate that would take its place."""
    best: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for n, (a, b) in enumerate(found):
        for of, other in ((a, b), (b, a)):
            for platform in works[other].platforms:
                top = best.setdefault((of, platform), [])
                top.append((float(p[n]), n))
                top.sort(reverse=True)
                del top[2:]
    out = np.zeros(len(found))
    for n, (a, b) in enumerate(found):
        for of, other in ((a, b), (b, a)):
            for platform in works[other].platforms:
                others = [q for q, m in best[of, platform] if m != n]
                out[n] = max(out[n], max(others, default=0.0))
    return out
