"""Across kinds: from books to films and games, by segue's own text vectors alone.

Usage: python benchmarks/people/bench_across.py   (writes results_across.md beside it)

media-recommender 0.0.3 holds films, games and books, and nothing of people. Books and games are
titles; films have genres, and plots where TMDB is the same work. Its own 50-d space, made of
descriptions that it does not ship, is held out: it chooses histories and judges, and ranks nothing.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _catalogues import load

from segue import datasets
from segue.assembly import text_encoder
from segue.core.types import Item
from segue.match.assign import Rule, assign
from segue.match.blocking import Blocking, pairs
from segue.match.titles import read
from segue.match.works import Model, Rarity, score
from segue.store.works import filled
from segue.understand.text import item_text

OUT = Path(__file__).parent / "results_across.md"
KINDS = ("movie", "game", "book")
SITES = {"movie": ("imdb", "imdb_id"), "game": ("steam", "steam_id"),
         "book": ("goodreads", "goodreads_id")}  # fmt: skip
SEED, ANCHORS, HISTORY, TRUE = 0, 300, 5, 20
ROUNDS = 2000


@dataclass(frozen=True)
class Shelf:
    """One catalogue of three kinds; rows of the three arrays are the items."""

    items: tuple[Item, ...]
    kinds: np.ndarray
    ours: np.ndarray  # (n, 512) unit rows
    judge: np.ndarray  # (n, 50) unit rows
    rating: np.ndarray  # of the package: what it would call popular
    words: tuple[frozenset[str], ...]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def shelf() -> Shelf:
    data = load(KINDS)
    found = pairs(data.works, Blocking())
    scored = score(data.works, found, Model.shipped(), Rarity(data.works))
    told: dict[int, list[Item]] = {}  # what the catalogues that were joined to it directly say
    for pair in assign(data.works, scored, Rule()).merged:
        for a, b in ((pair.first, pair.second), (pair.second, pair.first)):
            told.setdefault(a, []).append(data.items[b])
    space = judged()
    rows = [n for n, item in enumerate(data.items) if item.id in space]
    items = tuple(filled(data.items[n], told.get(n, [])) for n in rows)
    texts = [item_text(i.title, i.tags, i.description, i.creators) for i in items]
    ours = np.concatenate(
        [text_encoder().encode(texts[n : n + 512]) for n in range(0, len(texts), 512)]
    )
    kinds = np.array([item.kind for item in items])
    judge = np.stack([space[item.id][0] for item in items])
    for kind in KINDS:  # each kind has its own middle there as well
        judge[kinds == kind] -= judge[kinds == kind].mean(axis=0)
    return Shelf(
        items, kinds, np.asarray(ours, dtype=np.float32), unit(judge),
        np.array([space[item.id][1] for item in items]),
        tuple(frozenset(read(item.title).words) for item in items),
    )  # fmt: skip


def judged() -> dict[str, tuple[np.ndarray, float]]:
    """Item id -> its vector and its rating in the package."""
    path = datasets.get("media-recommender") / "recommender.db"
    out = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for kind, (site, column) in SITES.items():
            asked = f"SELECT {column}, rating, vector FROM {kind}"
            for number, rating, vector in database.execute(asked):
                key = f"tt{number:07d}" if site == "imdb" else str(number)
                out[f"{site}:{key}"] = (np.array(vector.split(), dtype=np.float64), rating)
    return out


def centred(data: Shelf) -> np.ndarray:
    """Our vectors with the middle of each kind taken away: what all books share is no taste."""
    out = data.ours.copy()
    for kind in KINDS:
        out[data.kinds == kind] -= out[data.kinds == kind].mean(axis=0)
    return unit(out)


def auc(scores: np.ndarray, true: np.ndarray) -> float:
    """Probability that a true one stands before another; ties count half."""
    order = scores.argsort(kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    values, at = np.unique(scores, return_inverse=True)
    ranks = (np.bincount(at, ranks) / np.bincount(at))[at] if len(values) < len(scores) else ranks
    n = int(true.sum())
    return float((ranks[true].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def told(values: list[float]) -> str:
    """Mean with its bootstrap interval over anchors."""
    x, rng = np.array(values), np.random.default_rng(SEED)
    means = x[rng.integers(0, len(x), (ROUNDS, len(x)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{x.mean():.3f} [{low:.3f}, {high:.3f}]"


def overlap(data: Shelf, past: np.ndarray, those: np.ndarray, rare: dict[str, float]) -> np.ndarray:
    """Rarity of the title words that each item shares with the history."""
    known = frozenset().union(*(data.words[n] for n in past))
    return np.array([sum(rare[w] for w in data.words[n] & known) for n in those])


def neighbourhoods(data: Shelf, source: str, target: str, rare: dict[str, float]) -> list[str]:
    """Five neighbours in one kind; are their neighbours in another found?"""
    rng = np.random.default_rng(SEED)
    mine, theirs = np.flatnonzero(data.kinds == source), np.flatnonzero(data.kinds == target)
    flat = centred(data)
    found: dict[str, list[float]] = {name: [] for name in ("raw", "own", "strict", "words", "rate")}
    for anchor in rng.choice(mine, ANCHORS, replace=False):
        past = mine[np.argsort(-(data.judge[mine] @ data.judge[anchor]))[:HISTORY]]
        by_judge = data.judge[theirs] @ data.judge[past].mean(axis=0)
        true = np.zeros(len(theirs), dtype=bool)
        true[np.argsort(-by_judge)[:TRUE]] = True
        own = flat[theirs] @ flat[past].mean(axis=0)
        words = overlap(data, past, theirs, rare)
        found["raw"].append(auc(data.ours[theirs] @ data.ours[past].mean(axis=0), true))
        found["own"].append(auc(own, true))
        found["words"].append(auc(words, true))
        found["rate"].append(auc(data.rating[theirs], true))
        free = words == 0
        if true[free].any():
            found["strict"].append(auc(own[free], true[free]))
    cells = [told(found[name]) for name in ("own", "strict", "raw", "words", "rate")]
    return [f"| {source} → {target} | " + " | ".join(cells) + " |"]


def adaptations(data: Shelf, source: str, target: str, rare: dict[str, float]) -> list[str]:
    """A work that is in both kinds under one title of two words or more, once in each."""
    sides = {}
    for kind in (source, target):
        rows = np.flatnonzero(data.kinds == kind).tolist()
        titles = [read(data.items[n].title.split(" (")[0]).words for n in rows]
        often = Counter(titles)
        sides[kind] = {t: n for t, n in zip(titles, rows, strict=True)
                       if often[t] == 1 and len(t) > 1}  # fmt: skip
    both = sorted(sides[source].keys() & sides[target].keys())
    flat = centred(data)
    mine, theirs = np.flatnonzero(data.kinds == source), np.flatnonzero(data.kinds == target)
    found: dict[str, list[float]] = {name: [] for name in ("own", "words", "rate", "judge")}
    for title in both:
        anchor, goal = sides[source][title], theirs == sides[target][title]
        # Other works of the neighbourhood: none that shares a word with the title.
        others = [n for n in mine if not data.words[n] & frozenset(title)]
        others = np.array(others)
        past = others[np.argsort(-(data.judge[others] @ data.judge[anchor]))[:HISTORY]]
        found["own"].append(auc(flat[theirs] @ flat[past].mean(axis=0), goal))
        found["words"].append(auc(overlap(data, past, theirs, rare), goal))
        found["rate"].append(auc(data.rating[theirs], goal))
        found["judge"].append(auc(data.judge[theirs] @ data.judge[anchor], goal))
    cells = [told(found[name]) for name in ("own", "words", "rate", "judge")]
    return [f"| {source} → {target} | {len(both)} | " + " | ".join(cells) + " |"]


def shares(data: Shelf) -> list[str]:
    """Which kinds fill the first 30 places of everything, for a history of one kind."""
    rng, flat, out = np.random.default_rng(SEED), centred(data), []
    for source in KINDS:
        mine = np.flatnonzero(data.kinds == source)
        counts = {"raw": Counter(), "own": Counter()}
        for anchor in rng.choice(mine, 100, replace=False):
            past = mine[np.argsort(-(data.judge[mine] @ data.judge[anchor]))[:HISTORY]]
            for name, space in (("raw", data.ours), ("own", flat)):
                scores = space @ space[past].mean(axis=0)
                scores[past] = -np.inf
                counts[name].update(data.kinds[np.argsort(-scores)[:30]].tolist())
        for name, said in (("raw", "as encoded"), ("own", "middle of each kind taken away")):
            total = sum(counts[name].values())
            cells = " | ".join(f"{counts[name][kind] / total:.0%}" for kind in KINDS)
            out.append(f"| {source}, {said} | {cells} |")
    return out


def main() -> None:
    began = time.perf_counter()
    data = shelf()
    took = time.perf_counter() - began
    often = Counter(w for words in data.words for w in words)
    rare = {w: float(np.log(len(data.items) / n)) for w, n in often.items()}
    ways = [(a, b) for a in KINDS for b in KINDS if a != b]
    plots = sum(bool(i.description) for i in data.items)
    near = [line for a, b in ways for line in neighbourhoods(data, a, b, rare)]
    same = [line for a, b in ways for line in adaptations(data, a, b, rare)]
    sizes = ", ".join(f"{(data.kinds == kind).sum():,} {kind}s" for kind in KINDS)
    OUT.write_text("\n".join([
        "# Across kinds", "",
        "Made by `python benchmarks/people/bench_across.py`. " + (__doc__ or "").split("\n\n")[2]
        .replace("\n", " "), "",
        f"{len(data.items):,} items ({sizes}), "
        f"{plots:,} films with a plot; matched and encoded in {took:.0f} s on one core. "
        "All figures are AUC (.5 is chance) with 95 % intervals over histories.", "",
        f"**Leave one kind out.** {ANCHORS} histories a row: {HISTORY} neighbours in one kind by "
        f"the held-out space; true are the {TRUE} nearest items of the other kind there.", "",
        "| from → to | own vectors, kinds centred | the same, no title word shared | as encoded "
        "| shared title words | the package's rating |", "|---|---|---|---|---|---|", *near, "",
        "**Adaptations.** A work that is in both kinds under one title: is it found from five "
        "*other* works near it, none of which shares a word with the title? The last column is the "
        "held-out space itself from the work itself: what the judge is worth across kinds.", "",
        "| from → to | works | own vectors, kinds centred | shared title words "
        "| the package's rating | the judge |", "|---|---|---|---|---|---|", *same, "",
        "**Kinds among the first 30 of everything**", "",
        "| history | films | games | books |", "|---|---|---|---|", *shares(data), "",
    ]), "utf-8")  # fmt: skip
    print(OUT.read_text("utf-8"))


if __name__ == "__main__":
    main()
