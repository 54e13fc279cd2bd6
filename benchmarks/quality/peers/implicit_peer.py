"""implicit: ALS, BPR, item-kNN; and ridge from content to its ALS factors for cold items."""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import DEPTH, SEED, Array, Problem, Ranker, Settings, main, ranker
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender


def _native(problem: Problem, model: Any, weight: float = 1.0) -> Ranker:
    matrix = problem.matrix() * np.float32(weight)
    model.fit(matrix, show_progress=False)

    def rank(users: Array) -> Array:
        rows, scores = model.recommend(
            users, matrix[users], N=DEPTH, filter_already_liked_items=True
        )
        # Too few neighbours: implicit pads with row 0 at a score of 0, or with a lowest float.
        return np.where((scores == 0) | (scores < -1e30), -1, rows)

    return rank


def als(problem: Problem, settings: Settings) -> Ranker:
    """Hu, Koren & Volinsky (2008); confidence 1 + alpha of everything taken."""
    model = AlternatingLeastSquares(
        factors=settings["factors"],
        regularization=settings["regularization"],
        iterations=settings["iterations"],
        alpha=settings["alpha"],
        random_state=SEED,
        num_threads=1,
    )
    return _native(problem, model)


def bpr(problem: Problem, settings: Settings) -> Ranker:
    """Rendle et al. (2009)."""
    model = BayesianPersonalizedRanking(
        factors=settings["factors"],
        learning_rate=settings["learning_rate"],
        regularization=settings["regularization"],
        iterations=settings["iterations"],
        random_state=SEED,
        num_threads=1,
    )
    return _native(problem, model)


def cosine(problem: Problem, settings: Settings) -> Ranker:
    return _native(problem, CosineRecommender(K=settings["k"], num_threads=1))


def tfidf(problem: Problem, settings: Settings) -> Ranker:
    return _native(problem, TFIDFRecommender(K=settings["k"], num_threads=1))


def bm25(problem: Problem, settings: Settings) -> Ranker:
    model = BM25Recommender(K=settings["k"], K1=settings["k1"], B=settings["b"], num_threads=1)
    return _native(problem, model)


def ridge_als(problem: Problem, settings: Settings) -> Ranker:
    """ALS factors of met items, regressed on features; the map gives the factors of the rest."""
    model = AlternatingLeastSquares(
        factors=settings["factors"],
        regularization=settings["regularization"],
        alpha=settings["alpha"],
        random_state=SEED,
        num_threads=1,
    )
    matrix = problem.matrix()
    model.fit(matrix, show_progress=False)
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    met = counts > 0
    rows = problem.features.toarray().astype(np.float64)
    mean, centre = rows[met].mean(axis=0), model.item_factors[met].mean(axis=0)
    x = (rows - mean) * np.where(met, np.sqrt(counts), 1)[:, None]
    y = (model.item_factors - centre) * np.where(met, np.sqrt(counts), 1)[:, None]
    gram = x[met].T @ x[met] + settings["ridge"] * np.eye(x.shape[1])
    guessed = (rows - mean) @ np.linalg.solve(gram, x[met].T @ y[met]) + centre
    items = np.where(met[:, None], model.item_factors, guessed)
    return ranker(problem, lambda users: model.user_factors[users] @ items.T)


if __name__ == "__main__":
    main(
        {
            "als": als,
            "bpr": bpr,
            "cosine": cosine,
            "tfidf": tfidf,
            "bm25": bm25,
            "ridge_als": ridge_als,
        }
    )
