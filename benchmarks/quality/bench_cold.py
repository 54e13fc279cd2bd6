"""Recall@20 among films that nobody has met, on MovieLens-100K; writes cold.json.

Usage: python benchmarks/quality/bench_cold.py [--folds N] [--tmdb]

A fifth of the films (random, by seed 0) is cold: all their events are taken from the training.
Everyone with cold films and a history left is asked for 20 of the cold films, from that history
alone. Fold 0 is the split of record; the other folds take the other fifths in turn. Features are
title, year and genres; with --tmdb also plots, keywords, directors and cast, where TMDB-5000
knows the film. Intervals are bootstraps over people (95 %).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares

sys.path.insert(0, str(Path(__file__).parents[1]))

import _data
from segue import datasets, enrich
from segue.core.types import Bools, Doubles, Floats, Interactions, Item, Training, Vectors
from segue.recommend.cold import Facets
from segue.recommend.matrix import consumption
from segue.recommend.registry import make, missing
from segue.understand.text import UseMultilingual, item_text

OUT = Path(__file__).with_name("cold.json")
K = 20
SHARE = 5  # one film in five is cold
SEED = 0
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


def recalls(scores: Floats, test: Interactions, cold: Bools) -> Doubles:
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


def scored(name: str, training: Training, genres: Vectors) -> Floats:
    seen = training.interactions
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


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--folds", type=int, default=SHARE, choices=range(1, SHARE + 1))
    asked.add_argument("--tmdb", action="store_true")
    asked.add_argument("--only", nargs="*", default=None)
    chosen = asked.parse_args()
    training = _data.ml100k()
    genres = _data.genre_vectors(training.catalogue.items)
    runs = {"title, year, genres": training}
    if chosen.tmdb:
        runs["and plots, keywords, people"] = with_plots(training)
    ours = [name for name in STRATEGIES if missing(name) is None]
    names = [
        *ours,
        "bridge (genres)",
        "content (genres)",
        "ridge to ALS",
        "ridge to ALS, cold's rows",
        "random",
    ]
    table = []
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
    OUT.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
