"""An audience: whom an item suits, and which groups of people stand out, in bounded memory.

Pure functions and tallies over arrays: people come in chunks, each with a probability; what stays
are the best few, a histogram, and sums of cells of like people. Segments are found by subgroup
discovery (Klösgen, in Advances in Knowledge Discovery and Data Mining, 1996): of all short
descriptions, those whose expected response stands furthest above the base rate for their size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Doubles, Rows

LEAST_PEOPLE = 20  # of a segment: fewer could be recognised (k-anonymity: Sweeney, 2002)
MOST_CONDITIONS = 3
MOST_SEGMENTS = 6
LEAST_LIFT = 1.1
LEAST_GAP = 4.0  # standard errors above the base rate: hundreds of descriptions are looked at
Z = 1.959964  # of a 95 % interval
BINS = 2000  # of the histogram, a thousandth of the logarithm's range each
SMALLEST = 1e-6  # probability that is told apart


@dataclass
class Best:
    """The ``k`` likeliest of all that were added; of equals those who came first."""

    k: int
    rows: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    values: Doubles = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadInput(f"k must be >= 1, got {self.k}")

    def add(self, rows: Rows, values: Doubles) -> None:
        """Rows (n,) come in ascending order, over all calls."""
        if len(self.values) == self.k:
            better = values > self.values[-1]
            rows, values = rows[better], values[better]
        rows, values = np.concatenate([self.rows, rows]), np.concatenate([self.values, values])
        order = np.argsort(-values, kind="stable")[: self.k]
        self.rows, self.values = rows[order], values[order]


@dataclass
class Curve:
    """How many people and how much expected response stand at each probability."""

    people: Doubles = field(default_factory=lambda: np.zeros(BINS))
    expected: Doubles = field(default_factory=lambda: np.zeros(BINS))

    def add(self, values: Doubles) -> None:
        place = np.log(np.clip(values, SMALLEST, 1.0) / SMALLEST) / -np.log(SMALLEST)
        at = np.minimum((place * BINS).astype(np.intp), BINS - 1)
        self.people += np.bincount(at, minlength=BINS)
        self.expected += np.bincount(at, values, minlength=BINS)

    def gains(self) -> tuple[Doubles, Doubles]:
        """Share of people asked, likeliest first, and the share of the response they are."""
        asked = np.concatenate([[0.0], np.cumsum(self.people[::-1])])
        found = np.concatenate([[0.0], np.cumsum(self.expected[::-1])])
        return asked / max(asked[-1], 1.0), found / max(found[-1], 1e-12)

    def lift(self, share: float) -> float:
        """Expected response among the likeliest ``share`` of people over that among all."""
        if not 0 < share <= 1:
            raise BadInput(f"a share of people lies in (0, 1], got {share}")
        asked, found = self.gains()
        return float(np.interp(share, asked, found) / share)


Sums = tuple[float, float, float]  # people, their probabilities, the squares of these
Conditions = tuple[tuple[str, int], ...]


@dataclass
class Cells:
    """Sums over people who are alike in every attribute. Codes are >= 0; -1 is unknown."""

    attributes: tuple[str, ...]
    sums: dict[tuple[int, ...], Sums] = field(default_factory=dict)

    def add(self, codes: Rows, values: Doubles) -> None:
        """``codes`` (n, n_attributes) and probabilities (n,) of some people."""
        if not len(values):
            return
        if codes.shape[1] != len(self.attributes):
            raise BadInput(f"{codes.shape[1]} codes a person for {len(self.attributes)} attributes")
        distinct, place = np.unique(codes, axis=0, return_inverse=True)
        place = place.reshape(-1)
        added = [np.bincount(place, values**power).tolist() for power in (0, 1, 2)]
        for code, *more in zip(distinct.tolist(), *added, strict=True):
            had = self.sums.get(tuple(code), (0.0, 0.0, 0.0))
            self.sums[tuple(code)] = (had[0] + more[0], had[1] + more[1], had[2] + more[2])

    def total(self) -> Sums:
        """Over everybody."""
        people, expected, squares = (sum(part) for part in zip(*self.sums.values(), strict=True))
        return people, expected, squares


@dataclass(frozen=True)
class Segment:
    """People who share a description. ``conditions`` are (attribute, code).

    ``rate`` is the expected share who respond; ``low`` and ``high`` say between which shares the
    one that comes will lie, 19 times in 20, if the probabilities are true. ``lift`` is over the
    rate of all people; its interval takes that rate as known.
    """

    conditions: Conditions
    people: int
    expected: float
    rate: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float


def wilson(rate: float, n: float) -> tuple[float, float]:
    """The interval of a share seen among ``n`` people (Wilson, JASA 1927)."""
    if n <= 0:
        raise BadInput(f"an interval of a share needs people, got {n}")
    middle = rate + Z * Z / (2 * n)
    spread = Z * np.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return float(min(max(low, 0.0), rate)), float(max(min(high, 1.0), rate))


def segments(
    cells: Cells, *, least: int = LEAST_PEOPLE, most: int = MOST_SEGMENTS
) -> tuple[tuple[Segment, ...], int]:
    """Up to ``most`` segments that do not overlap, the most telling first; and how many
    descriptions were too small to be named (fewer than ``least`` people).

    Two descriptions do not overlap because they differ in an attribute that both name.
    """
    if not cells.sums:
        return (), 0
    people, expected, squares = cells.total()
    base = expected / people
    variance = max(squares / people - base * base, 1e-18)
    found, small = _described(cells, least)
    worth = {}
    for conditions, (n, total) in found.items():
        gap = (total / n - base) * np.sqrt(n / variance)
        if gap >= LEAST_GAP and total / n >= LEAST_LIFT * base and n < people:
            worth[conditions] = gap
    chosen: list[Conditions] = []
    # Fewer conditions first among equals: the shorter description says the same.
    for conditions in sorted(worth, key=lambda c: (-worth[c], len(c), c)):
        if all(_apart(conditions, other) for other in chosen):
            chosen.append(conditions)
        if len(chosen) == most:
            break
    return tuple(_segment(c, *found[c], base) for c in chosen), small


def everybody(cells: Cells) -> Segment | None:
    """All people as one segment; None without any."""
    if not cells.sums:
        return None
    people, expected, _ = cells.total()
    return _segment((), people, expected, expected / people)


def _segment(conditions: Conditions, n: float, total: float, base: float) -> Segment:
    rate = total / n
    low, high = wilson(rate, n)
    scale = max(base, 1e-12)
    return Segment(
        conditions, int(n), total, rate, low, high, rate / scale, low / scale, high / scale
    )


def _apart(ours: Conditions, theirs: Conditions) -> bool:
    named = dict(theirs)
    return any(name in named and named[name] != code for name, code in ours)


def _described(cells: Cells, least: int) -> tuple[dict[Conditions, tuple[float, float]], int]:
    """Every description of few conditions with its people and expected response."""
    codes = np.array(list(cells.sums), dtype=np.intp).reshape(-1, len(cells.attributes))
    sums = np.array(list(cells.sums.values()))
    out: dict[Conditions, tuple[float, float]] = {}
    small = 0
    for size in range(1, MOST_CONDITIONS + 1):
        for columns in combinations(range(len(cells.attributes)), size):
            part = codes[:, columns]
            known = (part >= 0).all(axis=1)
            if not known.any():
                continue
            distinct, place = np.unique(part[known], axis=0, return_inverse=True)
            place = place.reshape(-1)
            n = np.bincount(place, sums[known, 0])
            total = np.bincount(place, sums[known, 1])
            small += int((n < least).sum())
            names = [cells.attributes[c] for c in columns]
            for at in np.flatnonzero(n >= least):
                conditions = tuple(zip(names, distinct[at].tolist(), strict=True))
                out[conditions] = (float(n[at]), float(total[at]))
    return out, small
