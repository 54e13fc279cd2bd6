"""Lists with places that explore: assembled, drawn, and logged with their propensities.

What the other places show does not depend on the draw: candidates are no items that the list
holds anyway, and each place draws from candidates of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace

import numpy as np
import sqlalchemy as sa

from segue.core.protocols import Asking, Placing, Recommender
from segue.core.types import Catalogue, Doubles, Query, Ranking, Reason, Rows, Scored
from segue.recommend import explore
from segue.recommend.explore import Explore
from segue.store import exposures
from segue.store.catalogue import StoredCatalogue

REFRESH_S = 300.0
NEW = "new here: we'd like to learn who likes it"
ASK = "a guess: your answer tells us what you like"


@dataclass(frozen=True)
class Explored:
    """A list, and the id under which its propensities are logged."""

    ranking: Ranking
    request_id: str


@dataclass(frozen=True)
class Learned:
    """What is known of items as of a time; the item side of the exploration."""

    read_at: float
    events: Rows  # (n_items,)
    shown: Rows  # (n_items,)
    taken: Rows  # (n_items,)
    outcomes: exposures.Outcomes

    @staticmethod
    def read(engine: sa.Engine, stored: StoredCatalogue, at: float) -> Learned:
        found = exposures.outcomes(engine, stored.nums)
        n = len(stored.nums)
        return Learned(
            at,
            exposures.event_counts(engine, stored.nums),
            np.bincount(found.items, minlength=n),
            np.bincount(found.items[found.taken], minlength=n),
            found,
        )


@dataclass
class Explorer:
    """Explores for a running server; rereads what it learned every few minutes."""

    engine: sa.Engine
    stored: StoredCatalogue
    settings: Explore
    _learned: Learned | None = field(default=None, repr=False)

    @property
    def catalogue(self) -> Catalogue:
        return self.stored.catalogue

    def learned(self, at: float) -> Learned:
        if self._learned is None or abs(at - self._learned.read_at) > REFRESH_S:
            self._learned = Learned.read(self.engine, self.stored, at)
        return self._learned

    def explored(self, model: Recommender, query: Query, request_id: str = "") -> Explored:
        """The list of a person with explored places; logged under a new id, or the one given.

        The id (hex digits) seeds the draw: the same question with the same id gives the same list,
        and is logged once.
        """
        request_id = request_id or secrets.token_hex(16)
        base = model.recommend(query)
        places = [p for p in self.settings.places(query.k) if p <= len(base)]
        candidates = self._candidates(model, query, base) if places else []
        places = places[: len(candidates)]
        chances = dict.fromkeys(range(query.k), 1.0)
        drawn: dict[int, Scored] = {}
        if places:
            shares = self._shares(model, query, candidates, len(places))
            rng = np.random.default_rng(int(request_id, 16))
            for one in explore.draw(shares, places, rng):
                drawn[one.place] = candidates[one.at]
                chances[one.place] = one.propensity
        ranking = Ranking(tuple(explore.inserted(base.entries, drawn, query.k)))
        self._log(model, query, request_id, ranking, chances)
        return Explored(ranking, request_id)

    @staticmethod
    def visit(query: Query) -> str:
        """A request id that holds while a person does nothing: a page that asks twice shows the
        same list."""
        newest = query.history.times.max() if len(query.history.times) else 0.0
        told = (query.user, len(query.history.items), float(newest), int(query.at // 3600))
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def _candidates(self, model: Recommender, query: Query, base: Ranking) -> list[Scored]:
        """New items, and for who is unsure the items that tell most; none that is listed."""
        known = self.learned(query.at)
        new = (known.events < self.settings.few_events) & (known.shown < self.settings.enough)
        if query.within is not None:
            new &= query.within
        listed = {entry.id for entry in base}
        wanted = replace(query, k=self.settings.candidates + query.k, within=new)
        out = [
            replace(entry, reasons=(Reason("exploration", NEW, 1.0),))
            for entry in model.recommend(wanted)
            if entry.id not in listed
        ][: self.settings.candidates]
        asking: object = model
        if len(query.history.items) < self.settings.unsure and isinstance(asking, Asking):
            held = listed | {entry.id for entry in out}
            half = self.settings.candidates // 2
            asked = asking.ask(query, [], len(held) + half)
            out += [
                Scored(item, 0.0, (Reason("exploration", ASK, 1.0),))
                for item in asked
                if item not in held
            ][:half]
        return out

    def _shares(
        self, model: Recommender, query: Query, candidates: list[Scored], n_places: int
    ) -> list[Doubles]:
        """For each place the (n_candidates,) probabilities of its draw."""
        n = len(candidates)
        rows = self.catalogue.rows(entry.id for entry in candidates)
        out = []
        for group in explore.dealt(n, n_places):
            own = rows[group]
            if self.settings.policy == "thompson":
                shares = self._thompson(own, 1 - group / max(n - 1, 1), query.at)
            else:
                shares = self._linucb(model, own, query.at)
            whole = np.zeros(n)
            whole[group] = explore.mixed(shares, self.settings.equal)
            out.append(whole)
        return out

    def _thompson(self, rows: Rows, standing: Doubles, at: float) -> Doubles:
        known = self.learned(at)
        mean, sd = explore.expected(known.shown[rows], known.taken[rows], standing, self.settings)
        return explore.thompson(mean, sd)

    def _linucb(self, model: object, rows: Rows, at: float) -> Doubles:
        if not isinstance(model, Placing):  # nothing is known of where items stand
            return np.full(len(rows), 1 / len(rows))
        past = self.learned(at).outcomes
        seen = explore.features(model.places(past.items), past.at)
        fitted = explore.LinUcb.of(seen, past.taken.astype(np.float64))
        asked = explore.features(model.places(rows), np.full(len(rows), at))
        return explore.best_alone(fitted.upper(asked, self.settings.width))

    def _log(
        self,
        model: Recommender,
        query: Query,
        request_id: str,
        ranking: Ranking,
        chances: dict[int, float],
    ) -> None:
        shown = exposures.Shown(
            request_id, query.user, self.settings.policy, model.version, query.at
        )
        rows = self.catalogue.rows(entry.id for entry in ranking)
        exposures.write(
            self.engine,
            shown,
            [
                exposures.Exposure(int(self.stored.nums[row]), place, chances[place])
                for place, row in enumerate(rows.tolist())
            ],
        )
