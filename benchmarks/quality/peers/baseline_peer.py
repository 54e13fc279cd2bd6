"""Popularity, recent popularity, and for cold items content cosine and chance."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from _common import SEED, Array, Problem, Ranker, Settings, main, ranker

DAY_S = 86_400.0


def popular(problem: Problem, settings: Settings) -> Ranker:
    """Counts of the past, halved every `half_life_days`; null never forgets."""
    half_life = settings["half_life_days"]
    weight = None
    if half_life is not None:
        weight = 0.5 ** ((problem.at - problem.times) / (half_life * DAY_S))
    counts = np.bincount(problem.items, weight, minlength=problem.n_items)
    return ranker(problem, lambda users: np.tile(counts, (len(users), 1)))


def content(problem: Problem, settings: Settings) -> Ranker:
    """Cosine between the mean of the history's features (tf-idf) and the item's."""
    present = np.asarray((problem.features > 0).sum(axis=0)).ravel()
    idf = np.log((1 + problem.n_items) / (1 + present)) ** settings["idf_power"]
    rows = problem.features @ sp.diags(idf)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = (sp.diags(1 / np.maximum(length, 1e-9)) @ rows).tocsr()
    taste = (problem.matrix() @ rows).tocsr()
    return ranker(problem, lambda users: np.asarray((taste[users] @ rows.T).todense()))


def chance(problem: Problem, settings: Settings) -> Ranker:
    """What no knowledge at all reaches."""
    rng = np.random.default_rng(SEED)

    def scores(users: Array) -> Array:
        return rng.random((len(users), problem.n_items))

    return ranker(problem, scores)


if __name__ == "__main__":
    main({"popular": popular, "recent_popular": popular, "content": content, "random": chance})
