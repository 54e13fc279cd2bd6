"""Whom an item suits, measured on what people took later; writes results_audience.json.

Usage: python benchmarks/people/bench_audience.py warm [100k|1m]   items with a past, temporal split
       python benchmarks/people/bench_audience.py cold             items nobody has met, ML-100K

warm: the whole training (choosing the blend, fitting, who takes what) sees what was known before
the test window of the temporal split. For each item with 20 or more later takers among the people
known by then, all of them who had not taken it are ranked; per item AUC and lift of the first 5 %,
macro means with intervals from resampling items. "within the horizon" asks about the days that the
model speaks of, and there its probabilities are held against what came. "Who came back" ranks only
those who took anything later: what is left when knowing who comes back earns nothing.

cold: a fifth of the films is hidden (as in quality/bench_cold.py), the rest of the events trains;
takers of a hidden film are all who ever took it, among everyone with a history left.

Rivals: user-kNN (cosine, 100 neighbours), item-kNN, popularity in the segment (how many of those
like the person took the item: clusters of taste, age and gender, and how lately and how much they
are active, each), a logistic regression on popularity and activity, the raw blend score, random.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "quality"))

from bench_cold import splits, texts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import _data
from segue import training
from segue.core.types import DAY_S, Doubles, Histories, Rows, Training
from segue.evaluate.compare import bootstrap
from segue.evaluate.probabilities import calibration_error, reliability
from segue.evaluate.split import temporal
from segue.recommend import one_item, package
from segue.recommend.factors import truncated_svd
from segue.recommend.groups import age_group
from segue.recommend.matrix import consumption
from segue.recommend.pipeline import Pipeline
from segue.recommend.takers import about, met_rows

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "audience"
DATA = {"100k": _data.ml100k, "1m": _data.ml1m}
LEAST_TAKERS = 20
SHARE = 0.05
NEIGHBOURS = 100
CLUSTERS = 20
OURS, BLEND = "segue", "blend score alone"


def auc(scores: Doubles, took: np.ndarray) -> float:
    """How often a taker stands above another person; ties count half."""
    order = np.argsort(scores, kind="stable")
    values = scores[order]
    _, first, count = np.unique(values, return_index=True, return_counts=True)
    ranks = np.repeat(first + (count + 1) / 2, count)
    n = int(took.sum())
    return float((ranks[took[order]].sum() - n * (n + 1) / 2) / (n * (len(took) - n)))


def lift(scores: Doubles, took: np.ndarray, rng: np.random.Generator) -> float:
    """Share of takers among the first 5 % over that of all; ties are broken by chance."""
    order = np.lexsort((rng.random(len(scores)), -scores))
    first = order[: max(1, round(SHARE * len(scores)))]
    return float(took[first].mean() / took.mean())


def trained(known: Training, name: str) -> Pipeline:
    """The model that ``segue train`` would let serve; kept between runs."""
    folder = OUT / f"{name}-{known.hash}"
    if not folder.is_dir():
        began = time.monotonic()
        made = training.train(known, seed=0, progress=lambda text: print(" ", text, flush=True))
        package.save(made.pipeline, folder, {})
        print(f"trained in {time.monotonic() - began:.0f} s")
    return package.load(folder, known.catalogue, known.content)


class Scores:
    """Scores of everybody for one item, by each way."""

    def __init__(self, known: Training, pipeline: Pipeline, users: Rows) -> None:
        self.known, self.pipeline = known, pipeline
        self.profiles = [known.profiles[u] for u in users]
        self.histories: Histories = known.interactions.histories(users)
        self.days = about(self.histories, self.profiles, known.at)
        seen = known.interactions
        items = np.arange(seen.n_items, dtype=np.intp)
        self.x = consumption(seen, items)[users]
        self.near = _neighbours(self.x)
        self.segments = self._segments(users)
        self.rng = np.random.default_rng(0)
        self.popular = np.asarray(self.x.sum(axis=0)).ravel()
        self.logistic = self._logistic(users)

    def _before(self, users: Rows) -> tuple[float, sp.csr_matrix]:
        """Who took what in the horizon before the cut, anew."""
        seen = self.known.interactions
        start = self.known.at - self.pipeline.horizon() * DAY_S
        late = seen.between(start, self.known.at)
        items = np.arange(seen.n_items, dtype=np.intp)
        return start, consumption(late, items)[users]

    def _segments(self, users: Rows) -> Mapping[str, sp.csr_matrix]:
        """name -> (n_users, n_items): how many of the person's segment took each item."""
        x = self.x.astype(np.float64)
        left, strength, _ = truncated_svd(x, 16)
        left = left * strength
        left /= np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-9)
        _, taste = kmeans2(left, CLUSTERS, minit="++", seed=0)
        taste = taste.astype(np.intp)
        start, late = self._before(users)
        presence = _activity(self.histories, self.known.at)
        earlier = self.known.before(start).interactions.histories(users)
        then = _activity(earlier, start)
        out = {"popularity in taste segment": (taste, taste, self.x)}
        out["popularity in activity segment"] = (presence, then, late)
        joint, joint_then = taste * 100 + presence, taste * 100 + then
        out["popularity in taste x activity segment"] = (joint, joint_then, late)
        if any(p.age is not None for p in self.profiles):
            words = [f"{p.gender} {age_group(p.age)}" for p in self.profiles]
            group = np.unique(words, return_inverse=True)[1]
            out["popularity in age x gender segment"] = (group, group, self.x)
        return {name: _rates(*parts) for name, parts in out.items()}

    def _logistic(self, users: Rows) -> Doubles:
        """Popularity of the item, and how lately and how much the person was active."""
        start, late = self._before(users)
        past = self.known.before(start)
        histories = past.interactions.histories(users)
        there = np.flatnonzero(histories.counts > 0)
        seen = consumption(past.interactions, np.arange(past.interactions.n_items))
        popular = np.asarray(seen.sum(axis=0)).ravel()
        rng = np.random.default_rng(0)
        who = rng.choice(there, 200_000)
        what = rng.integers(0, len(popular), len(who))
        took = np.asarray(late[who, what]).ravel() > 0
        pairs = np.array(sp.coo_matrix(late).nonzero()).T
        pairs = pairs[np.isin(pairs[:, 0], there)]
        pairs = pairs[rng.permutation(len(pairs))[:20_000]]
        weight = np.concatenate([np.ones(len(who)), np.full(len(pairs), 1e-3)])
        who, what = np.concatenate([who, pairs[:, 0]]), np.concatenate([what, pairs[:, 1]])
        took = np.concatenate([took, np.ones(len(pairs), dtype=bool)])
        rows = np.column_stack([np.log1p(popular[what]), _habits(histories, start)[who]])
        return _regressed(rows, took, weight)

    def of(self, item: int) -> dict[str, Doubles]:
        pipeline, at = self.pipeline, self.known.at
        out: dict[str, Doubles] = {}
        if pipeline.warm[item]:
            columns = one_item.columns(pipeline.side, self.histories, self.profiles, at, item)
            score = pipeline.blend.score(columns)
            takers = pipeline.ready_takers()
            rows = met_rows(pipeline.side.plan, score, columns, self.days)
            out[OURS] = self.probability = takers.met(rows)
            out[BLEND] = score
            view = pipeline.side.plan.names.index("neighbours")
            out["item-kNN"] = columns[:, view].astype(np.float64)
        else:
            out[OURS] = self.probability = pipeline.taking(self.histories, self.profiles, at, item)
        out["user-kNN"] = np.asarray(self.near @ self.x[:, [item]].toarray()).ravel()
        for name, rates in self.segments.items():
            out[name] = np.asarray(rates[:, [item]].toarray()).ravel()
        habits = _habits(self.histories, at)
        popular = np.full((len(habits), 1), np.log1p(self.popular[item]))
        rows = np.hstack([popular, habits])
        out["logistic on popularity and activity"] = rows @ self.logistic
        out["random"] = self.rng.random(len(habits))
        return out


