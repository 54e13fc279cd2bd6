"""The Gaussian factor model of ratings, as seen from people; nobody is kept.

r_ui = mu + [p_u, 1] . q_i + noise, p_u ~ N(g_u, I), q_i ~ N(m_i, S), the last cell of q_i being the
item's bias. Both sides are Gaussian posteriors (variational Bayes; Lim & Teh, KDD Cup 2007), so
a person with three ratings stays near the prior and an item with three raters says so by its
covariance. The noise of each person is inferred from how well their ratings fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from segue.core.types import Doubles
from segue.recommend.given import Given

ROUNDS = 3  # of a person's factors and their noise in turn; more change nothing
SLICE = 1024  # people at once: 1024 x 17 x 17 float64 are 2 MB


def pack(square: Doubles) -> Doubles:
    """(n, d (d + 1) / 2) lower triangles of (n, d, d) symmetric matrices, row by row."""
    rows, columns = np.tril_indices(square.shape[1])
    return np.ascontiguousarray(square[:, rows, columns])


def unpack(packed: Doubles, dim: int) -> Doubles:
    """(n, d, d), the inverse of :func:`pack`."""
    rows, columns = np.tril_indices(dim)
    out = np.empty((len(packed), dim, dim))
    out[:, rows, columns] = packed
    out[:, columns, rows] = packed
    return out


@dataclass(frozen=True)
class ItemSide:
    """What is believed of the items, and the noise of ratings."""

    means: Doubles  # (n, k + 1) of q_i
    moments: Doubles  # (n, packed) E[q_i q_i']
    noise: float  # variance
    strength: float  # ratings that the common noise counts for in each person's own


@dataclass(frozen=True)
class Met:
    """Posteriors of some people."""

    person: Doubles  # (n_users, k + 1) means of [p_u, 1]
    spread: Doubles  # (n_users, k + 1, k + 1) E[[p_u, 1] [p_u, 1]']
    precision: Doubles  # (n_users,) of their ratings
    misfit: Doubles  # (n_users,) expected sum of squared errors


def _slices(ratings: Given, n_items: int) -> Iterator[tuple[slice, sp.csr_matrix, sp.csr_matrix]]:
    """People in slices: their ratings, and 1 where they rated."""
    for first in range(0, ratings.n_users, SLICE):
        users = slice(first, min(first + SLICE, ratings.n_users))
        starts = ratings.starts[users.start : users.stop + 1]
        own = slice(starts[0], starts[-1])
        values, items = ratings.values[own], ratings.items[own]
        shape = (users.stop - users.start, n_items)
        given = sp.csr_matrix((values, items, starts - starts[0]), shape=shape)
        yield users, given, sp.csr_matrix((np.ones_like(values), items, given.indptr), shape=shape)


def _meet(given: sp.csr_matrix, once: sp.csr_matrix, side: ItemSide, priors: Doubles) -> Met:
    dim = side.means.shape[1]
    k, count = dim - 1, np.diff(given.indptr)
    right = given @ side.means
    square = np.asarray(given.multiply(given).sum(axis=1)).ravel()
    full = unpack(once @ side.moments, dim)
    precision = np.full(len(count), 1 / side.noise)
    person = np.ones((len(count), dim))
    for _ in range(ROUNDS):
        each = precision[:, None]
        covariance = np.linalg.inv(np.eye(k) + each[:, :, None] * full[:, :k, :k])
        wanted = priors + each * (right[:, :k] - full[:, :k, k])
        person[:, :k] = (covariance @ wanted[:, :, None])[:, :, 0]
        spread = person[:, :, None] * person[:, None, :]
        spread[:, :k, :k] += covariance
        fitted = 2 * (person * right).sum(axis=1) - (spread * full).sum(axis=(1, 2))
        misfit = np.maximum(square - fitted, 0)
        precision = (side.strength + count) / (side.strength * side.noise + misfit)
    return Met(person, spread, precision, misfit)


def fold_in(ratings: Given, side: ItemSide, priors: Doubles) -> Doubles:
    """(n_users, k) posterior mean of each person's factors; the prior without ratings."""
    out = np.empty_like(priors)
    for users, given, once in _slices(ratings, len(side.means)):
        out[users] = _meet(given, once, side, priors[users]).person[:, :-1]
    return out


@dataclass(frozen=True)
class Lesson:
    """What the items learn from meeting everyone once."""

    people: Doubles  # (n_users, k)
    first: Doubles  # (n, k + 1) sums of precision times rating times person
    second: Doubles  # (n, packed) sums of precision times E[person person']
    misfit: float  # mean of precision times squared error


def sweep(ratings: Given, side: ItemSide, priors: Doubles) -> Lesson:
    """Meet everyone once, a slice at a time."""
    people = np.empty_like(priors)
    first, second = np.zeros_like(side.means), np.zeros_like(side.moments)
    misfit = 0.0
    for users, given, once in _slices(ratings, len(side.means)):
        met = _meet(given, once, side, priors[users])
        people[users] = met.person[:, :-1]
        each = met.precision[:, None]
        first += given.T @ (met.person * each)
        second += once.T @ (pack(met.spread) * each)
        misfit += float(met.precision @ met.misfit)
    return Lesson(people, first, second, misfit / len(ratings.values))


def relearn(lesson: Lesson, expected: Doubles, spread: Doubles) -> tuple[Doubles, Doubles]:
    """Posterior means (n, d) and covariances (n, d, d) of the items under N(expected, spread)."""
    tight = np.linalg.inv(spread)
    covariance = np.linalg.inv(tight + unpack(lesson.second, len(spread)))
    right = expected @ tight + lesson.first
    return np.asarray((covariance @ right[:, :, None])[:, :, 0]), np.asarray(covariance)


def moments(means: Doubles, covariance: Doubles) -> Doubles:
    """(n, packed) E[q q']."""
    return pack(covariance + means[:, :, None] * means[:, None, :])


def variance(means: Doubles, expected: Doubles, covariance: Doubles) -> Doubles:
    """(d, d) of the items about what was expected of them."""
    apart = means - expected
    return np.asarray(covariance.mean(axis=0) + apart.T @ apart / len(apart))
