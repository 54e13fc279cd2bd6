"""Ranking quality on MovieLens-100K and -1M under the temporal split; writes quality.md.

Usage: python benchmarks/bench_quality.py [100k] [1m]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import _data
from segue import training
from segue.evaluate.report import Report

OUT = Path(__file__).with_name("quality.md")
SETS = {"100k": ("MovieLens-100K", _data.ml100k), "1m": ("MovieLens-1M", _data.ml1m)}
SEED = 0


def section(title: str, report: Report) -> str:
    header, rows = report.rows()
    lines = [f"## {title}", "", *(f"- {line}" for line in report.summary()), ""]
    lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    names = sys.argv[1:] or list(SETS)
    parts = [
        "# Ranking quality",
        "Made by `benchmarks/bench_quality.py`. Global temporal split .8 / .1 / .1 of the events, "
        "full ranking over everything that a person had not seen, people with at least one event "
        "before the cut. Settings were chosen on validation only; a run measures test once, "
        "after the choice. (While the defaults were being found the test part was printed five "
        "times; no choice used it. The defaults come from three rolling windows before the test "
        "part and from the latency goal.) "
        "The number after a strategy is its half-life in history entries; of popularity, in days.",
    ]
    for name in names:
        title, load = SETS[name]
        began = time.monotonic()
        report = training.evaluate(load(), seed=SEED, progress=print).report
        parts.append(section(title, report))
        print(parts[-1], f"\n{time.monotonic() - began:.0f} s", flush=True)
    if len(names) == len(SETS):
        OUT.write_text("\n\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
