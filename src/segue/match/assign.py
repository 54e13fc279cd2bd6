"""From probabilities of pairs to works: merged, left to a person, or different."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from segue.core.errors import BadSettings
from segue.match.blocking import Work
from segue.match.works import Scored

LEARNED_KINDS = frozenset({"movie"})  # whose pairs the shipped weights were learned and tested on


@dataclass(frozen=True)
class Rule:
    """``[works]``: at which probability two items are merged, and from which a person is asked.

    The defaults were set on pairs kept back from learning: 99.9 % of what is merged is right.
    """

    merge_at: float = 0.9
    propose_at: float = 0.2
    by_id: bool = True  # an id that both sources name (IMDb's, say) settles the matter

    def __post_init__(self) -> None:
        if not 0 < self.propose_at <= self.merge_at <= 1:
            raise BadSettings(
                "[works] needs 0 < propose_at <= merge_at <= 1, "
                f"got propose_at {self.propose_at}, merge_at {self.merge_at}"
            )


@dataclass(frozen=True)
class Outcome:
    """What is to be done; positions of works. What is in neither is different."""

    merged: tuple[Scored, ...]
    proposed: tuple[Scored, ...]


class _Groups:
    """Works so far, with what may not come together."""

    def __init__(self, works: Sequence[Work], apart: Collection[tuple[int, int]]) -> None:
        self.works = works
        self.of = list(range(len(works)))
        self.members = {n: [n] for n in range(len(works))}
        self.apart: dict[int, set[int]] = {}
        for a, b in apart:
            self.apart.setdefault(a, set()).add(b)
            self.apart.setdefault(b, set()).add(a)

    def one(self, a: int, b: int) -> bool:
        return self.of[a] == self.of[b]

    def fits(self, a: int, b: int) -> bool:
        """May the works of a and b be one? A platform has a work once; ids and years agree."""
        mine, theirs = self.members[self.of[a]], self.members[self.of[b]]
        return all(self._agree(x, y) for x in mine for y in theirs)

    def _agree(self, x: int, y: int) -> bool:
        one, other = self.works[x], self.works[y]
        if one.platforms & other.platforms or y in self.apart.get(x, ()):
            return False
        first, second = dict(one.ids), dict(other.ids)
        if any(first[k] != second[k] for k in first.keys() & second.keys()):
            return False
        return one.year is None or other.year is None or abs(one.year - other.year) <= 3

    def join(self, a: int, b: int) -> None:
        root, goes = sorted((self.of[a], self.of[b]))
        for n in self.members.pop(goes):
            self.of[n] = root
            self.members[root].append(n)


def assign(
    works: Sequence[Work],
    scored: Iterable[Scored],
    rule: Rule,
    *,
    linked: Iterable[tuple[int, int]] = (),
    apart: Collection[tuple[int, int]] = (),
) -> Outcome:
    """The surest pairs first. ``linked`` are one already, ``apart`` a person called different.

    What is sure but would give a platform one work twice, or bring together what ids or years
    keep apart, goes to a person too, unless the same platform offers a surer partner.
    """
    groups = _Groups(works, apart)
    for a, b in linked:
        if not groups.one(a, b):
            groups.join(a, b)
    merged, asked = [], []
    kept_apart = {*apart, *((b, a) for a, b in apart)}
    for pair in sorted(scored, key=lambda s: (-s.probability, s.first, s.second)):
        if pair.probability < rule.propose_at:
            break
        a, b = pair.first, pair.second
        if groups.one(a, b) or (a, b) in kept_apart:
            continue
        if _sure(works, pair, rule) and groups.fits(a, b):
            groups.join(a, b)
            merged.append(pair)
        else:
            asked.append(pair)
    return Outcome(tuple(merged), tuple(_questions(groups, asked)))


def _questions(groups: _Groups, asked: Sequence[Scored]) -> Iterator[Scored]:
    """What is still open: two works are asked of once, by their surest pair."""
    seen: set[tuple[int, int]] = set()
    for pair in asked:
        a, b = sorted((groups.of[pair.first], groups.of[pair.second]))
        if a != b and (a, b) not in seen and _asks(groups, pair):
            seen.add((a, b))
            yield pair


def _sure(works: Sequence[Work], pair: Scored, rule: Rule) -> bool:
    learned = works[pair.first].kind in LEARNED_KINDS
    return pair.by_id or (learned and pair.probability >= rule.merge_at)


def _asks(groups: _Groups, pair: Scored) -> bool:
    """Nobody is asked of a pair whose place a surer partner of the same platform has taken."""
    mine, theirs = (groups.members[groups.of[n]] for n in (pair.first, pair.second))
    return not any(
        groups.works[x].platforms & groups.works[y].platforms for x in mine for y in theirs
    )
