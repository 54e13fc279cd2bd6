"""What sharing does for the multi-task net: one shared bottom, experts with gates, one goal alone.

Usage: python benchmarks/quality/bench_goals.py [100k|1m] [--seeds N]

On the validation window of the temporal split (nothing is chosen, test is not touched): NDCG@10 of
the click head over everything unseen; of the ratings that people gave in the window, the AUC of the
like head (4 stars or more), a person at a time, and the RMSE of the rating head; and what weighing
likes beside clicks does to the lists: NDCG@10, and how many of ten are liked by who rated them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import splits

from segue.core.top import best
from segue.core.types import Bools, Floats
from segue.evaluate.metrics import measure
from segue.folds import Fold, folds
from segue.recommend.deep.multitask import Multitask
from segue.recommend.windows import Asked

LIKED = 4
NETS = {
    "click alone": {"side": 0.0, "experts": 1},
    "shared bottom": {"experts": 1},
    "4 experts with gates": {"experts": 4},
    "8 experts with gates": {"experts": 8},
}
GOALS = (
    {"click": 1.0},
    {"click": 0.7, "like": 0.3},
    {"click": 0.5, "like": 0.5},
    {"click": 0.2, "like": 0.8},
)


def stars(fold: Fold, asked: Asked) -> Floats:
    """(n_users, n_items) the ratings of the window; NaN where there is none."""
    held = fold.held
    assert held.value is not None
    out = np.full(asked.relevant.shape, np.nan, dtype=np.float32)
    place = np.full(held.n_users, -1)
    place[asked.users] = np.arange(len(asked.users))
    kept = place[held.users] >= 0
    out[place[held.users[kept]], held.items[kept]] = held.value[kept]
    out[asked.histories.seen()] = np.nan
    return out


def auc(scores: Floats, wanted: Bools, known: Bools) -> float:
    """The mean over people of how often a liked item stands above another rated one."""
    found = []
    for score, liked, rated in zip(scores, wanted, known, strict=True):
        above, below = score[liked & rated], score[~liked & rated]
        if len(above) and len(below):
            gap = above[:, None] - below[None, :]
            found.append(float(((gap > 0) + 0.5 * (gap == 0)).mean()))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", default="100k", choices=list(splits.DATA))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    fold = folds(splits.export(given.data, "temporal").training, "temporal", 0).valid
    asked = Asked.of(fold.past, fold.held, max_users=None, seed=0)
    rated = stars(fold, asked)
    known, liked = np.isfinite(rated), rated >= LIKED
    unseen = ~asked.histories.seen()
    profiles = [fold.past.profiles[user] for user in asked.users]
    print(f"{given.data}: {len(asked.users)} people, {int(known.sum()):,} ratings of the window")
    columns = (f"{'NDCG@10':>8s}", f"{'like AUC':>9s}", f"{'RMSE':>7s}", f"{'fit, CPU s':>11s}")
    print(f"{f'mean of {given.seeds} seeds':22s}", *columns)
    kept = None
    for name, settings in NETS.items():
        rows = []
        for seed in range(given.seeds):
            net, began = Multitask(seed=seed, **settings), time.process_time()
            net.fit(fold.past)
            spent = time.process_time() - began
            heads = net.heads(asked.histories, profiles, fold.past.at)
            ndcg = measure(best(heads["click"], unseen, 20), asked.relevant).ndcg.mean()
            error = (heads["rating"] - rated)[known]
            rows.append((ndcg, auc(heads["like"], liked, known), np.sqrt((error**2).mean()), spent))
            kept = net if settings == {"experts": 4} else kept
        ndcg, area, rmse, spent = np.mean(rows, axis=0)
        taught = settings.get("side") != 0.0
        other = f"{area:9.4f} {rmse:7.4f}" if taught else f"{'-':>9s} {'-':>7s}"
        print(f"{name:22s} {ndcg:8.4f} {other} {spent:11.1f}", flush=True)
    assert kept is not None
    print("goals of the net with 4 experts: NDCG@10, rated items in the ten, and liked of them")
    for goals in GOALS:
        kept.goals = goals
        top = best(kept.scores(asked.histories, profiles, fold.past.at), unseen, 20)
        ten = np.take_along_axis(rated, top[:, :10], axis=1)
        found = np.isfinite(ten)
        share = float((ten[found] >= LIKED).mean())
        ndcg = measure(top, asked.relevant).ndcg.mean()
        text = ", ".join(f"{name} {weight:g}" for name, weight in goals.items())
        print(f"{text:22s} {ndcg:8.4f} {int(found.sum()):9d} {share:7.3f}", flush=True)


if __name__ == "__main__":
    main()
