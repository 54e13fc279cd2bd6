"""Which parts the default blend should have, on rolling past windows; never looks at test.

A blend is trained on all past windows before one and asked about that one, for the third window
to the validation window. Prints the mean NDCG@10 and the paired difference to today's default.

Usage: python benchmarks/bench_parts.py [100k|1m] [STRATEGY ...]     strategies to try beside it
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

import _data
from segue.choosing import measured, windows
from segue.evaluate.compare import difference
from segue.evaluate.report import signed
from segue.folds import folds
from segue.recommend.blend import Blend
from segue.recommend.fitting import Fitting
from segue.recommend.plan import CONTENT, DEFAULT, Plan
from segue.recommend.windows import Window
from segue.training import extra_parts

SETS = {"100k": _data.ml100k, "1m": _data.ml1m}
TAUGHT = 2  # windows before the first that is asked about


def rolled(seen: list[Window], plan: Plan) -> np.ndarray:
    """(n,) NDCG@10 of everybody in the windows asked about."""
    out = []
    for number in range(TAUGHT, len(seen)):
        blend = Blend(plan=plan)
        blend.fit(seen[:number], seed=0)
        out.append(measured(seen[number], blend).ndcg)
    return np.concatenate(out)


def main() -> None:
    name, *tried = sys.argv[1:] or ["100k"]
    cut = folds(SETS[name](), "temporal", 0)
    extra = extra_parts(tried, ())
    whole = DEFAULT.with_parts(extra)
    # Validation takes the place of test: nothing here may know what came after it.
    found = windows(
        replace(cut, test=cut.valid), whole, seed=0, fitting=Fitting(), progress=lambda _text: None
    )
    seen, rng = [*found.lessons, found.valid], np.random.default_rng(0)
    default = rolled(seen, DEFAULT)
    print(f"{name}: {len(default):,} people; today's default {default.mean():.4f}", flush=True)
    plans = {f"with {p}": DEFAULT.with_parts({p: part}) for p, part in extra.items()}
    for part in DEFAULT.parts:
        if part != CONTENT:
            plans[f"without {part}"] = DEFAULT.only([p for p in DEFAULT.parts if p != part])
    for label, plan in plans.items():
        other = rolled(seen, plan)
        gap = difference(other, default, rng)
        print(f"{label:32s} {other.mean():.4f}  {signed(gap)}", flush=True)


if __name__ == "__main__":
    main()
