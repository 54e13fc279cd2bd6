"""What is expected of an item or a person before their ratings speak: linear in what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from segue.core.protocols import Arrays
from segue.core.types import Bools, Doubles, Histories, Profile, Rows, Training
from segue.recommend.given import Given
from segue.recommend.groups import labels

MAX_IMPLICIT = 6_000  # items whose being rated says something; the gram matrix is dense, 288 MB
LEAST_RIDGE = 1e-3  # of the constant, which needs no shrinking but a solvable equation


@dataclass(frozen=True)
class ItemPrior:
    """Ridge from content, log count of ratings and a constant onto the factors of items."""

    rated: Bools  # (n_items + 1,) rated at all
    features: Doubles  # (n_items + 1, f)
    solved: Doubles  # (f, n_rated) from targets to ridge weights

    @staticmethod
    def of(training: Training, ratings: Given, ridge: float | None) -> ItemPrior:
        size = training.interactions.n_items + 1
        count = np.bincount(ratings.items, minlength=size)
        parts, penalties = [np.ones((size, 1)), np.log1p(count)[:, None] / 5], [LEAST_RIDGE, 1.0]
        content = training.content
        if content is not None and ridge is not None:
            n = min(len(content.values), size - 1)
            cells = np.zeros((size, content.dim))
            cells[:n] = np.where(content.present[:n, None], content.values[:n], 0)
            parts.append(cells)
            penalties += [ridge] * content.dim
        features, known = np.hstack(parts), count > 0
        design = features[known]
        gram = design.T @ design + np.diag(penalties)
        return ItemPrior(known, features, np.linalg.solve(gram, design.T))

    def expect(self, means: Doubles) -> Doubles:
        """(n_items + 1, d) what the features foretell of ``means``."""
        return np.asarray(self.features @ (self.solved @ means[self.rated]))


@dataclass
class PersonPrior:
    """Ridge from what was rated (SVD++'s y_j / sqrt(n)) and from the profile onto the factors.

    It is learned on the item side: one vector an item and one a group of people.
    """

    columns: Rows = field(default_factory=lambda: np.full(1, -1, dtype=np.intp))  # (n_items + 1,)
    names: tuple[tuple[str, ...], ...] = ((), (), ())  # genders, ages, occupations
    weights: Doubles = field(default_factory=lambda: np.zeros((0, 1)))  # (n_features, k)

    @staticmethod
    def of(
        training: Training, ratings: Given, profile: bool, implicit: bool, factors: int
    ) -> PersonPrior:
        size = training.interactions.n_items + 1
        columns = np.full(size, -1, dtype=np.intp)
        if implicit:
            count = np.bincount(ratings.items, minlength=size)[:-1]
            order = np.argsort(-count, kind="stable")[:MAX_IMPLICIT]
            kept = np.sort(order[count[order] > 0])
            columns[kept] = np.arange(len(kept))
        groups: tuple[tuple[str, ...], ...] = ((), (), ())
        if profile and training.profiles:
            of_people = zip(*(labels(p) for p in training.profiles), strict=True)
            groups = tuple(tuple(sorted(set(column) - {""})) for column in of_people)
        n = int(columns.max()) + 1 + sum(len(names) for names in groups)
        return PersonPrior(columns, groups, np.zeros((n, factors)))

    def features(self, histories: Histories, profiles: Sequence[Profile]) -> sp.csr_matrix:
        """(n_users, n_features)"""
        at = self.columns[np.minimum(histories.items, len(self.columns) - 1)]
        kept = at >= 0
        share = 1 / np.sqrt(np.maximum(histories.counts, 1))
        rows, columns = [histories.user_of[kept]], [at[kept]]
        data = [share[histories.user_of[kept]]]
        first = int(self.columns.max()) + 1
        for place, names in enumerate(self.names):
            code = {name: first + n for n, name in enumerate(names)}
            found = np.array([code.get(labels(p)[place], -1) for p in profiles], dtype=np.intp)
            users = np.flatnonzero(found >= 0)
            rows.append(users)
            columns.append(found[users])
            data.append(np.ones(len(users)))
            first += len(names)
        cells = (np.concatenate(rows), np.concatenate(columns))
        shape = (histories.n_users, len(self.weights))
        return sp.csr_matrix((np.concatenate(data), cells), shape=shape)

    def state(self) -> Arrays:
        names = {f"prior_names{n}": np.array(v, dtype=np.str_) for n, v in enumerate(self.names)}
        return {"prior_columns": self.columns, "prior_weights": self.weights, **names}

    @staticmethod
    def from_state(state: Arrays) -> PersonPrior:
        return PersonPrior(
            np.ascontiguousarray(state["prior_columns"], dtype=np.intp),
            tuple(tuple(state[f"prior_names{n}"].tolist()) for n in range(3)),
            np.ascontiguousarray(state["prior_weights"], dtype=np.float64),
        )


class PriorLearner:
    """Relearns a :class:`PersonPrior` from the people of a fit, over and over."""

    def __init__(
        self,
        prior: PersonPrior,
        features: sp.csr_matrix,
        profile: float | None,
        implicit: float | None,
    ) -> None:
        self.prior, self.features = prior, features
        ridges = np.full(len(prior.weights), 1.0 if profile is None else profile)
        ridges[: int(prior.columns.max()) + 1] = 1.0 if implicit is None else implicit
        self.equations: Any = None
        if len(ridges):
            gram = (features.T @ features).toarray() + np.diag(ridges)
            self.equations = scipy.linalg.cho_factor(gram)

    def foretold(self) -> Doubles:
        """(n_users, k) prior means."""
        return np.asarray(self.features @ self.prior.weights)

    def learn(self, people: Doubles) -> None:
        """Fit the prior to posterior means (n_users, k)."""
        if self.equations is not None:
            right = self.features.T @ people
            self.prior.weights = scipy.linalg.cho_solve(self.equations, right)
