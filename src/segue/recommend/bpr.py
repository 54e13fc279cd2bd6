"""Factors learned from pairs: what a person took goes before what they did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial
from segue.core.types import Floats, Histories, Profile, Rows, Training
from segue.recommend.factors import MAX_ITEMS, NO_FACTORS, ItemFactors
from segue.recommend.matrix import consumption, known_items, recency


@nb.njit(cache=True)
def _learn(
    items: Rows,
    drawn: npt.NDArray[np.int32],
    own: npt.NDArray[np.bool_],
    given: Floats,
    wanted: Floats,
    bias: Floats,
    steps: tuple[float, float, float],
) -> None:
    """Ascend BPR-Opt over one person's ``items`` against ``drawn`` (n, negatives) others."""
    step, shrink, scale = np.float32(steps[0]), np.float32(steps[1]), np.float32(steps[2])
    dim = given.shape[1]
    total, push = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    person, gap = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    for item in items:
        total += given[item]
    for at, item in enumerate(items):
        for d in range(dim):
            # The item itself is left out of the person: it must not foretell itself.
            person[d] = (total[d] - given[item, d]) * scale
            gap[d] = 0
        for other in drawn[at]:
            if own[other]:
                continue
            margin = bias[item] - bias[other]
            for d in range(dim):
                margin += person[d] * (wanted[item, d] - wanted[other, d])
            pull = step / np.float32(1 + np.exp(margin))
            for d in range(dim):
                y, z = wanted[item, d], wanted[other, d]
                gap[d] += pull * (y - z) * scale
                wanted[item, d] += pull * person[d] - shrink * y
                wanted[other, d] -= pull * person[d] + shrink * z
            bias[item] += pull - shrink * bias[item]
            bias[other] -= pull + shrink * bias[other]
        push += gap
        given[item] -= gap
    for item in items:
        given[item] += push - shrink * drawn.shape[1] * given[item]


@nb.njit(cache=True)
def _epoch(
    order: Rows,
    starts: Rows,
    taken: Rows,
    drawn: npt.NDArray[np.int32],
    given: Floats,
    wanted: Floats,
    bias: Floats,
    steps: tuple[float, float, float],
) -> None:
    """Once over all people; ``given`` x, ``wanted`` y and ``bias`` are changed in place."""
    own = np.zeros(len(given), np.bool_)
    step, shrink, spread = steps
    first = 0
    for user in order:
        items = taken[starts[user] : starts[user + 1]]
        if len(items) < 2:
            continue
        own[items] = True
        scale = (len(items) - 1) ** -spread
        others = drawn[first : first + len(items)]
        _learn(items, others, own, given, wanted, bias, (step, shrink, scale))
        first += len(items)
        own[items] = False


@dataclass
class Bpr:
    """BPR-Opt (Rendle et al., UAI 2009) with a person made of what they took.

    score(i) = b_i + y_i . (sum_e w_e x_e) / n^``spread``, as in FISMauc (Kabbur, Ning & Karypis,
    KDD 2013): the person is a sum over the history at training too, so that nobody's factors are
    learned and a person never met is scored the same way.
    """

    factors: int = 32
    rate: float = 0.02
    decay: float = 0.01
    epochs: int = 20
    negatives: int = 3
    spread: float = 0.5
    half_life: float | None = 200.0
    seed: int = 0
    name: str = "bpr"
    given: ItemFactors = field(default=NO_FACTORS, repr=False)
    wanted: ItemFactors = field(default=NO_FACTORS, repr=False)
    bias: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "factors", "epochs", "negatives")
        above(self, 0, "rate")
        at_least(self, 0, "decay")
        if not 0 <= self.spread <= 1:
            raise BadSettings(f"spread must be in [0, 1], got {self.spread}")
        above(self, 0, "half_life")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial."""
        return {
            "factors": trial.suggest_categorical("factors", (16, 32, 64)),
            "rate": trial.suggest_float("rate", 0.01, 0.2, log=True),
            "decay": trial.suggest_float("decay", 1e-3, 0.1, log=True),
            "epochs": trial.suggest_int("epochs", 10, 60),
            "half_life": trial.suggest_categorical("half_life", (None, 10.0, 20.0, 60.0, 200.0)),
        }

    def fit(self, training: Training) -> None:
        items = known_items(training.interactions, MAX_ITEMS)
        taken = consumption(training.interactions, items)
        taken.sum_duplicates()
        rng = np.random.default_rng(self.seed)
        shape = (len(items), self.factors)
        given = rng.normal(0, 0.1, shape).astype(np.float32)
        wanted = rng.normal(0, 0.1, shape).astype(np.float32)
        bias = np.zeros(len(items), dtype=np.float32)
        starts, columns = taken.indptr.astype(np.intp), taken.indices.astype(np.intp)
        for epoch in range(self.epochs):
            step = self.rate * (1 - epoch / self.epochs)
            order = rng.permutation(taken.shape[0])
            drawn = rng.integers(len(items), size=(taken.nnz, self.negatives), dtype=np.int32)
            steps = (step, step * self.decay, self.spread)
            _epoch(order, starts, columns, drawn, given, wanted, bias, steps)
        self.bias = bias
        self.given, self.wanted = ItemFactors(items, given), ItemFactors(items, wanted)

    def _shares(self, histories: Histories) -> tuple[Floats, Rows, Rows, Rows]:
        """Weight of each known entry within its person; its index, position and the starts."""
        kept, at, starts = self.given.known(histories)
        weight = recency(histories, self.half_life)[kept]
        owner = histories.user_of[kept]
        # Weighted entries count as the number of full ones that they amount to.
        amount = np.bincount(owner, np.abs(weight), minlength=histories.n_users)
        scale = np.maximum(amount, 1.0) ** -self.spread
        return (weight * scale[owner]).astype(np.float32), kept, at, starts

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        shares, _, at_item, starts = self._shares(histories)
        shape = (histories.n_users, len(self.given.items))
        people = sp.csr_matrix((shares, at_item, starts), shape=shape) @ self.given.values
        out = people @ self.wanted.values.T + self.bias
        return self.wanted.spread(out, histories.n_items)

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        shares, kept, at_item, _ = self._shares(history)
        out = np.zeros((len(history.items), len(items)), dtype=np.float32)
        own = self.given.values[at_item] * shares[:, None]
        out[kept] = own @ self.wanted.of(items).T
        return out

    def state(self) -> Arrays:
        return {
            "items": self.given.items,
            "given": self.given.values,
            "wanted": self.wanted.values,
            "bias": self.bias,
        }

    def restore(self, state: Arrays) -> None:
        items = np.ascontiguousarray(state["items"], dtype=np.intp)
        self.given = ItemFactors(items, np.ascontiguousarray(state["given"], dtype=np.float32))
        self.wanted = ItemFactors(items, np.ascontiguousarray(state["wanted"], dtype=np.float32))
        self.bias = np.ascontiguousarray(state["bias"], dtype=np.float32)
