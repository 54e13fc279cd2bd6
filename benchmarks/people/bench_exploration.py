"""How much sooner new items are met with exploration on, and what that costs: a replay.

Usage: OMP_NUM_THREADS=1 python benchmarks/people/bench_exploration.py [--new 100] [--visits 6]

MovieLens-100K. Of the films that at least 20 people rate in the test window, a random hundred loses
its past: nobody has rated it when the model is fitted. Then the people of the test window come
``visits`` times each, in random order; each time a list of ten is shown, and a film counts as taken
when the person really rated it later. What is taken does not leave the truth, so that all policies
are valued on the same lists; the policies learn from what they showed alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from segue.core.types import Bools, Doubles, Query, Rows, Training
from segue.evaluate.compare import bootstrap, difference
from segue.evaluate.metrics import measure
from segue.evaluate.split import cut_time, temporal
from segue.recommend import explore
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.explore import Explore, LinUcb
from segue.recommend.pipeline import Pipeline
from segue.recommend.windows import DEPTH, build

sys.path.insert(0, str(Path(__file__).parents[1]))
import _data

OUT = Path(__file__).parents[1] / "out" / "people"
K = 10
WANTED = 10  # impressions that a new item is to reach
LATER_TAKERS = 20
SEED = 0


@dataclass
class World:
    """People with their plain lists, the new films that stand best for each, and the truth."""

    lists: Rows  # (n_people, K) item rows
    new: list[Rows]  # candidates of each, best first
    truth: Bools  # (n_people, n_items)
    items: Rows  # the new films
    places: np.ndarray = field(repr=False)  # (n_items, dim)


def world(whole: Training, n_new: int) -> World:
    seen = whole.interactions
    cut = temporal(seen)
    held = seen.between(cut.test_from, whole.at)
    past = whole.before(cut.test_from)
    rng = np.random.default_rng(SEED)
    takers = np.bincount(held.items, minlength=seen.n_items)
    items = np.sort(rng.permutation(np.flatnonzero(takers >= LATER_TAKERS))[:n_new])
    known = past.interactions.where(~np.isin(past.interactions.items, items))
    taught = replace(past, interactions=known)
    cuts = [cut_time(known, share) for share in (0.5, 0.65, 0.8)] + [taught.at]
    blend = Blend(BlendSettings())
    blend.fit([build(taught, a, b, max_users=300, seed=SEED) for a, b in pairwise(cuts)], SEED)
    model = Pipeline.fit(taught, blend, known.hash, seed=SEED)
    people = np.unique(held.users)
    truth = np.zeros((len(people), seen.n_items), dtype=np.bool_)
    truth[np.searchsorted(people, held.users), held.items] = True
    histories = known.histories(people)
    lists, new = [], []
    mask = np.zeros(seen.n_items, dtype=np.bool_)
    mask[items] = True
    for n, user in enumerate(people):
        one = histories.take(np.array([n]))
        query = Query("", one, taught.at, k=K, profile=whole.profiles[user])
        row = model.catalogue.rows(e.id for e in model.recommend(query))
        lists.append(row)
        more = model.recommend(replace(query, k=n_new, within=mask))
        rows = model.catalogue.rows(e.id for e in more)
        new.append(rows[~np.isin(rows, row)])
    everything = np.arange(seen.n_items, dtype=np.intp)
    return World(np.stack(lists), new, truth, items, model.places(everything))


@dataclass
class Run:
    """What a policy showed."""

    ndcg: Doubles  # (n_people,) mean over the visits
    impressions: Rows  # (n_items,)
    reached: list[int]  # visits so far when each new film had WANTED impressions
    shown_new: int
    taken_new: int


def play(found: World, settings: Explore, visits: int, rng: np.random.Generator) -> Run:
    n_people, n_items = found.truth.shape
    order = rng.permutation(np.repeat(np.arange(n_people), visits))
    impressions = np.zeros(n_items, dtype=np.intp)
    shown, taken = np.zeros(n_items, dtype=np.intp), np.zeros(n_items, dtype=np.intp)
    tops: list[list[Rows]] = [[] for _ in range(n_people)]
    features = explore.features(found.places, np.zeros(n_items))
    gram, moment = np.eye(features.shape[1]), np.zeros(features.shape[1])
    reached: dict[int, int] = {}
    new_shown = new_taken = 0
    for visit, person in enumerate(order):
        top = found.lists[person]
        if settings.policy != "none":
            candidates = found.new[person]
            fresh = candidates[shown[candidates] < settings.enough][: settings.candidates]
            places = settings.places(K)[: len(fresh)]
            shares = []
            for group in explore.dealt(len(fresh), max(len(places), 1)):
                own = fresh[group]
                if settings.policy == "thompson":
                    standing = 1 - group / max(len(fresh) - 1, 1)
                    share = explore.thompson(
                        *explore.expected(shown[own], taken[own], standing, settings)
                    )
                else:
                    inverse = np.linalg.inv(gram)
                    fitted = LinUcb(inverse, inverse @ moment)
                    share = explore.best_alone(fitted.upper(features[own], settings.width))
                whole = np.zeros(len(fresh))
                whole[group] = explore.mixed(share, settings.equal)
                shares.append(whole)
            drawn = explore.draw(shares[: len(places)], places, rng)
            at = {one.place: int(fresh[one.at]) for one in drawn}
            top = np.array(explore.inserted(top.tolist(), at, K), dtype=np.intp)
            for item in at.values():
                hit = bool(found.truth[person, item])
                shown[item] += 1
                taken[item] += hit
                gram += np.outer(features[item], features[item])
                moment += features[item] * hit
                new_shown, new_taken = new_shown + 1, new_taken + hit
        impressions[top] += 1
        for item in found.items[(impressions[found.items] >= WANTED)]:
            reached.setdefault(int(item), visit + 1)
        tops[person].append(top)
    ndcg = np.zeros(n_people)
    for n in range(visits):
        top = np.full((n_people, DEPTH), -1, dtype=np.intp)
        top[:, :K] = np.stack([t[n] for t in tops])
        ndcg += measure(top, found.truth).ndcg / visits
    return Run(ndcg, impressions[found.items], list(reached.values()), new_shown, new_taken)


POLICIES = {
    "none": Explore(),
    "thompson, 1 place": Explore(policy="thompson"),
    "linucb, 1 place": Explore(policy="linucb"),
    "all alike, 1 place": Explore(policy="thompson", equal=1.0),
    "thompson, 2 places": Explore(policy="thompson", slots=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--new", type=int, default=100)
    parser.add_argument("--visits", type=int, default=6)
    asked = parser.parse_args()
    began = time.monotonic()
    whole = _data.ml100k()
    found = world(whole, asked.new)
    plain = None
    out = {}
    for name, settings in POLICIES.items():
        run = play(found, settings, asked.visits, np.random.default_rng(SEED))
        rng = np.random.default_rng(SEED)
        plain = run if plain is None else plain
        mean, gap = bootstrap(run.ndcg, rng), difference(run.ndcg, plain.ndcg, rng)
        visits = len(found.lists) * asked.visits
        times = np.sort([*run.reached, *[np.inf] * (len(found.items) - len(run.reached))])
        out[name] = {
            "ndcg": [mean.mean, mean.low, mean.high],
            "minus none": [gap.mean, gap.low, gap.high],
            "reached": len(run.reached) / len(found.items),
            "visits until half reached it": float(times[len(times) // 2]),
            "visits": visits,
            "impressions, median": float(np.median(run.impressions)),
            "taken of what explored": run.taken_new / max(run.shown_new, 1),
        }
        print(name, json.dumps(out[name]), flush=True)
    print(f"{len(found.lists)} people, {len(found.items)} new films, hash {whole.hash}, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "exploration.json").write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
