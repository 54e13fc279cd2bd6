"""Attention over the history beside RecTools' SASRec on the last event of each person.

Usage: python benchmarks/quality/bench_sequence.py [--set 100k|1m] [--budget-s 360] [--no-peer]
       python benchmarks/quality/bench_sequence.py --set 1m --long '{"dim": 128}' --budget-s 3000

Ours gets as many epochs as the CPU seconds hold, going by a fit on a tenth of the people; the
settings were chosen on validation. Writes sequence.json beside this file, an entry a set; what an
earlier run found stays, so `--stages` and `--no-peer` can take the parts one at a time.
`--long` tells how far more time takes ours: one net, taught without the test's newest event (which
it is shown as the newest entry of the history when test is asked), answers both stages.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import environments
import numpy as np
import results
import run_peers
import splits
import torch

from segue.core.types import Profile, Training
from segue.evaluate import compare, metrics
from segue.recommend.deep.attention import Attention

HERE = Path(__file__).parent
# The very next item is asked for, and when is not told: the times of the questions differ.
OWN = {"horizon": 1, "waits": False}
PEOPLE = 512  # ranked at a time


class Clock:
    """CPU seconds at the end of each epoch."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        self.at.append(time.process_time())
        return True


def epochs_within(training: Training, budget_s: float, settings: Mapping[str, Any]) -> int:
    """How many epochs the budget holds, by the second of two on a tenth of the people."""
    some = training.interactions.where(training.interactions.users % 10 == 0)
    clock = Clock()
    Attention(**{**settings, "epochs": 2, "min_steps": 1}, watcher=clock).fit(
        replace(training, interactions=some)
    )
    share = len(some) / len(training.interactions)
    return max(1, int(budget_s / ((clock.at[1] - clock.at[0]) / share)))


def ranked(strategy: Attention, stage: splits.Stage) -> np.ndarray:
    """(n_users, 20) best unseen rows for the people of a stage."""
    histories = stage.known.histories(stage.users)
    parts = []
    for at in range(0, len(stage.users), PEOPLE):
        few = histories.take(np.arange(at, min(at + PEOPLE, len(stage.users))))
        scores = strategy.scores(few, [Profile()] * few.n_users, stage.at)
        parts.append(metrics.top_items(scores, few.seen()))
    return np.vstack(parts)


def ours(split: splits.Split, stage: splits.Stage, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of our strategy on one stage, and NDCG@10 of each person."""
    strategy, fit_s = taught(split, stage, settings)
    return asked(strategy, stage, fit_s)


def taught(
    split: splits.Split, stage: splits.Stage, settings: Mapping[str, Any]
) -> tuple[Attention, float]:
    """Our strategy taught with what is known at a stage, and the CPU seconds it took."""
    training = replace(split.training, interactions=stage.known, at=stage.at)
    strategy, began = Attention(**settings), time.process_time()
    strategy.fit(training)
    return strategy, time.process_time() - began


def asked(strategy: Attention, stage: splits.Stage, fit_s: float) -> dict[str, Any]:
    """Figures of a taught strategy on one stage."""
    began = time.process_time()
    top = ranked(strategy, stage)
    score_s = time.process_time() - began
    per = results.measured({"top": top}, stage)
    print(
        f"ours, {stage.name}: NDCG@10 {per['ndcg'].mean():.4f}, fit {fit_s:.0f} CPU-s, "
        f"scores {score_s:.0f} CPU-s",
        flush=True,
    )
    return {"ndcg": per["ndcg"], "fit_s": fit_s, "score_s": score_s}


def peer(split: splits.Split) -> dict[str, Any]:
    """RecTools' SASRec on test with the settings of tuning.toml, from the cache when it is there.

    On ML-100K, which has several settings, the last: the longest training."""
    model = next(m for m in run_peers.models(split.data, "last") if m.model == "sasrec")
    run = run_peers.Run(model, model.grid[-1], split.test)
    run_peers.make([run])
    answer = run.answer()
    per = results.measured(answer, split.test)
    print(
        f"{model.label}, test: NDCG@10 {per['ndcg'].mean():.4f}, "
        f"fit {float(answer['fit_s']):.0f} CPU-s",
        flush=True,
    )
    return {
        "ndcg": per["ndcg"],
        "fit_s": float(answer["fit_s"]),
        "score_s": float(answer["score_s"]),
        "settings": dict(model.grid[-1]),
        "source": environments.environments()[model.peer].requires[0],
    }


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the mean and its interval in place of the people."""
    interval = compare.bootstrap(found["ndcg"], np.random.default_rng(splits.SEED))
    mean = {"ndcg": interval.mean, "interval": [interval.low, interval.high]}
    return {k: v for k, v in found.items() if k != "ndcg"} | mean


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", choices=sorted(splits.DATA), default="100k")
    parser.add_argument("--budget-s", type=float, default=360.0)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--stages", nargs="*", choices=("valid", "test"), default=["valid", "test"])
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--long", type=json.loads, metavar="SETTINGS")
    given = parser.parse_args()
    torch.set_num_threads(1)
    split = splits.export(given.set, "last")
    settings = OWN | (given.settings if given.long is None else given.long)
    if "epochs" not in settings:
        known = replace(split.training, interactions=split.valid.known, at=split.valid.at)
        settings["epochs"] = epochs_within(known, given.budget_s, settings)
    found: dict[str, Any] = {"split_hash": split.hash, "settings": settings}
    print(f"{given.set} {split.hash}: {settings}", flush=True)
    if given.long is not None:
        strategy, fit_s = taught(split, split.valid, settings)
        for stage in (split.valid, split.test):
            found[stage.name] = told(asked(strategy, stage, fit_s))
        keep(f"{given.set} long", found)
        return
    people = {name: ours(split, getattr(split, name), settings) for name in given.stages}
    found |= {f"ours {name}": told(figures) for name, figures in people.items()}
    if not given.no_peer:
        other = peer(split)
        found["peer test"] = told(other)
        if "test" in people:
            gap = compare.difference(
                people["test"]["ndcg"], other["ndcg"], np.random.default_rng(splits.SEED)
            )
            found["difference"] = {"mean": gap.mean, "interval": [gap.low, gap.high]}
            print(f"ours - peer: {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
    found = keep(given.set, found)
    if {"ours test", "peer test"} <= set(found):
        gain = found["ours test"]["ndcg"] / found["peer test"]["ndcg"] - 1
        print(f"gain over the peer: {gain:+.1%}")
        keep(given.set, {"gain": gain})


def keep(entry: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of sequence.json with what was found now beside what earlier runs found."""
    path = HERE / "sequence.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept[entry] = {**kept.get(entry, {}), **found}
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")
    return dict(kept[entry])


if __name__ == "__main__":
    main()
