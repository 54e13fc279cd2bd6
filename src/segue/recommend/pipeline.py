"""The whole recommender: strategies, candidates, blend, cold items and reasons."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.errors import BadInput, NotFound
from segue.core.top import best
from segue.core.types import (
    Bools,
    Catalogue,
    Doubles,
    Floats,
    Histories,
    Outlook,
    Profile,
    Query,
    Ranking,
    Reason,
    Rows,
    Scored,
    Training,
)
from segue.recommend import explain, first_lists, lean, one_item
from segue.recommend.blend import Blending
from segue.recommend.bridge import Bridge
from segue.recommend.cold import Cold
from segue.recommend.features import ALONE, Side
from segue.recommend.fitting import Fitting
from segue.recommend.newcomers import Newcomers
from segue.recommend.outcomes import Outcomes
from segue.recommend.plan import ITEM
from segue.recommend.social import Social
from segue.recommend.takers import Takers, about, met_rows
from segue.recommend.windows import crowd, shortlist

CALIBRATION_USERS = 200
CALIBRATION_ITEMS = 100  # of each

Line = tuple[float, float]  # intercept, slope


def _line(x: Floats, y: Doubles) -> Line:
    """Least squares; the slope is kept above 0, for likeness never counts against an item."""
    if not len(x):
        return -1.0, 1.0
    x = x.astype(np.float64)
    spread = float(np.std(x))
    if spread < 1e-9:
        return float(y.mean()), 1e-3
    rise = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread**2
    slope = max(rise, 1e-3 / spread)
    return float(y.mean() - slope * x.mean()), slope


def strategy_of(blend: Blending) -> str:
    """What answers say that they come from."""
    return str(blend.described().get("column", "blend"))


@dataclass
class Pipeline:
    """Implements :class:`segue.core.protocols.Recommender`; holds no person."""

    catalogue: Catalogue
    side: Side
    bridge: Bridge
    blend: Blending
    fitted_at: float
    data_hash: str
    version: str
    cold: Cold | None = None  # None: too few items were ever met for content to foretell taste
    # Blend score expected of an item from its content alone: from likeness, from the promise.
    likeness_line: Line = (-1.0, 1.0)
    promise_line: Line = (-1.0, 1.0)
    newcomers: Newcomers | None = None  # None: too few people to tell anything of the next one
    outcomes: Outcomes | None = None  # None: the events tell of no behaviour to forecast
    strategy: str = "blend"  # or the one column that serves alone
    takers: Takers | None = None  # None: too little is known of the past to say who takes an item
    warm: Bools = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.warm = np.zeros(len(self.catalogue), dtype=np.bool_)
        n = min(len(self.warm), len(self.side.warm))
        self.warm[:n] = self.side.warm[:n]

    @property
    def social(self) -> Social | None:
        """The part that looks at those whom a person follows; None where nothing does."""
        return next((p for p in self.side.parts.values() if isinstance(p, Social)), None)

    def asks_friends(self) -> bool:
        return self.social is not None

    @staticmethod
    def fit(
        training: Training,
        blend: Blending,
        data_hash: str,
        *,
        seed: int,
        fitting: Fitting = ALONE,
    ) -> Pipeline:
        """Fit the item side on everything before ``training.at``; the blend is already trained."""
        side = Side(blend.plan)
        side.fit(training, fitting=fitting)
        bridge = Bridge(content=side.content)
        bridge.fit(training)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        out = Pipeline(
            catalogue=training.catalogue,
            side=side,
            bridge=bridge,
            blend=blend,
            fitted_at=training.at,
            data_hash=data_hash,
            version=f"{data_hash[:8]}-{stamp}",
            strategy=strategy_of(blend),
        )
        cold = Cold(seed=seed)
        cold.fit(training)
        out.cold = cold if cold.kinds else None
        out.calibrate(training, seed)
        cold.settle()
        with contextlib.suppress(BadInput):  # too few people: newcomers are shown what is popular
            newcomers = Newcomers()
            newcomers.fit(training)
            out.newcomers = newcomers
        with contextlib.suppress(BadInput):  # too little behaviour: there is simply no forecast
            outcomes = Outcomes(seed=seed)
            outcomes.fit(training)
            out.outcomes = outcomes
        return out

    def calibrate(self, training: Training, seed: int) -> None:
        """Regress the blend's score of known items on what their content alone says of them.

        A promise is out of fold, made as if nobody had met the item. So a line says what a new
        item may expect, and the less content foretells the nearer that is to the mean item.
        """
        rng = np.random.default_rng(seed)
        active = np.unique(training.interactions.users)
        users = np.sort(rng.permutation(active)[:CALIBRATION_USERS])
        histories = training.interactions.histories(users)
        known = np.flatnonzero(self.warm)
        likeness, promise, score, foretold = [], [], [], []
        for n, user in enumerate(users):
            one = training.with_circle(histories.take(np.array([n])), users[n : n + 1])
            unseen = known[~one.seen()[0, known]]
            items = np.sort(rng.permutation(unseen)[:CALIBRATION_ITEMS])
            likeness.append(self.bridge.likeness(one, items)[0])
            foretold.append(self.foretold(items))
            if self.cold is not None:
                promise.append(self.cold.promise(one, items[foretold[-1]])[0])
            score.append(self.score(one, training.profiles[user], training.at, items))
        scores, told = np.concatenate(score), np.concatenate(foretold)
        self.likeness_line = _line(np.concatenate(likeness), scores)
        if self.cold is not None:
            self.promise_line = _line(np.concatenate(promise), scores[told])

    def clock(self, histories: Histories, at: float) -> float:
        """The time to compute with: it stands still between the fit and a person's newest event.

        A model that is served long after its data ends has learned nothing about such gaps.
        """
        newest = float(histories.times.max()) if len(histories.times) else self.fitted_at
        return min(at, max(self.fitted_at, newest))

    def score(self, history: Histories, profile: Profile, at: float, items: Rows) -> Doubles:
        """(len(items),) float64: final scores of some items for one person."""
        return self._score(history, profile, self.clock(history, at), items)[0]

    def _score(
        self, history: Histories, profile: Profile, at: float, items: Rows
    ) -> tuple[Doubles, Floats]:
        """Scores and (len(items), n_columns) features; those of unmet items are NaN."""
        out = np.empty(len(items))
        features = np.full((len(items), len(self.side.plan.names)), np.nan, dtype=np.float32)
        warm = self.warm[items]
        if warm.any():
            base = self.side.base(history, [profile], at, items[warm])
            views = {view: scores[0] for view, scores in base.items()}
            first = np.zeros(int(warm.sum()), dtype=np.intp)
            features[warm] = self.side.rows(views, history, [profile], at, first, items[warm])
            out[warm] = self.blend.score(features[warm])
        if not warm.all():
            out[~warm] = self.unmet(history, items[~warm])[0]
        return out, features

    def foretold(self, items: Rows) -> Bools:
        """(len(items),): are they of kinds that taste is foretold for? Else likeness has to do."""
        if self.cold is None:
            return np.zeros(len(items), dtype=np.bool_)
        return self.cold.speaks_for(items)

    def unmet(self, histories: Histories, items: Rows) -> Doubles:
        """(n_users, len(items)) scores of items that nobody has met."""
        out = np.empty((histories.n_users, len(items)))
        told = self.foretold(items)
        if self.cold is not None and told.any():
            intercept, slope = self.promise_line
            promise = self.cold.promise(histories, items[told])
            out[:, told] = intercept + slope * promise.astype(np.float64)
        if not told.all():
            intercept, slope = self.likeness_line
            likeness = self.bridge.likeness(histories, items[~told])
            out[:, ~told] = intercept + slope * likeness.astype(np.float64)
        return out

    def rank(
        self, histories: Histories, profiles: Sequence[Profile], at: float, k: int = 20
    ) -> Rows:
        """(n_users, k) item rows, best first, -1 beyond the last: everybody's unseen items.

        The same lists as :meth:`recommend` gives one by one, computed for many people at once.
        """
        out = np.full((histories.n_users, k), -1, dtype=np.intp)
        newest = np.full(histories.n_users, -np.inf)
        np.maximum.at(newest, histories.user_of, histories.times)
        clocks = np.minimum(at, np.maximum(self.fitted_at, newest))  # of each person
        step = crowd(histories.n_items)
        for clock in np.unique(clocks):
            people = np.flatnonzero(clocks == clock)
            for first in range(0, len(people), step):
                some = people[first : first + step]
                those = [profiles[user] for user in some]
                out[some] = self._rank_many(histories.take(some), those, float(clock), k)
        if self.newcomers is not None:
            for user in np.flatnonzero(histories.counts < first_lists.FEW).tolist():
                own = histories.take(np.array([user], dtype=np.intp))
                unseen = np.flatnonzero(~own.seen()[0] & self.catalogue.shown)
                score = first_lists.scores(self, own, profiles[user], unseen)
                top = unseen[np.argsort(-score, kind="stable")[:k]]
                out[user, : len(top)] = top
        return out

    def _rank_many(
        self, histories: Histories, profiles: Sequence[Profile], at: float, k: int
    ) -> Rows:
        unseen = ~histories.seen() & self.catalogue.shown
        scores = np.full(unseen.shape, -np.inf)
        base = self.side.base(histories, profiles, at, only=self.side.plan.proposing)
        who, what = shortlist(self.side, base, unseen & self.warm)
        views = self.side.at_pairs(base, histories, profiles, at, who, what)
        rows = self.side.rows(views, histories, profiles, at, who, what)
        scores[who, what] = self.blend.score(rows)
        cold = np.flatnonzero(~self.warm)
        if len(cold):
            scores[:, cold] = self.unmet(histories, cold)
        return best(scores, unseen & np.isfinite(scores), k)

    def _rank(self, query: Query, allowed: Bools) -> tuple[Rows, Doubles, Floats, Doubles]:
        """Items of the list, their scores, features, and what the person's lean added."""
        items, scores, features = self._candidates(query, allowed)
        added = lean.added(query.lean, items, scores)
        scores = scores + added
        order = np.argsort(-scores, kind="stable")[: query.k]
        return items[order], scores[order], features[order], added[order]

    def _candidates(self, query: Query, allowed: Bools) -> tuple[Rows, Doubles, Floats]:
        at = self.clock(query.history, query.at)
        base = self.side.base(query.history, [query.profile], at, only=self.side.plan.proposing)
        _, met = shortlist(self.side, base, (allowed & self.warm)[None])
        met = np.union1d(met, lean.proposed(query.lean, allowed & self.warm))
        items = np.union1d(met, np.flatnonzero(allowed & ~self.warm))
        return items, *self._score(query.history, query.profile, at, items)

    def _allowed(self, query: Query) -> Bools:
        out = self.catalogue.shown.copy()
        out[query.history.items] &= self._returning(query)
        excluded = self.catalogue.rows(query.exclude)
        out[excluded[excluded >= 0]] = False
        if query.kinds is not None:
            out &= np.isin(self.catalogue.kinds, list(query.kinds))
        if query.added_after is not None:
            out &= np.nan_to_num(self.catalogue.added_at, nan=-np.inf) > query.added_after
        if query.within is not None:
            out &= query.within
        return out

    def _returning(self, query: Query) -> Bools:
        """(n_entries,): which items of the history may be recommended again."""
        met = query.history
        if not query.again:
            return np.zeros(len(met.items), dtype=np.bool_)
        fits = np.isin(self.catalogue.kinds[met.items], list(query.again))
        return np.asarray(fits & (met.weights > 0) & (met.times < query.again_before))

    def recommend(self, query: Query) -> Ranking:
        allowed = self._allowed(query)
        if first_lists.answers(self, query.history):
            return first_lists.ranking(self, query, allowed)
        if len(query.history.items) == 0:
            return self._first_list(query, allowed)
        items, scores, features, added = self._rank(query, allowed)
        reasons = self._why(query, items, scores - added, features, added)
        return self.listed(items, scores, reasons)

    def _why(
        self, query: Query, items: Rows, scores: Doubles, features: Floats, added: Doubles
    ) -> list[tuple[Reason, ...]]:
        """Reasons of items that score ``scores`` by the blend, and ``added`` by the lean."""
        found = explain.reasons(self, query, items, scores, features)
        if query.lean is None:
            return found
        return lean.with_lean(self, query.lean, found, items, scores, features, added)

    def places(self, items: Rows) -> Floats:
        return self.bridge.joint(items)

    def near(self, items: Rows) -> Floats:
        out = np.zeros(len(self.catalogue), dtype=np.float32)
        found = self.bridge.near(items)[: len(out)]
        out[: len(found)] = found
        return out

    def reasons(self, query: Query, item_id: str) -> tuple[Reason, ...]:
        row = self.catalogue.row(item_id)
        if row < 0:
            raise NotFound(f"item {item_id!r} is not in the catalogue")
        items = np.array([self._work_of(row)], dtype=np.intp)
        if first_lists.answers(self, query.history):
            return first_lists.one(self, query, int(items[0]), self._allowed(query))
        if len(query.history.items) == 0:
            return self._first_reasons(query, items)[0]
        at = self.clock(query.history, query.at)
        scores, features = self._score(query.history, query.profile, at, items)
        added = np.zeros(1)
        if query.lean is not None:  # its unit is the spread of the person's candidates
            _, others, _ = self._candidates(query, self._allowed(query))
            added = lean.added(query.lean, items, others)
        return self._why(query, items, scores, features, added)[0]

    def made_by(self, history: Histories) -> str:
        if self.newcomers is not None and first_lists.answers(self, history):
            return self.newcomers.name
        return self.strategy

    def ask(self, query: Query, answers: Sequence[tuple[str, str]], k: int) -> tuple[str, ...]:
        return first_lists.ask(self, query, answers, self._allowed(query), k)

    def outlook(self, query: Query, item_ids: Sequence[str]) -> Outlook:
        """What the person is likely to do next; with each item, how much of it they would watch."""
        if self.outcomes is None:
            raise NotFound("this model forecasts no behaviour; import more events and train again")
        rows = self.catalogue.rows(item_ids)
        for item_id, row in zip(item_ids, rows, strict=True):
            if row < 0:
                raise NotFound(f"item {item_id!r} is not in the catalogue")
        items = {i: self._work_of(row) for i, row in zip(item_ids, rows.tolist(), strict=True)}
        at = self.clock(query.history, query.at)
        return self.outcomes.outlook(query.history, query.profile, at, items)

    def taking(
        self, histories: Histories, profiles: Sequence[Profile], at: float, item: int
    ) -> Doubles:
        """(n_users,) probability that each takes an item (a row) soon after ``at``."""
        takers = self.ready_takers()
        days = about(histories, profiles, at)
        if self.warm[item]:
            columns = one_item.columns(self.side, histories, profiles, at, item)
            score = self.blend.score(columns)
            assert takers.met is not None
            return takers.met(met_rows(self.side.plan, score, columns, days))
        if takers.unmet is None or self.cold is None:
            raise NotFound(
                f"nobody has met item {self.catalogue.ids[item]!r}, and this model learned nothing "
                "of content; import titles, tags or descriptions, then run segue train"
            )
        wanted = np.array([item], dtype=np.intp)
        told = [self.cold.promise(histories, wanted), self.bridge.likeness(histories, wanted)]
        return takers.unmet(np.hstack([*told, days]))

    def horizon(self) -> float:
        """How many days ahead :meth:`taking` looks."""
        return self.ready_takers().horizon_days

    def ready_takers(self) -> Takers:
        if self.takers is None or self.takers.met is None:
            raise NotFound(
                "this model does not say who takes an item: it is of an older version, or had too "
                "little to learn from; run segue train (with events of two months or more)"
            )
        return self.takers

    def similar(self, item_id: str, k: int) -> Ranking:
        row = self.catalogue.row(item_id)
        if row < 0:
            raise NotFound(f"item {item_id!r} is not in the catalogue")
        row = self._work_of(row)
        likeness = self.bridge.similar(row)
        allowed = np.zeros(len(likeness), dtype=np.bool_)
        shown = self.catalogue.shown[: len(likeness)]
        allowed[: len(shown)] = shown
        allowed[row : row + 1] = False
        items = best(likeness[None], (allowed & (likeness > 0))[None], k)[0]
        items = items[items >= 0]
        texts = [explain.likeness_reason(self.catalogue, row, int(i)) for i in items]
        return self.listed(items, likeness[items].astype(np.float64), [(t,) for t in texts])

    def _work_of(self, row: int) -> int:
        """The row that speaks for the work of ``row``."""
        stands_for = self.catalogue.stands_for
        return row if stands_for is None else int(stands_for[row])

    def listed(
        self, items: Rows, scores: Doubles, reasons: Sequence[tuple[Reason, ...]]
    ) -> Ranking:
        ids = self.catalogue.ids
        entries = zip(items, scores, reasons, strict=True)
        return Ranking(tuple(Scored(ids[i], float(s), r) for i, s, r in entries))

    def first_parts(self, query: Query, items: Rows) -> Floats:
        """(len(items), 3) popularity, profile and social parts of a cold-start score."""
        out = np.zeros((len(items), 3), dtype=np.float32)
        known = items < self.side.items.shape[1]
        recent = self.side.items[ITEM.index("popular 30d"), items[known]]
        ever = self.side.items[ITEM.index("popular"), items[known]]
        out[known, 0] = np.log1p(recent) + 0.3 * ever
        first = np.zeros(len(items), dtype=np.intp)
        out[:, 1] = self.side.groups.affinity([query.profile], first, items).sum(axis=1)
        if self.social is not None:
            out[:, 2] = self.social.lift(query.history, query.at, items)
        return out

    def _first_list(self, query: Query, allowed: Bools) -> Ranking:
        items = np.flatnonzero(allowed)
        scores = self.first_parts(query, items).sum(axis=1).astype(np.float64)
        scores += lean.added(query.lean, items, scores)
        order = np.argsort(-scores, kind="stable")[: query.k]
        items, scores = items[order], scores[order]
        return self.listed(items, scores, self._first_reasons(query, items))

    def _first_reasons(self, query: Query, items: Rows) -> list[tuple[Reason, ...]]:
        parts = self.first_parts(query, items)
        return [
            explain.first_reasons(part, query, int(item))
            for part, item in zip(parts, items, strict=True)
        ]
