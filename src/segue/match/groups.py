"""What people have in common, as small codes: age band, gender, country, device, taste, presence.

Codes are >= 0, and -1 where nothing is known. A grouping grows words as it meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from segue.core.types import DAY_S, Catalogue, Floats, Histories, Profile, Rows

ATTRIBUTES = ("gender", "age", "country", "device", "taste", "presence")
AGES = (18, 25, 35, 45, 55, 65)
MOST_WORDS = 40  # of an attribute that people write freely; what comes later is unknown
MOST_TAGS = 40
LEAST_ENTRIES = 3  # of a history that has a taste
PRIOR = 10.0  # entries of the common mix that every taste is mixed with
LEAST_LEANING = 1.2  # times the common share that a taste's tag has
PRESENCE = ("here in the last week", "here in the last month", "away for longer")
_DAYS = (7.0, 30.0)
_WOMEN, _MEN = ("f", "female", "woman", "women", "女"), ("m", "male", "man", "men", "男")


@dataclass
class Grouping:
    """Codes and words of groups, for one catalogue."""

    catalogue: Catalogue
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    tags: tuple[str, ...] = field(init=False)
    _marks: sp.csr_matrix = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lists = [tuple(dict.fromkeys(item.tags)) for item in self.catalogue.items]
        names, counts = np.unique([t for tags in lists for t in tags], return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MOST_TAGS]
        self.tags = tuple(str(names[n]) for n in order if counts[n] >= 2)
        column = {tag: n for n, tag in enumerate(self.tags)}
        cells = [(row, column[t]) for row, tags in enumerate(lists) for t in tags if t in column]
        rows, columns = (np.array(cells, dtype=np.intp).reshape(-1, 2)).T
        ones = np.ones(len(rows), dtype=np.float32)
        shape = (len(self.catalogue), len(self.tags))
        self._marks = sp.csr_matrix((ones, (rows, columns)), shape=shape)

    def codes(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Rows:
        """(n_users, len(ATTRIBUTES)) of some people as of a time."""
        number: dict[Profile, int] = {}
        place = np.array([number.setdefault(p, len(number)) for p in profiles], dtype=np.intp)
        told = np.array([self._profile(p) for p in number], dtype=np.intp).reshape(-1, 4)
        return np.column_stack([told[place], self._taste(histories), _presence(histories, at)])

    def _profile(self, profile: Profile) -> tuple[int, int, int, int]:
        age = -1 if profile.age is None else int(np.searchsorted(AGES, profile.age, side="right"))
        return (
            self._word("gender", _gender(profile.gender)),
            age,
            self._word("country", profile.country),
            self._word("device", profile.device),
        )

    def _word(self, attribute: str, word: str | None) -> int:
        if not word:
            return -1
        known = self.known.setdefault(attribute, {})
        if word not in known and len(known) >= MOST_WORDS:
            return -1
        return known.setdefault(word, len(known))

    def _taste(self, histories: Histories) -> Rows:
        """(n_users,) the tag that stands out most in what a person wanted; -1 for none."""
        out = np.full(histories.n_users, -1, dtype=np.intp)
        if not self.tags:
            return out
        inside = (histories.weights > 0) & (histories.items < self._marks.shape[0])
        ends = np.concatenate([[0], np.cumsum(inside)])[histories.indptr]
        ones = np.ones(int(inside.sum()), dtype=np.float32)
        shape = (histories.n_users, self._marks.shape[0])
        taken = sp.csr_matrix((ones, histories.items[inside], ends), shape=shape)
        counts: Floats = (taken @ self._marks).toarray()
        common = self._common()
        size = np.diff(ends)
        leaning = (counts + PRIOR * common) / (size[:, None] + PRIOR) / common
        best = leaning.argmax(axis=1)
        told = (size >= LEAST_ENTRIES) & (leaning.max(axis=1) >= LEAST_LEANING)
        out[told] = best[told]
        return out

    def _common(self) -> Floats:
        """(n_tags,) share of the catalogue's items that carry each tag."""
        share = np.asarray(self._marks.mean(axis=0), dtype=np.float32).ravel()
        return np.maximum(share, np.float32(1e-6))

    def words(self, conditions: Sequence[tuple[str, int]]) -> str:
        """A description such as "women, 25–34, taste for sci-fi"."""
        return ", ".join(self._said(name, code) for name, code in conditions) or "everybody"

    def _said(self, name: str, code: int) -> str:
        if name == "age":
            low, high = (0, *AGES)[code], (*AGES, None)[code]
            return f"{low} and older" if high is None else f"aged {low}–{high - 1}"
        if name == "taste":
            return f"taste for {self.tags[code]}"
        if name == "presence":
            return PRESENCE[code]
        word = next(w for w, n in self.known[name].items() if n == code)
        return {"country": f"in {word}", "device": f"on {word}"}.get(name, word)


def _gender(word: str | None) -> str | None:
    folded = (word or "").casefold()
    if folded in _WOMEN:
        return "women"
    return "men" if folded in _MEN else word


def _presence(histories: Histories, at: float) -> Rows:
    out = np.full(histories.n_users, -1, dtype=np.intp)
    filled = histories.counts > 0
    last = histories.times[histories.indptr[1:][filled] - 1]
    out[filled] = np.searchsorted(_DAYS, (at - last) / DAY_S, side="left")
    return out
