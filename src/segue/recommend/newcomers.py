"""People of whom little is known: a Gaussian belief about where they stand among everybody.

What people consumed spans a latent space (truncated SVD). A newcomer's place in it has a Gaussian
prior around what people of their profile consume, and each thing they did is a noisy look at it,
as in probabilistic PCA (Tipping & Bishop, JRSS B 1999). So the list without history is popularity
in the person's segment, and every event moves it by as much as it is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from segue.core.checks import above, at_least
from segue.core.errors import BadInput
from segue.core.protocols import Arrays, Trial
from segue.core.types import DAY_S, Bools, Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.factors import MAX_ITEMS, truncated_svd
from segue.recommend.groups import age_group
from segue.recommend.matrix import consumption, known_items

LEAST_PEOPLE = 20  # a space of fewer people is chance
LEAST_GROUP = 5  # people that say the same of themselves
LEAST_NOISE = 0.02  # variance of a look at an item


def traits(profile: Profile) -> tuple[str, ...]:
    """What a profile says, as words that groups are made of."""
    told = {
        "gender": profile.gender,
        "age": age_group(profile.age),
        "country": profile.country,
        "language": profile.language,
        "occupation": profile.occupation,
        "device": profile.device,
    }
    return tuple(f"{name}={value}" for name, value in told.items() if value)


@dataclass(frozen=True)
class Belief:
    """Where a person stands: a Gaussian over the latent space, around the mean person."""

    mean: Doubles  # (dim,)
    spread: Doubles  # (dim, dim)

    def after(self, factor: Doubles, noise: float, seen: float | None) -> Belief:
        """After a look at one item that showed ``seen`` more than usual; None narrows the spread
        alone."""
        toward = self.spread @ factor
        gain = toward / (float(factor @ toward) + noise)
        mean = self.mean if seen is None else self.mean + gain * (seen - float(factor @ self.mean))
        return Belief(mean, self.spread - np.outer(gain, toward))


@dataclass
class Newcomers:
    """How likely a person is to take an item, from popularity in their segment to their own taste.

    ``doubt`` widens the noise of each look: the first things that somebody does are chosen by how
    they came here as much as by taste. ``half_life_days`` forgets people who have not been seen.
    """

    dim: int = 24
    half_life_days: float = 60.0
    doubt: float = 3.0
    ridge: float = 20.0  # people's worth of the mean that each trait starts with
    name: str = "newcomers"
    GROUP: ClassVar[str] = "history"
    items: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.intp), repr=False)
    factors: Doubles = field(default_factory=lambda: np.zeros((0, 1)), repr=False)  # (m, dim)
    share: Doubles = field(default_factory=lambda: np.zeros(0), repr=False)  # of people, (m,)
    noise: Doubles = field(default_factory=lambda: np.zeros(0), repr=False)  # of a look, (m,)
    spread: Doubles = field(default_factory=lambda: np.eye(1), repr=False)  # (dim, dim)
    words: tuple[str, ...] = ()  # traits, (n_traits,)
    usual: Doubles = field(default_factory=lambda: np.zeros(0), repr=False)  # share of each trait
    turn: Doubles = field(default_factory=lambda: np.zeros((0, 1)), repr=False)  # (n_traits, dim)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim")
        above(self, 0, "half_life_days", "doubt", "ridge")

    def fit(self, training: Training) -> None:
        seen = training.interactions
        self.items = known_items(seen, MAX_ITEMS)
        x = consumption(seen, self.items).astype(np.float64)
        last = np.full(seen.n_users, -np.inf)
        np.maximum.at(last, seen.users, seen.time)
        active = np.flatnonzero(np.diff(x.indptr) > 0)
        dim = min(self.dim, len(active) - 1, len(self.items) - 1)
        if len(active) < LEAST_PEOPLE or dim < 1:
            raise BadInput(
                f"needs {LEAST_PEOPLE} people who took something of 2 items or more, "
                f"got {len(active)} people and {len(self.items)} items"
            )
        x = x[active]
        weight = 0.5 ** ((training.at - last[active]) / (self.half_life_days * DAY_S))
        weight /= weight.mean()
        _, _, right = truncated_svd(sp.csr_matrix(sp.diags(np.sqrt(weight)) @ x), dim)
        self.factors = np.ascontiguousarray(right.T)
        self.share = np.asarray((sp.diags(weight) @ x).mean(axis=0)).ravel()
        places = x @ self.factors
        centred = places - weight @ places / weight.sum()
        told = self._learn_traits([training.profiles[u] for u in active], centred, weight)
        rest = centred - told @ self.turn
        spread = (rest * weight[:, None]).T @ rest / weight.sum()
        self.spread = np.asarray(spread + 1e-9 * float(np.trace(spread)) * np.eye(dim))
        explained = np.einsum("id,id->i", self.factors @ self.spread, self.factors)
        left = np.maximum(self.share * (1 - self.share) - explained, LEAST_NOISE)
        self.noise = np.asarray(self.doubt * left)

    def _learn_traits(
        self, profiles: Sequence[Profile], places: Doubles, weight: Doubles
    ) -> Doubles:
        """Fit what each trait does to a person's place; the (n, n_traits) centred traits."""
        counts: dict[str, int] = {}
        for profile in profiles:
            for word in traits(profile):
                counts[word] = counts.get(word, 0) + 1
        self.words = tuple(sorted(word for word, n in counts.items() if n >= LEAST_GROUP))
        told = self._told(profiles)
        self.usual = weight @ told / weight.sum()
        told -= self.usual
        gram = (told * weight[:, None]).T @ told + self.ridge * np.eye(len(self.words))
        turn = np.linalg.solve(gram, (told * weight[:, None]).T @ places)
        self.turn = np.asarray(turn, dtype=np.float64)
        return np.asarray(told)

    def _told(self, profiles: Sequence[Profile]) -> Doubles:
        column = {word: n for n, word in enumerate(self.words)}
        out = np.zeros((len(profiles), len(self.words)))
        for row, profile in enumerate(profiles):
            for word in traits(profile):
                if word in column:
                    out[row, column[word]] = 1
        return out

    def prior(self, profile: Profile) -> Belief:
        """The belief before the first event. Who tells nothing is taken for the mean person."""
        told = self._told([profile])[0]
        mean = (told - self.usual) @ self.turn if told.any() else np.zeros(len(self.spread))
        return Belief(mean, self.spread)

    def _looks(self, history: Histories) -> tuple[Rows, Rows, Doubles]:
        """Entries that say something, the item of each, and what was seen (1 taken, 0 refused)."""
        at = self._where(history.items)
        told = np.flatnonzero((at >= 0) & (history.weights != 0))
        return told, at[told], (history.weights[told] > 0).astype(np.float64)

    def gains(
        self, history: Histories, profile: Profile, left_out: int = -1
    ) -> tuple[Rows, Doubles]:
        """Entries (n,) that count, and (n, dim) how far each moves the person's place.

        ``left_out`` is the position of an entry to compute without.
        """
        entries, at, seen = self._looks(history)
        kept = entries != left_out
        entries, at, seen = entries[kept], at[kept], seen[kept]
        looked, noise = self.factors[at], self.noise[at]
        surprise = (seen - self.share[at] - looked @ self.prior(profile).mean) / noise
        precision = np.linalg.inv(self.spread) + looked.T @ (looked / noise[:, None])
        return entries, np.linalg.solve(precision, looked.T * surprise).T

    def parts(
        self, history: Histories, profile: Profile, items: Rows
    ) -> tuple[Doubles, Doubles, Doubles]:
        """Popularity (m,), profile (m,) and history (n_entries, m) parts of one person's scores
        of ``items``; 0 for items of no history."""
        at = self._where(items)
        known = at >= 0
        wanted = np.where(known[:, None], self.factors[at], 0)
        entries, gains = self.gains(history, profile)
        adds = np.zeros((len(history.items), len(items)))
        adds[entries] = gains @ wanted.T
        return np.where(known, self.share[at], 0), wanted @ self.prior(profile).mean, adds

    def drops(self, history: Histories, profile: Profile, items: Rows) -> Doubles:
        """(n_entries, m) how far the score of each of ``items`` falls without each entry."""
        whole = self.parts(history, profile, items)[2].sum(axis=0)
        at = self._where(items)
        wanted = np.where((at >= 0)[:, None], self.factors[at], 0)
        out = np.zeros((len(history.items), len(items)))
        for entry in self._looks(history)[0]:
            out[entry] = whole - self.gains(history, profile, int(entry))[1].sum(axis=0) @ wanted.T
        return out

    def knows(self, items: Rows) -> Bools:
        """(m,) whether anybody took each of ``items`` before the fit."""
        return np.asarray(self._where(items) >= 0)

    def _where(self, items: Rows) -> Rows:
        """(n,) where each item stands in the model; -1 for what nobody took."""
        at = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[at] == items, at, -1)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        inside = self.items < histories.n_items
        for user, profile in enumerate(profiles):
            one = histories.take(np.array([user], dtype=np.intp))
            out[user, self.items[inside]] = self.total(one, profile)[inside]
        return out

    def total(self, history: Histories, profile: Profile) -> Doubles:
        """(len(self.items),) the scores of one person."""
        place = self.prior(profile).mean + self.gains(history, profile)[1].sum(axis=0)
        return np.asarray(self.share + self.factors @ place)

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        """The search space."""
        return {
            "dim": trial.suggest_int("dim", 4, 96, log=True),
            "half_life_days": trial.suggest_float("half_life_days", 5.0, 1000.0, log=True),
            "doubt": trial.suggest_float("doubt", 0.5, 10.0, log=True),
        }

    def state(self) -> Arrays:
        return {
            "items": self.items, "factors": self.factors, "share": self.share,
            "spread": self.spread, "words": np.array(self.words, dtype=np.str_),
            "usual": self.usual, "turn": self.turn, "noise": self.noise,
        }  # fmt: skip

    def restore(self, state: Arrays) -> None:
        self.items = np.asarray(state["items"], dtype=np.intp)
        self.words = tuple(np.asarray(state["words"]).tolist())
        for name in ("factors", "share", "noise", "spread", "usual", "turn"):
            setattr(self, name, np.ascontiguousarray(state[name], dtype=np.float64))
