"""Recall@20 among films that nobody has met, on MovieLens-100K; writes cold.json.

Usage: python benchmarks/quality/bench_cold.py [--folds N] [--tmdb] [--only NAME ...]
       python benchmarks/quality/bench_cold.py --few | --mixed

A fifth of the films (random, by seed 0) is cold: all their events are taken from the training.
Everyone with cold films and a history left is asked for 20 of the cold films, from that history
alone. Fold 0 is the split of record; the other folds take the other fifths in turn. Features are
title, year and genres; with --tmdb also plots, keywords, directors and cast, where TMDB-5000
knows the film. Intervals are bootstraps over people (95 %). "segue as served" is the whole
pipeline: blend, calibration and all, as it answers requests. With --only, the other rows of
cold.json stay as they are. --few prints only, for fold 0, how "cold" and "bridge" fare when few
of the other films were ever met: what LEAST_OF_KIND was chosen by. --mixed prints only how the
first 20 of all films fare when a fifth of them was hidden before the test window of the temporal
split: are unmet ones among them taken as often as others, and what if all stood higher?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares

sys.path.insert(0, str(Path(__file__).parents[1]))

import _data
from segue import datasets, enrich
from segue.core.types import Bools, Doubles, Floats, Interactions, Item, Training, Vectors
from segue.evaluate.split import cut_time, temporal
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.cold import Facets
from segue.recommend.matrix import consumption
from segue.recommend.pipeline import Pipeline
from segue.recommend.registry import make, missing
from segue.recommend.windows import build
from segue.understand.text import UseMultilingual, item_text

OUT = Path(__file__).with_name("cold.json")
K = 20
SHARE = 5  # one film in five is cold
SEED = 0
SERVED = "segue as served"
CUTS = (0.5, 0.65, 0.8)  # shares of the events before the windows that teach the blend
HIGHER = (0.0, 0.5, 1.0)
FEW, DRAWS = (10, 25, 50, 100, 400), 10  # films
STRATEGIES = ("cold", "bridge", "content", "dropoutnet", "towers")


def texts(items: tuple[Item, ...]) -> Vectors:
    """What the text encoder makes of titles (and of plots, keywords and people, if known)."""
    read = [
        item_text(enrich.readable_title(i.title), i.tags if i.description else (), i.description)
        for i in items
    ]
    return Vectors(UseMultilingual().encode(read), np.ones(len(items), np.bool_), "use")


def with_plots(training: Training) -> Training:
    """Films with what TMDB knows of them; titles stay as they were."""
    films = {
        (title, film["year"]): film
        for film in enrich._films(datasets.get("tmdb-5000"))
        for title in film["titles"]
    }

    def known(item: Item) -> Item:
        near = [
            films.get((enrich.plain_title(item.title), (item.year or 0) + d)) for d in (0, 1, -1)
        ]
        found = next((film for film in near if film), None)
        return item if found is None else enrich._merged(item, found)

    catalogue = replace(training.catalogue, items=tuple(map(known, training.catalogue.items)))
    return replace(training, catalogue=catalogue)


def splits(training: Training, folds: int) -> Iterator[tuple[Training, Interactions, Bools]]:
    """Training without the cold films' events, those events, and which films are cold."""
    seen = training.interactions
    order = np.random.default_rng(SEED).permutation(seen.n_items)
    for fold in range(folds):
        cold = np.zeros(seen.n_items, dtype=np.bool_)
        cold[order[fold::SHARE]] = True
        kept = seen.where(~cold[seen.items])
        yield replace(training, interactions=kept), seen.where(cold[seen.items]), cold


def recalls(scores: Floats | Doubles, test: Interactions, cold: Bools) -> Doubles:
    """(n,) Recall@20 among the cold films, of everyone who took any."""
    wanted = np.zeros(scores.shape, dtype=np.bool_)
    wanted[test.users, test.items] = True
    wanted = wanted[:, cold]
    top = np.argsort(-scores[:, cold], axis=1, kind="stable")[:, :K]
    count = wanted.sum(axis=1)
    hits = np.take_along_axis(wanted, top, axis=1).sum(axis=1)
    return np.asarray(hits[count > 0] / count[count > 0], dtype=np.float64)


