"""What lists achieve, goal by goal, and a mix of goals as the gain that a blend learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from segue.core.errors import BadInput
from segue.core.types import (
    DAY_S,
    EVENT_KINDS,
    Bools,
    Catalogue,
    Doubles,
    Floats,
    Interactions,
    Rows,
)
from segue.recommend.moments import VISIT_GAP_S
from segue.recommend.windows import Window

CODE = {kind: code for code, kind in enumerate(EVENT_KINDS)}
LIKED_FROM = 0.75  # of the range of ratings: 4 stars of 1 to 5
COMPLETED_FROM = 0.9  # of an item
RETURN_S = 7 * DAY_S


@dataclass(frozen=True)
class Achieved:
    """How events count towards goals. ``durations`` (n_items,) are relative to the median, NaN
    where unknown.
    """

    durations: Doubles
    rating_min: float = 1.0
    rating_max: float = 5.0

    @staticmethod
    def of(catalogue: Catalogue, rating_min: float = 1.0, rating_max: float = 5.0) -> Achieved:
        given = [np.nan if i.duration_s is None else i.duration_s for i in catalogue.items]
        seconds = np.array(given, dtype=np.float64)
        known = seconds[np.isfinite(seconds) & (seconds > 0)]
        middle = float(np.median(known)) if len(known) else 1.0
        return Achieved(seconds / middle, rating_min, rating_max)

    def by_event(self, events: Interactions, goal: str) -> Doubles:
        """(n_events,) >= 0: what each event adds to a goal."""
        kind = np.full(len(events), CODE["rating"], dtype=np.intp)
        if events.kind is not None:
            kind = events.kind.astype(np.intp)
        value = np.full(len(events), np.nan)
        if events.value is not None:
            value = events.value.astype(np.float64)
        found = self._goals()[goal](events, kind, value)
        # What was turned away achieves nothing.
        return np.where(events.weight >= 0, found, 0.0)

    def _goals(self) -> Mapping[str, Callable[[Interactions, Rows, Doubles], Doubles]]:
        return {
            "watch": self._watch,
            "complete": lambda e, k, v: (_watched(k, v) >= COMPLETED_FROM).astype(np.float64),
            "like": lambda e, k, v: (
                (k == CODE["like"]) | (self._standing(k, v) >= LIKED_FROM)
            ).astype(np.float64),
            "rating": lambda e, k, v: self._standing(k, v),
            "save": lambda e, k, v: (k == CODE["save"]).astype(np.float64),
            "share": lambda e, k, v: (k == CODE["share"]).astype(np.float64),
            "click": lambda e, k, v: np.ones(len(k)),
            "returns": lambda e, k, v: _returned(e),
        }

    def _watch(self, events: Interactions, kind: Rows, value: Doubles) -> Doubles:
        length = self.durations[events.items]
        return _watched(kind, value) * np.where(np.isfinite(length), length, 1.0)

    def _standing(self, kind: Rows, value: Doubles) -> Doubles:
        """Where ratings stand in the range, in [0, 1]; 0 for all else."""
        place = (value - self.rating_min) / (self.rating_max - self.rating_min)
        return np.where(kind == CODE["rating"], np.clip(np.nan_to_num(place), 0, 1), 0.0)

    def units(self, events: Interactions, goals: Mapping[str, float]) -> dict[str, float]:
        """The mean of each goal over what is consumed; raises for one that no event tells of."""
        out = {}
        for goal in goals:
            pairs = self.by_pair(events, goal)
            consumed = len(np.unique(_keys(events)[events.weight >= 0]))
            out[goal] = float(pairs.sum()) / max(consumed, 1)
            if not out[goal]:
                raise BadInput(
                    f"[goals] {goal}: none of the {len(events):,} events that teach tells of it; "
                    "import such events, or take the goal out of the settings"
                )
        return out

    def by_pair(self, events: Interactions, goal: str) -> sp.csr_matrix:
        """(n_users, n_items): the most that any event of a pair adds to a goal."""
        gain = self.by_event(events, goal)
        keys, place = np.unique(_keys(events), return_inverse=True)
        most = np.zeros(len(keys))
        np.maximum.at(most, place, gain)
        some = most > 0
        users, items = np.divmod(keys[some], events.n_items)
        shape = (events.n_users, events.n_items)
        return sp.csr_matrix((most[some], (users, items)), shape=shape)


def _keys(events: Interactions) -> Rows:
    return events.users.astype(np.int64) * events.n_items + events.items


def _watched(kind: Rows, value: Doubles) -> Doubles:
    """(n,) share of the item in [0, 1]. Who rates, likes or plays has watched; a click has not."""
    out = np.zeros(len(kind))
    out[np.isin(kind, [CODE[k] for k in ("play", "complete", "rating", "like")])] = 1.0
    told = np.isin(kind, [CODE["progress"], CODE["skip"]])
    unsaid = np.where(kind == CODE["progress"], 0.5, 0.0)
    share = np.where(np.isnan(value), unsaid, value)
    out[told] = np.clip(share[told], 0, 1)
    return out


def _returned(events: Interactions) -> Doubles:
    """(n,) 1 where the person began another visit within a week after the event."""
    order = np.argsort(events.users, kind="stable")
    users, time = events.users[order], events.time[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (np.diff(time) > VISIT_GAP_S) | (np.diff(users) != 0)
    starts = np.flatnonzero(begins)
    number = np.cumsum(begins) - 1
    following = np.minimum(number + 1, len(starts) - 1)
    same = (number + 1 < len(starts)) & (users[starts[following]] == users)
    soon = time[starts[following]] - time <= RETURN_S
    out = np.zeros(len(order))
    out[order] = same & soon
    return out


@dataclass(frozen=True)
class Mix:
    """A mix of goals: ``shares`` sum to one, each goal is told in its unit."""

    shares: Mapping[str, float]
    units: Mapping[str, float]
    achieved: Achieved

    def graded(self, window: Window, held: Interactions) -> Window:
        """The window with the gain of each candidate, and what every pair achieves by goal."""
        goals = {
            goal: _of_window(self.achieved.by_pair(held, goal), window) for goal in self.shares
        }
        gain = self.of(goals)
        owner = np.repeat(np.arange(len(window.users)), window.sizes)
        rows = np.asarray(gain[owner, window.items], dtype=np.float32).ravel()
        return replace(window, gain=rows, goals=goals)

    def of(self, goals: Mapping[str, sp.csr_matrix]) -> sp.csr_matrix:
        """(n_users, n_items): the mix of what pairs achieve."""
        parts = [goals[goal] * (share / self.units[goal]) for goal, share in self.shares.items()]
        return sp.csr_matrix(sum(parts[1:], start=parts[0]))


def _of_window(pairs: sp.csr_matrix, window: Window) -> sp.csr_matrix:
    """What the people of a window achieved with what they had not met before."""
    new: Bools = window.relevant
    return sp.csr_matrix(pairs[window.users].multiply(new))


def sums(top: Rows, gains: sp.csr_matrix, k: int = 10) -> Doubles:
    """(n_users,) what the first ``k`` of each list achieved."""
    return np.asarray(_at(top[:, :k], gains).sum(axis=1))


def graded_ndcg(top: Rows, gains: sp.csr_matrix, k: int = 10) -> Doubles:
    """(n_users,) NDCG with the gains themselves (Jaervelin & Kekaelaeinen, ACM TOIS 2002); NaN for
    people who achieved nothing.
    """
    worth = 1 / np.log2(np.arange(2, k + 2))
    first_k = _at(top[:, :k], gains)
    got = first_k @ worth[: first_k.shape[1]]
    best: Doubles = np.zeros(len(top))
    for user in range(len(top)):
        own = gains.data[gains.indptr[user] : gains.indptr[user + 1]]
        first = np.sort(own)[::-1][:k]
        best[user] = first @ worth[: len(first)]
    out: Doubles = np.full(len(top), np.nan)
    out[best > 0] = got[best > 0] / best[best > 0]
    return out


def _at(top: Rows, gains: sp.csr_matrix) -> Floats:
    """(n_users, k) gains of the places of lists; 0 beyond the last."""
    owner = np.repeat(np.arange(len(top)), top.shape[1])
    found = np.asarray(gains[owner, np.maximum(top, 0).ravel()]).reshape(top.shape)
    return np.asarray(np.where(top >= 0, found, 0.0))
