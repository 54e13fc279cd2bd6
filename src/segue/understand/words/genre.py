"""Genres of a film, series or book from its title and plot, learned from TMDB's 4,803 films.

Logistic regression, one answer a genre, over the text encoder's vectors: trained in half a minute
at first use and kept in the cache. As the encoder reads sixteen languages, so does this.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.core.errors import BadSettings
from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.datasets.fetch import cache_folder, get, packages
from segue.understand.findings import Label
from segue.understand.text import YEAR
from segue.understand.words.logistic import Logistic, fit_logistic

GENRES = (
    "action", "adventure", "animation", "comedy", "crime", "documentary", "drama", "family",
    "fantasy", "history", "horror", "music", "mystery", "romance", "science fiction", "thriller",
    "war", "western",
)  # fmt: skip
# Tags that say of an item what its genre is, beside the names above.
OTHER_NAMES = frozenset({
    "sci-fi", "scifi", "children's", "children", "musical", "film-noir", "noir", "biography",
    "sport", "news", "short", "reality-tv", "talk-show", "poetry", "fiction", "non-fiction",
    "rock", "pop", "jazz", "classical", "electronic", "hip-hop", "hip hop", "folk", "metal",
    "blues", "country", "ambient", "soundtrack",
})  # fmt: skip
TOLD = ("", "movie", "series", "video", "short", "book", "podcast", "post", "game")  # have plots
SCALE = 4.0
VERSION = 1


@dataclass(frozen=True)
class GenreRule:
    """How the model is fitted, and which genres are named."""

    strength: float = 3.0  # of the penalty
    words: int = 120  # of title and plot
    least_words: int = 12  # of a plot; a shorter one says too little
    most: int = 3
    least: float = 0.35  # probability

    def __post_init__(self) -> None:
        if self.most < 1 or not 0 < self.least < 1 or self.strength <= 0 or self.words < 1:
            raise BadSettings(
                f"most and words must be >= 1, least in (0, 1), strength > 0, got {self}"
            )


DEFAULT_GENRES = GenreRule()


@dataclass(frozen=True)
class Plot:
    """A film of TMDB; genres in lower case."""

    title: str
    overview: str
    genres: frozenset[str]
    keywords: tuple[str, ...]
    year: int
    other_title: str


def tmdb_plots() -> list[Plot]:
    """The films of TMDB 5000 in order, those without a plot too."""
    with (get("tmdb-5000") / "movies.csv").open(encoding="utf-8", newline="") as file:
        return [
            Plot(
                row["title"],
                row["overview"] or "",
                frozenset(g["name"].lower() for g in json.loads(row["genres"])),
                tuple(k["name"] for k in json.loads(row["keywords"])),
                int((row["release_date"] or "0")[:4]),
                row["original_title"],
            )
            for row in csv.DictReader(file)
        ]


def plot_text(title: str, overview: str, words: int = DEFAULT_GENRES.words) -> str:
    """What is encoded of a film."""
    return " ".join(f"{YEAR.sub('', title)}. {overview}".split()[:words])


def fit_genres(
    vectors: Floats, truth: Sequence[frozenset[str]], genres: Sequence[str], strength: float
) -> Logistic:
    """``vectors``: (n, 512) unit rows of plots; ``truth``: the genres of each."""
    answers = np.asarray([[g in has for g in genres] for has in truth], dtype=np.float32)
    return fit_logistic(vectors * SCALE, answers, strength)


def genre_model(encoder: Encoder, rule: GenreRule = DEFAULT_GENRES) -> Logistic:
    """The fitted model out of the cache; fitted and put there on first use."""
    path = _path(encoder, rule)
    if not path.is_file():
        films = [film for film in tmdb_plots() if film.overview and film.genres]
        texts = [plot_text(film.title, film.overview, rule.words) for film in films]
        model = fit_genres(
            encoder.encode(texts), [film.genres for film in films], GENRES, rule.strength
        )
        _keep(path, model)
    with np.load(path, allow_pickle=False) as stored:
        return Logistic(stored["weights"], stored["bias"])


def _path(encoder: Encoder, rule: GenreRule) -> Path:
    """Data, encoder, settings and method changed are another model."""
    made_of = (packages()["tmdb-5000"].folder, encoder.name, rule.strength, rule.words, VERSION)
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]
    return cache_folder() / "models" / f"genres-{digest}.npz"


def _keep(path: Path, model: Logistic) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, weights=model.weights, bias=model.bias)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(buffer.getvalue())
        part.flush()
        os.fsync(part.fileno())
    Path(part.name).replace(path)


def names_genre(tags: Iterable[str]) -> bool:
    """Whether an item carries a genre already."""
    return any(tag.casefold().strip() in OTHER_NAMES.union(GENRES) for tag in tags)


def genres(probabilities: Floats, rule: GenreRule = DEFAULT_GENRES) -> tuple[Label, ...]:
    """Labels of kind ``genre``, most probable first, of (n_genres,) probabilities."""
    rows = np.argsort(-probabilities, kind="stable")[: rule.most]
    return tuple(
        Label("genre", GENRES[n], float(probabilities[n]))
        for n in rows
        if probabilities[n] >= rule.least
    )
