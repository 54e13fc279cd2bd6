"""One table a split from the results in `benchmarks/out/quality`: peers and ours side by side.

Usage: python benchmarks/quality/table.py [100k] [1m]     (writes peers.md and peers.json here)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import results
import splits

from segue.evaluate.compare import Interval, bootstrap, difference
from segue.evaluate.metrics import METRICS

HERE = Path(__file__).parent
TITLES = {
    "temporal": "Temporal split .8 / .1 / .1",
    "random": "Random 80 / 20 a person",
    "last": "Last event out",
    "ratings": "Ratings, random 80 / 20",
    "cold": "A fifth of the items cold, ranked among themselves",
}
SETS = {"100k": "MovieLens-100K", "1m": "MovieLens-1M"}
SEED = 0


def main_key(split: str) -> str:
    """The array of a result that its split is judged by."""
    return {"ratings": "squared", "cold": "recall"}.get(split, "ndcg")


def best(found: list[results.Result], split: str) -> results.Result | None:
    """The highest on VALIDATION: who is compared with must not be chosen by test."""
    return max(found, key=lambda r: r.valid, default=None)


def _interval(result: results.Result, key: str) -> Interval:
    return bootstrap(result.per[key], np.random.default_rng(SEED))


def _cells(result: results.Result, split: str) -> dict[str, str]:
    if split == "ratings":
        found = _interval(result, "squared")
        root = [np.sqrt(v) for v in (found.mean, found.low, found.high)]
        return {
            "RMSE": f"{root[0]:.4f} ± {(root[2] - root[1]) / 2:.4f}",
            "MAE": f"{results.figure(result.per, 'mae'):.4f}",
        }
    out = {}
    for key, title in METRICS.items():
        found = _interval(result, key)
        out[title] = f"{found.mean:.4f} ± {found.half_width:.4f}"
    return out


def _gap(result: results.Result, rival: results.Result | None, split: str) -> str:
    """Paired difference to the rival, in the metric of the split; empty for the rival itself."""
    key = main_key(split)
    if rival is None or rival.name == result.name:
        return ""
    found = difference(result.per[key], rival.per[key], np.random.default_rng(SEED))
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def rows(data: str, split: str) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    """Rows of a split, best on test first, and (name, reason) of what has no figure."""
    found, missing = results.read(data, split)
    if not found:
        return [], missing
    hashes = {r.split_hash for r in found}
    if len(hashes) > 1:
        raise ValueError(f"{data} {split}: results of several splits {sorted(hashes)}; run again")
    sign = 1 if split == "ratings" else -1
    rival = best([r for r in found if r.source != "segue"], split)
    what = "squared error" if split == "ratings" else METRICS[main_key(split)]
    out = []
    for result in sorted(found, key=lambda r: sign * r.mean(main_key(split))):
        out.append(
            {
                "strategy": f"**{result.name}**" if result.source == "segue" else result.name,
                **_cells(result, split),
                "validation": f"{abs(result.valid):.4f}",
                f"{what} minus {rival.name if rival else ''}'s": _gap(result, rival, split),
                "tried": str(result.tried),
                "fit, CPU s": f"{result.fit_s:.1f}",
                "answers, CPU s": f"{result.score_s:.1f}",
                "peak MB": f"{result.peak_mb:.0f}",
                "settings": ", ".join(f"{k} {v}" for k, v in result.settings.items()),
            }
        )
    return out, missing


def section(data: str, split: str) -> tuple[str, dict[str, Any]]:
    """Markdown of one split, and the same as values; empty when nothing was measured."""
    table, missing = rows(data, split)
    if not table and not missing:
        return "", {}
    cut = splits.export(data, split)
    size = (
        f"{len(cut.test.users):,} people"
        if split != "ratings"
        else f"{len(cut.test.held):,} ratings"
    )
    lines = [f"## {SETS[data]}: {TITLES[split]}", "", f"- test: {size}; split {cut.hash}"]
    lines += [f"- {name}: {reason}" for name, reason in missing] + [""]
    if table:
        lines += _markdown(table)
    return "\n".join(lines), {
        "data": data,
        "split": split,
        "hash": cut.hash,
        "rows": table,
        "missing": dict(missing),
    }


def _markdown(table: list[Mapping[str, str]]) -> list[str]:
    header = list(table[0])
    out = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return out + ["| " + " | ".join(row.values()) + " |" for row in table]


HEAD = """# Ranking quality: peers and segue on the same splits

Made by `benchmarks/quality/table.py`; how, and what each column is: `README.md` here. ± and
brackets are 95 % bootstrap intervals (over people; over ratings for RMSE). Every model was chosen
on validation, then fitted on train and validation and measured on test once. The rival of the
paired column is the peer that was best on validation."""


def main() -> None:
    parts, values = [HEAD], []
    for data in sys.argv[1:] or list(SETS):
        for split in splits.SPLITS:
            text, found = section(data, split)
            if text:
                parts.append(text)
                values.append(found)
    print("\n\n".join(parts))
    if len(sys.argv) == 1:
        (HERE / "peers.md").write_text("\n\n".join(parts) + "\n", "utf-8")
        (HERE / "peers.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
