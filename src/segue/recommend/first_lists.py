"""Lists of people of whom little is known, from :class:`~segue.recommend.newcomers.Newcomers`.

The blend learns from people with a past. Until a person has one, their list is popularity in their
segment, moved by what they did; see benchmarks/people/results_cold_people.md for where it hands
over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segue.core.types import Bools, Doubles, Histories, Profile, Query, Ranking, Reason, Rows
from segue.recommend import explain, lean
from segue.recommend.newcomers import Newcomers
from segue.recommend.onboarding import Questions
from segue.recommend.social import PRIOR

if TYPE_CHECKING:
    from segue.recommend.pipeline import Pipeline

FEW = 20  # items of a history from which on the blend ranks
UNMET = 0.25  # quantile of the items' scores at which one that nobody has met may stand


def answers(pipeline: Pipeline, history: Histories) -> bool:
    """Whether a person's list is made here."""
    return pipeline.newcomers is not None and len(history.items) < FEW


def scores(pipeline: Pipeline, history: Histories, profile: Profile, items: Rows) -> Doubles:
    """(len(items),) for one person. What nobody has met stands low, ordered by its promise."""
    model = _model(pipeline)
    whole = np.full(max(int(items.max(initial=0)), int(model.items[-1])) + 1, np.nan)
    whole[model.items] = model.total(history, profile)
    out = whole[items]
    unmet = np.isnan(out)
    if unmet.any():
        level = float(np.quantile(model.share, UNMET))
        promise = pipeline.unmet(history, items[unmet])[0]
        out[unmet] = level * (1 + promise / (1 + np.abs(promise)))
    return np.asarray(out + _circle(pipeline, history, items), dtype=np.float64)


def _circle(pipeline: Pipeline, history: Histories, items: Rows) -> Doubles:
    """(len(items),) what a circle adds: so many of PRIOR imagined people took it.

    0 where the model looks at nobody, or the person follows nobody.
    """
    if pipeline.social is None or history.circle is None or not len(history.circle.items):
        return np.zeros(len(items))
    at = max(pipeline.fitted_at, float(history.circle.times.max()))
    return pipeline.social.wished(history, at, items) / PRIOR


def ranking(pipeline: Pipeline, query: Query, allowed: Bools) -> Ranking:
    """The list with its reasons."""
    items = np.flatnonzero(allowed)
    found = scores(pipeline, query.history, query.profile, items)
    added = lean.added(query.lean, items, found)
    order = np.argsort(-(found + added), kind="stable")[: query.k]
    items, found, added = items[order], found[order], added[order]
    why = reasons(pipeline, query, items)
    if query.lean is not None:
        why = lean.told(query.lean, why, items, added, np.abs(found))
    return pipeline.listed(items, found + added, why)


def one(pipeline: Pipeline, query: Query, item: int, allowed: Bools) -> tuple[Reason, ...]:
    """The reasons of one item, listed or not."""
    items = np.array([item], dtype=np.intp)
    why = reasons(pipeline, query, items)
    if query.lean is None:
        return why[0]
    others = scores(pipeline, query.history, query.profile, np.flatnonzero(allowed))
    added = lean.added(query.lean, items, others)
    size = np.abs(scores(pipeline, query.history, query.profile, items))
    return lean.told(query.lean, why, items, added, size)[0]


def reasons(pipeline: Pipeline, query: Query, items: Rows) -> list[tuple[Reason, ...]]:
    """One tuple an item; shares of each sum to one. History is named where it is proven."""
    model, history = _model(pipeline), query.history
    popular, segment, own = model.parts(history, query.profile, items)
    drops = model.drops(history, query.profile, items)
    friends = _circle(pipeline, history, items)
    met = model.knows(items)
    unmet: list[tuple[Reason, ...]] = [(explain.NEW,)] * len(items)
    if not met.all() and len(history.items):
        found_cold = explain.cold(pipeline, query, items[~met])
        for place, told in zip(np.flatnonzero(~met).tolist(), found_cold, strict=True):
            unmet[place] = told
    out: list[tuple[Reason, ...]] = []
    for n in range(len(items)):
        if not met[n]:
            out.append(unmet[n])
            continue
        tried = np.arange(len(history.items))
        proven = explain.proven(tried, np.where(history.weights > 0, drops[:, n], 0))
        size = max(float(own[:, n].sum()), proven[0][1] if proven else 0.0, 0.0)
        found = explain.history_reasons(pipeline.catalogue, history, proven, size)
        text = explain.profile_text(query.profile)
        found += [
            Reason("popularity", "popular with many people", max(float(popular[n]), 0.0)),
            Reason("profile", text, max(float(segment[n]), 0.0)),
            Reason("social", explain.social_text(query, int(items[n])), float(friends[n])),
        ]
        out.append(explain.normalised(found, explain.NEW))
    return out


def ask(
    pipeline: Pipeline, query: Query, answers: Sequence[tuple[str, str]], allowed: Bools, k: int
) -> tuple[str, ...]:
    """Ids of the items to ask about next; none without :class:`Newcomers`."""
    if pipeline.newcomers is None:
        return ()
    rows = pipeline.catalogue.rows(item for item, _ in answers).tolist()
    told = [(row, answer) for row, (_, answer) in zip(rows, answers, strict=True) if row >= 0]
    found = Questions(pipeline.newcomers).ask(query.profile, told, allowed, k)
    return tuple(pipeline.catalogue.ids[row] for row in found.tolist())


def _model(pipeline: Pipeline) -> Newcomers:
    assert pipeline.newcomers is not None
    return pipeline.newcomers