def _regressed(rows: Doubles, took: np.ndarray, weight: Doubles) -> Doubles:
    """Slopes of a logistic regression; its intercept orders nothing."""
    rows = np.column_stack([rows, np.ones(len(rows))])
    weight = weight / weight.sum()

    def loss(slopes: Doubles) -> tuple[float, Doubles]:
        z = rows @ slopes
        gap = weight * (1 / (1 + np.exp(-z)) - took)
        return float(weight @ (np.logaddexp(0, z) - took * z)), gap @ rows

    return np.asarray(minimize(loss, np.zeros(rows.shape[1]), jac=True).x[:-1])


def _neighbours(x: sp.csr_matrix) -> sp.csr_matrix:
    """(n, n) cosines of the nearest people."""
    length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1))).ravel()
    unit = sp.diags(1 / np.maximum(length, 1e-9)) @ x
    rows = []
    for first in range(0, x.shape[0], 500):
        cosine = (unit[first : first + 500] @ unit.T).toarray()
        own = np.arange(len(cosine))
        cosine[own, first + own] = 0
        cut = np.partition(cosine, -NEIGHBOURS, axis=1)[:, [-NEIGHBOURS]]
        rows.append(sp.csr_matrix(np.where(cosine >= cut, cosine, 0)))
    return sp.vstack(rows, format="csr")


