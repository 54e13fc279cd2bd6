"""What a few questions, or a person's first events, are worth to the list of a newcomer.

Usage: OMP_NUM_THREADS=1 python benchmarks/people/bench_onboarding.py 100k|1m [--part design|report]

Newcomers are the people whose first event comes after the time at which 60 % of the people had
arrived; nothing later teaches the model. The first half of what each then rated (in time) is what
they know: it answers the questions (rated 3 or more: like, less: dislike, not among it: unknown)
and is never recommended. The second half is the truth, the same for every method. A random half of
the newcomers ("design") chose the settings; the table is about the others ("report").
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from segue.core.behaviour import BehaviourWeights
from segue.core.types import Bools, Doubles, Histories, Profile, Query, Rows, Training
from segue.evaluate.compare import Interval, bootstrap, difference
from segue.evaluate.metrics import measure, top_items
from segue.evaluate.split import cut_time
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.neighbours import Neighbours
from segue.recommend.onboarding import DISLIKE, LIKE, UNKNOWN, Questions
from segue.recommend.pipeline import Pipeline
from segue.recommend.popular import Popular, RecentPopular
from segue.recommend.windows import build

sys.path.insert(0, str(Path(__file__).parents[1]))
import _data

DATA = {"100k": _data.ml100k, "1m": _data.ml1m}
OUT = Path(__file__).parents[1] / "out" / "people"
LEAST_RATED = 20  # of a newcomer
KNOWN_TO = 0.02  # share of people that must know an item for the guarded random choice
SEED = 0

Ask = Callable[["Newcomer", int, np.random.Generator], list[tuple[int, str]]]


@dataclass(frozen=True)
class Newcomer:
    """One person: what they know with their opinion of it, and what they go on to rate."""

    profile: Profile
    known: Rows  # in time order
    ratings: Doubles
    times: Doubles
    later: Rows

    def answer(self, row: int) -> str:
        at = np.flatnonzero(self.known == row)
        if not len(at):
            return UNKNOWN
        return LIKE if self.ratings[at[0]] >= 3 else DISLIKE


def newcomers(whole: Training) -> tuple[Training, list[Newcomer]]:
    """What the model may know, and the people who came later."""
    seen = whole.interactions
    assert seen.value is not None
    first = np.full(seen.n_users, np.inf)
    np.minimum.at(first, seen.users, seen.time)
    at = float(np.quantile(first[np.isfinite(first)], 0.6))
    out = []
    for user in np.flatnonzero(np.isfinite(first) & (first >= at)):
        own = np.flatnonzero(seen.users == user)
        if len(own) < LEAST_RATED:
            continue
        half = len(own) // 2
        out.append(
            Newcomer(
                whole.profiles[user],
                seen.items[own[:half]],
                seen.value[own[:half]].astype(np.float64),
                seen.time[own[:half]],
                seen.items[own[half:]],
            )
        )
    return whole.before(at), out


def fitted(past: Training) -> Pipeline:
    """The whole recommender; lessons of its blend from the past alone."""
    seen = past.interactions
    cuts = [cut_time(seen, share) for share in (0.5, 0.65, 0.8)] + [past.at]
    lessons = [build(past, a, b, max_users=400, seed=SEED) for a, b in pairwise(cuts)]
    blend = Blend(BlendSettings())
    blend.fit(lessons, seed=SEED)
    return Pipeline.fit(past, blend, seen.hash, seed=SEED)


class Methods:
    """Ways to choose questions, each (person, how many, rng) -> answers in the order asked."""

    def __init__(self, past: Training, questions: Questions) -> None:
        seen = past.interactions
        assert seen.value is not None
        self.past, self.questions = past, questions
        pairs = np.unique(seen.users.astype(np.int64) * seen.n_items + seen.items)
        people = max(len(np.unique(seen.users)), 1)
        self.share = np.bincount(pairs % seen.n_items, minlength=seen.n_items) / people
        self.met = np.flatnonzero(self.share > 0)
        self.familiar = np.flatnonzero(self.share >= KNOWN_TO)
        self.entropy = self._entropy(seen.items, seen.value, seen.n_items)
        frequency = np.log1p(self.share * people) / np.log1p(people)
        both = self.entropy / self.entropy.max()
        self.helf = 2 * frequency * both / np.maximum(frequency + both, 1e-9)

    @staticmethod
    def _entropy(items: Rows, values: np.ndarray, n_items: int) -> Doubles:
        """(n_items,) entropy of each item's ratings (Rashid et al., IUI 2002)."""
        counts = np.zeros((n_items, 5))
        np.add.at(counts, (items, np.clip(values.astype(int) - 1, 0, 4)), 1)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return -(share * np.log(np.maximum(share, 1e-12))).sum(axis=1)

    def chosen(self, person: Newcomer, k: int, rng: np.random.Generator) -> list[tuple[int, str]]:
        answers: list[tuple[int, str]] = []
        allowed = np.ones(len(self.past.catalogue), dtype=np.bool_)
        for _ in range(k):
            row = int(self.questions.ask(person.profile, answers, allowed, 1)[0])
            answers.append((row, person.answer(row)))
        return answers

    def random(self, person: Newcomer, k: int, rng: np.random.Generator) -> list[tuple[int, str]]:
        return [(int(r), person.answer(int(r))) for r in rng.permutation(self.met)[:k]]

    def random_familiar(
        self, person: Newcomer, k: int, rng: np.random.Generator
    ) -> list[tuple[int, str]]:
        return [(int(r), person.answer(int(r))) for r in rng.permutation(self.familiar)[:k]]

    def _fixed(self, value: Doubles, person: Newcomer, k: int) -> list[tuple[int, str]]:
        order = np.argsort(-value, kind="stable")[:k]
        return [(int(r), person.answer(int(r))) for r in order]

    def popular(self, person: Newcomer, k: int, rng: np.random.Generator) -> list[tuple[int, str]]:
        return self._fixed(self.share, person, k)

    def by_entropy(
        self, person: Newcomer, k: int, rng: np.random.Generator
    ) -> list[tuple[int, str]]:
        return self._fixed(self.entropy * (self.share > 0), person, k)

    def by_helf(self, person: Newcomer, k: int, rng: np.random.Generator) -> list[tuple[int, str]]:
        return self._fixed(self.helf, person, k)


