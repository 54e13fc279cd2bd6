"""Speed of the store, of imports and of start-up. Run: python benchmarks/bench_store.py

Prints one line a figure; --json for machines. Start-up times are also given as a ratio to a bare
interpreter, which holds across machines.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from segue import datasets
from segue.core.types import Event, Floats, Item
from segue.ingest.tables import import_table
from segue.store import catalogue, events
from segue.store.workspace import Workspace

N_EVENTS, N_USERS, N_ITEMS = 1_000_000, 5_000, 2_000


class Fifths:
    """Ratings as a fraction of five."""

    def weigh(self, kinds: np.ndarray, values: Floats) -> Floats:
        return (values / 5).astype(np.float32)

    def running(self, pairs: np.ndarray, kinds: np.ndarray, weights: Floats) -> Floats:
        return weights


def percentiles(run: Callable[[int], object], times: int) -> dict[str, float]:
    """p50 and p99 of calls, in milliseconds, the first ones left out."""
    took = []
    for i in range(times + 20):
        start = time.perf_counter()
        run(i)
        took.append((time.perf_counter() - start) * 1e3)
    p50, p99 = np.percentile(took[20:], [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def bulk(folder: Path) -> tuple[Workspace, dict[str, object]]:
    """A million events from parquet, imported twice."""
    rng = np.random.default_rng(0)
    workspace = Workspace.create(folder / "bulk")
    items = [Item(f"item-{i}", "movie", f"Film {i}") for i in range(N_ITEMS)]
    catalogue.put_items(workspace.engine, items)
    frame = pl.DataFrame(
        {
            "user_id": [f"user-{u}" for u in rng.integers(0, N_USERS, N_EVENTS)],
            "item_id": [f"item-{i}" for i in rng.integers(0, N_ITEMS, N_EVENTS)],
            "rating": rng.integers(1, 6, N_EVENTS).astype(np.float64),
            "time": np.sort(rng.integers(1_500_000_000, 1_700_000_000, N_EVENTS)),
        }
    ).unique(["user_id", "item_id", "time"], maintain_order=True)
    path = folder / "events.parquet"
    frame.write_parquet(path)
    start_cpu_s = time.process_time()
    first = import_table(workspace, "events", [path])
    cpu_s = time.process_time() - start_cpu_s
    again = import_table(workspace, "events", [path])
    return workspace, {
        "rows": first.added, "seconds": round(first.seconds, 2),
        "rows_per_s": round(first.rows / first.seconds), "cpu_s": round(cpu_s, 2),
        "second_import_seconds": round(again.seconds, 2), "second_import_added": again.added,
    }  # fmt: skip


def reads(workspace: Workspace) -> dict[str, object]:
    """Reads of one person's last 200 events, and of everything."""
    engine = workspace.engine
    stored, people = catalogue.load_catalogue(engine), catalogue.load_people(engine)
    users = [f"user-{u}" for u in np.random.default_rng(1).integers(0, N_USERS, 2_100)]
    weigher = Fifths()
    found: dict[str, object] = {
        "recent_200": percentiles(lambda i: events.recent(engine, users[i], 200), 2_000),
        "history_200": percentiles(
            lambda i: events.history(engine, users[i], stored.nums, weigher, limit=200), 2_000
        ),
    }
    start = time.perf_counter()
    events.interactions(engine, stored.catalogue, stored.nums, people.nums, weigher)
    found["all_events_s"] = round(time.perf_counter() - start, 2)
    return found


def writes(workspace: Workspace) -> dict[str, object]:
    """Durable writes through the API's path: one by one and in batches of 100."""
    made = 0

    def batch(size: int) -> Callable[[int], object]:
        def run(_: int) -> object:
            nonlocal made
            made += size
            new = [
                Event(f"w{made}-{j}", f"user-{j}", f"item-{(made + j) % N_ITEMS}", "like", 1.7e9)
                for j in range(size)
            ]
            return events.write(workspace.engine, new)

        return run

    return {"one": percentiles(batch(1), 500), "hundred": percentiles(batch(100), 100)}


def movielens_1m(folder: Path) -> dict[str, object]:
    """Import of MovieLens-1M as it comes: items, people and events."""
    source = datasets.get("movielens-1m")
    files = [source / "ml-1m.train.rating", source / "ml-1m.test.rating"]
    workspace = Workspace.create(folder / "ml-1m")
    out: dict[str, object] = {}
    for what in ("items", "users", "events"):
        report = import_table(workspace, what, files, preset="movielens-1m")
        out[what] = {"added": report.added, "seconds": round(report.seconds, 2)}
    return out


def start_up(times: int = 15) -> dict[str, object]:
    """Median wall seconds of a bare interpreter, ``import segue`` and ``segue --help``."""

    def median(*command: str) -> float:
        took = []
        for _ in range(times):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            took.append(time.perf_counter() - start)
        return statistics.median(took)

    bare = median(sys.executable, "-c", "pass")
    found = {
        "import segue": median(sys.executable, "-c", "import segue"),
        "segue --help": median(str(Path(sys.executable).with_name("segue")), "--help"),
    }
    return {"bare_s": round(bare, 3)} | {
        name: {"s": round(s, 3), "ratio_to_bare": round(s / bare, 2)} for name, s in found.items()
    }


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    figures: dict[str, object] = {"start-up": start_up()}
    with tempfile.TemporaryDirectory() as name:
        workspace, figures["bulk import of events"] = bulk(Path(name))
        figures["reads"] = reads(workspace)
        figures["durable writes"] = writes(workspace)
        figures["MovieLens-1M"] = movielens_1m(Path(name))
        workspace.engine.dispose()
    if as_json:
        print(json.dumps(figures))
        return
    for title, found in figures.items():
        print(title)
        for key, value in found.items():
            print(f"  {key}: {value}")


if __name__ == "__main__":
    main()