def _activity(histories: Histories, at: float) -> Rows:
    """How lately and how much each is active: up to 16 groups; 99 without a history."""
    out = np.full(histories.n_users, 99)
    filled = histories.counts > 0
    last = histories.times[histories.indptr[1:][filled] - 1]
    lately = np.searchsorted([1, 7, 30], (at - last) / DAY_S)
    much = np.searchsorted([50, 100, 200], histories.counts[filled])
    out[filled] = lately * 4 + much
    return out


def _habits(histories: Histories, at: float) -> Doubles:
    out = np.zeros((histories.n_users, 2))
    filled = histories.counts > 0
    last = histories.times[histories.indptr[1:][filled] - 1]
    out[filled, 0] = np.log1p(np.maximum(at - last, 0) / DAY_S)
    out[:, 1] = np.log1p(histories.counts)
    return out


def _rates(now: Rows, then: Rows, taken: sp.csr_matrix) -> sp.csr_matrix:
    """(n, n_items) share of those who stood in the person's segment and took each item."""
    groups = np.unique(np.concatenate([now, then]), return_inverse=True)[1]
    here, before = groups[: len(now)], groups[len(now) :]
    size = groups.max() + 1
    ones = np.ones(len(now))
    members = sp.csr_matrix((ones, (before, np.arange(len(now)))), shape=(size, len(now)))
    count = np.asarray(members.sum(axis=1)).ravel()
    shares = sp.diags(1 / (count + 10)) @ (members @ taken)
    return sp.csr_matrix(shares)[here]


