"""Alternating least squares over what was consumed, compiled."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from segue.core.types import Floats
from segue.recommend.counts import Ints, reassociated

STEPS = 3  # of conjugate gradients a solution: more change nothing once the rounds converge
SPREAD = 0.01  # of the factors at the start
CONVERGED = 1e-20  # squared length of what is left to solve


def alternate(
    taken: sp.csr_matrix, *, factors: int, alpha: float, ridge: float, rounds: int, seed: int
) -> Floats:
    """(n_items, factors) float32: item factors of Hu, Koren & Volinsky (ICDM 2008).

    Every cell of ``taken`` (n_users, n_items) is preference 1 with confidence ``1 + alpha``, all
    else preference 0 with confidence 1. People and items are solved in turn, each by a few steps
    of conjugate gradients from where it stood (Takacs, Pilaszy & Tikk, RecSys 2011).
    """
    rng = np.random.default_rng(seed)
    people = rng.random((taken.shape[0], factors), dtype=np.float32) * np.float32(SPREAD)
    items = rng.random((taken.shape[1], factors), dtype=np.float32) * np.float32(SPREAD)
    takers = taken.T.tocsr()
    for _ in range(rounds):
        _solve(taken.indptr, taken.indices, items, _gram(items, ridge), alpha, people)
        _solve(takers.indptr, takers.indices, people, _gram(people, ridge), alpha, items)
    return items


def _gram(values: Floats, ridge: float) -> Floats:
    out: Floats = values.T @ values + np.float32(ridge) * np.eye(values.shape[1], dtype=np.float32)
    return out


@reassociated
def _apply(
    rows: Floats, gram: Floats, alpha: float, less: np.float32, x: Floats, out: Floats
) -> None:
    """``out = gram x + sum of (alpha y'x - less) y`` over ``rows``, a multiple of four of them."""
    dim, weight = len(x), np.float32(alpha)
    for c in range(dim):
        out[c] = 0
    for d in range(dim):
        for c in range(dim):
            out[c] += x[d] * gram[d, c]
    for k in range(0, len(rows), 4):
        s0 = s1 = s2 = s3 = np.float32(0)
        for c in range(dim):
            s0 += rows[k, c] * x[c]
            s1 += rows[k + 1, c] * x[c]
            s2 += rows[k + 2, c] * x[c]
            s3 += rows[k + 3, c] * x[c]
        s0, s1, s2, s3 = (
            weight * s0 - less,
            weight * s1 - less,
            weight * s2 - less,
            weight * s3 - less,
        )
        for c in range(dim):
            near = s0 * rows[k, c] + s1 * rows[k + 1, c]
            out[c] += near + s2 * rows[k + 2, c] + s3 * rows[k + 3, c]


@reassociated
def _descend(
    rows: Floats, gram: Floats, alpha: float, left: Floats, way: Floats, image: Floats, x: Floats
) -> None:
    """Steps of conjugate gradients on ``x``, ``left`` being b - A x and ``way`` the direction."""
    old = np.float32(0)
    for c in range(len(x)):
        old += left[c] * left[c]
    for _ in range(STEPS):
        if old < CONVERGED:
            return
        _apply(rows, gram, alpha, np.float32(0), way, image)
        rise = np.float32(0)
        for c in range(len(x)):
            rise += way[c] * image[c]
        step, new = old / rise, np.float32(0)
        for c in range(len(x)):
            x[c] += step * way[c]
            left[c] -= step * image[c]
            new += left[c] * left[c]
        for c in range(len(x)):
            way[c] = left[c] + new / old * way[c]
        old = new


@reassociated
def _solve(indptr: Ints, at: Ints, given: Floats, gram: Floats, alpha: float, out: Floats) -> None:
    """Improve ``out[u]`` towards A^-1 b, with A = gram + alpha * sum of y y' and
    b = (1 + alpha) * sum of y over the rows y of ``given`` that u took; 0 for who took nothing."""
    dim = given.shape[1]
    longest = 0
    for u in range(len(indptr) - 1):
        longest = max(longest, indptr[u + 1] - indptr[u])
    # Rows are copied side by side once, as each step reads them again; whole fours of them.
    rows = np.empty((longest + 3, dim), dtype=np.float32)
    left, way = np.empty(dim, dtype=np.float32), np.empty(dim, dtype=np.float32)
    image = np.empty(dim, dtype=np.float32)
    for u in range(len(indptr) - 1):
        n = indptr[u + 1] - indptr[u]
        padded = n + (-n) % 4
        for k in range(padded):
            if k < n:
                rows[k] = given[at[indptr[u] + k]]
            else:
                rows[k] = 0
        if n == 0:
            out[u] = 0
            continue
        _apply(rows[:padded], gram, alpha, np.float32(1 + alpha), out[u], image)
        for c in range(dim):
            left[c] = way[c] = -image[c]
        _descend(rows[:padded], gram, alpha, left, way, image, out[u])
