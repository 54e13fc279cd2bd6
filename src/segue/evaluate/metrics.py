"""What a ranking is worth, a person at a time, so that every mean gets an interval.

Accuracy comes from the places of the held-out items in the full ranking (:class:`Hits`); novelty,
diversity, popularity and calibration look at the list alone. Lists are ``top`` (n_users, depth)
item rows, best first, -1 beyond the last; a shorter list is a slice: ``novelty(top[:, :10], ...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from segue.core.errors import BadInput
from segue.core.top import best
from segue.core.types import Bools, Doubles, Floats, Histories, Item, Rows, Vectors

DEPTH = 20  # deepest cut-off of any metric of :class:`PerUser`
SMOOTHING = 0.01  # share of the history's tags mixed into a list's, as in Steck's paper


@dataclass(frozen=True)
class PerUser:
    """(n_users,) float64 each; ``top`` is (n_users, 10) item rows as recommended."""

    ndcg: Doubles
    recall: Doubles
    ap: Doubles
    hit: Doubles
    precision: Doubles
    rr: Doubles
    top: Rows

    def coverage(self, n_items: int) -> float:
        """Share of the catalogue that anyone was shown."""
        return coverage(self.top, n_items)


METRICS = {"ndcg": "NDCG@10", "recall": "Recall@20", "ap": "MAP@10", "hit": "HitRate@10"}
MORE_METRICS = {"precision": "Precision@10", "rr": "MRR@10"}  # of PerUser, beside METRICS


@dataclass(frozen=True)
class Hits:
    """Which places of each list are wanted, and how many items each person wants.

    ``found`` is (n_users, depth), ``wanted`` (n_users,) >= 1. Each metric gives (n_users,)
    float64 in [0, 1] at a cut-off ``k`` up to the depth.
    """

    found: Bools
    wanted: Rows

    def __post_init__(self) -> None:
        nothing = int((self.wanted < 1).sum())
        if nothing:
            raise BadInput(f"{nothing} people have no relevant item; measure the others only")

    def _first(self, k: int) -> Bools:
        if not 1 <= k <= self.found.shape[1]:
            raise BadInput(
                f"k must be between 1 and {self.found.shape[1]}, the depth of the lists, got {k}"
            )
        return self.found[:, :k]

    def ndcg(self, k: int) -> Doubles:
        """Binary gains over log2(place + 1), divided by the best possible sum.

        Jaervelin & Kekaelaeinen (ACM TOIS 2002), with the discount of Burges et al. (ICML 2005),
        which tells the first place from the second. The best list holds min(wanted, k) hits.
        """
        first = self._first(k)
        discount = 1 / np.log2(np.arange(2, k + 2))
        best = np.cumsum(discount)[np.minimum(self.wanted, k) - 1]
        return np.asarray((first * discount).sum(axis=1) / best)

    def recall(self, k: int) -> Doubles:
        """Share of the wanted items that are among the first k."""
        return np.asarray(self._first(k).sum(axis=1) / self.wanted)

    def precision(self, k: int) -> Doubles:
        """Share of the first k places that are wanted; an empty place is not."""
        return np.asarray(self._first(k).mean(axis=1))

    def ap(self, k: int) -> Doubles:
        """Average precision, whose mean is MAP: precision at each hit over min(wanted, k)."""
        first = self._first(k)
        precision = np.cumsum(first, axis=1) / np.arange(1, k + 1)
        return np.asarray((precision * first).sum(axis=1) / np.minimum(self.wanted, k))

    def rr(self, k: int) -> Doubles:
        """One over the place of the first hit, 0 without one; its mean is MRR (Voorhees, 1999)."""
        first = self._first(k)
        return np.where(first.any(axis=1), 1 / (first.argmax(axis=1) + 1), 0.0)

    def hit(self, k: int) -> Doubles:
        """1 where any of the first k is wanted, else 0; its mean is the hit rate."""
        return np.asarray(self._first(k).any(axis=1), dtype=np.float64)


def hits(top: Rows, relevant: Bools) -> Hits:
    """``top`` (n_users, depth) against ``relevant`` (n_users, n_items), no row of it empty."""
    found = np.take_along_axis(relevant, np.maximum(top, 0), axis=1) & (top >= 0)
    return Hits(found, relevant.sum(axis=1))


def measure(top: Rows, relevant: Bools) -> PerUser:
    """Metrics of ``top`` (n_users, >= 20) against ``relevant`` (n_users, n_items).

    Everyone must have at least one relevant item.
    """
    found = hits(top, relevant)
    return PerUser(
        ndcg=found.ndcg(10),
        recall=found.recall(20),
        ap=found.ap(10),
        hit=found.hit(10),
        precision=found.precision(10),
        rr=found.rr(10),
        top=top[:, :10],
    )


def top_items(scores: Floats, seen: Bools, k: int = DEPTH) -> Rows:
    """(n_users, k) best unseen rows, ties in catalogue order; -1 beyond the last unseen item."""
    return best(scores, ~seen, k)


def coverage(top: Rows, n_items: int) -> float:
    """Share of the catalogue that is in anybody's list."""
    return float(len(np.unique(top[top >= 0])) / n_items)


def novelty(top: Rows, people_of_item: Rows, n_people: int) -> Doubles:
    """(n_users,) mean self-information of a list in bits: -log2 of the share who met each item.

    Zhou et al. (PNAS 2010); Vargas & Castells (RecSys 2011). ``people_of_item`` (n_items,) counts
    people, not events; an item nobody met counts as met by one. NaN for an empty list.
    """
    share = np.maximum(people_of_item, 1) / n_people
    return _mean_over(top, -np.log2(share))


