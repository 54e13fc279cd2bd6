"""What one strategy costs on MovieLens-1M, single-threaded: fit, top 20 for everybody, peak memory.

Each strategy runs in a process of its own. Kernels are compiled before the clock starts (they are
kept on disk, so that a user waits for them once), by a fit on the first thousandth of the events.

Usage: python benchmarks/bench_fit.py [strategy ...]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

import _data
from segue.recommend import counts
from segue.recommend.registry import make

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
STRATEGIES = (
    "popular", "neighbours", "neighbours in time", "bm25", "people", "linear", "slim", "walk",
    "successors", "als",
)  # fmt: skip
CHUNK = 1000  # people whose rows of scores are held at once
K = 20


def one(name: str) -> dict[str, float | str]:
    training = _data.ml1m()
    small = training.before(float(training.interactions.time[len(training.interactions) // 1000]))
    data_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    top(name, small)
    fit_s, top_s, fit_cpu_s, top_cpu_s = top(name, training)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "strategy": name,
        "fit_s": round(fit_s, 2),
        "top20_s": round(top_s, 2),
        "fit_cpu_s": round(fit_cpu_s, 2),
        "top20_cpu_s": round(top_cpu_s, 2),
        "peak_mb": round(peak_mb),
        "data_mb": round(data_mb),
    }


def top(name: str, training: _data.Training) -> tuple[float, float, float, float]:
    """Wall and CPU seconds of the fit and of the best K unseen items of everybody."""
    strategy = make(name)
    began, cpu = time.perf_counter(), time.process_time()
    strategy.fit(training)
    fitted, fitted_cpu = time.perf_counter(), time.process_time()
    histories = training.interactions.histories()
    rows = np.empty((histories.n_users, K), dtype=np.intp)
    for first in range(0, histories.n_users, CHUNK):
        some = np.arange(first, min(first + CHUNK, histories.n_users))
        part = histories.take(some)
        profiles = [training.profiles[user] for user in some]
        scores = strategy.scores(part, profiles, training.at)
        counts.best(scores, part.indptr, part.items, rows[some[0] : some[-1] + 1])
    done, done_cpu = time.perf_counter(), time.process_time()
    return fitted - began, done - fitted, fitted_cpu - cpu, done_cpu - fitted_cpu


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2])), flush=True)
        return
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    for name in sys.argv[1:] or STRATEGIES:
        subprocess.run([sys.executable, __file__, "--one", name], check=True, env=environment)


if __name__ == "__main__":
    main()