def histories_of(
    people: list[Newcomer], answers: list[list[tuple[int, str]]], n_items: int
) -> Histories:
    """What the answers make of each history; an unknown item leaves no trace."""
    use = BehaviourWeights()
    weigh = {LIKE: use.like, DISLIKE: use.dislike}
    parts = [
        [(r, weigh[a], p.times[0] + n) for n, (r, a) in enumerate(told) if a != UNKNOWN]
        for p, told in zip(people, answers, strict=True)
    ]
    return joined(parts, n_items)


def first_events(people: list[Newcomer], k: int, n_items: int) -> Histories:
    """The first ``k`` things each did."""
    use = BehaviourWeights()
    parts = []
    for p in people:
        weight = use.weigh(np.full(k, "rating"), p.ratings[:k])
        parts.append(list(zip(p.known[:k], weight, p.times[:k], strict=True)))
    return joined(parts, n_items)


def joined(parts: list[list[tuple[int, float, float]]], n_items: int) -> Histories:
    flat = [entry for part in parts for entry in part]
    return Histories(
        indptr=np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.intp),
        items=np.array([e[0] for e in flat], dtype=np.intp),
        weights=np.array([e[1] for e in flat], dtype=np.float32),
        times=np.array([e[2] for e in flat], dtype=np.float64),
        n_items=n_items,
    )


