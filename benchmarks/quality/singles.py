"""Every strategy and rater of segue alone, as it comes, on the splits of the quality benchmark.

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
from dataclasses import replace

import numpy as np
import results
import splits
from bench_cold import texts
from ours import NEXT

from segue.core.top import best
from segue.core.types import Training
from segue.rating import ON_REQUEST, predict
from segue.recommend.registry import RATERS, STRATEGIES, make, make_rater, missing

K, CHUNK = 20, 500
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA")
BY_CONTENT = ("cold", "dropoutnet", "towers", "bridge", "content")  # the rest knows no new item
NEEDS_CONTENT = ("cold", "dropoutnet", "bridge", "content")  # MovieLens-1M has no titles


def settings(strategy: str, split: str) -> dict[str, object]:
    """What follows from the question itself: the next event, or no order at all."""
    if strategy == "attention" and split == "last":
        return dict(NEXT)
    if strategy in ("graph", "towers") and split == "random":
        return {"ordered": False, "fading_days": None}
    return {}


def wanted(data: str, split: str) -> list[str]:
    """What can answer the question of a split."""
    if split == "ratings":
        return [name for name in RATERS if name not in ON_REQUEST and missing(name) is None]
    if split == "cold":
        return [name for name in BY_CONTENT if missing(name) is None]
    left_out = NEEDS_CONTENT if data == "1m" else ("cold",)
    return [name for name in STRATEGIES if name not in left_out and missing(name) is None]


def past_of(split: splits.Split, stage: splits.Stage) -> Training:
    """What may be learned from. New items are told by titles as the text encoder reads them."""
    past = replace(split.training, interactions=stage.known, at=stage.at)
    return replace(past, content=texts(past.catalogue.items)) if split.name == "cold" else past


def answers(
    name: str, past: Training, stage: splits.Stage
) -> tuple[dict[str, np.ndarray], float, float]:
    """Lists or ratings, CPU seconds of the fit and of the answers."""
    if stage.split == "ratings":
        rater, began = make_rater(name), time.process_time()
        rater.fit(past)
        fitted = time.process_time()
        answer = {"predicted": predict(rater, past, stage.held)}
        return answer, fitted - began, time.process_time() - fitted
    model, began = make(name, **settings(name, stage.split)), time.process_time()
    model.fit(past)
    fitted = time.process_time()
    histories = stage.known.histories(stage.users)
    top = np.full((len(stage.users), K), -1, dtype=np.intp)
    for first in range(0, len(stage.users), CHUNK):
        some = np.arange(first, min(first + CHUNK, len(stage.users)))
        part = histories.take(some)
        profiles = [past.profiles[user] for user in stage.users[some]]
        allowed = ~part.seen() & stage.candidates
        top[some] = best(model.scores(part, profiles, past.at), allowed, K)
    return {"top": top}, fitted - began, time.process_time() - fitted


def measure(name: str, data: str, which: str) -> None:
    split = splits.export(data, which)
    answer, _, _ = answers(name, past_of(split, split.valid), split.valid)
    valid = results.headline(results.measured(answer, split.valid), which)
    answer, fit_s, score_s = answers(name, past_of(split, split.test), split.test)
    result = results.Result(
        name=f"segue {name}",
        source="segue",
        data=data,
        split=which,
        split_hash=split.hash,
        settings=settings(name, which),
        tried=1,
        valid=valid,
        fit_s=fit_s,
        score_s=score_s,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        per=results.measured(answer, split.test),
    )
    results.write(result)
    print(f"{data} {which}: {result.name} {fit_s:.1f} s  {result.figures()}", flush=True)


def main() -> None:
    if sys.argv[1] == "--one":
        measure(*sys.argv[2:])
        return
    data, which, *chosen = sys.argv[1:]
    environment = {**os.environ, **{f"{library}_NUM_THREADS": "1" for library in THREADS}}
    for name in chosen or wanted(data, which):
        command = [sys.executable, __file__, "--one", name, data, which]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
