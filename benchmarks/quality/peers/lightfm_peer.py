"""LightFM (the build that RecTools keeps): WARP, with content where items have it."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from _common import SEED, Array, Problem, Ranker, Settings, main, ranker
from lightfm import LightFM


def warp(problem: Problem, settings: Settings) -> Ranker:
    """Kula (2015) with the WARP loss; an item is the sum of its id and its features."""
    features = _features(problem, settings.get("content", "none"))
    model = LightFM(
        no_components=settings["factors"],
        loss="warp",
        learning_rate=settings["learning_rate"],
        item_alpha=settings["l2"],
        user_alpha=settings["l2"],
        max_sampled=settings.get("sampled", 10),
        random_state=SEED,
    )
    model.fit(
        problem.matrix().tocoo(), item_features=features, epochs=settings["epochs"], num_threads=1
    )
    item_bias, item_vectors = model.get_item_representations(features)
    user_bias, user_vectors = model.get_user_representations()

    def scores(users: Array) -> Array:
        # A person's own bias does not move a ranking, but it is part of the model's score.
        both = user_bias[users][:, None] + item_bias[None, :]
        return user_vectors[users] @ item_vectors.T + both

    return ranker(problem, scores)


def _features(problem: Problem, content: str) -> sp.csr_matrix | None:
    """None, content alone, or content beside an id of each item that was met."""
    if content == "none" or not problem.features.shape[1]:
        return None
    length = np.maximum(np.asarray(problem.features.sum(axis=1)).ravel(), 1)
    rows = sp.diags(1 / length).astype(np.float32) @ problem.features
    if content == "only":
        return rows.tocsr()
    met = np.bincount(problem.items, minlength=problem.n_items) > 0
    return sp.hstack([rows, sp.diags(met.astype(np.float32))]).astype(np.float32).tocsr()


if __name__ == "__main__":
    main({"warp": warp, "warp_content": warp})
