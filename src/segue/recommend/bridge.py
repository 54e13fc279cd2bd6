"""From content to the collaborative space: how an item that nobody has met is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.content import Content
from segue.recommend.factors import truncated_svd
from segue.recommend.matrix import consumption, known_items, recency

LEAST_EVENTS = 5  # an item with fewer teaches the map more noise than taste
MAPPED_SHARE = 0.5  # of the likeness; the rest is likeness of the content itself


@dataclass
class Bridge:
    """Item factors of the behaviour, and a ridge map from content vectors onto them.

    Every item then has a place in the collaborative space: its own factors when it has a history,
    mapped ones when it has only content. ``likeness`` is the mean of two cosines: taste and item
    in the content space, and person and item in the collaborative space.
    """

    dim: int = 48
    ridge: float = 10.0
    half_life: float | None = 30.0
    name: str = "bridge"
    GROUP: ClassVar[str] = "content"
    content: Content = field(default_factory=Content)
    factors: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)
    map: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)
    mapped: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)
    places: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)

    def fit(self, training: Training) -> None:
        self.content.fit(training)
        items = known_items(training.interactions)
        x = consumption(training.interactions, items)
        count = np.asarray(x.sum(axis=0)).ravel()
        # Popular items would own the first factors: damp them by the root of their count.
        x = x.multiply(1 / np.sqrt(np.maximum(count, 1.0))[None, :]).tocsr().astype(np.float64)
        dim = min(self.dim, min(x.shape) - 1)
        self.factors = np.zeros((training.interactions.n_items, max(dim, 1)), dtype=np.float32)
        if dim >= 1:
            _, strength, right = truncated_svd(x, dim)
            self.factors[items] = _unit((right * strength[:, None]).T.astype(np.float32))
        taught = np.zeros(len(self.content.present), dtype=np.bool_)
        taught[items[count >= LEAST_EVENTS]] = True
        taught &= self.content.present
        c = self.content.vectors[taught].astype(np.float64)
        gram = c.T @ c + self.ridge * np.eye(c.shape[1])
        target = self.factors[np.flatnonzero(taught)].astype(np.float64)
        self.map = np.linalg.solve(gram, c.T @ target).astype(np.float32)
        self.place()

    def place(self) -> None:
        """Give every item of the content space its place in the collaborative space."""
        self.mapped = _unit(self.content.vectors @ self.map)
        n = max(len(self.mapped), len(self.factors))
        places = np.zeros((n, self.factors.shape[1]), dtype=np.float32)
        places[: len(self.mapped)] = self.mapped
        own = np.flatnonzero(np.any(self.factors != 0, axis=1))
        places[own] = self.factors[own]
        self.places = places

    def person(self, histories: Histories) -> Floats:
        """(n_users, dim) unit mean of the history's places; 0 without any."""
        weights = recency(histories, self.half_life)
        out = np.zeros((histories.n_users, self.places.shape[1]), dtype=np.float32)
        for user in range(histories.n_users):
            span = histories.span(user)
            inside = histories.items[span] < len(self.places)
            out[user] = weights[span][inside] @ self.places[histories.items[span][inside]]
        return _unit(out)

    def likeness(self, histories: Histories, items: Rows) -> Floats:
        """(n_users, len(items)) float32 in [-1, 1]; 0 for items without content."""
        if not len(self.content.vectors):
            return np.zeros((histories.n_users, len(items)), dtype=np.float32)
        inside = items < len(self.content.vectors)
        rows = np.where(inside, items, 0)
        own = products(_unit(self.content.taste(histories)), self.content.vectors, rows)
        mapped = products(self.person(histories), self.mapped, rows)
        out = (1 - MAPPED_SHARE) * own + MAPPED_SHARE * mapped
        return np.where(inside & self.content.present[rows], out, 0).astype(np.float32)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.likeness(histories, np.arange(histories.n_items, dtype=np.intp))

    def similar(self, row: int) -> Floats:
        """(n_places,) float32: likeness of every item to one, in both spaces."""
        out = np.zeros(len(self.places), dtype=np.float32)
        if row >= len(self.places):
            return out
        out += MAPPED_SHARE * (self.places @ self.places[row])
        if row < len(self.content.vectors):
            n = len(self.content.vectors)
            out[:n] += (1 - MAPPED_SHARE) * (self.content.vectors @ self.content.vectors[row])
        return out

    def joint(self, rows: Rows) -> Floats:
        """(len(rows), dim) places in both spaces side by side, as :meth:`similar` weighs them."""
        out = []
        for share, values in (
            (MAPPED_SHARE, self.places),
            (1 - MAPPED_SHARE, self.content.vectors),
        ):
            part = np.zeros((len(rows), values.shape[1]), dtype=np.float32)
            inside = rows < len(values)
            part[inside] = np.sqrt(share) * values[rows[inside]]
            out.append(part)
        return np.hstack(out)

    def near(self, rows: Rows) -> Floats:
        """(n_places,) float32 in [-1, 1]: cosine of every item to the middle of some."""
        n, dim = self.places.shape
        middle = _unit(self.joint(rows).mean(axis=0))
        out = np.sqrt(MAPPED_SHARE) * (self.places @ middle[:dim])
        vectors = self.content.vectors
        if len(vectors):
            out[: len(vectors)] += np.sqrt(1 - MAPPED_SHARE) * (vectors @ middle[dim:])
        return np.asarray(out[:n], dtype=np.float32)

    def state(self) -> Arrays:
        return {"factors": self.factors, "map": self.map, **self.content.state()}

    def restore(self, state: Arrays) -> None:
        self.factors = np.ascontiguousarray(state["factors"], dtype=np.float32)
        self.map = np.ascontiguousarray(state["map"], dtype=np.float32)
        self.content.restore(state)
        self.place()


def products(people: Floats, vectors: Floats, rows: Rows) -> Floats:
    """(n_people, len(rows)) inner products; all rows at once where gathering would cost more."""
    if 4 * len(rows) < len(vectors):
        return people @ vectors[rows].T
    return np.asarray((people @ vectors.T)[:, rows])


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-9), dtype=np.float32)
