"""Moments: a person and a time, what was known of the person then, and what it looks like.

Past moments teach the models of :mod:`segue.recommend.outcomes`; a question to them is one more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.protocols import Arrays
from segue.core.types import DAY_S, Bools, Doubles, Floats, Histories, Interactions, Profile, Rows

VISIT_GAP_S = 1_800.0  # a longer pause starts a new visit, as web analytics count them
LEAST_PEOPLE = 20  # who share a word of their profiles, before it is a feature
WORDS = ("gender", "country", "language", "occupation")
PERSON = (
    "entries", "days since last", "days since first", "last day", "last week", "last month",
    "last quarter", "visits", "days a visit", "days before last visit", "pause over usual",
    "last visit entries", "mean weight", "last weight", "last five weights", "rejected share",
    "hour", "weekday", "age", *WORDS,
)  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Questions: ``users`` (n,) rows and ``times`` (n,) Unix seconds, in any order."""

    users: Rows
    times: Doubles

    def __len__(self) -> int:
        return len(self.users)

    def take(self, index: Rows | Bools | slice) -> Moments:
        return Moments(self.users[index], self.times[index])


@dataclass(frozen=True)
class Timeline:
    """Events that can be found by person and time."""

    events: Interactions

    @cached_property
    def order(self) -> Rows:
        """(n_events,) grouped by person, each in time order."""
        return np.argsort(self.events.users, kind="stable")

    @cached_property
    def starts(self) -> Rows:
        """(n_users + 1,) where each person begins in :attr:`order`."""
        counts = np.bincount(self.events.users, minlength=self.events.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)

    @cached_property
    def _keys(self) -> Rows:
        return self.events.users[self.order] * (len(self.events) + 1) + self.order

    def place(self, moments: Moments) -> Rows:
        """(n,) place in :attr:`order` of the first event of the person at or after the moment."""
        rank = np.searchsorted(self.events.time, moments.times, side="left")
        return np.searchsorted(self._keys, moments.users * (len(self.events) + 1) + rank)

    def next_time(self, moments: Moments) -> Doubles:
        """(n,) time of the first event at or after each moment; infinite where none came."""
        at = self.place(moments)
        there = at < self.starts[moments.users + 1]
        out = np.full(len(moments), np.inf)
        out[there] = self.events.time[self.order[at[there]]]
        return out

    def histories(self, moments: Moments) -> Histories:
        """What was known strictly before each moment, one entry an item, oldest first."""
        first, end = self.starts[moments.users], self.place(moments)
        counts = end - first
        of = np.repeat(np.arange(len(moments)), counts)
        index = np.arange(len(of)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        rows = self.order[index]
        # The latest event on an item stands: the last of each (moment, item).
        keys = of * self.events.n_items + self.events.items[rows]
        _, last = np.unique(keys[::-1], return_index=True)
        kept = np.sort(len(keys) - 1 - last)
        rows = rows[kept]
        value = self.events.value
        return Histories(
            indptr=np.searchsorted(of[kept], np.arange(len(moments) + 1)).astype(np.intp),
            items=self.events.items[rows],
            weights=self.events.weight[rows],
            times=self.events.time[rows],
            n_items=self.events.n_items,
            values=None if value is None else value[rows],
        )

    def visits(self) -> tuple[Bools, Rows]:
        """In :attr:`order`: (n_events,) True where a visit begins; (n_events,) its number."""
        time, users = self.events.time[self.order], self.events.users[self.order]
        begins = np.ones(len(time), dtype=np.bool_)
        begins[1:] = (np.diff(time) > VISIT_GAP_S) | (np.diff(users) != 0)
        return begins, np.cumsum(begins) - 1


@dataclass(frozen=True)
class Words:
    """Codes of the words of profiles (gender, country, …) that enough people share."""

    known: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(profiles: Sequence[Profile]) -> Words:
        out = {}
        for name in WORDS:
            found = [word for p in profiles if (word := getattr(p, name))]
            words, counts = np.unique(np.array(found, dtype=np.str_), return_counts=True)
            out[name] = tuple(words[counts >= LEAST_PEOPLE].tolist())
        return Words(out)

    def codes(self, profiles: Sequence[Profile]) -> Floats:
        """(n, 1 + len(WORDS)) float32: age, then codes; NaN where unknown."""
        places = {name: {w: n for n, w in enumerate(self.known[name])} for name in WORDS}
        rows = [
            [
                np.nan if p.age is None else p.age,
                *(places[name].get(getattr(p, name), np.nan) for name in WORDS),
            ]
            for p in profiles
        ]
        return np.array(rows, dtype=np.float32).reshape(len(profiles), 1 + len(WORDS))

    def state(self) -> Arrays:
        return {f"words {name}": np.array(self.known[name], dtype=np.str_) for name in WORDS}

    @staticmethod
    def restore(state: Arrays) -> Words:
        return Words({name: tuple(state[f"words {name}"].tolist()) for name in WORDS})


def person(histories: Histories, at: Doubles, codes: Floats) -> Floats:
    """(n, len(PERSON)) float32 of histories as of ``at`` (n,); NaN where there is nothing to tell.

    ``codes`` are :meth:`Words.codes` of the same people.
    """
    n, user = histories.counts, histories.user_of
    days_ago = (at[user] - histories.times) / DAY_S
    since_last, since_first = _end(histories, days_ago, -1), _end(histories, days_ago, 0)
    starts, visit, newest = _visits(histories)
    visits = _sum(histories, starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = np.where(visits > 1, (since_first - since_last) / (visits - 1), np.nan)
        pause = since_last / np.maximum(usual, 1 / 24)
        mean = _sum(histories, histories.weights) / n
        five = _sum(histories, np.where(histories.age_rank < 5, histories.weights, 0))
        rejected = _sum(histories, histories.weights < 0) / n
    within = [_sum(histories, days_ago <= days) for days in (1, 7, 30, 90)]
    columns = (
        n, since_last, since_first, *within, visits, usual,
        _before_last_visit(histories, visit, newest, days_ago) - since_last, pause,
        _sum(histories, visit == newest[user]), mean, _end(histories, histories.weights, -1),
        five / np.clip(n, 1, 5), rejected,
        at % DAY_S / 3600, at // DAY_S % 7, *codes.T,
    )  # fmt: skip
    return np.stack([np.asarray(c, dtype=np.float32) for c in columns], axis=1)


def _sum(histories: Histories, values: Bools | Floats | Doubles) -> Doubles:
    total = np.bincount(histories.user_of, values, minlength=histories.n_users)
    return np.asarray(total, dtype=np.float64)


def _end(histories: Histories, values: Floats | Doubles, place: int) -> Doubles:
    """(n_users,) the value of the first (0) or last (-1) entry; NaN without one."""
    out = np.full(histories.n_users, np.nan)
    filled = histories.counts > 0
    index = histories.indptr[:-1] if place == 0 else histories.indptr[1:] - 1
    out[filled] = values[index[filled]]
    return out


def _visits(histories: Histories) -> tuple[Bools, Rows, Rows]:
    """Per entry: does a visit begin, its number; per person: the number of the newest visit."""
    begins = np.ones(len(histories.times), dtype=np.bool_)
    begins[1:] = np.diff(histories.times) > VISIT_GAP_S
    begins[histories.indptr[:-1][histories.counts > 0]] = True
    number = np.cumsum(begins) - 1
    newest = np.full(histories.n_users, -1, dtype=np.intp)
    filled = histories.counts > 0
    newest[filled] = number[histories.indptr[1:][filled] - 1]
    return begins, number, newest


def _before_last_visit(
    histories: Histories, visit: Rows, newest: Rows, days_ago: Doubles
) -> Doubles:
    """(n_users,) days from the last entry before the newest visit to now; NaN without one."""
    earlier = visit < newest[histories.user_of]
    out = np.full(histories.n_users, np.inf)
    np.minimum.at(out, histories.user_of[earlier], days_ago[earlier])
    return np.where(np.isinf(out), np.nan, out)
