"""The scene of an item that fits a person best, and which of their items says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.core.types import Floats, Histories, Rows, Vectors
from segue.store.scenes import SceneRow

NEWEST = 50  # entries of a history that are asked
HALF_LIFE = 20.0  # entries after which one counts half


@dataclass(frozen=True, slots=True)
class Taste:
    """What a person took, as vectors: (n, dim) unit rows, (n,) weights > 0, (n,) item rows."""

    vectors: Floats
    weights: Floats
    rows: Rows

    @staticmethod
    def of(history: Histories, content: Vectors) -> Taste:
        """Wanted entries of one person that have content, newest first."""
        span = history.span(0)
        rows, weights = history.items[span][::-1][:NEWEST], history.weights[span][::-1][:NEWEST]
        age = np.arange(len(rows))
        wanted = (weights > 0) & content.present[rows]
        faded = weights * 0.5 ** (age / HALF_LIFE)
        vectors = np.asarray(content.values[rows[wanted]], dtype=np.float32)
        return Taste(vectors, faded[wanted].astype(np.float32), rows[wanted])


@dataclass(frozen=True, slots=True)
class Moment:
    """A scene to begin with. ``because`` is the row of the item that speaks most for it, -1 where
    the scene was chosen without a taste, as the one most like the whole item."""

    scene: SceneRow
    score: float
    because: int


def best_moment(scenes: Sequence[SceneRow], own: Floats, taste: Taste) -> Moment | None:
    """The best scene of one item; None where it has fewer than two that can be compared.

    ``own`` is the (dim,) content vector of the item. Every item of the taste votes for the scenes
    that are more like it than the item's scenes are on the whole; those that are like the item
    itself have more to say, as the others' votes are about nothing that is in it.
    """
    known = [scene for scene in scenes if scene.vector is not None and np.any(scene.vector)]
    if len(known) < 2:
        return None
    vectors = np.stack([scene.vector for scene in known if scene.vector is not None])
    if not len(taste.rows):
        likeness = vectors @ own
        at = int(np.argmax(likeness))
        return Moment(known[at], float(likeness[at]), -1)
    cosines = taste.vectors @ vectors.T  # (n_taste, n_scenes)
    nearness = np.maximum(0.0, taste.vectors @ own)
    contrast = cosines - cosines.mean(axis=1, keepdims=True)
    votes = (taste.weights * nearness)[:, None] * contrast
    total = votes.sum(axis=0)
    at = int(np.argmax(total))
    first = int(np.argmax(votes[:, at]))
    return Moment(known[at], float(total[at]), int(taste.rows[first]))
