"""What the events say about each goal: taken, how far, liked, rated how."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from segue.core.types import EVENT_KINDS, Bools, Floats, Histories, Interactions

HEADS = ("click", "completion", "like", "rating")
LIKED = 0.75  # of the rating range: 4 of 5 stars
CODE = {name: n for n, name in enumerate(EVENT_KINDS)}


def goals_of(seen: Interactions, histories: Histories) -> tuple[Floats, tuple[float, float]]:
    """((n_heads, nnz) float32 in [0, 1] for each entry of ``histories``, range of the ratings).

    NaN where nothing is known. An entry is a click when its weight is >= 0. A rating is its place
    in the range. Fractions come from ``progress``, ``complete`` and ``skip``. Likes come from
    ``like``, ``save`` and ``share`` against ``dislike``, ``hide`` and ``skip``, where the data has
    both or what was taken without a like; without such events, from ratings.
    """
    kind = np.full(len(seen), CODE["rating"]) if seen.kind is None else seen.kind
    value = np.full(len(seen), np.nan, np.float32) if seen.value is None else seen.value
    out = np.full((len(HEADS), len(histories.items)), np.nan, dtype=np.float32)
    out[0] = histories.weights >= 0
    out[1] = _last(seen, histories, *_fractions(kind, value))
    rated = (kind == CODE["rating"]) & np.isfinite(value)
    low, high = (float(value[rated].min()), float(value[rated].max())) if rated.any() else (0, 1)
    place = (value - low) / np.float32(high - low if high > low else 1)
    if high > low:
        out[3] = _last(seen, histories, rated, place)
    liked, disliked = _kinds(kind, "like", "save", "share"), _kinds(kind, "dislike", "hide", "skip")
    if liked.any():
        # Whoever uses the button says something where they do not press it.
        out[2] = _last(seen, histories, np.ones(len(seen), dtype=np.bool_), liked * 1.0, most=True)
        out[2, _last(seen, histories, disliked, disliked * 1.0) == 1] = 0
    elif high > low:
        out[2] = _last(seen, histories, rated, place >= LIKED)
    return out, (low, high)


def _kinds(kind: npt.NDArray[Any], *names: str) -> Bools:
    return np.isin(kind, [CODE[name] for name in names])


def _fractions(kind: npt.NDArray[Any], value: Floats) -> tuple[Bools, Floats]:
    done = np.where(kind == CODE["progress"], np.clip(value, 0, 1), np.nan)
    done = np.where(kind == CODE["complete"], 1.0, done)
    done = np.where((kind == CODE["skip"]) & np.isnan(done), 0.0, done)
    return np.isfinite(done), done.astype(np.float32)


def _last(
    seen: Interactions,
    histories: Histories,
    which: Bools,
    values: npt.NDArray[Any],
    *,
    most: bool = False,
) -> Floats:
    """(nnz,) the latest of ``values[which]`` on each entry's person and item; NaN without one.

    ``most`` takes the greatest instead.
    """
    keys = seen.users[which].astype(np.int64) * seen.n_items + seen.items[which]
    order = np.lexsort((values[which], keys)) if most else np.argsort(keys, kind="stable")
    keys, values = keys[order], np.asarray(values[which], dtype=np.float32)[order]
    wanted = histories.user_of.astype(np.int64) * seen.n_items + histories.items
    if not len(keys):
        return np.full(len(wanted), np.nan, dtype=np.float32)
    place = np.searchsorted(keys, wanted, side="right") - 1
    found = (place >= 0) & (keys[np.maximum(place, 0)] == wanted)
    return np.where(found, values[np.maximum(place, 0)], np.nan).astype(np.float32)
