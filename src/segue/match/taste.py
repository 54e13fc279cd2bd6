"""A person's taste as several interests, each with a label in words.

The wanted items of a history are grouped where they stand in content and behaviour (Ward, Journal
of the American Statistical Association 1963); how many groups is told by the silhouette (Rousseeuw,
Journal of Computational and Applied Mathematics 1987), and a group too light to be an interest
is left out as noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from segue.core.types import DAY_S, Catalogue, Doubles, Floats, Histories, Rows
from segue.match.labels import Labeller

REPRESENTATIVES = 4


@dataclass(frozen=True)
class Interest:
    """One of a person's interests. ``share`` of the person's taste is in (0, 1]."""

    label: str
    share: float
    strength: float  # what its items weigh together, halved with age: liked items of today
    items: Rows  # catalogue rows, nearest to the middle first

    @property
    def representatives(self) -> Rows:
        """The few items that show what it is."""
        return self.items[:REPRESENTATIVES]


@dataclass(frozen=True)
class Interests:
    """How a history is cut into interests."""

    newest: int = 300  # wanted items that are looked at
    most: int = 6
    least_share: float = 0.08  # of the taste; a smaller group is noise
    least_items: int = 3  # where there are more groups than one
    least_silhouette: float = 0.06  # below, the history is one interest
    nearly: float = 0.9  # of the best silhouette is good enough for a finer cut
    dim: int = 24  # of the person's own space, in which their items lie apart
    half_life_days: float = 180.0

    def of(
        self, history: Histories, places: Floats, catalogue: Catalogue, at: float
    ) -> tuple[Interest, ...]:
        """Interests of one person, largest share first; empty where nothing was wanted.

        ``places`` (len(history.items), dim) says where each entry stands; rows need no unit
        length, and a zero row stands nowhere.
        """
        wanted = np.flatnonzero(history.weights > 0)[-self.newest :]
        if not len(wanted):
            return ()
        rows, unit = history.items[wanted], _unit(places[wanted])
        age_days = np.maximum(at - history.times[wanted], 0) / DAY_S
        # Shares compare a person's own items: the newest is the measure of age.
        fresh = history.weights[wanted] * 0.5 ** ((age_days - age_days.min()) / self.half_life_days)
        groups = [part for part in self._groups(_own_space(unit, self.dim), fresh) if len(part)]
        groups.sort(key=lambda part: (-fresh[part].sum(), part[0]))
        ordered = [rows[part[_by_centre(unit[part], fresh[part])]] for part in groups]
        labels = Labeller(catalogue).labels(ordered)
        faded = 0.5 ** (age_days.min() / self.half_life_days)
        total = sum(float(fresh[part].sum()) for part in groups)
        return tuple(
            Interest(label, float(fresh[p].sum()) / total, float(fresh[p].sum() * faded), own)
            for label, p, own in zip(labels, groups, ordered, strict=True)
        )

    def _groups(self, unit: Floats, weights: Doubles) -> list[Rows]:
        """Positions of each group, ascending; what is in none is noise."""
        n = len(unit)
        everything = [np.arange(n, dtype=np.intp)]
        if n < 2 * self.least_items:
            return everything
        distances = pdist(unit)
        if not distances.any():
            return everything
        tree = linkage(unit, method="ward")
        square = squareform(distances)
        tried: list[tuple[float, list[Rows]]] = []
        for k in range(2, min(2 * self.most, n) + 1):
            marks = fcluster(tree, k, criterion="maxclust")
            groups = self._kept(marks, weights)
            if not 2 <= len(groups) <= self.most:
                continue
            tried.append((silhouette(square, groups), groups))
        best = max((score for score, _ in tried), default=0.0)
        if best < self.least_silhouette:
            return everything
        good = [groups for score, groups in tried if score >= self.nearly * best]
        return max(reversed(good), key=len)  # of equally many, those that leave out strays

    def _kept(self, marks: Rows, weights: Doubles) -> list[Rows]:
        parts = [np.flatnonzero(marks == mark) for mark in np.unique(marks)]
        least = self.least_share * float(weights.sum())
        return [p for p in parts if len(p) >= self.least_items and weights[p].sum() >= least]


def silhouette(square: Doubles, groups: list[Rows]) -> float:
    """Mean silhouette in [-1, 1] over all of ``square`` (n, n); what is in no group counts 0."""
    means = np.stack([square[:, part].mean(axis=1) for part in groups], axis=1)
    total = 0.0
    for own, part in enumerate(groups):
        inside = means[part, own] * len(part) / max(len(part) - 1, 1)  # not to itself
        others = np.delete(means[part], own, axis=1).min(axis=1)
        total += float(((others - inside) / np.maximum(np.maximum(inside, others), 1e-12)).sum())
    return total / len(square)


def _by_centre(unit: Floats, weights: Doubles) -> Rows:
    """Order of a group's items: nearest to their weighted middle first."""
    return np.argsort(-(unit @ (weights @ unit)), kind="stable").astype(np.intp)


def _own_space(unit: Floats, dim: int) -> Floats:
    """(n, <= dim): what the items of one person differ by; what they share is taken away."""
    if len(unit) < 3:
        return unit
    centred = unit - unit.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((left * size)[:, :dim], dtype=np.float32)


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-9), dtype=np.float32)


def tag_places(catalogue: Catalogue, rows: Rows) -> Floats:
    """(len(rows), n_tags): where items stand by their tags alone, for want of vectors."""
    names = sorted({tag for row in rows.tolist() for tag in catalogue.items[row].tags})
    column = {name: n for n, name in enumerate(names)}
    out = np.zeros((len(rows), max(len(names), 1)), dtype=np.float32)
    for place, row in enumerate(rows.tolist()):
        for tag in catalogue.items[row].tags:
            out[place, column[tag]] = 1
    return out
