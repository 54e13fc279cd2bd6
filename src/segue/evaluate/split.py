"""The global temporal split: no model may know anything that happened later."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Interactions


@dataclass(frozen=True)
class Split:
    """Train is before ``valid_from``, validation before ``test_from``, test from there on."""

    valid_from: float
    test_from: float
    n_train: int
    n_valid: int
    n_test: int
    hash: str


def cut_time(interactions: Interactions, share: float) -> float:
    """Time at which ``share`` of the events lies behind; ties go to the later part together."""
    if not 0 < share < 1:
        raise BadInput(f"share must be between 0 and 1, got {share}")
    return float(interactions.time[int(len(interactions) * share)])


def temporal(interactions: Interactions, train: float = 0.8, valid: float = 0.1) -> Split:
    """Split by time quantiles. The hash covers both cuts and which event falls where."""
    if len(interactions) < 10:
        raise BadInput(
            f"a temporal split needs at least 10 interactions, got {len(interactions)}; "
            "import more events first"
        )
    first, second = cut_time(interactions, train), cut_time(interactions, train + valid)
    n_train, n_seen = np.searchsorted(interactions.time, [first, second], side="left").tolist()
    digest = hashlib.sha256(np.array([first, second]).tobytes())
    for column in (interactions.users, interactions.items):
        digest.update(np.ascontiguousarray(column, dtype=np.int64).tobytes())
    digest.update(np.array([n_train, n_seen, len(interactions)], dtype=np.int64).tobytes())
    return Split(
        valid_from=first,
        test_from=second,
        n_train=n_train,
        n_valid=n_seen - n_train,
        n_test=len(interactions) - n_seen,
        hash=digest.hexdigest()[:16],
    )


def data_hash(interactions: Interactions) -> str:
    """16 hex digits over users, items, weights and times."""
    digest = hashlib.sha256()
    for column, kind in (
        (interactions.users, np.int64),
        (interactions.items, np.int64),
        (interactions.weight, np.float32),
        (interactions.time, np.float64),
    ):
        digest.update(np.ascontiguousarray(column, dtype=kind).tobytes())
    return digest.hexdigest()[:16]
