"""Shapes of the parts that can be exchanged. Each has a contract test class in tests/contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from segue.core.types import (
    Floats,
    Histories,
    Outlook,
    Profile,
    Query,
    Ranking,
    Reason,
    Rows,
    Training,
)

Arrays = Mapping[str, np.ndarray[Any, Any]]


@runtime_checkable
class Strategy(Protocol):
    """Scores every item for people it may never have met. Holds nothing of any person."""

    name: str

    def fit(self, training: Training) -> None:
        """Learn the item side from what was known before ``training.at``."""

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        """(n_users, n_items) float32, finite; higher is better. Seen items are scored too."""

    def state(self) -> Arrays:
        """All that :meth:`restore` needs, as plain arrays (no objects)."""

    def restore(self, state: Arrays) -> None:
        """Take over a state that :meth:`state` gave; afterwards scores are bitwise equal."""


@runtime_checkable
class Additive(Protocol):
    """A strategy whose score is a sum over the history."""

    def contributions(self, history: Histories, at: float, items: Rows) -> Floats:
        """(n_entries, n_wanted) float32: what each history entry of one user adds to each of
        ``items``; the column sums are the scores (up to a constant that the history
        does not touch)."""


@runtime_checkable
class Rater(Protocol):
    """Predicts what a person would rate. Holds nothing of any person."""

    name: str

    def fit(self, training: Training) -> None:
        """Learn from the ratings (``training.interactions.value``) known before ``training.at``.

        Raises :class:`BadInput` when no event has a value.
        """

    def ratings(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        """(n_users, n_items) float32, within the range of the ratings fitted on.

        The person's own ratings are ``histories.values``.
        """

    def state(self) -> Arrays:
        """As :meth:`Strategy.state`."""

    def restore(self, state: Arrays) -> None:
        """As :meth:`Strategy.restore`."""


class Trial(Protocol):
    """Proposes settings (what an Optuna trial is); search spaces are written against it."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@runtime_checkable
class Tunable(Protocol):
    """A strategy whose settings can be searched."""

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """Constructor settings of one trial; the search space lives beside the strategy."""


class Watcher(Protocol):
    """Sees a net train."""

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        """Called after each epoch with its curves; False stops the training there (pruned)."""


@runtime_checkable
class Net(Protocol):
    """A strategy that is trained in epochs."""

    watcher: Watcher | None  # None: nobody looks
    checkpoint: Path | None  # a file to resume from and to write after each epoch; None: none


@runtime_checkable
class Recommender(Protocol):
    """What serving needs: the whole system behind one question."""

    version: str
    strategy: str

    def recommend(self, query: Query) -> Ranking:
        """Best ``query.k`` items, each with reasons whose shares sum to one."""

    def reasons(self, query: Query, item_id: str) -> tuple[Reason, ...]:
        """Why this item stands where it stands for this person, seen or not."""

    def similar(self, item_id: str, k: int) -> Ranking:
        """Items most like one item, best first, the item itself left out."""


@runtime_checkable
class Sociable(Protocol):
    """A recommender that may look at those whom a person follows."""

    def asks_friends(self) -> bool:
        """Whether it does: else nobody's circle need be read."""


@runtime_checkable
class Foreseeing(Protocol):
    """A recommender that also forecasts behaviour."""

    def outlook(self, query: Query, item_ids: Sequence[str]) -> Outlook:
        """Forecasts for a person, and for them with each of some items."""


@runtime_checkable
class Placing(Protocol):
    """A recommender that knows where items stand, in content and behaviour together."""

    def places(self, items: Rows) -> Floats:
        """(len(items), dim) float32: near are items of one taste; a zero row stands nowhere."""

    def near(self, items: Rows) -> Floats:
        """(n_items,) float32 in [-1, 1]: likeness of every item to the middle of some."""


@runtime_checkable
class Naming(Protocol):
    """A recommender of which different parts answer for different people."""

    def made_by(self, history: Histories) -> str:
        """The name of what makes the list of a person with this history."""


@runtime_checkable
class Asking(Protocol):
    """A recommender that knows which items to ask a newcomer about."""

    def ask(self, query: Query, answers: Sequence[tuple[str, str]], k: int) -> tuple[str, ...]:
        """Ids of up to ``k`` items whose answers would tell most, best first; none of those
        answered. ``answers`` are (item id, like | dislike | unknown) so far."""


class Encoder(Protocol):
    """Turns clips (texts, pictures, sounds) into unit vectors."""

    name: str  # names model and revision, as in "use-multilingual-3@0.2.1"
    dim: int

    def encode(self, clips: Sequence[Any]) -> Floats:
        """(n, dim) float32, unit rows."""
