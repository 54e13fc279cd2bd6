"""Ranking metrics per person, from the places of the held-out items in the full ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.core.types import Bools, Doubles, Floats, Rows

DEPTH = 20  # deepest cut-off of any metric


@dataclass(frozen=True)
class PerUser:
    """(n_users,) float64 each; ``top`` is (n_users, 10) item rows as recommended."""

    ndcg: Doubles
    recall: Doubles
    ap: Doubles
    hit: Doubles
    top: Rows

    def coverage(self, n_items: int) -> float:
        """Share of the catalogue that anyone was shown."""
        return float(len(np.unique(self.top[self.top >= 0])) / n_items)


METRICS = {"ndcg": "NDCG@10", "recall": "Recall@20", "ap": "MAP@10", "hit": "HitRate@10"}


def top_items(scores: Floats, seen: Bools, k: int = DEPTH) -> Rows:
    """(n_users, k) best unseen rows, ties in catalogue order; -1 beyond the last unseen item."""
    masked = np.where(seen, -np.inf, scores)
    order = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    order = np.where(np.isneginf(np.take_along_axis(masked, order, axis=1)), -1, order)
    if order.shape[1] < k:
        order = np.pad(order, ((0, 0), (0, k - order.shape[1])), constant_values=-1)
    return order.astype(np.intp)


def measure(top: Rows, relevant: Bools) -> PerUser:
    """Metrics of ``top`` (n_users, >= 20) against ``relevant`` (n_users, n_items).

    Everyone must have at least one relevant item. NDCG (Jaervelin & Kekaelaeinen, 2002) with
    binary gains; MAP divides by min(relevant, 10).
    """
    hits = np.take_along_axis(relevant, np.maximum(top, 0), axis=1) & (top >= 0)
    wanted = relevant.sum(axis=1)
    ten = hits[:, :10]
    discount = 1 / np.log2(np.arange(2, 12))
    best = np.cumsum(discount)[np.minimum(wanted, 10) - 1]
    precision = np.cumsum(ten, axis=1) / np.arange(1, 11)
    return PerUser(
        ndcg=(ten * discount).sum(axis=1) / best,
        recall=hits[:, :20].sum(axis=1) / wanted,
        ap=(precision * ten).sum(axis=1) / np.minimum(wanted, 10),
        hit=np.asarray(ten.any(axis=1), dtype=np.float64),
        top=top[:, :10],
    )
