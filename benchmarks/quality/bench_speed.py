"""How long a fit and everybody's list take, beside peers on the same data in the same run.

Usage: python benchmarks/quality/bench_speed.py [--rounds N] [--only GROUP ...]

MovieLens-1M, the known part of the random split (800,000 events), top 20 for all 6,040 people, one
thread, CPU seconds without starting Python. Ours and the peers take turns, each time in a new
process; the median of the rounds is shown, and the ratio to the fastest peer of the group. Ours
compiles its kernels before the clock starts, by a fit on a thousandth of the events: they are kept
on disk, so a user waits for them once. "blend" is the default plan with its trees: fitting all
parts as of one time, and candidates, features and scores for everybody.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import environments
import numpy as np
import run_peers
import splits

from segue.core.types import Training
from segue.folds import folds
from segue.recommend import counts
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.features import Side
from segue.recommend.plan import DEFAULT
from segue.recommend.registry import make
from segue.recommend.windows import collect

K, CHUNK, PEOPLE = 20, 1000, 300
ALS = {"factors": 64, "iterations": 15}
# Group -> what runs in it: ours by strategy and settings, peers by peer/model and settings.
GROUPS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "EASE": {
        "segue linear": {},
        "cornac/ease": {"ridge": 1000, "only_positive": True},
    },
    "item-kNN": {
        "segue neighbours": {"k": 100},
        "implicit/cosine": {"k": 100},
    },
    "BM25": {
        "segue bm25": {"k": 100},
        "implicit/bm25": {"k": 100, "k1": 1.2, "b": 0.75},
    },
    "ALS, 64 factors, 15 rounds": {
        "segue als": ALS,
        "implicit/als": {**ALS, "regularization": 10, "alpha": 1},
    },
    "others": {
        "segue slim": {},
        "segue walk": {},
        "segue people": {},
        "segue successors": {},
        "segue bpr": {},
        "rectools/pure_svd": {"factors": 32},
    },
    "blend": {"segue blend": {}},
}


def ours(name: str, settings: Mapping[str, Any]) -> dict[str, float]:
    split = splits.export("1m", "random")
    past = replace(split.training, interactions=split.test.known, at=split.test.at)
    small = past.before(float(past.interactions.time[len(past.interactions) // 1000]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run = everybody if name == "blend" else alone
    run(name, settings, small)
    fit_s, score_s = run(name, settings, past)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"fit_s": fit_s, "score_s": score_s, "peak_mb": peak, "before_mb": before}


def alone(name: str, settings: Mapping[str, Any], past: Training) -> tuple[float, float]:
    """CPU seconds of the fit, and of everybody's best unseen items."""
    model, began = make(name, **settings), time.process_time()
    model.fit(past)
    fitted = time.process_time()
    histories = past.interactions.histories()
    top = np.empty((histories.n_users, K), dtype=np.intp)
    for first in range(0, histories.n_users, CHUNK):
        some = np.arange(first, min(first + CHUNK, histories.n_users))
        part = histories.take(some)
        scores = model.scores(part, [past.profiles[user] for user in some], past.at)
        counts.best(scores, part.indptr, part.items, top[some[0] : some[-1] + 1])
    return fitted - began, time.process_time() - fitted


def everybody(name: str, settings: Mapping[str, Any], past: Training) -> tuple[float, float]:
    """The same of the blend; its trees learn from one lesson before the clock starts."""
    cut = folds(past, "random", 0)
    taught = Side(DEFAULT)
    taught.fit(cut.valid.past)
    lesson = collect(taught, cut.valid.past, cut.valid.held, max_users=PEOPLE, seed=0)
    blend = Blend(BlendSettings(), DEFAULT)
    blend.fit([lesson], 0)
    side, began = Side(DEFAULT), time.process_time()
    side.fit(past)
    fitted = time.process_time()
    everyone = splits.export("1m", "random").test.held
    window = collect(side, past, everyone, max_users=None, seed=0, rivals=False)
    window.ranking(blend.score(window.features))
    return fitted - began, time.process_time() - fitted


def peer(name: str, settings: Mapping[str, Any], out: Path) -> dict[str, float]:
    library, model = name.split("/")
    stage = splits.export("1m", "random").test
    command = [
        str(environments.ready(library).python),
        str(run_peers.HERE / "peers" / f"{library}_peer.py"),
        "--split", str(stage.path), "--model", model,
        "--out", str(out), "--settings", json.dumps(settings),
    ]  # fmt: skip
    subprocess.run(command, check=True, env=single(), capture_output=True)
    with np.load(out) as file:
        return {key: float(file[key]) for key in ("fit_s", "score_s", "peak_mb")}


def single() -> dict[str, str]:
    return {**os.environ, **{f"{name}_NUM_THREADS": "1" for name in run_peers.THREADS}}


def once(name: str, settings: Mapping[str, Any], folder: Path) -> dict[str, float]:
    if not name.startswith("segue "):
        return peer(name, settings, folder / "answer.npz")
    command = [sys.executable, __file__, "--one", name.removeprefix("segue "), json.dumps(settings)]
    done = subprocess.run(command, check=True, env=single(), stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(ours(sys.argv[2], json.loads(sys.argv[3]))), flush=True)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(GROUPS))
    given = parser.parse_args()
    print("| | fit, CPU s | to the fastest peer | top 20 for all, CPU s | to it | peak MB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for group in given.only:
            rounds = [
                {name: once(name, s, Path(folder)) for name, s in GROUPS[group].items()}
                for _ in range(given.rounds)
            ]
            table = {
                name: {key: median(r[name][key] for r in rounds) for key in rounds[0][name]}
                for name in GROUPS[group]
            }
            for name, row in table.items():
                rivals = [r for n, r in table.items() if not n.startswith("segue")]
                cells = []
                for key in ("fit_s", "score_s"):
                    least = min((r[key] for r in rivals), default=0.0) if group != "others" else 0.0
                    cells += [f"{row[key]:.2f}", f"{row[key] / least:.2f}×" if least else ""]
                print(f"| {name} | {' | '.join(cells)} | {row['peak_mb']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
