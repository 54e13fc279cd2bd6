"""Words to films: is the film found by the rest of its plot, or by keywords that were not encoded?

    python benchmarks/understand/bench_text_search.py

Items are encoded as segue does: title, tags and the first 60 words of the plot. Of the 100 films
the plot goes on after that; the query is the rest, without the title's words. The harder query is
the keywords alone, of films that were encoded without them.
"""

from __future__ import annotations

import numpy as np
from bench_text import ENCODER, encoded

from segue.core.types import Catalogue, Item, Vectors
from segue.enrich import MAX_KEYWORDS
from segue.understand.search import TextSearch, tokens
from segue.understand.text import DEFAULT_PARTS, item_text
from segue.understand.words.genre import Plot, tmdb_plots

FILMS, LEAST_WORDS, QUERY_WORDS = 100, 15, 60


def rest(film: Plot) -> str:
    """The plot after what was encoded, without the title's words."""
    title = tokens(film.title)
    left = film.overview.split()[DEFAULT_PARTS.description_words :]
    return " ".join(w for w in left if not tokens(w) & title)


def tested(films: list[Plot]) -> list[int]:
    fit = [n for n, f in enumerate(films)
           if len(rest(f).split()) >= LEAST_WORDS and len(f.keywords) >= 5]  # fmt: skip
    return sorted(np.random.default_rng(3).permutation(fit)[:FILMS].tolist())


def found(films: list[Plot], rows: list[int], queries: list[str], with_tags: bool) -> list[int]:
    """Rank of each tested film, from 1, among ``rows``."""
    items = [
        Item(str(n), "movie", films[n].title, tags=tags(films[n]) if with_tags else ())
        for n in rows
    ]
    texts = [
        item_text(i.title, i.tags, films[n].overview) for i, n in zip(items, rows, strict=True)
    ]
    values = encoded(texts)
    vectors = Vectors(values, np.ones(len(rows), dtype=bool))
    search = TextSearch(Catalogue(tuple(items)), vectors, ENCODER)
    ranks = []
    for n, query in zip(tested(films), queries, strict=True):
        order, _ = search.search(query, len(rows))
        ranks.append(int(np.flatnonzero(order == rows.index(n))[0]) + 1)
    return ranks


def tags(film: Plot) -> tuple[str, ...]:
    return (*sorted(film.genres), *film.keywords[:MAX_KEYWORDS])


def keywords_query(film: Plot) -> str:
    title = tokens(film.title)
    return ", ".join(k for k in film.keywords[:MAX_KEYWORDS] if not tokens(k) & title)


def main() -> None:
    films = tmdb_plots()
    hundred = tested(films)
    everything = [n for n, f in enumerate(films) if f.overview]
    print(f"{'query':<28}{'among':>8}{'top 1':>8}{'top 5':>8}{'median rank':>13}")
    kinds = (("rest of the plot", rest, True), ("keywords, not encoded", keywords_query, False))
    for rows in (hundred, everything):
        for name, make, with_tags in kinds:
            queries = [" ".join(make(films[n]).split()[:QUERY_WORDS]) for n in hundred]
            ranks = np.asarray(found(films, rows, queries, with_tags))
            top = [f"{(ranks <= k).mean():.2f}" for k in (1, 5)]
            middle = int(np.median(ranks))
            print(f"{name:<28}{len(rows):>8}{top[0]:>8}{top[1]:>8}{middle:>13}", flush=True)


if __name__ == "__main__":
    main()
