"""scikit-surprise: ratings by baselines, item neighbours, SVD and SVD++."""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import SEED, Array, Predictor, Problem, Settings, main
from surprise import SVD, BaselineOnly, Dataset, KNNBaseline, Reader, SVDpp


def _predictor(problem: Problem, model: Any) -> Predictor:
    low, high = float(problem.ratings.min()), float(problem.ratings.max())
    columns = (c.tolist() for c in (problem.users, problem.items, problem.ratings))
    raw = [(user, item, rating, None) for user, item, rating in zip(*columns, strict=True)]
    model.fit(Dataset(Reader(rating_scale=(low, high))).construct_trainset(raw))

    def predict(users: Array, items: Array) -> Array:
        pairs = zip(users.tolist(), items.tolist(), strict=True)
        return np.array([model.predict(user, item).est for user, item in pairs])

    return predict


def baseline(problem: Problem, settings: Settings) -> Predictor:
    """Koren (2010): mean, a bias a person and a bias an item, by ALS."""
    options = {"method": "als", "reg_u": settings["reg_u"], "reg_i": settings["reg_i"]}
    return _predictor(problem, BaselineOnly(bsl_options=options, verbose=False))


def item_knn(problem: Problem, settings: Settings) -> Predictor:
    """Koren (2010): item neighbours around the baseline, shrunk Pearson correlation."""
    options = {"name": "pearson_baseline", "user_based": False, "shrinkage": settings["shrink"]}
    model = KNNBaseline(
        k=settings["k"],
        sim_options=options,
        bsl_options={"reg_u": settings["reg_u"], "reg_i": settings["reg_i"]},
        verbose=False,
    )
    return _predictor(problem, model)


def svd(problem: Problem, settings: Settings) -> Predictor:
    """Funk's biased matrix factorisation by gradient descent."""
    return _predictor(problem, SVD(random_state=SEED, **_descent(settings)))


def svdpp(problem: Problem, settings: Settings) -> Predictor:
    """Koren (2008): and what was rated at all."""
    return _predictor(problem, SVDpp(random_state=SEED, **_descent(settings)))


def _descent(settings: Settings) -> dict[str, Any]:
    return {
        "n_factors": settings["factors"],
        "n_epochs": settings["epochs"],
        "lr_all": settings["learning_rate"],
        "reg_all": settings["regularization"],
    }


if __name__ == "__main__":
    main({"baseline": baseline, "item_knn": item_knn, "svd": svd, "svdpp": svdpp})
