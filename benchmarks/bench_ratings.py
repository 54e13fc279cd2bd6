"""Rating prediction on MovieLens-100K and -1M: RMSE and MAE on a random 80/20 of the ratings.

Usage: python benchmarks/bench_ratings.py [100k] [1m] [--peers PYTHON]

Settings were chosen on a tenth of the training part; a run prints the test figures once, at its
end. ``--peers`` names the interpreter of an environment that has scikit-surprise; its raters then
train and are tested on the very same ratings.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import _data
from segue.core.types import Interactions, Training
from segue.evaluate.compare import difference
from segue.recommend.ratings_stack import StackedRatings

SETS = {"100k": ("MovieLens-100K", _data.ml100k), "1m": ("MovieLens-1M", _data.ml1m)}
SEED = 0
TEST_SHARE = 0.2
PEERS = """
import sys, numpy as np
from surprise import SVD, SVDpp, KNNBaseline, Dataset, Reader
import pandas as pd
d = np.load(sys.argv[1])
frame = pd.DataFrame({"u": d["users"], "i": d["items"], "r": d["values"]})
train = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
near = {"name": "pearson_baseline", "user_based": False}
made = {
    "surprise SVD": SVD(n_factors=100, n_epochs=40, reg_all=0.08, random_state=0),
    "surprise item-kNN": KNNBaseline(sim_options=near, verbose=False),
    "surprise SVD++": SVDpp(random_state=0, cache_ratings=True),
}
out = {}
for name in sys.argv[3:]:
    made[name].fit(train)
    pairs = zip(d["test_users"].tolist(), d["test_items"].tolist())
    out[name] = np.array([made[name].predict(u, i).est for u, i in pairs])
np.savez(sys.argv[2], **out)
"""


def split(training: Training) -> tuple[Training, Interactions, str]:
    """Train on 80 % of the ratings drawn at random, test on the rest; and a hash of the draw."""
    test = np.random.default_rng(SEED).random(len(training.interactions)) < TEST_SHARE
    digest = hashlib.sha256(np.packbits(test).tobytes()).hexdigest()[:16]
    events = training.interactions
    return replace(training, interactions=events.where(~test)), events.where(test), digest


def ours(training: Training, test: Interactions) -> dict[str, np.ndarray]:
    """Predictions of the test ratings by the stack and by each of its parts."""
    stack = StackedRatings()
    began = time.process_time()
    stack.fit(training)
    print(f"stack fitted in {time.process_time() - began:.0f} CPU s", flush=True)
    histories = training.interactions.histories()
    pairs = (histories, training.profiles, test.users, test.items)
    parts = stack.of_parts(*pairs)
    return {"stacked ratings": stack.of_pairs(*pairs), **parts}


def peers(python: str, training: Training, test: Interactions) -> dict[str, np.ndarray]:
    names = ["surprise SVD", "surprise item-kNN"]
    if len(training.interactions) < 200_000:
        names.append("surprise SVD++")  # an hour on a million ratings
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        seen = training.interactions
        np.savez(data, users=seen.users, items=seen.items, values=seen.value,
                 test_users=test.users, test_items=test.items)  # fmt: skip
        subprocess.run([python, "-c", PEERS, str(data), str(out), *names], check=True)
        with np.load(out) as found:
            return {name: found[name] for name in names}


def table(predicted: dict[str, np.ndarray], test: Interactions) -> list[str]:
    """RMSE, MAE, and the mean squared error above the stack's; its interval resamples people."""
    assert test.value is not None
    _, person = np.unique(test.users, return_inverse=True)
    scale = (int(person.max()) + 1) / len(test)  # so that the mean over people is that of ratings
    lines = ["| rater | RMSE | MAE | squared error above the stack's |", "|---|---|---|---|"]
    best = np.zeros(0)
    for name, values in predicted.items():
        error = values.astype(np.float64) - test.value
        each = np.bincount(person, error**2) * scale
        if name == "stacked ratings":
            best, margin = each, ""
        else:
            over = difference(each, best, np.random.default_rng(SEED))
            margin = f"{over.mean:+.4f} [{over.low:+.4f}, {over.high:+.4f}]"
        rmse, mae = np.sqrt(np.mean(error**2)), np.abs(error).mean()
        lines.append(f"| {name} | {rmse:.4f} | {mae:.4f} | {margin} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--peers", default=None)
    asked = parser.parse_args()
    for name in asked.sets:
        title, load = SETS[name]
        training, test, digest = split(load())
        predicted = ours(training, test)
        if asked.peers is not None:
            predicted |= peers(asked.peers, training, test)
        seen = len(training.interactions)
        print(f"## {title}\n\n- {seen:,} train, {len(test):,} test, seed {SEED}, draw {digest}\n")
        print("\n".join(table(predicted, test)), flush=True)


if __name__ == "__main__":
    main()
