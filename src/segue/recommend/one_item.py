"""One item and many people: the blend's columns without ever scoring another item.

What a history times an item matrix says of one item needs one column of the matrix, which stays
in the first caches while the histories stream by; the same holds for everything else that is a
weighted sum over a history. So a million people cost a million sums, not a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.core.protocols import Strategy
from segue.core.types import DAY_S, Floats, Histories, Profile, Rows
from segue.recommend.bpr import Bpr
from segue.recommend.content import Content
from segue.recommend.counts import reassociated
from segue.recommend.features import Base, Side, person
from segue.recommend.matrix import ItemMatrix, over_matrix, powers
from segue.recommend.plan import ITEM, PROFILE
from segue.recommend.popular import PositionPopular, widen
from segue.recommend.windows import CHUNK

ALL_ALIKE = 1e18  # half-life of a memory that never fades


@dataclass(frozen=True)
class Lane:
    """A view of one item: ``bias + sum(w * cells) / max(sum(|w| of known), floor) ** power``.

    Weights ``w`` of entries fade by ``half_life`` (in entries). With ``blank`` people without a
    known entry have NaN.
    """

    cells: Floats  # (n_items,) what a history entry on each item adds
    half_life: float | None
    known: Floats | None = None  # (n_items,) 1 where an entry counts; None: ``power`` is 0
    power: float = 0.0
    floor: float = 1.0
    bias: float = 0.0
    blank: bool = False


def columns(
    side: Side, histories: Histories, profiles: Sequence[Profile], at: float, item: int
) -> Floats:
    """(n_users, n_columns) float32: the plan's columns of one item that somebody has met.

    Equal to :meth:`Side.rows` of the pairs (everybody, item), up to the order of the sums.
    """
    views = _views(side, histories, profiles, at, item)
    out = np.empty((histories.n_users, len(side.plan.names)), dtype=np.float32)
    column = 0
    for view in side.plan.views:
        out[:, column] = views[view]
        column += 1
    out[:, column : column + len(ITEM)] = side.items[:, item]
    out[:, column + ITEM.index("item age")] = (at - side.first_seen[item]) / DAY_S
    column += len(ITEM)
    out[:, column : column + len(PROFILE)] = _affinity(side, profiles, item)
    column += len(PROFILE)
    out[:, column:] = person(histories, at)
    return out


def _views(
    side: Side, histories: Histories, profiles: Sequence[Profile], at: float, item: int
) -> Base:
    lanes: dict[str, Lane] = {}
    out: Base = {}
    for name, part in side.plan.parts.items():
        fitted = side.parts[name]
        for view in part.views:
            lane = _lane(fitted, view.half_life, item, histories.n_items)
            if lane is not None:
                lanes[view.name] = lane
        missing = [view.name for view in part.views if view.name not in lanes]
        if isinstance(fitted, PositionPopular):
            places = fitted.bucket(histories.counts)
            out[missing[0]] = widen(fitted.table, histories.n_items)[places, item]
        elif missing:
            out.update(_asked(side, missing, histories, profiles, at, item))
    out.update(zip(lanes, summed(tuple(lanes.values()), histories).T, strict=True))
    return out


def _lane(fitted: Strategy, half_life: float | None, item: int, n_items: int) -> Lane | None:
    """None where a part is no weighted sum over the history."""
    if over_matrix(fitted):
        return Lane(_cells(fitted.matrix, item, n_items), half_life)
    if isinstance(fitted, Content):
        return _content(fitted, item, n_items)
    if isinstance(fitted, Bpr):
        return _factors(fitted, item, n_items)
    return None


def _cells(matrix: ItemMatrix, item: int, n_items: int) -> Floats:
    out = np.zeros(n_items, dtype=np.float32)
    column = int(matrix.positions(np.array([item]))[0]) if len(matrix.items) else -1
    if column >= 0:
        values = matrix.values[:, [column]]
        out[matrix.items] = (values if matrix.dense else values.toarray())[:, 0]
    return out


def _content(part: Content, item: int, n_items: int) -> Lane:
    cells, known = np.zeros((2, n_items), dtype=np.float32)
    size = min(n_items, len(part.present))
    if item < len(part.present) and part.present[item]:
        known[:size] = part.present[:size]
        cells[:size] = (part.vectors[:size] @ part.vectors[item]) * known[:size]
    # Nothing known of the item: nobody's taste says anything, as in Content.likeness.
    return Lane(cells, part.half_life, known, power=1.0, floor=1e-6, blank=True)


def _factors(part: Bpr, item: int, n_items: int) -> Lane:
    cells, known = np.zeros((2, n_items), dtype=np.float32)
    place = int(part.wanted.positions(np.array([item]))[0]) if len(part.wanted.items) else -1
    bias = 0.0
    if place >= 0:
        known[part.given.items] = 1
        cells[part.given.items] = part.given.values @ part.wanted.values[place]
        bias = float(part.bias[place])
    return Lane(cells, part.half_life, known, power=part.spread, floor=1.0, bias=bias)


def _asked(
    side: Side,
    views: Sequence[str],
    histories: Histories,
    profiles: Sequence[Profile],
    at: float,
    item: int,
) -> Base:
    """Parts that can only be asked for whole rows, a few people at a time."""
    parts: dict[str, list[Floats]] = {view: [] for view in views}
    wanted = np.array([item], dtype=np.intp)
    for first in range(0, histories.n_users, CHUNK):
        users = np.arange(first, min(first + CHUNK, histories.n_users))
        some = [profiles[int(u)] for u in users]
        found = side.base(histories.take(users), some, at, wanted, only=views)
        for view in views:
            parts[view].append(found[view][:, 0])
    return {view: np.concatenate(found) for view, found in parts.items()}


def summed(lanes: Sequence[Lane], histories: Histories) -> Floats:
    """(n_users, n_lanes) float32: what each lane says of everybody."""
    longest = int(histories.counts.max(initial=0))
    fades = np.stack([powers(lane.half_life or ALL_ALIKE, max(longest, 1)) for lane in lanes], 1)
    given = (histories.indptr, histories.items)
    out = np.zeros((histories.n_users, len(lanes)), dtype=np.float32)
    cells = np.stack([lane.cells for lane in lanes], axis=1)
    _sum(*given, histories.weights, cells, fades, out)
    scaled = [n for n, lane in enumerate(lanes) if lane.known is not None]
    if scaled:
        known = np.stack([np.asarray(lanes[n].known) for n in scaled], axis=1)
        amount = np.zeros((histories.n_users, len(scaled)), dtype=np.float32)
        fade = np.ascontiguousarray(fades[:, scaled])
        _sum(*given, np.abs(histories.weights), known, fade, amount)
        for n, total in zip(scaled, amount.T, strict=True):
            lane = lanes[n]
            out[:, n] /= np.maximum(total, lane.floor) ** lane.power
            out[:, n] += lane.bias
            if lane.blank:
                out[total == 0, n] = np.nan
    return out


@reassociated
def _sum(
    indptr: Rows, items: Rows, weights: Floats, cells: Floats, fades: Floats, out: Floats
) -> None:
    n = cells.shape[1]
    total = np.empty(n, dtype=np.float32)
    for user in range(len(indptr) - 1):
        total[:] = 0
        last = indptr[user + 1] - 1
        for rank in range(indptr[user + 1] - indptr[user]):
            row, weight = items[last - rank], weights[last - rank]
            for lane in range(n):
                total[lane] += weight * fades[rank, lane] * cells[row, lane]
        out[user] = total


def _affinity(side: Side, profiles: Sequence[Profile], item: int) -> Floats:
    """(n_users, len(PROFILE)); each distinct profile is looked at once."""
    number: dict[Profile, int] = {}
    place = np.array([number.setdefault(p, len(number)) for p in profiles], dtype=np.intp)
    users = np.arange(len(number), dtype=np.intp)
    found = side.groups.affinity(tuple(number), users, np.full(len(number), item))
    return np.asarray(found[place])
