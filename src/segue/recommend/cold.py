"""Items that nobody has met: what people like them take, told from content alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial
from segue.core.types import (
    Bools,
    Catalogue,
    Doubles,
    Floats,
    Histories,
    Item,
    Profile,
    Rows,
    Training,
    Vectors,
)
from segue.recommend.bridge import products
from segue.recommend.matrix import consumption, known_items, recency

MAX_TAGS, MAX_PAIRS, MAX_CREATORS = 48, 128, 192  # columns of each sort; the rest is too rare
LEAST_PAIR = 5  # items that must share a pair of tags, so that it can teach anything
BUMPS = 12  # soft steps over the logarithm of an item's age
BUMP_WIDTH = 0.4
ACROSS = 16  # tags that may mean another thing in another age
CREATOR_WEIGHT = 0.5
LIMIT = 5_000  # items learned from: their Gram matrix takes 200 MB while B is fitted
ROWS = 8_192  # items encoded at once: content rows of 1,100 columns take 70 MB
# Items of a kind that somebody has taken, below which content foretells little more than likeness
# does: on MovieLens-100K Recall@20 of new films is .09 against .08 with 10 known films (likeness
# second), .13 against .10 with 25, .16 against .10 with 50, .21 against .13 with 100. Of a kind
# that nobody has met at all (music, where only films were seen) it is mere extrapolation.
LEAST_OF_KIND = 50


def _none() -> Floats:
    return np.zeros((0, 0), dtype=np.float32)


def _ranked(lists: Iterator[tuple[str, ...]], least: int, limit: int) -> tuple[str, ...]:
    counts = Counter(word for words in lists for word in set(words))
    kept = sorted((-n, word) for word, n in counts.items() if n >= least)
    return tuple(word for _, word in kept[:limit])


def _words(item: Item) -> tuple[str, ...]:
    """Tags, and what else sorts items into kinds."""
    facets = (f"kind:{item.kind}", f"language:{item.language}" if item.language else "")
    return (*item.tags, *(facet for facet in facets if facet))


def _pairs(item: Item) -> tuple[str, ...]:
    return tuple("\n".join(pair) for pair in combinations(sorted(set(item.tags)), 2))


@dataclass
class Facets:
    """An item's content as one row: tags and their pairs, age, tags in their age, creators, text.

    Inner products of rows are then a sum of kernels, so that the ridge map over them is a
    kernel ridge regression. Each block has rows of length <= the root of its weight; the first
    column is 1.
    """

    text_weight: float = 0.5
    tags: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    newest: int = 0  # year
    mean: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def fit(self, items: Sequence[Item], content: Vectors | None, known: Rows) -> None:
        """Learn the words, the newest year and the mean text of the ``known`` items."""
        chosen = [items[row] for row in known]
        self.tags = _ranked((_words(i) for i in chosen), 2, MAX_TAGS)
        self.pairs = _ranked((_pairs(i) for i in chosen), LEAST_PAIR, MAX_PAIRS)
        self.creators = _ranked((i.creators for i in chosen), 2, MAX_CREATORS)
        self.newest = max((i.year for i in chosen if i.year is not None), default=0)
        self.mean = np.zeros(0, dtype=np.float32)
        if content is not None:
            own = known[content.present[known]]
            mean = content.values[own].astype(np.float64).sum(axis=0) / max(len(own), 1)
            self.mean = mean.astype(np.float32)

    def encode(self, items: Sequence[Item], content: Vectors | None) -> Doubles:
        """(n_items, width) float64."""
        tags = _unit(_marks([_words(i) for i in items], self.tags))
        both = [(*_words(i), *_pairs(i)) for i in items]
        age = self._ages(items)
        across = tags[:, :ACROSS, None] * age[:, None, :]
        blocks = [
            np.ones((len(items), 1)),
            _unit(_marks(both, (*self.tags, *self.pairs))),
            age,
            across.reshape(len(items), across.shape[1] * BUMPS),
            np.sqrt(CREATOR_WEIGHT) * _unit(_marks([i.creators for i in items], self.creators)),
            np.sqrt(self.text_weight) * self._texts(content, len(items)),
        ]
        return np.concatenate(blocks, axis=1)

    def _ages(self, items: Sequence[Item]) -> Doubles:
        """(n, BUMPS) unit rows; 0 where the year is unknown."""
        years = np.array([np.nan if i.year is None else i.year for i in items], dtype=np.float64)
        age = np.log(1.5 + np.maximum(self.newest - years, 0))
        centres = np.linspace(np.log(1.5), np.log(80.0), BUMPS)
        bumps = np.exp(-0.5 * ((age[:, None] - centres) / BUMP_WIDTH) ** 2)
        return _unit(np.where(np.isnan(age)[:, None], 0, bumps))

    def _texts(self, content: Vectors | None, n: int) -> Doubles:
        """(n, dim of the content) centred unit rows; 0 without content."""
        out = np.zeros((n, len(self.mean)))
        if content is not None and len(self.mean):
            size = min(n, len(content.present))
            present = content.present[:size]
            out[:size][present] = content.values[:size][present] - self.mean
        return _unit(out)

    def state(self) -> Arrays:
        return {
            "tags": np.array(self.tags, dtype=np.str_),
            "pairs": np.array(self.pairs, dtype=np.str_),
            "creators": np.array(self.creators, dtype=np.str_),
            "newest": np.array([self.newest]),
            "mean": self.mean,
        }

    def restore(self, state: Arrays) -> None:
        self.tags = tuple(state["tags"].tolist())
        self.pairs = tuple(state["pairs"].tolist())
        self.creators = tuple(state["creators"].tolist())
        self.newest = int(state["newest"][0])
        self.mean = np.asarray(state["mean"], dtype=np.float32)


@dataclass
class Cold:
    """What an item's content says about who will take it, learned from items with a history.

    Behaviour alone tells what each item taken adds to each other one: the weights B of EASE
    (Steck, WWW 2019). They are smooth where single events are noise, so they, not the events, are
    regressed on content: for content rows F, ``C = B F (F'F + ridge I)^-1``, and an item with
    content f scores ``h C f`` for a history h. Compare the map of Gantner et al. (ICDM 2010).

    An item never speaks for itself: the items with a history are dealt into ``folds``, and those
    of a fold are scored as if nobody had met any of that fold. So its scores are what they
    would be for a new item, and may be judged or blended. An item in the history that is unknown,
    or of the same fold, adds what its own content foretells.
    """

    ridge: float = 2.0
    smoothing: float = 300.0  # the ridge of B
    text_weight: float = 0.5
    limit: int = LIMIT  # most consumed items learned from; others count as not known
    dim: int = 512  # of the content rows, after their principal components
    folds: int = 5
    half_life: float | None = None
    seed: int = 0
    name: str = "cold"
    GROUP: ClassVar[str] = "content"
    facets: Facets = field(default_factory=Facets, repr=False)
    axes: Floats = field(default_factory=_none, repr=False)  # (width, d)
    places: Floats = field(default_factory=_none, repr=False)  # (n_items, d)
    items: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp), repr=False)  # (m,)
    fold: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp), repr=False)  # (m,)
    effects: Floats = field(  # (folds + 1, m, d): C of each fold; the last one is of all items
        default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32), repr=False
    )
    map: Floats = field(default_factory=_none, repr=False)  # (d, d): content -> its row of C
    mean: Floats = field(default_factory=_none, repr=False)  # (folds + 1, d): the mean person
    length: float = 1.0  # items that the mean person has taken
    kinds: tuple[str, ...] = ()  # LEAST_OF_KIND items or more of each were learned from
    of_kinds: Bools = field(  # (n_items,) is it of these kinds?
        default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False
    )

    def __post_init__(self) -> None:
        above(self, 0, "ridge", "smoothing")
        at_least(self, 0, "text_weight")
        for name, least in (("limit", 1), ("dim", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise BadSettings(f"{name} must be >= {least}, got {getattr(self, name)}")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "ridge": trial.suggest_float("ridge", 0.5, 30.0, log=True),
            "smoothing": trial.suggest_float("smoothing", 30.0, 3000.0, log=True),
            "text_weight": trial.suggest_float("text_weight", 0.05, 4.0, log=True),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
        }

    def fit(self, training: Training) -> None:
        seen = training.interactions
        self.items = known_items(seen, self.limit)
        self.facets = Facets(self.text_weight)
        self.facets.fit(training.catalogue.items, training.content, self.items)
        own = self._encoded(training.catalogue, training.content, self.items)
        values, vectors = np.linalg.eigh(own.T @ own)
        kept = np.flatnonzero(values > 1e-9 * max(float(values[-1]), 1e-9))[-self.dim :]
        self.axes = vectors[:, kept].astype(np.float32)
        counts = Counter(training.catalogue.kinds[self.items].tolist())
        self.kinds = tuple(sorted(k for k, n in counts.items() if n >= LEAST_OF_KIND))
        self.places = _none()
        self.place(training.catalogue, training.content)
        self._deal()
        x = consumption(seen, self.items)
        gram = np.asarray((x.T @ x).todense(), dtype=np.float64)
        gram[np.diag_indices(len(gram))] += self.smoothing
        inverse = np.asarray(np.linalg.inv(gram), dtype=np.float64)
        parts = [self._effects(inverse, self.fold != f) for f in range(self.folds)]
        parts.append(self._effects(inverse, np.ones(len(self.items), dtype=np.bool_)))
        self.effects = np.stack([effects for effects, _ in parts]).astype(np.float32)
        self.map = parts[-1][1].astype(np.float32)
        mean = np.asarray(x.mean(axis=0)).ravel()
        self.length = max(float(mean.sum()), 1e-6)
        self.mean = np.stack([mean @ effects for effects, _ in parts]).astype(np.float32)

    def _deal(self) -> None:
        """Give each item a fold, whatever its events are."""
        order = np.random.default_rng(self.seed).permutation(len(self.places))
        self.fold = (np.argsort(order) % self.folds)[self.items].astype(np.intp)

    def _effects(self, inverse: Doubles, kept: Bools) -> tuple[Doubles, Doubles]:
        """C (m, d) when only the ``kept`` items have ever been met, and the map (d, d)."""
        rows, out = np.flatnonzero(kept), np.flatnonzero(~kept)
        f = self.places[self.items].astype(np.float64)
        mine = f[rows]
        p = inverse[np.ix_(rows, rows)]
        if len(out):
            # The inverse of a part of the Gram matrix, from the inverse of the whole (Schur).
            border = inverse[np.ix_(rows, out)]
            p -= border @ scipy.linalg.solve(inverse[np.ix_(out, out)], border.T, assume_a="pos")
        # B = I - P diag(P)^-1, with a zero diagonal.
        smooth = mine - p @ (mine / np.diag(p)[:, None])
        gram = mine.T @ mine + self.ridge * np.eye(f.shape[1])
        # (B F) G^-1 needs G^-1 on the right; G is symmetric.
        learned = scipy.linalg.solve(gram, smooth.T, assume_a="pos").T
        onto = scipy.linalg.solve(gram, mine.T @ learned, assume_a="pos")
        effects = f @ onto
        effects[rows] = learned
        return effects, onto

    def place(self, catalogue: Catalogue, content: Vectors | None) -> None:
        """Take the content of a grown catalogue; what was learned stays.

        Without ``content`` the items placed before stay where they are, and new ones are placed
        by what else is known of them.
        """
        size, before = len(catalogue), self.places
        self.places = np.empty((size, self.axes.shape[1]), dtype=np.float32)
        kept = 0 if content is not None else min(len(before), size)
        if kept:
            self.places[:kept] = before[:kept]
        for first in range(kept, size, ROWS):
            rows = np.arange(first, min(first + ROWS, size), dtype=np.intp)
            self.places[rows] = self._encoded(catalogue, content, rows) @ self.axes
        self.of_kinds = np.isin(catalogue.kinds, self.kinds)

    def _encoded(self, catalogue: Catalogue, content: Vectors | None, rows: Rows) -> Doubles:
        """(len(rows), width) content rows of some items."""
        if content is not None:
            inside = rows < len(content.present)
            at = np.where(inside, rows, 0)
            present = content.present[at] & inside
            content = replace(content, values=content.values[at], present=present)
        return self.facets.encode([catalogue.items[row] for row in rows], content)

    def speaks_for(self, items: Rows) -> Bools:
        """(len(items),): is it of a kind that enough was learned of? Others are extrapolated."""
        inside = items < len(self.of_kinds)
        return np.asarray(inside & self.of_kinds[np.where(inside, items, 0)])

    def settle(self) -> None:
        """Forget the folds, whose tables are most of the memory, and speak for new items only.

        From here on an item with a history is scored by what was learned from all, itself too.
        """
        self.effects, self.mean = self.effects[-1:], self.mean[-1:]
        self.fold = np.zeros_like(self.fold)

    def _adding(self, history_items: Rows) -> tuple[Rows, Bools]:
        """(n,) place among ``items`` (0 where unknown), and which are known."""
        at = np.searchsorted(self.items, history_items)
        at = np.minimum(at, max(len(self.items) - 1, 0))
        return at, self.items[at] == history_items

    def _rows(self, items: Rows, learned: int) -> Floats:
        """(len(items), d) what an entry on each item adds, by the C of one fold."""
        at, known = self._adding(items)
        out: Floats = self.effects[learned].take(at, axis=0)  # faster than [ ]
        new = np.flatnonzero(~known)
        if len(new):
            out[new] = 0
            new = new[items[new] < len(self.places)]
            out[new] = self.places[items[new]] @ self.map
        return out

    def _groups(self, wanted: Rows) -> Iterator[tuple[int, Rows]]:
        """Which C scores which of ``wanted`` (places among them); items beyond are in none."""
        at, known = self._adding(wanted)
        fold = np.where(known, self.fold[at], len(self.effects) - 1)
        fold[wanted >= len(self.places)] = -1
        for learned in range(len(self.effects)):
            where = np.flatnonzero(fold == learned)
            if len(where):
                yield learned, where

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self._scored(histories, np.arange(histories.n_items, dtype=np.intp))

    def promise(self, histories: Histories, wanted: Rows) -> Floats:
        """(n_users, len(wanted)) the mean of what the entries of a history add to an item.

        Scores grow with the history, which says nothing of the item: means of short and long
        histories can be compared. Who has no history is the mean person.
        """
        size = np.bincount(
            histories.user_of,
            np.abs(recency(histories, self.half_life)) * (histories.items < len(self.places)),
            minlength=histories.n_users,
        )
        size[size == 0] = self.length
        return np.asarray(self._scored(histories, wanted) / size[:, None], dtype=np.float32)

    def _scored(self, histories: Histories, wanted: Rows) -> Floats:
        """(n_users, len(wanted)) scores of some items."""
        out = np.zeros((histories.n_users, len(wanted)), dtype=np.float32)
        if not len(self.items):
            return out
        weights, distinct = recency(histories, self.half_life), histories.items
        taken: Any = weights[None, :]  # dense: a request pays for no sparse set-up
        if histories.n_users != 1:
            # Each distinct item is looked up once, however many people share it.
            distinct, entry = np.unique(histories.items, return_inverse=True)
            shape = (histories.n_users, len(distinct))
            taken = sp.csr_matrix((weights, (histories.user_of, entry)), shape=shape)
        nobody = abs(taken) @ (distinct < len(self.places)) == 0
        for learned, where in self._groups(wanted):
            rows, asked = self._rows(distinct, learned), wanted[where]
            # The same product either way: many people and few items are cheaper item by item.
            by_item = (len(distinct) * rows.shape[1] + len(weights)) * len(asked)
            by_taste = (len(weights) + len(asked) * histories.n_users) * rows.shape[1]
            if by_item < by_taste:
                out[:, where] = taken @ products(rows, self.places, asked)
            else:
                out[:, where] = products(np.asarray(taken @ rows), self.places, asked)
            if nobody.any():  # who has no history yet is the mean person
                mean = products(self.mean[learned][None], self.places, asked)
                out[np.ix_(nobody, where)] = mean
        return out

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        out = np.zeros((len(history.items), len(items)), dtype=np.float32)
        if not len(self.items):
            return out
        weights = recency(history, self.half_life)
        for learned, where in self._groups(items):
            rows = self._rows(history.items, learned) * weights[:, None]
            out[:, where] = products(rows, self.places, items[where])
        return out

    def state(self) -> Arrays:
        return {
            "axes": self.axes,
            "places": self.places,
            "items": self.items,
            "fold": self.fold,
            "effects": self.effects,
            "map": self.map,
            "mean person": self.mean,
            "mean length": np.array([self.length]),
            "kinds": np.array(self.kinds, dtype=np.str_),
            "of kinds": self.of_kinds,
            **self.facets.state(),
        }

    def restore(self, state: Arrays) -> None:
        self.facets.restore(state)
        self.axes = np.ascontiguousarray(state["axes"], dtype=np.float32)
        self.places = np.ascontiguousarray(state["places"], dtype=np.float32)
        self.items = np.asarray(state["items"], dtype=np.intp)
        self.fold = np.asarray(state["fold"], dtype=np.intp)
        self.effects = np.ascontiguousarray(state["effects"], dtype=np.float32)
        self.map = np.ascontiguousarray(state["map"], dtype=np.float32)
        self.mean = np.ascontiguousarray(state["mean person"], dtype=np.float32)
        self.length = float(state["mean length"][0])
        self.kinds = tuple(state["kinds"].tolist())
        self.of_kinds = np.asarray(state["of kinds"], dtype=np.bool_)


def _marks(words: Sequence[tuple[str, ...]], known: Sequence[str]) -> Doubles:
    """(n, len(known)) of zeros and ones."""
    column = {word: n for n, word in enumerate(known)}
    out = np.zeros((len(words), len(known)))
    for row, of_item in enumerate(words):
        out[row, [column[word] for word in of_item if word in column]] = 1
    return out


def _unit(values: Doubles) -> Doubles:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-9))
