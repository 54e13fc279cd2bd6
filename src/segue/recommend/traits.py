"""What people of one country, language or device take more than others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Profile, Training
from segue.recommend.groups import log_ratios

TRAITS = ("country", "language", "device")
LEAST_PEOPLE = 20  # who name a value, before it is a group


@dataclass
class Traits:
    """Popularity in the segment that a profile names by country, language and device.

    An item's score is the log of how many people took it plus, for each thing that the person
    tells, the smoothed log ratio of its share among people who tell the same to its share among
    all (naive Bayes over what a profile says). Gender, age and occupation are columns of every
    blend; a catalogue whose people tell none of these three has no use for this.
    """

    name: str = "traits"
    words: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    tables: dict[str, Floats] = field(default_factory=dict, repr=False)  # (n_words + 1, n_items)
    popular: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32), repr=False)

    GROUP: ClassVar[str] = "profile"
    HEADS: ClassVar[tuple[str, ...]] = ("segment", *TRAITS)

    def fit(self, training: Training) -> None:
        seen = training.interactions
        wanted = seen.weight >= 0
        users, items = seen.users[wanted], seen.items[wanted]
        self.popular = np.log1p(np.bincount(items, minlength=seen.n_items)).astype(np.float32)
        self.words, self.tables = {}, {}
        for trait in TRAITS:
            column = told(training.profiles, trait)
            self.words[trait], self.tables[trait] = log_ratios(column, users, items, seen.n_items)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return self.heads(histories, profiles, at)["segment"]

    def heads(
        self, histories: Histories, profiles: Sequence[Profile], at: float
    ) -> dict[str, Floats]:
        """head -> (n_users, n_items) float32; a trait that a person does not tell is 0."""
        n = min(len(self.popular), histories.n_items)
        out = {
            head: np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
            for head in self.HEADS
        }
        out["segment"][:, :n] = self.popular[:n]
        for trait in TRAITS:
            place = {word: row for row, word in enumerate(self.words[trait])}
            rows = [place.get(getattr(p, trait) or "", len(place)) for p in profiles]
            out[trait][:, :n] = self.tables[trait][rows, :n]
            out["segment"] += out[trait]
        return out

    def state(self) -> Arrays:
        found: dict[str, np.ndarray[Any, Any]] = {"popular": self.popular}
        for trait in TRAITS:
            found[f"words {trait}"] = np.array(self.words[trait], dtype=np.str_)
            found[f"table {trait}"] = self.tables[trait]
        return found

    def restore(self, state: Arrays) -> None:
        self.popular = np.asarray(state["popular"], dtype=np.float32)
        self.words = {trait: tuple(state[f"words {trait}"].tolist()) for trait in TRAITS}
        self.tables = {
            trait: np.asarray(state[f"table {trait}"], dtype=np.float32) for trait in TRAITS
        }


def told(profiles: Sequence[Profile], trait: str) -> list[str]:
    """What each person tells of one trait; "" where that is nothing, or few tell the same."""
    column = [getattr(profile, trait) or "" for profile in profiles]
    words, counts = np.unique(np.array(column, dtype=np.str_), return_counts=True)
    groups = set(words[counts >= LEAST_PEOPLE].tolist())
    return [word if word in groups else "" for word in column]


def tells(profiles: Sequence[Profile]) -> bool:
    """Whether people tell enough to be told apart: two groups of one trait at least."""
    return any(len(set(told(profiles, trait)) - {""}) > 1 for trait in TRAITS)
