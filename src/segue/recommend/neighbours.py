"""Item-kNN: items consumed by the same people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segue.core.checks import above, at_least
from segue.core.errors import BadInput
from segue.core.protocols import Trial
from segue.core.types import Doubles, Floats, Training
from segue.recommend.counts import Pairs, decays
from segue.recommend.matrix import (
    DENSE_ITEMS,
    EMPTY,
    ItemMatrix,
    OverMatrix,
    consumption,
    freshness,
    known_items,
    nearest,
    placed,
)

WEIGHTINGS = ("cosine", "bm25", "count")
K1, B = 0.3, 0.75  # of BM25: how soon a count saturates, how much popularity is held against it


@dataclass
class Neighbours(OverMatrix):
    """Likeness of co-consumption of each item's ``k`` nearest (Sarwar et al., WWW 2001).

    ``weighting``: "cosine" is shrunk and tilted (Aiolli, RecSys 2013): ``tilt`` 0.5 is the cosine,
    1 the share of a history item's people who consumed the candidate, which favours popular ones;
    "bm25" saturates popularity, "count" only counts. ``half_life`` (entries) weights the newest of
    a history most at scoring. In the fit, ``pair_half_life`` (entries) counts two items of one
    history the less, the further apart they were consumed, whichever came first, and
    ``fresh_days`` halves a person's say with each so many days since they were last active.
    """

    k: int = 1000
    shrink: float = 20.0
    half_life: float | None = 20.0
    weighting: str = "cosine"
    tilt: float = 0.85
    pair_half_life: float | None = None
    fresh_days: float | None = None
    dense_items: int = DENSE_ITEMS
    name: str = "neighbours"
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise BadInput(f"weighting {self.weighting!r} is not one of {WEIGHTINGS}")
        at_least(self, 1, "k")
        at_least(self, 0, "shrink")
        if not 0 <= self.tilt <= 1:
            raise BadInput(f"tilt must be in [0, 1], got {self.tilt}")
        above(self, 0, "half_life", "pair_half_life", "fresh_days")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "k": trial.suggest_int("k", 50, 3000, log=True),
            "shrink": trial.suggest_float("shrink", 1.0, 300.0, log=True),
            "tilt": trial.suggest_float("tilt", 0.5, 1.0),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
            "fresh_days": trial.suggest_categorical("fresh_days", [None, 10.0, 30.0, 100.0]),
        }

    def fit(self, training: Training) -> None:
        items = known_items(training.interactions)
        if self.pair_half_life is None:
            pairs = Pairs.of(consumption(training.interactions, items))
        else:
            x = placed(training.interactions, items)
            pairs, decay = Pairs.of(x), decays(self.pair_half_life)
            pairs = replace(pairs, ranks=x.data.astype(np.int32), decay=decay)
        weights, scale = self._scale(pairs, freshness(training, self.fresh_days))
        self.matrix = ItemMatrix(items, nearest(pairs, weights, scale, self.k, self.dense_items))

    def _scale(self, pairs: Pairs, fresh: Doubles) -> tuple[Doubles, Callable[..., None]]:
        """Weights of people, and what turns sums of them into strengths."""
        if self.weighting == "bm25":
            # People are the words: one who consumed nearly everything says nothing.
            idf = np.log(max(pairs.n_items, 1) / (1 + pairs.lengths))
            counts = pairs.counts
            size = 1 - B + B * counts / max(float(counts.mean()), 1.0) if len(counts) else counts
            factor = ((K1 + 1) / (K1 * size + 1)).astype(np.float32)
            return np.maximum(idf, 0) ** 2 * fresh, _times(factor, factor)
        # Long histories say less about each pair: a user's evidence falls with the root of length.
        weights = 1 / np.maximum(pairs.lengths, 1)
        if self.weighting == "count":
            return weights * fresh, _times(None, None)
        norm = pairs.sums(weights * fresh)
        shrink = self.shrink / 100 * float(norm.sum() / max(pairs.sums(weights).sum(), 1e-9))
        given, wanted = norm**self.tilt, norm ** (1 - self.tilt)
        return weights * fresh, _over(wanted, given, shrink + 1e-12)


@dataclass
class Bm25(Neighbours):
    """:class:`Neighbours` weighted by BM25 (Robertson & Walker, SIGIR 1994)."""

    weighting: str = "bm25"
    name: str = "bm25"

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "k": trial.suggest_int("k", 50, 3000, log=True),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
            "fresh_days": trial.suggest_categorical("fresh_days", [None, 10.0, 30.0, 100.0]),
        }


@dataclass
class NeighboursInTime(Neighbours):
    """:class:`Neighbours` that were consumed close together, by people active of late."""

    shrink: float = 100.0
    pair_half_life: float | None = 20.0
    fresh_days: float | None = 10.0
    name: str = "neighbours in time"

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "shrink": trial.suggest_float("shrink", 1.0, 300.0, log=True),
            "tilt": trial.suggest_float("tilt", 0.5, 1.0),
            "half_life": trial.suggest_categorical("half_life", [None, 20.0, 60.0]),
            "pair_half_life": trial.suggest_float("pair_half_life", 2.0, 100.0, log=True),
            "fresh_days": trial.suggest_float("fresh_days", 5.0, 300.0, log=True),
        }


def _times(wanted: Floats | None, given: Floats | None) -> Callable[..., None]:
    def scale(block: Floats, first: int, last: int) -> None:
        if wanted is not None and given is not None:
            block *= wanted[first:last, None] * given

    return scale


def _over(wanted: Doubles, given: Doubles, shrink: float) -> Callable[..., None]:
    wanted, given = wanted.astype(np.float32), given.astype(np.float32)

    def scale(block: Floats, first: int, last: int) -> None:
        block /= wanted[first:last, None] * given + np.float32(shrink)

    return scale
