"""What a person said of their own taste, added to the scores and told among the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segue.core.types import Bools, Doubles, Floats, Lean, Reason, Rows

if TYPE_CHECKING:
    from segue.recommend.pipeline import Pipeline

PROPOSED = 60  # items that a wish brings among the candidates
LEAST_SPREAD = 1e-6


def _values(lean: Lean, items: Rows) -> Doubles:
    """(len(items),) the lean of some items; 0 for those that came after it was made."""
    inside = items < len(lean.values)
    out = np.zeros(len(items))
    out[inside] = lean.values[items[inside]]
    return out


def added(lean: Lean | None, items: Rows, scores: Doubles) -> Doubles:
    """(len(items),) what is added to each; ``scores`` are those of all candidates."""
    if lean is None or not len(scores):
        return np.zeros(len(items))
    return _values(lean, items) * max(float(np.std(scores)), LEAST_SPREAD)


def proposed(lean: Lean | None, allowed: Bools) -> Rows:
    """The allowed items that a wish speaks for most."""
    if lean is None:
        return np.zeros(0, dtype=np.intp)
    items = np.flatnonzero(allowed[: len(lean.values)])
    values = lean.values[items]
    order = np.argsort(-values, kind="stable")[:PROPOSED]
    return items[order[values[order] > 0]]


def with_lean(
    pipeline: Pipeline,
    lean: Lean,
    found: Sequence[tuple[Reason, ...]],
    items: Rows,
    scores: Doubles,
    features: Floats,
    more: Doubles,
) -> list[tuple[Reason, ...]]:
    """The reasons with "you asked for more of …" where that holds an item up."""
    return told(lean, found, items, more, _sizes(pipeline, items, scores, features))


def told(
    lean: Lean, found: Sequence[tuple[Reason, ...]], items: Rows, more: Doubles, sizes: Doubles
) -> list[tuple[Reason, ...]]:
    """The reasons with the wish among them; ``sizes`` (n,) is what else holds each item up."""
    out = []
    for n, item in enumerate(items.tolist()):
        if more[n] <= 0:
            out.append(found[n])
            continue
        share = float(more[n] / (more[n] + sizes[n]))
        label = lean.labels[lean.why[item]]
        wish = Reason("taste", f"you asked for more of {label}", share)
        rest = [Reason(r.kind, r.text, r.share * (1 - share), r.item_ids) for r in found[n]]
        out.append(tuple(sorted([wish, *rest], key=lambda r: -r.share)))
    return out


def _sizes(pipeline: Pipeline, items: Rows, scores: Doubles, features: Floats) -> Doubles:
    """(len(items),) what holds each item up besides, in units of the score."""
    out = np.abs(scores - pipeline.promise_line[0])
    warm = pipeline.warm[items]
    if warm.any():
        parts = pipeline.blend.parts(features[warm])
        groups = [parts[:, c].sum(axis=1) for c in pipeline.side.plan.columns_of.values()]
        out[warm] = np.maximum(np.stack(groups), 0).sum(axis=0)
    return out
