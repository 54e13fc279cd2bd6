"""Boosted trees as flat arrays, walked for many rows at once.

A tree is not followed from its root: every one of its questions is put to a whole block of rows,
and each answer strikes out the leaves that it makes unreachable. The first leaf that is left is the
one (QuickScorer; Lucchese et al., SIGIR 2015). Scores equal LightGBM's own, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from segue.core.types import Bools, Doubles, Floats, Rows
from segue.recommend.counts import compiled

MOST_LEAVES = 16  # of a tree: as many as a mask has bits
BLOCK = 256  # rows whose columns stay in the first cache

Masks = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Forest:
    """The trees of one booster."""

    starts: Rows  # (n_trees + 1,) of the questions of each tree
    columns: Rows  # (n,) of the features
    thresholds: Floats  # (n,) a value above goes right
    lost_right: Bools  # (n,) whether a missing value goes right
    lefts: Masks  # (n,) all leaves but those of the left branch: what is left after going right
    values: Doubles  # (n_trees, MOST_LEAVES)

    @staticmethod
    def of(booster: lgb.Booster) -> Forest | None:
        """None where a tree has more leaves or other questions than this can hold."""
        trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
        starts, nodes = [0], list[tuple[int, float, bool, int]]()
        values = np.zeros((len(trees), MOST_LEAVES))
        for number, root in enumerate(trees):
            leaves: list[float] = []
            if not _flatten(root, leaves, nodes) or len(leaves) > MOST_LEAVES:
                return None
            values[number, : len(leaves)] = leaves
            starts.append(len(nodes))
        return Forest(
            starts=np.array(starts, dtype=np.intp),
            columns=np.array([n[0] for n in nodes], dtype=np.intp),
            thresholds=np.array([_down(n[1]) for n in nodes], dtype=np.float32),
            lost_right=np.array([n[2] for n in nodes], dtype=np.bool_),
            lefts=np.array([n[3] for n in nodes], dtype=np.uint16),
            values=values,
        )

    def score(self, features: Floats) -> Doubles:
        """(n,) float64: the sum over the trees, of (n, n_columns) float32; NaN is missing."""
        out = np.zeros(len(features))
        parts = (self.starts, self.columns, self.thresholds, self.lost_right, self.lefts)
        _walk(features, *parts, self.values, FIRST_BIT, out)
        return out


FIRST_BIT = np.array([(n & -n).bit_length() - 1 for n in range(256)], dtype=np.int64)


def _flatten(
    node: dict[str, Any], leaves: list[float], nodes: list[tuple[int, float, bool, int]]
) -> bool:
    """Append the leaves from left to right, and the questions; False for another kind of one."""
    if "leaf_value" in node:
        leaves.append(node["leaf_value"])
        return True
    missing = node["missing_type"]
    if node["decision_type"] != "<=" or missing == "Zero":
        return False
    threshold = float(node["threshold"])
    # Where training saw no missing value, LightGBM reads one as 0.
    right = not node["default_left"] if missing == "NaN" else threshold < 0
    first = len(leaves)
    if not _flatten(node["left_child"], leaves, nodes):
        return False
    left = (1 << len(leaves)) - (1 << first)
    nodes.append((node["split_feature"], threshold, right, ~left & 0xFFFF))
    return _flatten(node["right_child"], leaves, nodes)


def _down(threshold: float) -> np.float32:
    """The largest float32 that is not above: what a float32 feature can be compared with."""
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


@compiled
def _walk(
    features: Floats, starts: Rows, columns: Rows, thresholds: Floats, lost_right: Bools,
    lefts: Masks, values: Doubles, first_bit: Rows, out: Doubles,
) -> None:  # fmt: skip
    every = np.uint16(0xFFFF)
    block = np.empty((features.shape[1], BLOCK), dtype=np.float32)
    masks = np.empty(BLOCK, dtype=np.uint16)
    for first in range(0, len(features), BLOCK):
        n = min(BLOCK, len(features) - first)
        for row in range(n):
            for column in range(features.shape[1]):
                block[column, row] = features[first + row, column]
        for tree in range(len(starts) - 1):
            masks[:] = every
            for node in range(starts[tree], starts[tree + 1]):
                x, threshold, left = block[columns[node]], thresholds[node], lefts[node]
                if lost_right[node]:
                    for row in range(n):
                        masks[row] &= every if x[row] <= threshold else left
                else:
                    for row in range(n):
                        masks[row] &= left if x[row] > threshold else every
            leaf = values[tree]
            for row in range(n):
                low = masks[row] & 0xFF
                place = first_bit[low] if low else 8 + first_bit[masks[row] >> 8]
                out[first + row] += leaf[place]
