"""segue's own blend on the splits of the quality benchmark, in the format of the peers' results.

Usage: python benchmarks/quality/ours.py 100k|1m [temporal random last]

Parts and blend are chosen on validation, as `segue evaluate --split` does it; test is looked at
once. Afterwards `table.py` puts it beside the peers.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import results
import splits

from segue.choosing import choose, windows
from segue.folds import folds
from segue.recommend.fitting import Fitting
from segue.recommend.pipeline import strategy_of
from segue.recommend.plan import DEFAULT, Part, part_of

SEED = 0
# The very next event asks for another net than a whole window does (see bench_sequence.py).
NEXT = {"horizon": 1, "waits": False, "epochs": 10}
# What is tried beside the default parts, with settings found on validation. Where no time orders
# the split, an old entry tells as much as a new one, and nothing is recent.
OTHERS: Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "100k/random": {
        "als": ("als", {"factors": 32, "regularization": 0.75, "alpha": 5.0, "half_life": None}),
        "als wide": ("als", {"factors": 64, "alpha": 1.0, "half_life": None}),
        "als narrow": ("als", {"factors": 16, "alpha": 10.0, "half_life": None}),
        "linear free": ("linear", {"ridge": 300.0, "dropout": 0.0}),
        "linear hidden": ("linear", {"ridge": 300.0, "dropout": 0.5}),
        "linear damped": ("linear", {"ridge": 100.0, "dropout": 0.7, "damping": 0.1}),
        "slim": ("slim", {"signed": True}),
        "slim loose": ("slim", {"l2": 100.0}),
        "bm25": ("bm25", {"half_life": None}),
        "people": ("people", {}),
    },
    "1m/random": {
        "als": ("als", {"factors": 96, "regularization": 0.3, "alpha": 3.0, "half_life": None}),
        "als narrow": ("als", {"factors": 48, "alpha": 10.0, "half_life": None}),
        "linear free": ("linear", {"ridge": 900.0, "dropout": 0.0}),
        "linear hidden": ("linear", {"ridge": 900.0, "dropout": 0.5}),
        "linear damped": ("linear", {"ridge": 300.0, "dropout": 0.7, "damping": 0.1}),
        "slim": ("slim", {"signed": True}),
        "bm25": ("bm25", {"half_life": None}),
    },
    "last": {
        **{name: (name, {}) for name in (
            "als", "slim", "people", "bm25", "neighbours in time", "moment popular"
        )},
        "attention": ("attention", NEXT),
    },
}  # fmt: skip


def extra(data: str, split: str) -> dict[str, Part]:
    """Strategies that are tried beside the default ones."""
    others = OTHERS.get(f"{data}/{split}", OTHERS.get(split, {}))
    return {
        name: part_of(strategy, settings, name, proposes=True)
        for name, (strategy, settings) in others.items()
    }


def measure(data: str, name: str) -> None:
    split, began = splits.export(data, name), time.process_time()
    cut = folds(split.training, name, SEED)
    if cut.split.hash != split.hash:
        raise SystemExit(f"{name}: another split than the peers', {cut.split.hash} {split.hash}")
    more = extra(data, name)
    plan = DEFAULT.with_parts(more)
    found = windows(cut, plan, seed=SEED, fitting=Fitting(), progress=_say)
    if cut.uneven:
        found = found.standing(plan)
    choice = choose(found, plan, more, seed=SEED, progress=_say)
    blend = choice.fresh()
    blend.fit((*found.lessons, found.valid), SEED)
    fitted = time.process_time()
    test = found.test
    top = test.ranking(blend.score(test.columns(blend.plan.names)))
    if test.users.tolist() != split.test.users.tolist():
        raise SystemExit(f"{name}: asked other people than the peers were")
    result = results.Result(
        name="segue",
        source="segue",
        data=data,
        split=name,
        split_hash=split.hash,
        settings={"serves": strategy_of(blend), "parts": ", ".join(blend.plan.parts)},
        tried=len(choice.tried),
        valid=float(choice.valid.ndcg.mean()),
        fit_s=fitted - began,
        score_s=time.process_time() - fitted,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        per=results.measured({"top": top}, split.test),
    )
    results.write(result)
    print(f"{data} {name}: {result.figures()}", flush=True)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    data, *names = sys.argv[1:] or ["100k"]
    for name in names or ("temporal", "random", "last"):
        measure(data, name)


if __name__ == "__main__":
    main()
