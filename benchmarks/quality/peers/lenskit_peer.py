"""LensKit: item-kNN, implicit ALS, SLIM; biased matrix factorisation of ratings by ALS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _common import DEPTH, SEED, Array, Predictor, Problem, Ranker, Settings, main
from lenskit import batch
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.data import from_interactions_df
from lenskit.knn import ItemKNNScorer, SLIMScorer
from lenskit.pipeline import predict_pipeline, topn_pipeline
from lenskit.training import TrainingOptions


def _dataset(problem: Problem, *, ratings: bool) -> Any:
    frame = pd.DataFrame({"user_id": problem.users, "item_id": problem.items})
    if ratings:
        frame["rating"] = problem.ratings
    return from_interactions_df(frame)


def _ranker(problem: Problem, scorer: Any) -> Ranker:
    pipeline = topn_pipeline(scorer, n=DEPTH)
    pipeline.train(_dataset(problem, ratings=False), TrainingOptions(rng=SEED))

    def rank(users: Array) -> Array:
        lists = batch.recommend(pipeline, users.tolist(), n=DEPTH, n_jobs=1)
        row_of = {int(user): row for row, user in enumerate(users)}
        out = np.full((len(users), DEPTH), -1, dtype=np.int64)
        for key, found in lists.items():
            items = found.ids()
            out[row_of[int(key.user_id)], : len(items)] = items
        return out

    return rank


def item_knn(problem: Problem, settings: Settings) -> Ranker:
    """Deshpande & Karypis (2004), cosine, on what was taken."""
    return _ranker(problem, ItemKNNScorer(max_nbrs=settings["k"], feedback="implicit"))


def als(problem: Problem, settings: Settings) -> Ranker:
    """Hu, Koren & Volinsky (2008)."""
    scorer = ImplicitMFScorer(
        embedding_size=settings["factors"],
        epochs=settings["epochs"],
        regularization=settings["regularization"],
        weight=settings["weight"],
    )
    return _ranker(problem, scorer)


def slim(problem: Problem, settings: Settings) -> Ranker:
    """Ning & Karypis (2011)."""
    return _ranker(problem, SLIMScorer(l1_reg=settings["l1"], l2_reg=settings["l2"]))


def biased_mf(problem: Problem, settings: Settings) -> Predictor:
    """Biases first, factors of what is left by ALS; a bias alone where somebody is new."""
    scorer = BiasedMFScorer(
        embedding_size=settings["factors"],
        epochs=settings["epochs"],
        regularization=settings["regularization"],
        damping=settings["damping"],
    )
    pipeline = predict_pipeline(scorer, fallback=True)
    pipeline.train(_dataset(problem, ratings=True), TrainingOptions(rng=SEED))

    def predict(users: Array, items: Array) -> Array:
        pairs = pd.DataFrame({"user_id": users, "item_id": items})
        found = batch.predict(pipeline, pairs, n_jobs=1).to_df()
        joined = pairs.merge(found, on=["user_id", "item_id"], how="left")
        return joined["score"].fillna(problem.ratings.mean()).to_numpy()

    return predict


if __name__ == "__main__":
    main({"item_knn": item_knn, "als": als, "slim": slim, "biased_mf": biased_mf})
