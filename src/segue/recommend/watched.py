"""What an item says about how much of it somebody would watch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from segue.core.protocols import Arrays
from segue.core.types import DAY_S, Doubles, Floats, Histories, Interactions, Rows, Training
from segue.recommend.lessons import WHOLE_S
from segue.recommend.moments import Moments, Timeline

PRIOR = 10.0  # consumptions an item is credited with at the mean fraction
ITEM = ("mean fraction", "consumed", "days known", "minutes", "year", "likeness")
TALLY = ("over", "total", "begun", "first")


@dataclass(frozen=True)
class Watches:
    """Consumptions that can be counted by item as of any past time. Used to learn, never kept."""

    clock: Timeline  # items stand in the place of people

    @staticmethod
    def of(begun: Interactions) -> Watches:
        return Watches(
            Timeline(
                replace(
                    begun,
                    users=begun.items,
                    items=begun.users,
                    n_users=begun.n_items,
                    n_items=begun.n_users,
                )
            )
        )

    @cached_property
    def _total(self) -> Doubles:
        sorted_ = self.clock.events.weight[self.clock.order]
        return np.concatenate([[0.0], np.cumsum(sorted_, dtype=np.float64)])

    def tally(self, items: Rows, at: Doubles) -> Doubles:
        """(n, len(TALLY)) of each item as of ``at`` (n,).

        Consumptions that are over and the sum of their fractions, those begun, and the time of the
        first (NaN without any). The last day's have begun, but how far they went is not known yet.
        """
        first = self.clock.starts[items]
        over = self.clock.place(Moments(items, at - WHOLE_S))
        begun = self.clock.place(Moments(items, at)) - first
        since = np.full(len(items), np.nan)
        there = begun > 0
        since[there] = self.clock.events.time[self.clock.order[first[there]]]
        return np.stack(
            [over - first, self._total[over] - self._total[first], begun, since], axis=1
        )


@dataclass(frozen=True)
class ItemSide:
    """One row an item as of the fit; nothing of any person.

    ``tallies`` is (n_items, len(TALLY)); ``minutes`` and ``years`` (n_items,), NaN where unknown;
    ``content`` (n_items, dim), zero rows where there is no vector, or (n_items, 0).
    """

    tallies: Doubles
    minutes: Floats
    years: Floats
    content: Floats

    @staticmethod
    def of(training: Training, watches: Watches) -> ItemSide:
        n = training.interactions.n_items
        items = training.catalogue.items[:n]
        minutes = [np.nan if i.duration_s is None else i.duration_s / 60 for i in items]
        years = [np.nan if i.year is None else i.year for i in items]
        vectors = training.content
        content = np.zeros((n, 0), dtype=np.float32)
        if vectors is not None and len(watches.clock.events):
            content = np.where(vectors.present[:n, None], vectors.values[:n], np.float32(0))
        return ItemSide(
            watches.tally(np.arange(n, dtype=np.intp), np.full(n, training.at)),
            np.array(minutes, dtype=np.float32),
            np.array(years, dtype=np.float32),
            content.astype(np.float32),
        )

    @cached_property
    def _mean(self) -> float:
        over, total = self.tallies[:, :2].sum(axis=0)
        return float(total / over) if over else 0.5

    def rows(
        self,
        histories: Histories,
        owner: Rows,
        items: Rows,
        at: Doubles,
        tallies: Doubles | None = None,
    ) -> Floats:
        """(n, len(ITEM)) float32 for pairs (history ``owner[i]``, ``items[i]``) as of ``at[i]``.

        ``tallies`` (n, len(TALLY)) are those of the pairs, if of another time than the fit. Items
        added later have NaN everywhere but the mean fraction of all.
        """
        out = np.full((len(items), len(ITEM)), np.nan, dtype=np.float32)
        out[:, 0], out[:, 1] = self._mean, 0
        known = items < len(self.tallies)
        rows = items[known]
        over, total, begun, first = (self.tallies[rows] if tallies is None else tallies[known]).T
        out[known, 0] = (total + PRIOR * self._mean) / (over + PRIOR)
        out[known, 1] = np.log1p(begun)
        out[known, 2] = (at[known] - first) / DAY_S
        out[known, 3], out[known, 4] = self.minutes[rows], self.years[rows]
        out[known, 5] = self._likeness(histories, owner[known], rows)
        return out

    def _likeness(self, histories: Histories, owner: Rows, items: Rows) -> Floats:
        """(n,) cosine of an item with the sum of what a history wanted; NaN without vectors."""
        empty = np.full(len(items), np.nan, dtype=np.float32)
        if not self.content.shape[1]:
            return empty
        kept = histories.items < len(self.content)
        wanted = sp.csr_matrix(
            (histories.weights[kept], (histories.user_of[kept], histories.items[kept])),
            shape=(histories.n_users, len(self.content)),
        )
        taste, own = np.asarray(wanted @ self.content), self.content[items]
        length = np.linalg.norm(taste, axis=1)[owner] * np.linalg.norm(own, axis=1)
        dot = np.einsum("nd,nd->n", taste[owner], own)
        return np.asarray(np.divide(dot, length, out=empty, where=length > 0))

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {
            "item/tallies": self.tallies,
            "item/minutes": self.minutes,
            "item/years": self.years,
            "item/content": self.content,
        }

    @staticmethod
    def restore(state: Arrays) -> ItemSide:
        return ItemSide(
            *(
                np.asarray(state[f"item/{name}"])
                for name in ("tallies", "minutes", "years", "content")
            )
        )
