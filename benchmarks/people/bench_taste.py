"""What "more of this", "not my taste" and a lent stretch do to the very next list.

Usage: OMP_NUM_THREADS=1 python benchmarks/people/bench_taste.py

MovieLens-100K as of its test window; the people of that window with two interests or more. An item
is of an interest when it belongs to it by half or more (see ``segue.serve.tastes.belonging``).
The strengths were chosen on a random half of the people, the table is about the other half.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from segue.core.types import Catalogue, Query, Ranking, Training
from segue.evaluate.compare import bootstrap
from segue.evaluate.split import cut_time, temporal
from segue.match.taste import Interest, Interests
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.pipeline import Pipeline
from segue.recommend.windows import build
from segue.serve import tastes
from segue.store.tastes import Edit

sys.path.insert(0, str(Path(__file__).parents[1]))
import _data

OUT = Path(__file__).parents[1] / "out" / "people"
K = 20
SEED = 0
TRIED = ((0.5, -1.0), (1.0, -2.0), (2.0, -4.0))
Asked = list[tuple[Query, tuple[Interest, ...]]]


def fitted(past: Training) -> Pipeline:
    cuts = [cut_time(past.interactions, share) for share in (0.5, 0.65, 0.8)] + [past.at]
    blend = Blend(BlendSettings())
    blend.fit([build(past, a, b, max_users=300, seed=SEED) for a, b in pairwise(cuts)], SEED)
    return Pipeline.fit(past, blend, past.interactions.hash, seed=SEED)


def share_of(model: Pipeline, ranking: Ranking, interest: Interest) -> float:
    """Share of a list that is of an interest."""
    inside = tastes.belonging(model.near(interest.items), interest.items)
    rows = model.catalogue.rows(entry.id for entry in ranking)
    return float((inside[rows] >= 0.5).mean())


def edited(model: Pipeline, query: Query, edit: Edit) -> Ranking:
    catalogue: Catalogue = model.catalogue
    return model.recommend(tastes.steered(query, [edit], catalogue, model))


def shares(model: Pipeline, asked: Asked, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) share of the first interest in the list before and after an edit of it."""
    before, after = [], []
    for query, interests in asked:
        first = interests[0]
        ids = tuple(model.catalogue.ids[row] for row in first.items)
        edit = Edit(kind, query.at, first.label, ids)
        before.append(share_of(model, model.recommend(query), first))
        after.append(share_of(model, edited(model, query, edit), first))
    return np.array(before), np.array(after)


def main() -> None:
    whole = _data.ml100k()
    cut = temporal(whole.interactions)
    past = whole.before(cut.test_from)
    model = fitted(past)
    later = whole.interactions.between(cut.test_from, whole.at)
    users = np.intersect1d(np.unique(later.users), np.unique(past.interactions.users))
    asked: Asked = []
    seconds = []
    for user in users:
        history = past.interactions.histories(np.array([user]))
        query = Query(str(user), history, past.at, k=K, profile=past.profiles[user])
        began = time.perf_counter()
        found = Interests().of(history, model.places(history.items), model.catalogue, past.at)
        seconds.append(time.perf_counter() - began)
        if len(found) >= 2:
            asked.append((query, found))
    order = np.random.default_rng(SEED).permutation(len(asked))
    half = len(order) // 2
    design, rest = ([asked[n] for n in np.sort(part)] for part in (order[:half], order[half:]))
    for more, less in TRIED:
        tastes.MORE, tastes.LESS = more, less
        told = {kind: np.mean(shares(model, design, kind), axis=1) for kind in ("more", "less")}
        print("design", more, less, {k: v.round(3).tolist() for k, v in told.items()}, flush=True)
    tastes.MORE, tastes.LESS = 1.0, -2.0
    rng = np.random.default_rng(SEED)
    out: dict[str, object] = {"people": len(rest), "of": len(users), "hash": past.interactions.hash}
    for kind in ("more", "less"):
        before, after = shares(model, rest, kind)
        right = np.mean(after > before if kind == "more" else after < before)
        wrong = np.mean(after < before if kind == "more" else after > before)
        gap = bootstrap(after - before, rng)
        out[kind] = [before.mean(), after.mean(), [gap.mean, gap.low, gap.high], right, wrong]
    out["interests, median ms"] = float(np.median(seconds) * 1000)
    out["list, median ms"] = _cost(model, rest, lean=False)
    out["list with an edit, median ms"] = _cost(model, rest, lean=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "taste.json").write_text(json.dumps(out, indent=1))
    print(json.dumps(out, indent=1))


def _cost(model: Pipeline, asked: Asked, *, lean: bool) -> float:
    taken = []
    for query, interests in asked:
        ids = tuple(model.catalogue.ids[row] for row in interests[0].items)
        edit = Edit("more", query.at, "x", ids)
        began = time.perf_counter()
        wanted = replace(query, k=10)
        if lean:
            wanted = tastes.steered(wanted, [edit], model.catalogue, model)
        model.recommend(wanted)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken) * 1000)


if __name__ == "__main__":
    main()
