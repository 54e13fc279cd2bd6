"""Damaged media through the sandbox: what it cost, and each rejected file with its reason.

.venv/bin/python benchmarks/bench_mutants.py [--count 20000] [--seed 7] [--list rejected.tsv]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import mutants

HANG_S = 5.0
EVERY = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description="damaged media through the sandbox")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--list", type=Path, help="write name and reason of each rejected file")
    options = parser.parse_args()
    herd, began = mutants.Herd(), time.monotonic()
    for one in mutants.mutants(options.count, options.seed):
        herd.seen.append(one)
        if len(herd.seen) % EVERY == 0:
            print(f"{len(herd.seen):,} in {time.monotonic() - began:.0f} s", flush=True)
    if options.list is not None:
        lines = (f"{one.name}\t{one.reason}\n" for one in herd.refused)
        options.list.write_text("".join(lines))
    notes = sum(bool(one.note) for one in herd.seen)
    hangs = [one for one in herd.seen if one.seconds > HANG_S and not one.fresh]
    print(f"mutants {len(herd.seen):,}: {len(herd.refused):,} rejected, {notes:,} read in part")
    print(f"children that it cost: {len(herd.fatal)}; files over {HANG_S:g} s: {len(hangs)}")
    starts = max(one.seconds for one in herd.seen if one.fresh)
    print(f"slowest start of a child, with its first file: {starts:.2f} s")
    print(f"slowest: {herd.slowest.seconds:.2f} s, {herd.slowest.name}")
    for one in [*herd.fatal, *hangs][:40]:
        print(f"   {one.name} {one.seconds:.2f} s: {one.reason or one.note}")
    for reason, n in herd.reasons().most_common(60):
        print(f"{n:6,}  {reason}")
    return int(bool(herd.fatal or hangs))


if __name__ == "__main__":
    sys.exit(main())