def measured(
    scores: Scores, wanted: Mapping[str, sp.csc_matrix], back: np.ndarray
) -> tuple[dict[str, dict[str, list[tuple[float, float]]]], Doubles, Doubles]:
    """question -> way -> (AUC, lift) of each item; and probabilities with what came of them."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {q: {} for q in wanted}
    said, came = [], []
    rng = np.random.default_rng(1)
    counts = {q: np.asarray(m.sum(axis=0)).ravel() for q, m in wanted.items()}
    taken = sp.csc_matrix(scores.x)
    any_item = np.flatnonzero(np.max(list(counts.values()), axis=0) >= LEAST_TAKERS)
    met = scores.pipeline.warm[any_item]
    for item in any_item[met if met.any() else ~met]:
        free = taken[:, [item]].toarray().ravel() == 0
        ways = scores.of(int(item))
        for question, matrix in wanted.items():
            if counts[question][item] < LEAST_TAKERS:
                continue
            people = free & back if "came back" in question else free
            took = matrix[:, [item]].toarray().ravel()[people] > 0
            if took.sum() < LEAST_TAKERS:
                continue
            for way, values in ways.items():
                figures = (auc(values[people], took), lift(values[people], took, rng))
                found[question].setdefault(way, []).append(figures)
    first = next(iter(wanted))
    if not met.any():
        return found, np.zeros(0), np.zeros(0)
    for item in np.flatnonzero(scores.pipeline.warm[: scores.x.shape[1]]):
        free = taken[:, [item]].toarray().ravel() == 0
        if item % 4 == 0 or counts[first][item] >= LEAST_TAKERS:
            scores.of(int(item))
            weight = wanted[first][:, [item]].toarray().ravel()[free] > 0
            said.append(scores.probability[free])
            came.append(weight)
    return found, np.concatenate(said), np.concatenate(came).astype(np.float64)


def table(found: Mapping[str, Mapping[str, list[tuple[float, float]]]]) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for question, ways in found.items():
        ours = np.array(ways[OURS])
        print(f"\n{question}: {len(ours)} items")
        for way, pairs in sorted(ways.items(), key=lambda w: -np.mean([p[1] for p in w[1]])):
            values = np.array(pairs)
            area, raised = bootstrap(values[:, 0], rng), bootstrap(values[:, 1], rng)
            ratio = _ratio(ours[:, 1], values[:, 1], rng)
            rows.append(
                {
                    "question": question,
                    "way": way,
                    "items": len(values),
                    "auc": [area.mean, area.low, area.high],
                    "lift": [raised.mean, raised.low, raised.high],
                    "segue_over_it": ratio,
                }
            )
            print(
                f"  {way:42} AUC {area.mean:.3f} [{area.low:.3f}, {area.high:.3f}]  lift@5% "
                f"{raised.mean:5.2f} [{raised.low:.2f}, {raised.high:.2f}]  segue's lift over it "
                f"{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"
            )
    return rows


def _ratio(ours: Doubles, theirs: Doubles, rng: np.random.Generator) -> tuple[float, float, float]:
    """Ratio of means with its interval, the same items drawn for both."""
    draw = rng.integers(0, len(ours), (2000, len(ours)))
    ratios = ours[draw].mean(axis=1) / np.maximum(theirs[draw].mean(axis=1), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(ours.mean() / max(theirs.mean(), 1e-9)), float(low), float(high)


def truth(said: Doubles, came: Doubles, name: str) -> dict[str, object]:
    """Are the probabilities true? Over all pairs, and among the highest hundredth of them."""
    high = said >= np.quantile(said, 0.99)
    out: dict[str, object] = {
        "pairs": len(said),
        "said": float(said.mean()),
        "came": float(came.mean()),
        "ece": calibration_error(said, came),
        "ece_highest_percent": calibration_error(said[high], came[high]),
        "said_highest_percent": float(said[high].mean()),
        "came_highest_percent": float(came[high].mean()),
    }
    print("calibration", json.dumps(out))
    _draw(said, came, name)
    return out


def _draw(said: Doubles, came: Doubles, name: str) -> None:
    figure = Figure(figsize=(4.4, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bins = reliability(said, came, 1000)
    bins = [b for b in bins if b.said > 0 and b.happened > 0]
    axes.loglog([b.said for b in bins], [b.happened for b in bins], ".", markersize=3)
    ends = [min(b.said for b in bins), max(b.said for b in bins)]
    axes.loglog(ends, ends, "--", color="#999999")
    axes.set_xlabel("probability said (a thousandth of the pairs each)")
    axes.set_ylabel("share that came")
    axes.set_title(name)
    figure.savefig(OUT / f"reliability-{name}.png")


def warm(which: str) -> dict[str, object]:
    data = DATA[which]()
    cut = temporal(data.interactions)
    known = data.before(cut.test_from)
    pipeline = trained(known, which)
    users = np.unique(known.interactions.users)
    horizon = known.at + pipeline.horizon() * DAY_S
    scores = Scores(known, pipeline, users)
    items = np.arange(known.interactions.n_items, dtype=np.intp)
    after = data.interactions.between(known.at, data.at)
    within = consumption(data.interactions.between(known.at, horizon), items)[users]
    ever = consumption(after, items)[users]
    fresh = [m - m.multiply(scores.x) for m in (within, ever)]
    back = np.asarray(ever.sum(axis=1)).ravel() > 0
    days = f"{pipeline.horizon():.0f} days"
    wanted = {
        f"within the horizon ({days})": sp.csc_matrix(fresh[0]),
        "ever after": sp.csc_matrix(fresh[1]),
        "ever after, among who came back": sp.csc_matrix(fresh[1]),
    }
    print(f"{which}: {len(users)} people known, {int(back.sum())} of them came back")
    found, said, came = measured(scores, wanted, back)
    return {"rows": table(found), "calibration": truth(said, came, f"{which}-warm")}


def cold() -> dict[str, object]:
    data = DATA["100k"]()
    data = replace(data, content=texts(data.catalogue.items))
    known, hidden, _ = next(iter(splits(data, 5)))
    pipeline = trained(known, "100k-cold")
    users = np.unique(known.interactions.users)
    scores = Scores(known, pipeline, users)
    items = np.arange(known.interactions.n_items, dtype=np.intp)
    wanted = {"hidden films": sp.csc_matrix(consumption(hidden, items)[users])}
    everyone = np.ones(len(users), dtype=bool)
    found, _, _ = measured(scores, wanted, everyone)
    return {"rows": table(found)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["warm", "cold"])
    parser.add_argument("data", nargs="?", default="100k", choices=list(DATA))
    given = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    result = warm(given.data) if given.what == "warm" else cold()
    path = HERE / "results_audience.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept[f"{given.what} {given.data}"] = result
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
