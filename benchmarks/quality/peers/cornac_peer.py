"""cornac: EASE, the reference for linear models."""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import SEED, Array, Problem, Ranker, Settings, main, ranker
from cornac.data import Dataset
from cornac.models import EASE


def dataset(problem: Problem) -> Any:
    """Everything taken counts as 1; every known person and item keeps our row as its number."""
    users = {n: n for n in range(problem.n_users)}
    items = {n: n for n in range(problem.n_items)}
    taken = problem.matrix().tocoo()
    return Dataset(
        num_users=problem.n_users,
        num_items=problem.n_items,
        uid_map=users,
        iid_map=items,
        uir_tuple=(taken.row, taken.col, taken.data.astype(np.float64)),
        seed=SEED,
    )


def model_ranker(problem: Problem, model: Any) -> Ranker:
    def scores(users: Array) -> Array:
        return np.vstack([np.asarray(model.score(int(u))).ravel() for u in users])

    return ranker(problem, scores)


def ease(problem: Problem, settings: Settings) -> Ranker:
    """Steck (2019)."""
    model = EASE(lamb=settings["ridge"], posB=settings["only_positive"], verbose=False, seed=SEED)
    model.fit(dataset(problem))
    return model_ranker(problem, model)


if __name__ == "__main__":
    main({"ease": ease})
