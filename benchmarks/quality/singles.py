"""Every strategy of segue alone, as it comes, on the splits of the quality benchmark.

Usage: python benchmarks/quality/singles.py 100k|1m SPLIT [STRATEGY ...]

Each runs in a process of its own with one thread: fitted for validation, then for test, and
measured once. Nothing is tuned. Afterwards `table.py` puts them beside the peers.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import numpy as np
import results
import splits
from ours import NEXT

from segue.core.top import best
from segue.core.types import Rows
from segue.folds import Fold, folds
from segue.recommend.registry import STRATEGIES, make, missing

SEED, K, CHUNK = 0, 20, 500
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA")
NEEDS_TEXT = ("content", "bridge", "cold")  # MovieLens-1M has no titles, so these know too little


def settings(strategy: str, split: str) -> dict[str, object]:
    """What follows from the question itself: the next event, or no order at all."""
    if strategy == "attention" and split == "last":
        return dict(NEXT)
    if strategy in ("graph", "towers") and split == "random":
        return {"ordered": False, "fading_days": None}
    return {}


def lists(strategy: str, fold: Fold, split: str, users: Rows) -> tuple[Rows, float, float]:
    """(n_users, K) lists of new items, CPU seconds of the fit and of the answers."""
    model, began = make(strategy, **settings(strategy, split)), time.process_time()
    model.fit(fold.past)
    fitted = time.process_time()
    histories = fold.past.interactions.histories(users)
    out = np.full((len(users), K), -1, dtype=np.intp)
    for first in range(0, len(users), CHUNK):
        some = np.arange(first, min(first + CHUNK, len(users)))
        part = histories.take(some)
        profiles = [fold.past.profiles[user] for user in users[some]]
        out[some] = best(model.scores(part, profiles, fold.past.at), ~part.seen(), K)
    return out, fitted - began, time.process_time() - fitted


def measure(strategy: str, data: str, name: str) -> None:
    split = splits.export(data, name)
    cut = folds(split.training, name, SEED)
    if cut.split.hash != split.hash:
        raise SystemExit(f"{name}: another split than the peers', {cut.split.hash} {split.hash}")
    top, _, _ = lists(strategy, cut.valid, name, split.valid.users)
    valid = results.headline(results.measured({"top": top}, split.valid), name)
    top, fit_s, score_s = lists(strategy, cut.test, name, split.test.users)
    result = results.Result(
        name=f"segue {strategy}",
        source="segue",
        data=data,
        split=name,
        split_hash=split.hash,
        settings=settings(strategy, name),
        tried=1,
        valid=valid,
        fit_s=fit_s,
        score_s=score_s,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        per=results.measured({"top": top}, split.test),
    )
    results.write(result)
    print(f"{data} {name}: {result.name} {fit_s:.1f} s  {result.figures()}", flush=True)


def main() -> None:
    if sys.argv[1] == "--one":
        measure(*sys.argv[2:])
        return
    data, name, *chosen = sys.argv[1:]
    known = [s for s in STRATEGIES if missing(s) is None]
    left_out = NEEDS_TEXT if data == "1m" else ()
    environment = {**os.environ, **{f"{library}_NUM_THREADS": "1" for library in THREADS}}
    for strategy in chosen or [s for s in known if s not in left_out]:
        command = [sys.executable, __file__, "--one", strategy, data, name]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
