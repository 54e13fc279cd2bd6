"""What those whom a person follows did of late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from segue.core.checks import above, at_least
from segue.core.protocols import Arrays, Trial
from segue.core.social import Circle
from segue.core.types import DAY_S, Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.matrix import EMPTY, ItemMatrix
from segue.recommend.neighbours import Neighbours

PRIOR = 20.0  # takers that popularity is credited with against a circle
NAMED = 2  # friends are named at most
LEAST_UNNAMED = 3  # of those who do not share: fewer are not even counted


@dataclass
class Social:
    """Items that those whom a person follows wanted of late, and what goes with them.

    An item's score is the sum over what each of them did of tie times wish, halved with each
    ``half_life_days``, divided by the root of how many they are and by the item's popularity to
    the power ``damping``: that many people took it says little of this circle (Massa & Avesani,
    RecSys 2007, weigh raters by trust alike). ``spread`` is the weight of what an item-kNN matrix
    finds beside those items. Kept are counts and cells of items, nothing of a person.
    """

    half_life_days: float | None = 365.0
    damping: float = 0.0
    spread: float = 0.5
    k: int = 200
    name: str = "social"
    counts: Doubles = field(default_factory=lambda: np.zeros(0), repr=False)
    matrix: ItemMatrix = field(default=EMPTY, repr=False)

    GROUP: ClassVar[str] = "social"
    # The score, what they wanted themselves, how many of them wanted it, and which share.
    HEADS: ClassVar[tuple[str, ...]] = ("taste", "liked", "friends", "share")

    def __post_init__(self) -> None:
        above(self, 0, "half_life_days")
        at_least(self, 0, "damping", "spread")
        at_least(self, 1, "k")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "half_life_days": trial.suggest_categorical(
                "half_life_days", [None, 30.0, 100.0, 365.0, 1000.0]
            ),
            "damping": trial.suggest_float("damping", 0.0, 0.8),
            "spread": trial.suggest_float("spread", 0.0, 4.0),
        }

    def fit(self, training: Training) -> None:
        seen = training.interactions
        self.counts = np.bincount(seen.items, minlength=seen.n_items).astype(np.float64)
        near = Neighbours(k=self.k, half_life=None)
        near.fit(training)
        self.matrix = near.matrix

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.heads(histories, profiles, at)["taste"]

    def heads(
        self, histories: Histories, profiles: Sequence[Profile], at: float
    ) -> dict[str, Floats]:
        """head -> (n_users, n_items) float32; all 0 for who follows nobody."""
        shape = (histories.n_users, histories.n_items)
        circle = Circle.nobody(histories.n_users) if histories.circle is None else histories.circle
        if not len(circle.items):
            return {head: np.zeros(shape, dtype=np.float32) for head in self.HEADS}
        wishes = self._wishes(circle, at)
        liked = _table(circle, wishes, shape) * self._rarity(histories.n_items)
        friends = _table(circle, (circle.weights > 0).astype(np.float32), shape)
        alike = self.matrix.scores(_as_histories(circle, wishes, histories.n_items))
        taste = liked + np.float32(self.spread) * alike
        share = (friends / np.maximum(circle.sizes, 1)[:, None]).astype(np.float32)
        return {"taste": taste, "liked": liked, "friends": friends, "share": share}

    def wished(self, history: Histories, at: float, items: Rows) -> Doubles:
        """(len(items),) how many of one person's circle wanted each item, by tie and by age."""
        circle, n_items = history.circle, history.n_items
        if circle is None or not len(circle.items):
            return np.zeros(len(items))
        size = np.sqrt(np.maximum(circle.sizes, 1))[circle.user_of]
        wishes = np.maximum(self._wishes(circle, at) * size, 0).astype(np.float32)
        return np.asarray(_table(circle, wishes, (1, n_items))[0, items], dtype=np.float64)

    def lift(self, history: Histories, at: float, items: Rows) -> Floats:
        """(len(items),) log of how much likelier one person's circle makes each item, >= 0.

        For who did nothing yet: ``log(1 + wished / (PRIOR * popularity))``, so that added to the
        log of popularity it gives the log of PRIOR imagined takers, and the circle's own beside.
        """
        counts = np.full(history.n_items, 0.5)  # of an item that nobody took: half a taker
        counts[: len(self.counts)] = np.maximum(self.counts, 0.5)[: history.n_items]
        share = counts[items] / max(float(self.counts.sum()), 1.0)
        return np.log1p(self.wished(history, at, items) / (PRIOR * share)).astype(np.float32)

    def _wishes(self, circle: Circle, at: float) -> Floats:
        """(nnz,) what each entry counts for."""
        size = np.sqrt(np.maximum(circle.sizes, 1))[circle.user_of]
        wishes = circle.ties * circle.weights / size
        if self.half_life_days is not None:
            age = np.maximum(at - circle.times, 0) / DAY_S
            wishes = wishes * 0.5 ** (age / self.half_life_days)
        return wishes.astype(np.float32)

    def _rarity(self, n_items: int) -> Floats:
        """(n_items,) what a wish for each item counts for; 0 for items that came later."""
        out = np.zeros(n_items, dtype=np.float32)
        n = min(n_items, len(self.counts))
        out[:n] = np.maximum(self.counts[:n], 1) ** -self.damping
        return out

    def state(self) -> Arrays:
        matrix = {f"matrix_{name}": array for name, array in self.matrix.state().items()}
        return {"counts": self.counts, **matrix}

    def restore(self, state: Arrays) -> None:
        self.counts = np.asarray(state["counts"], dtype=np.float64)
        self.matrix = ItemMatrix.of(
            {name.removeprefix("matrix_"): a for name, a in state.items() if name != "counts"}
        )


def _table(circle: Circle, values: Floats, shape: tuple[int, int]) -> Floats:
    """(n_users, n_items) sums of the entries' values."""
    flat = circle.user_of * shape[1] + circle.items
    out = np.bincount(flat, values, minlength=shape[0] * shape[1])
    return out.reshape(shape).astype(np.float32)


def _as_histories(circle: Circle, wishes: Floats, n_items: int) -> Histories:
    """One history a person: all that their circle did; an item may occur more than once."""
    rows: Rows = circle.items
    return Histories(circle.indptr, rows, wishes, circle.times, n_items)


def liked_by(circle: Circle, friends: Sequence[str | None], item: int) -> str:
    """Who of one person's circle wanted an item, in words.

    ``friends`` are by place in the circle; None does not share, so is never named, and only counted
    where at least LEAST_UNNAMED of them wanted it: a smaller count would point at somebody.
    """
    wanted = np.unique(circle.who[(circle.items == item) & (circle.weights > 0)]).tolist()
    names = [name for place in wanted if place < len(friends) and (name := friends[place])]
    unnamed = len(wanted) - len(names)
    others = max(len(names) - NAMED, 0) + (unnamed if unnamed >= LEAST_UNNAMED else 0)
    if not names:
        return "liked by people you follow" if others else "fits the taste of those you follow"
    shown = names[:NAMED]
    if not others:
        return f"liked by {' and '.join(shown)}"
    last = f"{others} other{'s' if others > 1 else ''} you follow"
    return f"liked by {', '.join(shown)} and {last}"
