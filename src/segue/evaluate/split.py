"""Splits of what people did into train, validation and test.

The temporal split is the honest one: no model may know anything that happened later. The others
are here because published figures use them, and to look at one question alone: what comes next
(:func:`leave_last_out`), taste without time (:func:`random_per_user`), items nobody has met
(:func:`cold_items`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput
from segue.core.types import Interactions, Rows

TRAIN, VALID, TEST = 0, 1, 2
Parts = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Split:
    """Which event falls where. Each event is in one part, and the parts keep time order.

    ``valid_from`` and ``test_from`` are the times as of which people are scored on validation and
    on test (Unix seconds). Only the temporal split has two cuts; in the others both lie right
    behind the last event, because what is held out there lies among what is known.
    """

    name: str
    interactions: Interactions
    part: Parts  # (n_events,) TRAIN, VALID or TEST
    valid_from: float
    test_from: float

    @cached_property
    def train(self) -> Interactions:
        """What a model that is scored on validation may learn from."""
        return self.interactions.where(self.part == TRAIN)

    @cached_property
    def valid(self) -> Interactions:
        """What settings are chosen by."""
        return self.interactions.where(self.part == VALID)

    @cached_property
    def test(self) -> Interactions:
        """What is looked at once."""
        return self.interactions.where(self.part == TEST)

    @cached_property
    def train_valid(self) -> Interactions:
        """What a model that is scored on test may learn from."""
        return self.interactions.where(self.part != TEST)

    @property
    def n_train(self) -> int:
        return int((self.part == TRAIN).sum())

    @property
    def n_valid(self) -> int:
        return int((self.part == VALID).sum())

    @property
    def n_test(self) -> int:
        return int((self.part == TEST).sum())

    @cached_property
    def hash(self) -> str:
        """16 hex digits over every event (person, item, time) and where it falls.

        Events of one second may have been read in any order: the hash is the same.
        """
        seen = self.interactions
        order = np.lexsort((self.part, seen.items, seen.users, seen.time))
        digest = hashlib.sha256()
        for column, kind in (
            (seen.time, np.float64),
            (seen.users, np.int64),
            (seen.items, np.int64),
            (self.part, np.int8),
        ):
            digest.update(np.ascontiguousarray(column[order], dtype=kind).tobytes())
        return digest.hexdigest()[:16]

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.n_train:,} train, {self.n_valid:,} validation, "
            f"{self.n_test:,} test events, hash {self.hash}"
        )


def cut_time(interactions: Interactions, share: float) -> float:
    """Time at which ``share`` of the events lies behind; ties go to the later part together."""
    _check_share(share)
    return float(interactions.time[int(len(interactions) * share)])


def temporal(interactions: Interactions, train: float = 0.8, valid: float = 0.1) -> Split:
    """Split by time quantiles: train lies before validation, and validation before test."""
    if len(interactions) < 10:
        raise BadInput(
            f"a temporal split needs at least 10 interactions, got {len(interactions)}; "
            "import more events first"
        )
    _check_share(valid)
    first, second = cut_time(interactions, train), cut_time(interactions, train + valid)
    part = np.searchsorted([first, second], interactions.time, side="right").astype(np.int8)
    return Split(f"temporal {train:g}/{valid:g}", interactions, part, first, second)


def leave_last_out(interactions: Interactions) -> Split:
    """The last event of each person is test and the one before is validation.

    People with fewer than three events stay in train. Events of one second keep their order.
    """
    _check_any(interactions)
    counts = np.bincount(interactions.users, minlength=interactions.n_users)
    order = np.argsort(interactions.users, kind="stable")
    ends = np.cumsum(counts)[counts >= 3]
    part = np.zeros(len(interactions), dtype=np.int8)
    part[order[ends - 1]] = TEST
    part[order[ends - 2]] = VALID
    return _timeless("last event out", interactions, part)


def random_per_user(interactions: Interactions, share: float = 0.2, seed: int = 0) -> Split:
    """``share`` of each person's items is test, the same share of the rest is validation.

    Rounded down, so that everybody keeps something in train. All events of a person on one item
    go together: a repeated play in train would give the answer away.
    """
    _check_any(interactions)
    _check_share(share)
    keys = interactions.users.astype(np.int64) * interactions.n_items + interactions.items
    pairs, pair_of = np.unique(keys, return_inverse=True)
    users = pairs // interactions.n_items
    counts = np.bincount(users, minlength=interactions.n_users)
    # Place of each pair in a random order of its person's pairs.
    order = np.lexsort((np.random.default_rng(seed).random(len(pairs)), users))
    place = np.empty(len(pairs), dtype=np.intp)
    place[order] = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
    n_test = _some(counts, share)
    n_held = n_test + _some(counts - n_test, share)
    part = np.full(len(pairs), TRAIN, dtype=np.int8)
    part[place < n_held[users]] = VALID
    part[place < n_test[users]] = TEST
    return _timeless(f"random {share:g} a person, seed {seed}", interactions, part[pair_of])


def cold_items(interactions: Interactions, share: float = 0.2, seed: int = 0) -> Split:
    """Every event of ``share`` of the items is test; of the same share of the rest, validation.

    Only items with events are drawn, so each held-out item has somebody who wanted it.
    """
    _check_any(interactions)
    _check_share(share)
    items = np.unique(interactions.items)
    drawn = np.random.default_rng(seed).permutation(items)
    n_test = int(_some(np.array(len(items)), share))
    n_valid = int(_some(np.array(len(items) - n_test), share))
    part_of = np.full(interactions.n_items, TRAIN, dtype=np.int8)
    part_of[drawn[:n_test]] = TEST
    part_of[drawn[n_test : n_test + n_valid]] = VALID
    name = f"cold items {share:g}, seed {seed}"
    return _timeless(name, interactions, part_of[interactions.items])


def _timeless(name: str, interactions: Interactions, part: Parts) -> Split:
    end = float(interactions.time[-1]) + 1
    return Split(name, interactions, part, end, end)


def _some(counts: Rows, share: float) -> Rows:
    """``share`` of each count, rounded down; 0.3 of 10 is 3 whatever the float says."""
    return np.asarray(np.floor(counts * share + 1e-9), dtype=np.intp)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise BadInput(f"share must be between 0 and 1, got {share}")


def _check_any(interactions: Interactions) -> None:
    if not len(interactions):
        raise BadInput("a split needs at least one interaction, got none; import events first")