@dataclass(frozen=True)
class Judge:
    """Lists of newcomers against what they went on to rate."""

    people: list[Newcomer]
    n_items: int

    def _seen(self) -> Bools:
        out = np.zeros((len(self.people), self.n_items), dtype=np.bool_)
        for n, p in enumerate(self.people):
            out[n, p.known] = True
        return out

    def ndcg(self, scores: np.ndarray) -> Doubles:
        """(n_people,) NDCG@10 of full rankings without what each knows."""
        relevant = np.zeros_like(self._seen())
        for n, p in enumerate(self.people):
            relevant[n, p.later] = True
        return measure(top_items(scores, self._seen()), relevant & ~self._seen()).ndcg

    def pipeline(self, model: Pipeline, histories: Histories) -> Doubles:
        """As serving ranks; the score of an item is minus its place in the list."""
        scores = np.full((len(self.people), self.n_items), -np.inf, dtype=np.float32)
        ids = {item: row for row, item in enumerate(model.catalogue.ids)}
        for n, p in enumerate(self.people):
            query = Query(
                "", histories.take(np.array([n])), float(p.times[0]), k=10, profile=p.profile,
                exclude=frozenset(model.catalogue.ids[row] for row in p.known),
            )  # fmt: skip
            for place, entry in enumerate(model.recommend(query)):
                scores[n, ids[entry.id]] = -place
        return self.ndcg(scores)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=sorted(DATA))
    parser.add_argument("--part", choices=("design", "report"), default="report")
    parser.add_argument("--most", type=int, default=600, help="newcomers at most")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    began = time.monotonic()
    past, everybody = newcomers(DATA[asked.data]())
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(everybody))
    half = len(order) // 2
    part = order[:half] if asked.part == "design" else order[half:]
    people = [everybody[n] for n in np.sort(part[: asked.most])]
    model = fitted(past)
    newcomers_ = model.newcomers
    assert newcomers_ is not None
    ways = Methods(past, Questions(newcomers_))
    judge = Judge(people, len(past.catalogue))
    found: dict[str, Doubles] = {}
    told: dict[str, float] = {}

    def ask(name: str, way: Ask, k: int) -> None:
        answers = [way(p, k, np.random.default_rng([SEED, n])) for n, p in enumerate(people)]
        known = [sum(a != UNKNOWN for _, a in some) for some in answers]
        found[name] = judge.pipeline(model, histories_of(people, answers, judge.n_items))
        told[name] = float(np.mean(known))
        print(f"{name:32} {found[name].mean():.4f}  known {told[name]:.2f}", flush=True)

    ask("no question", ways.random, 0)
    nothing = joined([[] for _ in people], judge.n_items)
    found["no question, former list"] = judge.pipeline(replace(model, newcomers=None), nothing)
    told["no question, former list"] = 0.0
    ask("5 chosen", ways.chosen, 5)
    for k in (5, 10):
        ask(f"{k} random", ways.random, k)
        ask(f"{k} random, known to 2 %", ways.random_familiar, k)
        ask(f"{k} most popular", ways.popular, k)
    ask("5 by entropy", ways.by_entropy, 5)
    ask("5 by HELF", ways.by_helf, 5)
    ask("10 chosen", ways.chosen, 10)
    events = first_event_table(past, model, judge)
    found |= events
    report(asked, past, people, found, told, time.monotonic() - began)


def first_event_table(past: Training, model: Pipeline, judge: Judge) -> dict[str, Doubles]:
    """After the first 1, 3 and 5 events: ours, item-kNN and popularity."""
    neighbours, popular, recent = Neighbours(), Popular(), RecentPopular()
    for strategy in (neighbours, popular, recent):
        strategy.fit(past)
    out: dict[str, Doubles] = {}
    for k in (1, 3, 5):
        histories = first_events(judge.people, k, judge.n_items)
        profiles = [p.profile for p in judge.people]
        for name, strategy in (
            ("item-kNN", neighbours), ("popular", popular), ("recent popular", recent)
        ):  # fmt: skip
            scores = strategy.scores(histories, profiles, past.at)
            out[f"{k} events: {name}"] = judge.ndcg(scores)
        out[f"{k} events: segue"] = judge.pipeline(model, histories)
        out[f"{k} events: blend"] = judge.pipeline(replace(model, newcomers=None), histories)
        for name in ("segue", "blend", "item-kNN", "popular", "recent popular"):
            print(f"{k} events {name:20} {out[f'{k} events: {name}'].mean():.4f}", flush=True)
    return out


def report(
    asked: argparse.Namespace,
    past: Training,
    people: list[Newcomer],
    found: dict[str, Doubles],
    told: dict[str, float],
    seconds: float,
) -> None:
    rng = np.random.default_rng(SEED)

    def said(x: Interval) -> list[float]:
        return [round(v, 4) for v in (x.mean, x.low, x.high)]

    out = {
        "data": asked.data, "part": asked.part, "hash": past.interactions.hash,
        "people": len(people), "seconds": round(seconds),
        "ndcg": {name: said(bootstrap(v, rng)) for name, v in found.items()},
        "known": told,
        "5 chosen minus": {
            name: said(difference(found["5 chosen"], v, rng))
            for name, v in found.items() if name != "5 chosen" and "events" not in name
        },
        "segue minus": {
            name: said(difference(found[name.split(":")[0] + ": segue"], v, rng))
            for name, v in found.items() if "events" in name and "segue" not in name
        },
    }  # fmt: skip
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"onboarding-{asked.data}-{asked.part}.json"
    path.write_text(json.dumps(out, indent=1))
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
