"""Learn the one space from behaviour, and prove on later behaviour that it is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segue.core.types import Bools, Doubles, Floats, Interactions, Rows, Vectors
from segue.evaluate.compare import Interval, bootstrap
from segue.understand.space import LIKED, Space, SpaceSettings, fit, item_factors, learn

GRID = tuple(
    SpaceSettings(factors, ridge, share)
    for factors in (32, 64) for ridge in (3.0, 30.0) for share in (1.0, 2.0)
)  # fmt: skip
LATE = 0.1  # share of the events, the newest, that judge
HIDDEN = 0.25  # share of the items that the judged map has not learned from
MOST_PEOPLE, MOST_A_PERSON = 2000, 20
MOST_ITEMS = 20_000  # that a pair's likeness is ranked among
LEAST_PAIRS = 100
BLOCK = 256  # pairs at a time


@dataclass(frozen=True)
class Pairs:
    """Two items that one person chose late, in the order of chance."""

    people: Rows
    first: Rows
    second: Rows

    def __len__(self) -> int:
        return len(self.first)

    def where(self, chosen: Bools) -> Pairs:
        return Pairs(self.people[chosen], self.first[chosen], self.second[chosen])


@dataclass(frozen=True)
class Learned:
    """``space`` is None where it is not better than the fixed projection. Figures are the mean
    reciprocal rank of the second of two items that one person chose, by likeness to the first."""

    space: Space | None
    settings: SpaceSettings | None
    n_pairs: int
    fixed: float
    learned: float
    gain: Interval | None
    hidden_gain: Interval | None  # of items that the judged map did not learn from
    said: str

    def __str__(self) -> str:
        if self.gain is None:
            return self.said
        low, high = self.gain.low, self.gain.high
        told = (
            f"likeness finds the next choice at MRR {self.learned:.4f}, before {self.fixed:.4f} "
            f"({self.gain.mean:+.4f} [{low:+.4f}, {high:+.4f}] on {self.n_pairs:,} late pairs)"
        )
        return "; ".join(part for part in (told, self.said) if part)


def learn_space(
    content: Vectors | None,
    interactions: Interactions,
    kinds: npt.NDArray[np.str_],
    seed: int = 0,
) -> Learned:
    """Choose the map's settings on some people's late choices, judge it on other people's, then
    learn it anew from everything."""
    rng = np.random.default_rng(seed)
    if content is None or not content.present.any() or not len(interactions):
        return _none("no content or no events to learn a space from")
    cut = float(np.quantile(interactions.time, 1 - LATE))
    pairs = late_pairs(interactions, content, cut, rng)
    if len(pairs) < LEAST_PAIRS:
        return _none(f"only {len(pairs)} late pairs of choices; {LEAST_PAIRS} would tell", pairs)
    early = interactions.before(cut)
    keep = rng.random(interactions.n_items) >= HIDDEN
    judge = np.isin(pairs.people, rng.permutation(np.unique(pairs.people))[::2])
    rank = _ranker(content, pairs, rng)
    fixed = rank(lambda values: values)
    factors = item_factors(early, max(settings.factors for settings in GRID), keep)
    best, best_ranks, best_mean = GRID[0], fixed, -1.0
    for settings in GRID:
        ranks = rank(fit(content, *factors, settings).place)
        mean = float(ranks[~judge].mean())
        if mean > best_mean:
            best, best_ranks, best_mean = settings, ranks, mean
    gain = _by_person(best_ranks - fixed, pairs, judge, rng)
    hidden = judge & ~keep[pairs.second]
    hidden_gain = _by_person(best_ranks - fixed, pairs, hidden, rng) if hidden.any() else None
    better = gain.low > 0
    every = np.ones(interactions.n_items, dtype=np.bool_)
    return Learned(
        space=learn(content, interactions, best, every, kinds) if better else None,
        settings=best,
        n_pairs=int(judge.sum()),
        fixed=float(fixed[judge].mean()),
        learned=float(best_ranks[judge].mean()),
        gain=gain,
        hidden_gain=hidden_gain,
        said="" if better else "behaviour did not prove a better space; the fixed one stays",
    )


def _none(said: str, pairs: Pairs | None = None) -> Learned:
    return Learned(None, None, 0 if pairs is None else len(pairs), 0.0, 0.0, None, None, said)


def late_pairs(
    interactions: Interactions, content: Vectors, cut: float, rng: np.random.Generator
) -> Pairs:
    """Neighbours in a shuffled list of what each person chose after ``cut``."""
    late = (interactions.time >= cut) & (interactions.weight > LIKED)
    late &= content.present[interactions.items]
    users, items = interactions.users[late], interactions.items[late]
    people = rng.permutation(np.unique(users))[:MOST_PEOPLE]
    mixed = rng.permutation(len(users))
    mixed = mixed[np.isin(users[mixed], people)]
    order = mixed[np.argsort(users[mixed], kind="stable")]
    users, items = users[order], items[order]
    place = np.arange(len(users)) - np.searchsorted(users, users)
    users, items = users[place <= MOST_A_PERSON], items[place <= MOST_A_PERSON]
    same = (users[1:] == users[:-1]) & (items[1:] != items[:-1])
    return Pairs(users[1:][same], items[:-1][same], items[1:][same])


def _ranker(
    content: Vectors, pairs: Pairs, rng: np.random.Generator
) -> Callable[[Callable[[Floats], Floats]], Doubles]:
    """A function from a placing of vectors to (n_pairs,) reciprocal ranks."""
    others = rng.permutation(np.flatnonzero(content.present))[:MOST_ITEMS]
    among = np.unique(np.concatenate([others, pairs.second]))
    target = np.searchsorted(among, pairs.second)

    def ranks(place: Callable[[Floats], Floats]) -> Doubles:
        stood = place(np.asarray(content.values[among], dtype=np.float32))
        asked = place(np.asarray(content.values[pairs.first], dtype=np.float32))
        out = np.empty(len(pairs), dtype=np.float64)
        for at in range(0, len(pairs), BLOCK):
            part = slice(at, at + BLOCK)
            cosines = asked[part] @ stood.T
            own = among[None, :] == pairs.first[part][:, None]
            cosines[own] = -np.inf
            mine = cosines[np.arange(len(cosines)), target[part]]
            out[part] = 1.0 / (1 + (cosines > mine[:, None]).sum(axis=1))
        return out

    return ranks


def _by_person(gains: Doubles, pairs: Pairs, chosen: Bools, rng: np.random.Generator) -> Interval:
    """The mean gain, people resampled: pairs of one person are no independent witnesses."""
    people, where = np.unique(pairs.people[chosen], return_inverse=True)
    sums = np.bincount(where, gains[chosen], minlength=len(people))
    counts = np.bincount(where, minlength=len(people))
    return bootstrap(sums / counts, rng)
