"""Words for a group of items: what it has and its surroundings lack.

The idea is class-based TF-IDF (Grootendorst 2022, arXiv:2203.05794): the share of a group that
carries a term, times how much more that is than elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.types import Catalogue, Item, Rows

KIND_WORDS = {
    "movie": "films", "series": "series", "video": "videos", "short": "shorts", "track": "music",
    "album": "albums", "podcast": "podcasts", "speech": "speech", "book": "books", "game": "games",
    "image": "pictures", "post": "posts",
}  # fmt: skip
LEAST_SHARE = 0.3  # of a group that must carry a term …
LEAST_SHARE_BY = 0.4  # … and more, for a person's name or a decade to stand for it
LEAST_LIFT = 1.25
LOOSELY = 0.5  # of these measures is enough where nothing reaches them
MOST_TAGS = 2
_YEAR = re.compile(r"\s*\(\d{4}\)$")


def terms(item: Item) -> frozenset[tuple[str, str]]:
    """(sort, word) of an item: its tags, creators, decade and kind."""
    out = {("tag", tag.lower()) for tag in item.tags if tag.strip()}
    out |= {("by", name) for name in item.creators if name.strip()}
    if item.year is not None:
        out.add(("decade", f"{item.year // 10 * 10}s"))
    out.add(("kind", KIND_WORDS.get(item.kind, item.kind)))
    return frozenset(out)


@dataclass(frozen=True)
class Labeller:
    """Names groups of a catalogue's items."""

    catalogue: Catalogue

    @cached_property
    def _everywhere(self) -> dict[tuple[str, str], float]:
        counts = Counter(term for item in self.catalogue.items for term in terms(item))
        return {term: n / len(self.catalogue) for term, n in counts.items()}

    def labels(self, groups: Sequence[Rows]) -> list[str]:
        """One label a group: never empty, and no two alike."""
        own = [self._shares(rows) for rows in groups]
        out: list[str] = []
        for n, rows in enumerate(groups):
            others = [shares for m, shares in enumerate(own) if m != n]
            title = (
                _YEAR.sub("", self.catalogue.items[rows[0]].title) or self.catalogue.ids[rows[0]]
            )
            label = self._label(own[n], others) or f"like {title}"
            if label in out:
                label = f"{label} like {title}"
            if label in out:  # two groups led by items of one title
                label = f"{label} ({self.catalogue.ids[rows[0]]})"
            out.append(label)
        return out

    def _shares(self, rows: Rows) -> dict[tuple[str, str], float]:
        counts = Counter(t for row in rows.tolist() for t in terms(self.catalogue.items[row]))
        return {term: n / len(rows) for term, n in counts.items()}

    def _label(
        self, own: dict[tuple[str, str], float], others: Sequence[dict[tuple[str, str], float]]
    ) -> str:
        """Decade, tags, creator, and the kind where the catalogue holds several kinds."""
        best = self._telling(own, others, 1.0)
        if not best["tag"]:
            best["tag"] = self._telling(own, others, LOOSELY)["tag"]
        tags = best["tag"][:MOST_TAGS] or _commonest(own, "tag")
        kinds = [word for (sort, word), share in own.items() if sort == "kind" and share >= 0.6]
        mixed = sum(1 for sort, _ in self._everywhere if sort == "kind") > 1
        parts = [*best["decade"][:1], " & ".join(tags), *(kinds if mixed or not tags else [])]
        label = " ".join(part for part in parts if part)
        return f"{label} by {best['by'][0]}" if best["by"] else label

    def _telling(
        self,
        own: dict[tuple[str, str], float],
        others: Sequence[dict[tuple[str, str], float]],
        measure: float,
    ) -> dict[str, list[str]]:
        """The words of each sort that a group has and its surroundings lack, most telling first."""
        found: dict[str, list[tuple[float, str]]] = {"tag": [], "by": [], "decade": []}
        for (sort, word), share in own.items():
            least = LEAST_SHARE if sort == "tag" else LEAST_SHARE_BY
            if sort == "kind" or share < measure * least:
                continue
            usual = self._everywhere.get((sort, word), 0.0)
            beside = float(np.mean([o.get((sort, word), 0.0) for o in others])) if others else usual
            lift = (share + 0.02) / (0.5 * (usual + beside) + 0.02)
            if lift >= 1 + measure * (LEAST_LIFT - 1):
                found[sort].append((share * float(np.log(lift)), word))
        ordered = {
            sort: sorted(f, key=lambda pair: (-pair[0], pair[1])) for sort, f in found.items()
        }
        return {sort: [word for _, word in pairs] for sort, pairs in ordered.items()}


def _commonest(own: dict[tuple[str, str], float], sort: str) -> list[str]:
    """The word of a sort that most of a group carries, where it is carried by some share of it."""
    found = sorted((-share, word) for (s, word), share in own.items() if s == sort)
    return [word for share, word in found[:1] if -share >= LEAST_SHARE]
