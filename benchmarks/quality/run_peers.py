"""Tune every peer on validation and measure it once on test; results go to the cache.

Usage: python benchmarks/quality/run_peers.py [100k] [1m] [--split NAME ...] [--only PEER ...]
where --only takes `implicit` or `implicit/als`.

Each run is one process of one thread in the peer's own environment. A run that was made before
(same peer, model, split hash, settings) is read from the cache, so an interrupted benchmark goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environments
import numpy as np
import results
import splits

HERE = Path(__file__).parent
TIME_LIMIT_S = 3600
# One thread a run: CPU seconds are then comparable between libraries.
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "VECLIB_MAXIMUM", "RAYON", "LK")


class Failed(Exception):
    """A run of a peer that ended without an answer, with its last words."""


class Stopped(Failed):
    """A run that somebody or the system ended from outside: not to be remembered."""


@dataclass(frozen=True)
class Model:
    """One model of one peer, and what is tried for it on a split."""

    peer: str
    model: str
    label: str
    grid: tuple[Mapping[str, Any], ...]


def models(data: str, split: str) -> Iterator[Model]:
    """What `tuning.toml` has for a split of a data set."""
    table = tomllib.loads((HERE / "tuning.toml").read_text("utf-8"))
    for name, entry in table.items():
        if f"{data}/{split}" in entry["on"] or split in entry["on"]:
            peer, model = name.split("/")
            grid = entry.get(f"grid_{data}", entry["grid"])
            yield Model(peer, model, entry["label"], tuple(_product(grid)))


def _product(grid: Mapping[str, Any] | list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of lists; a list of tables is several such grids."""
    for table in grid if isinstance(grid, list) else [grid]:
        for values in itertools.product(*table.values()):
            # TOML has no null: "never" stands for it.
            yield {k: None if v == "never" else v for k, v in zip(table, values, strict=True)}


@dataclass(frozen=True)
class Run:
    """One fit of one model on one stage, by name in the cache."""

    model: Model
    settings: Mapping[str, Any]
    stage: splits.Stage

    @property
    def out(self) -> Path:
        which = [self.model.peer, self.model.model, self.settings, self.stage.hash, self.stage.name]
        digest = hashlib.sha256(json.dumps(which, sort_keys=True).encode()).hexdigest()[:16]
        folder = environments.cache_folder() / "runs"
        return folder / f"{self.model.peer}-{self.model.model}-{self.stage.split}-{digest}.npz"

    @property
    def failed(self) -> Path:
        return self.out.with_suffix(".failed")

    @property
    def done(self) -> bool:
        return self.out.exists() or self.failed.exists()

    def answer(self) -> dict[str, np.ndarray]:
        """What the peer gave; raises :class:`Failed` with its last words if it gave nothing."""
        if not self.out.exists():
            raise Failed(self.failed.read_text("utf-8"))
        with np.load(self.out) as file:
            return {name: file[name] for name in file.files}


def make(runs: list[Run]) -> None:
    """Make the runs that are not in the cache yet. They share model and stage."""
    while missing := [r for r in runs if not r.done]:
        try:
            _spawn(missing)
        except Stopped:
            raise
        except Failed as error:
            first = next(r for r in missing if not r.done)  # they are made in order
            first.failed.parent.mkdir(parents=True, exist_ok=True)
            first.failed.write_text(str(error), "utf-8")


def _spawn(runs: list[Run]) -> None:
    model, stage = runs[0].model, runs[0].stage
    own = model.peer == "baseline"  # plain numpy, so this interpreter will do
    python = sys.executable if own else environments.ready(model.peer).python
    command = [
        str(python), str(HERE / "peers" / f"{model.peer}_peer.py"),
        "--split", str(stage.path), "--model", model.model,
        "--out", *(str(r.out) for r in runs),
        "--settings", *(json.dumps(r.settings) for r in runs),
    ]  # fmt: skip
    threads = {f"{name}_NUM_THREADS": "1" for name in THREADS}
    offline = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    work = environments.cache_folder() / "work"  # some peers write logs where they stand
    work.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command, env={**os.environ, **threads, **offline}, cwd=work,
            capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failed(f"over {TIME_LIMIT_S} s") from error
    if done.returncode < 0:
        raise Stopped(f"ended by signal {-done.returncode} (9: often out of memory)")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Failed(lines[-1][:300] if lines else f"exit status {done.returncode}")


def measure_peer(model: Model, split: splits.Split) -> results.Result:
    """The best settings by validation, then test, once."""
    runs = [Run(model, settings, split.valid) for settings in model.grid]
    make(runs)
    tried, failures = [], []
    for settings, one in zip(model.grid, runs, strict=True):
        try:
            answer = one.answer()
        except Failed as error:
            failures.append(str(error))
            print(f"   {settings}  failed: {error}", flush=True)
            continue
        score = results.headline(results.measured(answer, split.valid), split.name)
        tried.append((score, settings))
        print(f"   {settings}  {score:.4f}  {float(answer['fit_s']):.1f} s", flush=True)
    if not tried:
        raise Failed(failures[0])
    # Of equals the first in the file wins, so a rerun chooses the same.
    valid, settings = max(tried, key=lambda pair: pair[0])
    final = Run(model, settings, split.test)
    make([final])
    answer = final.answer()
    versions = ""
    if model.peer != "baseline":
        versions = environments.environments()[model.peer].requires[0]
    return results.Result(
        name=model.label,
        source=versions or "benchmarks/quality/peers/baseline_peer.py",
        data=split.data,
        split=split.name,
        split_hash=split.hash,
        settings=settings,
        tried=len(tried),
        valid=valid,
        fit_s=float(answer["fit_s"]),
        score_s=float(answer["score_s"]),
        peak_mb=float(answer["peak_mb"]),
        per=results.measured(answer, split.test),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="*", default=list(splits.DATA))
    parser.add_argument("--split", nargs="*", default=list(splits.SPLITS))
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    for data, name in itertools.product(given.data, given.split):
        wanted = [
            m
            for m in models(data, name)
            if not given.only or m.peer in given.only or f"{m.peer}/{m.model}" in given.only
        ]
        if not wanted:
            continue
        split = splits.export(data, name)
        for model in wanted:
            print(f"== {data} {name}: {model.label}", flush=True)
            try:
                result = measure_peer(model, split)
            except environments.NotInstalled as error:
                results.fail(split, model.label, f"could not be installed: {error}")
                print(f"   could not be installed: {error}", flush=True)
            except Failed as error:
                results.fail(split, model.label, f"failed: {error}")
                print(f"   failed: {error}", flush=True)
            else:
                results.write(result)
                print(f"   test: {result.figures()}", flush=True)


if __name__ == "__main__":
    main()
