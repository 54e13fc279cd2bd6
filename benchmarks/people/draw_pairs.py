"""Draw the pairs that are then checked by hand: half of them hard, none chosen by a model.

Usage: python benchmarks/people/draw_pairs.py > drawn.tsv

Strata are by spelling and year alone. No probability and no threshold of the matcher is involved,
and no registry's id but in the stratum "other title", which no blocking can be trusted to find.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
from _catalogues import Loaded, key, load

from segue.match.blocking import Blocking, Work, pairs
from segue.match.titles import triples

SEED = 20261125
WANTED = {
    # hard
    "same title, other year": 34, "sequel or part": 22, "near title": 26, "other title": 14,
    "spelled otherwise": 12,
    # plain
    "same title and year": 62, "few letters shared": 30,
}  # fmt: skip


def stratum(a: Work, b: Work, raw: tuple[str, str]) -> str | None:
    one, other = a.titles[0], b.titles[0]
    x, y = triples(one.text), triples(other.text)
    alike = 2 * len(x & y) / (len(x) + len(y))
    if one.words == other.words:
        if a.year != b.year:
            return "same title, other year"
        return "same title and year" if raw[0] == raw[1] else "spelled otherwise"
    if one.numbers ^ other.numbers and alike > 0.45:
        return "sequel or part"
    if alike >= 0.55:
        return "near title"
    return "few letters shared" if alike < 0.45 else None


def by_stratum(data: Loaded) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for a, b in pairs(data.works, Blocking()):
        one, other = dict(data.works[a].ids), dict(data.works[b].ids)
        x, y = triples(data.works[a].titles[0].text), triples(data.works[b].titles[0].text)
        registered = one.get("imdb") is not None and one.get("imdb") == other.get("imdb")
        if registered and 2 * len(x & y) / (len(x) + len(y)) < 0.55:
            found["other title"].append((a, b))
            continue
        name = stratum(data.works[a], data.works[b], (data.items[a].title, data.items[b].title))
        if name is not None:
            found[name].append((a, b))
    return found


def main() -> None:
    data, rng = load(), np.random.default_rng(SEED)
    found = by_stratum(data)
    taken: set[int] = set()
    n = 0
    for name, wanted in WANTED.items():
        # Catalogue pairs take turns, so that the large ones do not fill a stratum.
        lanes: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for a, b in found[name]:
            lanes[data.platforms[a], data.platforms[b]].append((a, b))
        order = {
            lane: [some[i] for i in rng.permutation(len(some))] for lane, some in lanes.items()
        }
        picked = 0
        while picked < wanted and any(order.values()):
            for lane in sorted(order):
                while order[lane] and taken & set(order[lane][-1]):
                    order[lane].pop()
                if order[lane] and picked < wanted:
                    a, b = order[lane].pop()
                    taken |= {a, b}
                    picked, n = picked + 1, n + 1
                    show(data, name, a, b)
        print(f"{name}: {picked} of {len(found[name]):,}", file=sys.stderr)
    print(f"{n} pairs", file=sys.stderr)


def show(data: Loaded, name: str, a: int, b: int) -> None:
    cells = [name]
    for at in (a, b):
        item = data.items[at]
        facts = "; ".join(item.creators[:3]), f"{(item.duration_s or 0) / 60:.0f}m"
        cells += [key(data.platforms[at], item), f"{item.title} ({item.year})", " ".join(facts)]
    print("\t".join(cells))


if __name__ == "__main__":
    main()
