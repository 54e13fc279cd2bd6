"""What a stack of raters knows of a person, an item and the two together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Doubles, Histories, Profile, Rows, Training
from segue.recommend.given import given, rated
from segue.recommend.groups import Groups
from segue.recommend.ratings_mean import MeanRatings

DIM = 8  # of the content as far as the stack looks
DAMP = 5.0  # ratings that a person is credited with at the mean


@dataclass
class RatingContext:
    """Counts, biases, spreads, content and profile of pairs of person and item."""

    base: MeanRatings = field(default_factory=MeanRatings)
    counts: Doubles = field(default_factory=lambda: np.zeros(1))  # (n_items + 1,)
    spreads: Doubles = field(default_factory=lambda: np.zeros(1))  # (n_items + 1,) of residuals
    places: Doubles = field(default_factory=lambda: np.zeros((1, DIM)))  # (n_items + 1, DIM)
    groups: Groups = field(default_factory=Groups)

    def fit(self, training: Training) -> None:
        _, ratings, scale = rated(training)
        self.base.fit(training)
        self.groups.fit(training)
        size = scale.n_items + 1
        rest = self.base.residuals(ratings)
        self.counts = np.bincount(ratings.items, minlength=size).astype(np.float64)
        squares = np.bincount(ratings.items, rest**2, minlength=size) + DAMP * rest.var()
        self.spreads = np.sqrt(squares / (self.counts + DAMP))
        self.places = _places(training, size)

    def of(
        self, histories: Histories, profiles: Sequence[Profile], users: Rows, items: Rows
    ) -> Doubles:
        """(n, 9 + DIM) of the pairs (users[i], items[i]); unknown ages are NaN."""
        ratings = given(histories, self.base.scale.n_items)
        at = np.minimum(items, self.base.scale.n_items)
        rest, owner = self.base.residuals(ratings), ratings.user_of
        n, count = histories.n_users, ratings.counts
        squares = np.bincount(owner, rest**2, minlength=n)
        taste = np.zeros((n, DIM))
        np.add.at(taste, owner, rest[:, None] * self.places[ratings.items])
        taste /= (count + DAMP)[:, None]
        ages = np.array([np.nan if p.age is None else p.age for p in profiles], dtype=np.float64)
        columns = [
            np.log1p(count)[users],
            self.base.people(ratings)[users],
            np.sqrt((squares + DAMP) / (count + DAMP))[users],
            np.log1p(self.counts)[at],
            self.base.item_bias[at],
            self.spreads[at],
            (taste[users] * self.places[at]).sum(axis=1),
            ages[users],
            self.groups.affinity(profiles, users, items).sum(axis=1),
        ]
        return np.hstack([np.stack(columns, axis=1), self.places[at]])

    def state(self) -> Arrays:
        return {
            **self.base.state(),
            **self.groups.state(),
            "counts": self.counts,
            "spreads": self.spreads,
            "places": self.places,
        }

    def restore(self, state: Arrays) -> None:
        self.base.restore(state)
        self.groups.restore(state)
        self.counts, self.spreads, self.places = (
            np.ascontiguousarray(state[name], dtype=np.float64)
            for name in ("counts", "spreads", "places")
        )


def _places(training: Training, size: int) -> Doubles:
    """(size, DIM) principal components of the content; 0 without any."""
    out = np.zeros((size, DIM))
    content = training.content
    if content is None or not content.present.any():
        return out
    known = np.flatnonzero(content.present[: size - 1])
    values = content.values[known].astype(np.float64)
    values -= values.mean(axis=0)
    _, _, axes = np.linalg.svd(values, full_matrices=False)
    axes = axes[:DIM]
    # The sign of an axis is arbitrary: its largest cell is made positive, the same every time.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    out[known, : len(axes)] = values @ (axes * signs[:, None]).T
    return out
