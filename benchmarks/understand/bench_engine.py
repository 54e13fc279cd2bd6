"""What an engine costs a job: many jobs that sleep 5 ms, beside multiprocessing's own pool.

Run: python benchmarks/understand/bench_engine.py [jobs]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator

import click

from segue.engine.engine import Engine, Job
from segue.engine.registry import make_engine

SLEEP_S = 0.005
WORKERS = 2
ROUNDS = 3


def by_engine(engine: Engine, n: int) -> float:
    """Seconds for ``n`` jobs."""
    began = time.perf_counter()
    done = sum(not one.reason for one in engine.run(time.sleep, jobs(n)))
    if done != n:
        raise SystemExit(f"{n - done} of {n} jobs failed")
    return time.perf_counter() - began


def by_pool(pool: multiprocessing.pool.Pool, n: int) -> float:
    """The peer: no time-outs, no retries, and a worker that is killed is a job that never ends."""
    began = time.perf_counter()
    done = sum(1 for _ in pool.imap_unordered(time.sleep, (SLEEP_S for _ in range(n))))
    if done != n:
        raise SystemExit(f"{n - done} of {n} jobs failed")
    return time.perf_counter() - began


def jobs(n: int) -> Iterator[Job[float]]:
    return (Job(str(i), SLEEP_S) for i in range(n))


def show(name: str, workers: int, start_s: float, run: Callable[[int], float], n: int) -> None:
    """One line: the best of some rounds, as others work on the machine too."""
    first_s = run(workers)
    cpu = os.times()
    best_s = min(run(n) for _ in range(ROUNDS))
    now = os.times()
    cpu_s = (now.user + now.system - cpu.user - cpu.system) / ROUNDS
    over_ms = (best_s * workers / n - SLEEP_S) * 1e3
    click.echo(
        f"{name:26} {start_s:8.2f} {first_s:10.2f} {best_s:8.2f} {over_ms:14.2f} "
        f"{cpu_s / n * 1e3:14.2f}"
    )


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    load = os.getloadavg()[0]
    click.echo(f"{n} jobs of {SLEEP_S * 1e3:g} ms, best of {ROUNDS} rounds; load {load:.1f}")
    click.echo(
        f"{'':26} {'start s':>8} {'first s':>10} {'all s':>8} {'over ms a job':>14} "
        f"{'our CPU ms':>14}"
    )
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        start_s = time.perf_counter() - began
        show(f"multiprocessing.Pool({WORKERS})", WORKERS, start_s, lambda n: by_pool(pool, n), n)
    for name, workers in (("here", None), ("cores", WORKERS), ("dask", WORKERS)):
        began = time.perf_counter()
        with make_engine(name, workers=workers) as engine:
            start_s = time.perf_counter() - began
            label = name if workers is None else f"{name} ({workers})"

            def run(n: int, engine: Engine = engine) -> float:
                return by_engine(engine, n)

            show(label, engine.n_workers, start_s, run, n)


if __name__ == "__main__":
    main()
