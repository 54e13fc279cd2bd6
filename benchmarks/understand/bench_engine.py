"""What an engine costs a job: many jobs that sleep 5 ms, beside two pools of processes.

Run: python benchmarks/understand/bench_engine.py [jobs]

The peers: multiprocessing.Pool (no time-outs; the job of a worker that is killed never ends) and
pebble's (a worker that is killed while it sends breaks the pool, with all jobs that wait).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import Pool

import click
from pebble import ProcessPool

from segue.engine.engine import Engine, Job
from segue.engine.registry import make_engine

SLEEP_S = 0.005
WORKERS = 2
ROUNDS = 3


@dataclass
class Runner:
    """One way to run jobs: ``run(n)`` gives how many went well."""

    name: str
    workers: int
    run: Callable[[int], int]
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    first_s: float = 0.0

    def round(self, n: int) -> float:
        began, cpu = time.perf_counter(), time.process_time()
        done = self.run(n)
        if done != n:
            raise SystemExit(f"{self.name}: {n - done} of {n} jobs failed")
        self.cpu_s.append(time.process_time() - cpu)
        self.seconds.append(time.perf_counter() - began)
        return self.seconds[-1]


def by_engine(engine: Engine, n: int) -> int:
    outcomes = engine.run(time.sleep, (Job(str(i), SLEEP_S) for i in range(n)))
    return sum(not one.reason for one in outcomes)


def by_pool(pool: Pool, n: int) -> int:
    return sum(1 for _ in pool.imap_unordered(time.sleep, (SLEEP_S for _ in range(n))))


def by_pebble(pool: ProcessPool, n: int) -> int:
    futures = [pool.schedule(time.sleep, args=(SLEEP_S,)) for _ in range(n)]
    return sum(future.exception() is None for future in as_completed(futures))


def runners(stack: ExitStack) -> list[Runner]:
    context = multiprocessing.get_context("spawn")
    pool = stack.enter_context(context.Pool(WORKERS))
    pebble = stack.enter_context(ProcessPool(WORKERS, context=context))
    here, cores, dask = (
        stack.enter_context(make_engine(name, workers=workers))
        for name, workers in (("here", None), ("cores", WORKERS), ("dask", WORKERS))
    )
    return [
        Runner("multiprocessing.Pool", WORKERS, partial(by_pool, pool)),
        Runner("pebble.ProcessPool", WORKERS, partial(by_pebble, pebble)),
        Runner("here", 1, partial(by_engine, here)),
        Runner("cores", WORKERS, partial(by_engine, cores)),
        Runner("dask, in this process", WORKERS, partial(by_engine, dask)),
    ]


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with ExitStack() as stack:
        rows = runners(stack)
        for row in rows:
            row.first_s = row.round(row.workers)
            row.seconds.clear()
            row.cpu_s.clear()
        for _ in range(ROUNDS):  # by turns: others work on the machine too
            for row in rows:
                row.round(n)
    click.echo(f"{n} jobs of {SLEEP_S * 1e3:g} ms, best of {ROUNDS}; load {os.getloadavg()[0]:.1f}")
    click.echo(f"{'':24}{'workers':>8}{'first s':>9}{'all s':>8}{'over ms':>9}{'CPU ms here':>13}")
    for row in rows:
        best_s, cpu_s = min(row.seconds), min(row.cpu_s)
        over_ms = (best_s * row.workers / n - SLEEP_S) * 1e3
        click.echo(
            f"{row.name:24}{row.workers:8}{row.first_s:9.2f}{best_s:8.2f}{over_ms:9.2f}"
            f"{cpu_s / n * 1e3:13.2f}"
        )


if __name__ == "__main__":
    main()
