"""What the audience of one item costs among a million simulated people; cost only, no quality.

Usage: python benchmarks/people/bench_audience_million.py [100k|1m] [--people N]

The model is the one that bench_audience.py trained on MovieLens. People are MovieLens' own,
drawn with replacement, their times moved by up to a day, with ages, genders and countries drawn
at random. A child process with one thread makes the whole answer: everybody's probability by the
whole blend, the best 1,000, segments, gains. It prints its CPU and wall seconds and the highest
resident memory since it was started. Reading a store's rows is not in it: see results_audience.md
for what that costs a person.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _data
from segue.audience import Ask, find_audience
from segue.core.types import DAY_S, Histories, Profile
from segue.evaluate.split import temporal
from segue.recommend import package
from segue.store.crowd import People

OUT = Path(__file__).parents[1] / "out" / "audience"
DATA = {"100k": _data.ml100k, "1m": _data.ml1m}
STEP = 10_000
COUNTRIES = ("NL", "DE", "FR", "ES", "PL", "IT", "SE", "CN", "US", "BR")
DEVICES = ("tv", "phone", "web", "tablet")


@dataclass
class Simulated:
    """People drawn from real ones; a chunk exists only while it is looked at."""

    histories: Histories
    end: float
    n: int
    spent: float = 0.0

    def size(self) -> int:
        return self.n

    def newest(self) -> float:
        return self.end

    def chunks(self, before: float) -> Iterator[People]:
        rng = np.random.default_rng(0)
        for first in range(0, self.n, STEP):
            began = time.process_time()
            size = min(STEP, self.n - first)
            drawn = self.histories.take(rng.integers(0, self.histories.n_users, size))
            moved = np.repeat(rng.uniform(0, DAY_S, size), drawn.counts)
            drawn = replace(drawn, times=drawn.times - moved)
            draws = [rng.integers(0, n, size).tolist() for n in (3, 60, 10, 4)]
            profiles = tuple(
                Profile(gender=("F", "M", None)[g], age=15 + a, country=COUNTRIES[c],
                        device=DEVICES[d])
                for g, a, c, d in zip(*draws, strict=True)
            )  # fmt: skip
            nums = np.arange(first + 1, first + size + 1)
            ids = tuple(map(str, nums.tolist()))
            self.spent += time.process_time() - began
            yield People(ids, nums, profiles, drawn)


def child(which: str, n: int) -> None:
    data = DATA[which]()
    known = data.before(temporal(data.interactions).test_from)
    model = package.load(OUT / f"{which}-{known.hash}", known.catalogue, known.content)
    seen = known.interactions
    histories = seen.histories(np.unique(seen.users))
    item = known.catalogue.ids[int(np.argsort(np.bincount(seen.items))[-600])]
    find_audience(model, Simulated(histories, known.at, 100), Ask(item))  # compiled kernels load
    del data
    people = Simulated(histories, known.at, n)
    wall, cpu = time.monotonic(), time.process_time()
    found = find_audience(model, people, Ask(item, 1000))
    spent = time.process_time() - cpu
    told = {
        "data": which,
        "people": n,
        "entries_a_person": round(float(histories.counts.mean()), 1),
        "addressed": found.people,
        "cpu_s": round(spent, 1),
        "of_it_simulating_s": round(people.spent, 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "segments": [f.words for f in found.segments],
    }
    print(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="1m", choices=list(DATA))
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if given.child:
        child(given.data, given.people)
        return
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    asked = [sys.executable, __file__, given.data, "--people", str(given.people), "--child"]
    subprocess.run(asked, env={**os.environ, **one}, check=True)


if __name__ == "__main__":
    main()
