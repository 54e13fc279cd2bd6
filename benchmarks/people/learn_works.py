"""Learn the weights that `segue works match` ships with; nothing of the hand-checked pairs is used.

Usage: python benchmarks/people/learn_works.py   (writes src/segue/match/works.json)

What is learned from, with all items of works_pairs.tsv left out:
- media-recommender x Wikidata: both name the IMDb id, which says what is the same and what is not;
- TMDB x Wikidata have no id in common. The same: exact title and year, once in each, or the same
  director and length in near years with a word of the title shared. Different: known people, none
  of them shared, and other years or lengths. What is neither is left out.
Ids are no feature. A third of the items is kept back to calibrate and to measure.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from _catalogues import Loaded, load

from segue.match.blocking import Blocking, pairs
from segue.match.works import FEATURES, Model, Rarity, features

PAIRS = Path(__file__).parent / "works_pairs.tsv"
OUT = Path(__file__).parents[2] / "src" / "segue" / "match" / "works.json"
RIDGE = 1.0


def checked() -> list[dict[str, str]]:
    """The hand-checked pairs."""
    lines = [n for n in PAIRS.read_text("utf-8").splitlines() if not n.startswith("#")]
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]


def label(data: Loaded, a: int, b: int, once: Counter[tuple[str, str, int | None]]) -> int | None:
    one, other = data.works[a], data.works[b]
    first, second = dict(one.ids).get("imdb"), dict(other.ids).get("imdb")
    if first and second:
        return int(first == second)
    if {data.platforms[a], data.platforms[b]} != {"tmdb", "wikidata"}:
        return None
    near = one.year is not None and other.year is not None and abs(one.year - other.year) <= 1
    lengths = bool(one.duration_s and other.duration_s)
    ratio = abs(np.log(one.duration_s / other.duration_s)) if lengths else np.inf
    exact = one.titles[0].words == other.titles[0].words and one.year == other.year
    keys = [(data.platforms[x], data.works[x].titles[0].text, data.works[x].year) for x in (a, b)]
    if exact and all(once[k] == 1 for k in keys):
        return 1
    directors = [data.items[x].creators[:1] for x in (a, b)]
    words = set(one.titles[0].words) & set(other.titles[0].words)
    if all(directors) and directors[0] == directors[1] and near and ratio <= 0.02 and words:
        return 1
    if one.creators and other.creators and not one.creators & other.creators:
        return 0 if not near or ratio > 0.05 else None
    return None


def fit(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Logistic regression by Newton's steps; the last weight is the intercept, unpenalised."""
    x = np.column_stack([x, np.ones(len(x))])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-6
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -40, 40)))
        gradient = x.T @ (p - y) + penalty * w
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty), gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w


def calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    at = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[at == n].mean() - y[at == n].mean()) * (at == n).mean() for n in set(at.tolist())]
    return float(np.sum(gaps))


def main() -> None:
    data = load()
    barred = {data.at[row[side]] for row in checked() for side in ("first", "second")}
    once = Counter((data.platforms[n], w.titles[0].text, w.year) for n, w in enumerate(data.works))
    rarity = Rarity(data.works)
    rows, labels, held = [], [], []
    for a, b in pairs(data.works, Blocking()):
        if a in barred or b in barred:
            continue
        told = label(data, a, b, once)
        if told is None:
            continue
        rows.append(features(data.works[a], data.works[b], rarity))
        labels.append(told)
        held.append(zlib.crc32(data.items[a].id.encode()) % 3 == 0)
    x, y, kept = np.stack(rows), np.array(labels, dtype=float), np.array(held)
    w = fit(x[~kept], y[~kept], RIDGE)
    raw = Model(w[:-1], float(w[-1]))
    score = x[kept] @ raw.weights + raw.intercept
    slope, shift = fit(score[:, None], y[kept], 1e-6)
    model = Model(raw.weights, raw.intercept, float(slope), float(shift))
    p = model.probability(x[kept])
    said = {
        "pairs": len(y), "same": int(y.sum()), "kept back": int(kept.sum()),
        "calibration error": round(calibration_error(p, y[kept]), 5),
    }  # fmt: skip
    for at in (0.5, 0.9, 0.95, 0.98, 0.99):
        yes = p >= at
        said[f"precision, recall at {at}"] = [
            round(float(y[kept][yes].mean()), 5),
            round(float(y[kept][yes].sum() / y[kept].sum()), 4),
        ]  # fmt: skip
    print(json.dumps(said, indent=1))
    told = {
        "about": "weights of segue.match.works; made by benchmarks/people/learn_works.py",
        "learned_from": "media-recommender 0.0.3 x Wikidata films (IMDb ids), TMDB 5000 x Wikidata",
        "pairs": len(y), "same": int(y.sum()),
        "intercept": raw.intercept, "slope": float(slope), "shift": float(shift),
        "weights": {n: round(float(v), 5) for n, v in zip(FEATURES, raw.weights, strict=True)},
    }  # fmt: skip
    OUT.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name, weight in told["weights"].items():
        print(f"{weight:8.3f}  {name}")


if __name__ == "__main__":
    main()
