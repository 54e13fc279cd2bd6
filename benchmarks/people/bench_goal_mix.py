"""What a mix of goals changes on MovieLens; writes results_goals.json.

Usage: python benchmarks/people/bench_goal_mix.py [100k|1m]

The temporal split of training: the default blend and those for each mix learn from the lessons,
are chosen on validation and measured on test, the mixes and the default on the same people. A like
is a rating of 4 stars or more; who rates has watched (MovieLens knows no watch time), so "watch"
is the same as "consumed" here.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _data
from segue import training
from segue.core.goals import Goals
from segue.folds import folds
from segue.mixing import compared, mix_of, mixed
from segue.recommend.goals import Achieved
from segue.recommend.plan import DEFAULT

DATA = {"100k": _data.ml100k, "1m": _data.ml1m}
MIXES = (
    Goals(watch=0.7, like=0.3),
    Goals(watch=0.3, like=0.7),
    Goals(like=1.0),
    Goals(rating=1.0),
    Goals(returns=1.0),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="100k", choices=list(DATA))
    given = parser.parse_args()
    data = DATA[given.data]()

    def say(text: str) -> None:
        print(" ", text, flush=True)

    done = training.evaluate(data, seed=0, progress=say)
    train = folds(data, "temporal", 0).split.train
    achieved, out = Achieved.of(data.catalogue), []
    for goals in MIXES:
        mix = mix_of(goals, achieved, train)
        graded, choice = mixed(done.found, done.choice, mix, DEFAULT, seed=0, progress=say)
        plain, mixing = done.choice.fresh(), choice.fresh()
        for blend, found in ((plain, done.found), (mixing, graded)):
            blend.fit((*found.lessons, found.valid), 0)
        every = Goals(watch=1, like=1, rating=1, returns=1).shares
        full = mix_of(Goals(watch=1, like=1, rating=1, returns=1), achieved, train)
        told = graded.graded(full)
        test = compared(plain, mixing, told, full, np.random.default_rng(0))
        report = compared(plain, mixing, graded, mix, np.random.default_rng(0))
        name = ", ".join(f"{share:.0%} {goal}" for goal, share in mix.shares.items())
        print(f"{name}: {choice.blend.kind}, {report.overlap.mean:.0%} of the ten the same")
        lines = [line for line in test.lines if line.goal in every]
        lines += [line for line in report.lines if line.goal == "mix"]
        for line in lines:
            print(
                f"  {line.goal:8} a list {line.plain.mean:.3f} -> {line.mixed.mean:.3f} "
                f"({line.gap.mean:+.3f} [{line.gap.low:+.3f}, {line.gap.high:+.3f}])  NDCG@10 "
                f"{line.ndcg_plain.mean:.4f} -> {line.ndcg_mixed.mean:.4f} "
                f"({line.ndcg_gap.mean:+.4f} [{line.ndcg_gap.low:+.4f}, {line.ndcg_gap.high:+.4f}])"
            )
        out.append(
            {
                "mix": name,
                "blend": choice.blend.kind,
                "overlap": asdict(report.overlap),
                "lines": [asdict(line) for line in lines],
            }
        )
    path = Path(__file__).parent / "results_goals.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept[given.data] = out
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
