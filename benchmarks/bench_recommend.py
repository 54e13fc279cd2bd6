"""Latency of one answer with reasons: 200 history entries, MovieLens-100K's 1,682 items.

Usage: python benchmarks/bench_recommend.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: the promise is for one thread
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import time
from itertools import pairwise

import numpy as np

import _data
from segue.core.types import Histories, Query
from segue.evaluate.split import cut_time, temporal
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.pipeline import Pipeline
from segue.recommend.windows import build

ENTRIES, ROUNDS = 200, 1000


def main() -> None:
    everything = _data.ml100k()
    training = everything.before(temporal(everything.interactions).test_from)
    seen = training.interactions
    cuts = [cut_time(seen, share) for share in (0.5, 0.65, 0.8)] + [training.at]
    blend = Blend(BlendSettings())
    blend.fit([build(training, a, b, max_users=100, seed=0) for a, b in pairwise(cuts)], seed=0)
    pipeline = Pipeline.fit(training, blend, seen.hash, seed=0)
    counts = np.bincount(seen.users, minlength=seen.n_users)
    queries = []
    for user in np.flatnonzero(counts >= ENTRIES):
        h = seen.histories(np.array([user]))
        newest = slice(-ENTRIES, None)
        cut = Histories.of_one(h.items[newest], h.weights[newest], h.times[newest], h.n_items)
        queries.append(Query(str(user), cut, training.at, profile=training.profiles[user]))
    took = []
    for n in range(ROUNDS + 50):
        query = queries[n % len(queries)]
        began = time.perf_counter()
        answer = pipeline.recommend(query)
        took.append((time.perf_counter() - began) * 1000)
        if len(answer) != query.k:
            raise SystemExit(f"expected {query.k} items, got {len(answer)}")
    p50, p99 = np.quantile(took[50:], [0.5, 0.99])
    print(
        json.dumps(
            {
                "entries": ENTRIES,
                "items": seen.n_items,
                "people": len(queries),
                "p50_ms": round(float(p50), 2),
                "p99_ms": round(float(p99), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
