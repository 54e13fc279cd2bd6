"""Do friends help? Lists with and without what those whom a person follows did.

Usage: OMP_NUM_THREADS=1 python benchmarks/people/bench_social.py [filmtrust] [ciao]
       OMP_NUM_THREADS=1 python benchmarks/people/bench_social.py beside filmtrust|ciao

The second adds what friends wanted to single strategies, by a weight chosen on validation.

FilmTrust has no times: a random fifth of each person's ratings is held out. Ciao is split by time;
its ties have none, so some may be younger than what they are asked about. Parts, blend and
settings are chosen on validation; test is looked at once. Full ranking of all unseen films.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from segue import datasets
from segue.choosing import Windows, choose, measured, windows
from segue.core.behaviour import BehaviourWeights
from segue.core.social import Graph
from segue.core.top import best
from segue.core.types import Catalogue, Interactions, Item, Profile, Training
from segue.evaluate.compare import bootstrap
from segue.evaluate.metrics import PerUser, measure
from segue.folds import Fold, folds
from segue.recommend.fitting import Fitting
from segue.recommend.pipeline import strategy_of
from segue.recommend.plan import DEFAULT, part_of
from segue.recommend.registry import make
from segue.recommend.windows import DEPTH, Asked

SEED = 0
WEIGHTS = (0.1, 0.3, 0.6)  # of the social score beside another, both in standard deviations
SHORT = 5  # entries of a short history
SPLITS = {"filmtrust": "random", "ciao": "temporal"}
OUT = Path(__file__).parents[1] / "out"
SINGLES = ("popular", "popular 30d", "neighbours", "linear", "social taste", "social friends")


def load(name: str) -> Training:
    """The ratings with their graph; people who only trust or are trusted have no history."""
    folder = datasets.get(name)
    if name == "ciao":
        rated = np.loadtxt(folder / "Ciao.rating", delimiter=",")
        ties = np.loadtxt(folder / "Ciao.trust", delimiter=",")
    else:
        rated = np.loadtxt(folder / "ratings.tab", skiprows=3)
        rated = np.column_stack([rated, np.zeros(len(rated))])
        ties = np.loadtxt(folder / "trust.tab", skiprows=3)
    people = np.unique(np.concatenate([rated[:, 0], ties[:, 0], ties[:, 1]]))
    films = np.unique(rated[:, 1])
    rated = rated[np.argsort(rated[:, 3], kind="stable")]
    values = rated[:, 2].astype(np.float32)
    seen = Interactions(
        users=np.searchsorted(people, rated[:, 0]),
        items=np.searchsorted(films, rated[:, 1]),
        weight=BehaviourWeights().weigh(np.full(len(rated), "rating"), values),
        time=rated[:, 3],
        n_users=len(people),
        n_items=len(films),
        value=values,
    )
    graph = Graph.of(
        np.searchsorted(people, ties[:, 0]),
        np.searchsorted(people, ties[:, 1]),
        np.ones(len(ties), dtype=np.float32),
        np.full(len(ties), np.nan),
        len(people),
    )
    catalogue = Catalogue(tuple(Item(str(int(i)), "movie", f"Film {int(i)}") for i in films))
    last = float(rated[-1, 3]) + 1
    return Training(catalogue, seen, (Profile(),) * len(people), None, last, graph)


def asked(fold: Fold, names: tuple[str, ...]) -> tuple[Asked, dict[str, np.ndarray]]:
    """Those who came back, and what each strategy says: zero mean and unit spread a person."""
    some = Asked.of(fold.past, fold.held, max_users=None, seed=SEED)
    histories = fold.past.with_circle(some.histories, some.users)
    said = {}
    for name in (*names, "social"):
        fitted = make(name)
        fitted.fit(fold.past)
        profiles = [Profile()] * histories.n_users
        if name == "social":
            heads = fitted.heads(histories, profiles, fold.past.at)
            said |= {f"social {head}": scores for head, scores in heads.items()}
        else:
            said[name] = fitted.scores(histories, profiles, fold.past.at)
    for scores in said.values():
        scores -= scores.mean(axis=1, keepdims=True)
        scores /= scores.std(axis=1, keepdims=True) + 1e-9
    return replace(some, histories=histories), said


def beside(name: str) -> None:
    """Each single strategy with the head and weight that did best on validation, on test."""
    cut = folds(load(name), SPLITS[name], SEED)
    names = ("recent popular" if SPLITS[name] == "temporal" else "popular", "neighbours", "linear")

    def ranked(some: Asked, scores: np.ndarray) -> PerUser:
        return measure(best(scores, ~some.histories.seen(), DEPTH), some.relevant)

    valid, said = asked(cut.valid, names)
    chosen = {}
    for base in names:
        tried = {("", 0.0): float(ranked(valid, said[base]).ndcg.mean())}
        for head in (h for h in said if h.startswith("social")):
            for weight in WEIGHTS:
                got = ranked(valid, said[base] + weight * said[head])
                tried[head, weight] = float(got.ndcg.mean())
        chosen[base] = max(tried, key=lambda key: tried[key])
    test, said = asked(cut.test, names)
    circle = test.histories.circle
    active = np.diff(circle.indptr) > 0
    short = test.histories.counts <= SHORT
    groups = {"all": np.ones(len(active), dtype=bool), "friends": active,
              f"friends, <= {SHORT}": active & short}  # fmt: skip
    alone = ranked(test, said["social taste"]).ndcg
    for label, kept in groups.items():
        rng = np.random.default_rng(SEED)
        print(f"{name}, {label}: {kept.sum()} people; social alone {told(alone[kept], rng)}")
        for base, (head, weight) in chosen.items():
            first = ranked(test, said[base])
            both = ranked(test, said[base] + weight * said[head]) if head else first
            gap, more = both.ndcg[kept] - first.ndcg[kept], both.recall[kept] - first.recall[kept]
            print(f"| {base} | {head or 'nothing'} x {weight} | {told(first.ndcg[kept], rng)} "
                  f"| {told(gap, rng)} | {told(more, rng)} |", flush=True)  # fmt: skip


def told(values: np.ndarray, rng: np.random.Generator) -> str:
    found = bootstrap(values, rng)
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def main(name: str) -> None:
    began = time.monotonic()
    training = load(name)
    assert training.social is not None
    cut = folds(training, SPLITS[name], SEED)
    extra = {"social": part_of("social", {}, "social", proposes=True)}
    plan = DEFAULT.with_parts(extra)
    found = windows(cut, plan, seed=SEED, fitting=Fitting(), progress=print)
    if cut.uneven:
        found = found.standing(plan)
    chosen = {
        "with": choose(found, plan, extra, seed=SEED, progress=print),
        "without": choose(without(found), DEFAULT, {}, seed=SEED, progress=print),
    }
    test: dict[str, PerUser] = {}
    for label, choice in chosen.items():
        blend = choice.fresh()
        blend.fit((*found.lessons, found.valid), SEED)
        parts = sorted(set(blend.plan.parts) - set(DEFAULT.parts))
        serves = f"{strategy_of(blend)} ({blend.kind}{', social' if parts else ''})"
        print(f"{label}: {serves}; {choice.tried[:4]}")
        test[f"{label} social: {serves}"] = measured(found.test, blend)
    for single in SINGLES:
        test[single] = measure(found.test.tops[single], found.test.relevant)
    report(name, training, cut.test.past, found, test, time.monotonic() - began)


def without(found: Windows) -> Windows:
    """The same with no social list to choose alone; its columns are not in the plan either."""

    def drop(window):  # noqa: ANN001, ANN202
        tops = {n: t for n, t in window.tops.items() if not n.startswith("social")}
        return replace(window, tops=tops)

    return Windows(tuple(map(drop, found.lessons)), drop(found.valid), drop(found.test))


def report(
    name: str, training: Training, past: Training, found: Windows,
    test: dict[str, PerUser], seconds: float,
) -> None:  # fmt: skip
    assert past.social is not None
    users = found.test.users
    length = past.interactions.histories(users).counts
    circle = np.diff(past.social.circles(users, past.interactions.histories()).indptr) > 0
    groups = {
        "all": np.ones(len(users), dtype=bool),
        "with friends who did anything": circle,
        f"the same, history <= {SHORT}": circle & (length <= SHORT),
    }
    out = {"data": name, "split": SPLITS[name], "hash": training.interactions.hash,
           "ties": len(training.social or ()), "seconds": seconds, "groups": {}}  # fmt: skip
    first, second = list(test)[:2]
    for label, kept in groups.items():
        rng = np.random.default_rng(SEED)
        rows = {}
        for strategy, per in test.items():
            rows[strategy] = {
                "ndcg": told(per.ndcg[kept], rng),
                "recall": told(per.recall[kept], rng),
                "with minus this": told(test[first].ndcg[kept] - per.ndcg[kept], rng),
            }
        gap = told(test[first].ndcg[kept] - test[second].ndcg[kept], rng)
        out["groups"][label] = {"people": int(kept.sum()), "gap": gap, "rows": rows}
        print(f"\n{name}, {label}: {kept.sum()} people; with minus without {gap}")
        for strategy, row in rows.items():
            print(f"| {strategy} | {row['ndcg']} | {row['recall']} | {row['with minus this']} |")
    OUT.mkdir(exist_ok=True)
    (OUT / f"social_{name}.json").write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["beside"]:
        beside(sys.argv[2])
    else:
        for given in sys.argv[1:] or list(SPLITS):
            main(given)