def interval(values: Doubles, rng: np.random.Generator) -> tuple[float, float]:
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(1000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def ridge_to_als(training: Training, content: Floats, factors: int, alpha: float) -> Floats:
    """What peers do (Gantner et al., ICDM 2010): implicit's ALS, its item factors regressed on
    content, people's own factors times what comes out. Settings were chosen on films of fold 0's
    training held out in the same way."""
    seen = training.interactions
    model = AlternatingLeastSquares(
        factors=factors, regularization=1.0, alpha=alpha, iterations=10, random_state=SEED,
        num_threads=1,
    )  # fmt: skip
    model.fit(consumption(seen, np.arange(seen.n_items)), show_progress=False)
    warm = np.unique(seen.items)
    gram = content[warm].T @ content[warm] + np.eye(content.shape[1])
    onto = np.linalg.solve(gram, content[warm].T @ model.item_factors[warm])
    return np.asarray(model.user_factors @ (content @ onto).T, dtype=np.float32)


def facets_of(training: Training) -> Floats:
    """The content rows that the strategy "cold" makes for itself."""
    facets = Facets()
    facets.fit(training.catalogue.items, training.content, np.unique(training.interactions.items))
    return facets.encode(training.catalogue.items, training.content).astype(np.float32)


def pipeline_of(training: Training) -> Pipeline:
    seen = training.interactions
    cuts = [*(cut_time(seen, share) for share in CUTS), training.at]
    windows = [build(training, a, b, max_users=100, seed=SEED) for a, b in pairwise(cuts)]
    blend = Blend(BlendSettings())
    blend.fit(windows, SEED)
    return Pipeline.fit(training, blend, seen.hash, seed=SEED)


def served(training: Training) -> Doubles:
    """(n_users, n_items) what the pipeline answers with; -inf for films that are not new."""
    seen, pipeline = training.interactions, pipeline_of(training)
    new = np.flatnonzero(~pipeline.warm)
    out = np.full((seen.n_users, seen.n_items), -np.inf)
    for user, profile in enumerate(training.profiles):
        history = seen.histories(np.array([user]))
        out[user, new] = pipeline.score(history, profile, training.at, new)
    return out


def scored(name: str, training: Training, genres: Vectors) -> Floats | Doubles:
    seen = training.interactions
    if name == SERVED:
        return served(training)
    if name == "random":
        drawn = np.random.default_rng(SEED).random((seen.n_users, seen.n_items))
        return drawn.astype(np.float32)
    if name == "ridge to ALS":
        rows = np.hstack([genres.values, np.ones((seen.n_items, 1), np.float32)])
        return ridge_to_als(training, rows, 16, 1.0)
    if name == "ridge to ALS, cold's rows":
        return ridge_to_als(training, facets_of(training), 8, 5.0)
    own = name.removesuffix(" (genres)")
    if own != name:
        training = replace(training, content=genres)
    strategy = make(own)
    strategy.fit(training)
    everyone = np.arange(seen.n_users)
    return strategy.scores(seen.histories(everyone), training.profiles, training.at)


def mixed(training: Training) -> None:
    """Print NDCG@20 of all films, a fifth unmet (all folds in turn), and who takes what is listed.

    The line from promises to scores is also moved up by ``HIGHER``.
    """
    start = temporal(training.interactions).test_from
    past, later = training.before(start), training.interactions.between(start, training.at)
    worth = 1 / np.log2(np.arange(2, K + 2))
    found: dict[float, list[tuple[float, ...]]] = {higher: [] for higher in HIGHER}
    for hidden, _, _ in splits(past, SHARE):
        pipeline = pipeline_of(hidden)
        for user in np.intersect1d(later.users, hidden.interactions.users).tolist():
            history = hidden.interactions.histories(np.array([user]))
            items = np.flatnonzero(~past.interactions.histories(np.array([user])).seen()[0])
            taken = np.isin(items, later.items[(later.users == user) & (later.weight >= 0)])
            new, profile = ~pipeline.warm[items], training.profiles[user]
            if not taken.any():
                continue
            scores = pipeline.score(history, profile, past.at, items)
            for higher, rows in found.items():
                top = np.argsort(-(scores + higher * new), kind="stable")[:K]
                gain = float(taken[top] @ worth / worth[: taken.sum()].sum())
                hit, unmet = taken[top], new[top]
                rows.append((gain, unmet.mean(), (hit & unmet).sum(), unmet.sum(), hit.sum()))
    for higher, rows in found.items():
        gain, share, new_hits, new_listed, hits = np.mean(rows, axis=0)
        print(
            f"line +{higher:<4} NDCG@20 {gain:.4f}  unmet among the {K} {share:.3f}; taken: "
            f"of the unmet {new_hits / new_listed:.3f}, "
            f"of the met {(hits - new_hits) / (K - new_listed):.3f}  ({len(rows)} lists)"
        )


def few(training: Training) -> None:
    """Print Recall@20 with few known films (mean of DRAWS draws), by promise and by likeness."""
    known, test, cold = next(splits(training, 1))
    seen = known.interactions
    everyone, films = np.arange(seen.n_users), np.unique(seen.items)
    rng = np.random.default_rng(SEED)
    for size in FEW:
        found: dict[str, list[float]] = {"cold": [], "bridge": []}
        for _ in range(DRAWS):
            kept = seen.where(np.isin(seen.items, rng.permutation(films)[:size]))
            histories = kept.histories(everyone)
            asked = test.where(histories.counts[test.users] > 0)
            for name, values in found.items():
                strategy = make(name)
                strategy.fit(replace(known, interactions=kept))
                scores = strategy.scores(histories, known.profiles, known.at)
                values.append(float(recalls(scores, asked, cold).mean()))
        told = "  ".join(f"{name} {np.mean(values):.3f}" for name, values in found.items())
        print(f"{size:5} known films  Recall@20 {told}", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--folds", type=int, default=SHARE, choices=range(1, SHARE + 1))
    asked.add_argument("--tmdb", action="store_true")
    asked.add_argument("--few", action="store_true")
    asked.add_argument("--mixed", action="store_true")
    asked.add_argument("--only", nargs="*", default=None)
    chosen = asked.parse_args()
    training = _data.ml100k()
    if chosen.few or chosen.mixed:
        (few if chosen.few else mixed)(replace(training, content=texts(training.catalogue.items)))
        return
    genres = _data.genre_vectors(training.catalogue.items)
    runs = {"title, year, genres": training}
    if chosen.tmdb:
        runs["and plots, keywords, people"] = with_plots(training)
    ours = [name for name in STRATEGIES if missing(name) is None]
    names = [
        SERVED,
        *ours,
        "bridge (genres)",
        "content (genres)",
        "ridge to ALS",
        "ridge to ALS, cold's rows",
        "random",
    ]
    table: list[dict[str, object]] = []
    for features, data in runs.items():
        data = replace(data, content=texts(data.catalogue.items))
        for name in names if chosen.only is None else chosen.only:
            rng = np.random.default_rng(SEED)
            began = time.process_time()
            folds = [
                recalls(scored(name, known, genres), test, cold)
                for known, test, cold in splits(data, chosen.folds)
            ]
            low, high = interval(folds[0], rng)
            row = {
                "strategy": name,
                "features": features,
                "recall": float(folds[0].mean()),
                "low": low,
                "high": high,
                "people": len(folds[0]),
                "folds": [float(fold.mean()) for fold in folds],
                "cpu_s": round((time.process_time() - began) / len(folds), 1),
            }
            table.append(row)
            print(
                f"{features:28} {name:25} Recall@20 {row['recall']:.3f} [{low:.3f}, {high:.3f}]"
                f"  mean of {len(folds)} folds {np.mean(row['folds']):.3f}  {row['cpu_s']} CPU-s",
                flush=True,
            )
    if chosen.only is not None and OUT.exists():
        new = {(row["strategy"], row["features"]) for row in table}
        kept = json.loads(OUT.read_text("utf-8"))
        table += [row for row in kept if (row["strategy"], row["features"]) not in new]
    OUT.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