def popularity(top: Rows, item_counts: Rows) -> Doubles:
    """(n_users,) mean number of events of the items in a list; NaN for an empty list.

    Averaged over people it is the average recommendation popularity (Yin et al., VLDB 2012).
    """
    return _mean_over(top, np.asarray(item_counts, dtype=np.float64))


def popularity_lift(top: Rows, histories: Histories, item_counts: Rows) -> float:
    """How much more popular the lists are than what the people chose themselves; 0: equally.

    (GAP of the lists - GAP of the histories) / GAP of the histories, where GAP is the mean over
    people of the mean popularity of their items (Abdollahpouri et al., RecSys 2020). People whose
    list or history is empty are left out; NaN when nobody remains.
    """
    counts = np.asarray(item_counts, dtype=np.float64)
    shown = popularity(top, item_counts)
    total = np.bincount(histories.user_of, counts[histories.items], histories.n_users)
    filled = (histories.counts > 0) & ~np.isnan(shown)
    if not filled.any():
        return float("nan")
    chosen = float((total[filled] / histories.counts[filled]).mean())
    return (float(shown[filled].mean()) - chosen) / chosen


def diversity(top: Rows, content: Vectors) -> Doubles:
    """(n_users,) intra-list diversity: mean of 1 - cosine over the pairs of a list, in [0, 2].

    Smyth & McClave (ICCBR 2001). Items without a vector are left out; NaN for fewer than two.
    """
    held = (top >= 0) & content.present[np.maximum(top, 0)]
    n = held.sum(axis=1).astype(np.float64)
    total = np.zeros((len(top), content.dim))
    own = np.zeros(len(top))  # squared lengths: float32 rows are not quite of length one
    for place in range(top.shape[1]):
        rows = np.flatnonzero(held[:, place])
        vectors = content.values[top[rows, place]].astype(np.float64)
        total[rows] += vectors
        own[rows] += (vectors**2).sum(axis=1)
    # The cosines of all pairs sum to (|sum of vectors|^2 - sum of |vector|^2) / 2.
    cosines = (total**2).sum(axis=1) - own
    return 1 - _divided(cosines, n * (n - 1))


def tag_shares(items: Sequence[Item]) -> sp.csr_matrix:
    """(n_items, n_tags) float64: an item's tags in equal shares; rows without tags are empty."""
    place = {t: n for n, t in enumerate(sorted({t for item in items for t in item.tags}))}
    tags = [sorted(set(item.tags)) for item in items]
    lengths = np.array([len(t) for t in tags], dtype=np.intp)
    columns = np.array([place[t] for own in tags for t in own], dtype=np.intp)
    values = np.repeat(1 / np.maximum(lengths, 1), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((values, columns, starts), shape=(len(items), len(place)))


def miscalibration(top: Rows, histories: Histories, tags: sp.csr_matrix) -> Doubles:
    """(n_users,) KL(p || q) in nats, >= 0: how far a list's tags are from the history's.

    Steck, Calibrated recommendations (RecSys 2018), eq. 2-6: p are the tag shares of the history
    (items weighted by what is positive in their weights), q those of the list, with 1 % of p mixed
    in. ``tags`` is (n_items, n_tags), see :func:`tag_shares`. NaN where either has no tags.
    """
    liked = sp.csr_matrix(
        (np.maximum(histories.weights, 0).astype(np.float64), histories.items, histories.indptr),
        shape=(histories.n_users, tags.shape[0]),
    )
    shown = top >= 0
    lists = sp.csr_matrix(
        (np.ones(int(shown.sum())), top[shown], np.append(0, np.cumsum(shown.sum(axis=1)))),
        shape=(len(top), tags.shape[0]),
    )
    p, q = (_normed((side @ tags).toarray()) for side in (liked, lists))
    q = (1 - SMOOTHING) * q + SMOOTHING * p
    terms = np.zeros_like(p)
    np.log(p, out=terms, where=p > 0)
    terms -= np.log(q, out=np.zeros_like(q), where=p > 0)
    # Rounding may leave -1e-17 where p is q.
    return np.asarray(np.maximum(np.sum(p * terms, axis=1), 0))


def rmse(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Root of the mean squared error of ratings."""
    return float(np.sqrt(np.mean(_errors(predicted, actual) ** 2)))


def mae(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Mean absolute error of ratings."""
    return float(np.mean(np.abs(_errors(predicted, actual))))


def _errors(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> Doubles:
    ours, truth = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if ours.shape != truth.shape or not ours.size:
        raise BadInput(f"need as many predictions as ratings, got {ours.shape} and {truth.shape}")
    return np.asarray(ours - truth)


def _mean_over(top: Rows, values: Doubles) -> Doubles:
    """(n_users,) mean of an item's value over the places of a list that are filled."""
    shown = top >= 0
    picked = np.where(shown, values[np.maximum(top, 0)], 0.0)
    return _divided(picked.sum(axis=1), shown.sum(axis=1))


def _divided(total: Doubles, n: npt.NDArray[np.number]) -> Doubles:
    """``total / n``, NaN where n is 0."""
    return np.asarray(np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0))


def _normed(values: Doubles) -> Doubles:
    """Rows that sum to one; NaN where a row is empty."""
    total = values.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0))
