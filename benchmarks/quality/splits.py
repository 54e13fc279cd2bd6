"""The splits of the quality benchmark, exported so that peers and ours answer the same question.

Usage: python benchmarks/quality/splits.py [100k] [1m]      (prints sizes and hashes)

A stage file holds what a model may know and whom to answer for; what was held out stays in this
process and is never written, so no peer can read it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import environments
import numpy as np
import scipy.sparse as sp

from segue.core.types import Bools, Interactions, Item, Rows, Training
from segue.evaluate import split as cuts

sys.path.insert(0, str(Path(__file__).parents[1]))
import _data

DATA = {"100k": _data.ml100k, "1m": _data.ml1m}
RATING_RANGE = (1.0, 5.0)
SEED = 0


@dataclass(frozen=True)
class Stage:
    """Validation or test: a file for models, and the truth for us."""

    split: str
    name: str  # valid or test
    hash: str
    path: Path
    known: Interactions = field(repr=False)  # what a model may fit on
    at: float = field(repr=False)  # the time of the question
    users: Rows = field(repr=False)  # whom to rank for
    relevant: Bools = field(repr=False)  # (n_users, n_items) held out and unseen
    candidates: Bools = field(repr=False)  # (n_items,) what may be recommended
    held: Interactions = field(repr=False)
    rated: np.ndarray = field(repr=False)  # ratings to predict, in the order of `held`


@dataclass(frozen=True)
class Split:
    """One way to hold out, of one data set."""

    data: str
    name: str
    hash: str
    training: Training = field(repr=False)
    valid: Stage
    test: Stage


def features(items: tuple[Item, ...]) -> sp.csr_matrix:
    """(n_items, n_features) ones: genres, decade and year, and the words of the title."""
    names: dict[str, int] = {}
    rows, columns = [], []
    for row, item in enumerate(items):
        words = {w for w in re.findall(r"\w+", item.title.lower()) if len(w) > 1}
        found = [f"genre {tag}" for tag in item.tags] + [f"word {w}" for w in sorted(words)]
        if item.year is not None:
            found += [f"decade {item.year // 10}", f"year {item.year}"]
        for name in found:
            rows.append(row)
            columns.append(names.setdefault(name, len(names)))
    ones = np.ones(len(rows), dtype=np.float32)
    out = sp.csr_matrix((ones, (rows, columns)), shape=(len(items), len(names)))
    shared = np.asarray((out > 0).sum(axis=0)).ravel() >= 2  # a word of one title teaches nothing
    return out[:, np.flatnonzero(shared)]


def check(top: Rows, stage: Stage) -> None:
    """Refuse lists with seen, forbidden or repeated items: they would flatter or fool a metric."""
    shown = top >= 0
    if np.any(shown & ~stage.candidates[np.maximum(top, 0)]):
        raise ValueError("a list holds items that are not candidates")
    seen = stage.known.histories(stage.users).seen()
    if np.any(np.take_along_axis(seen, np.maximum(top, 0), axis=1) & shown):
        raise ValueError("a list holds items that its person has seen")
    ordered = np.sort(np.where(shown, top, -1 - np.arange(top.shape[1])), axis=1)
    if np.any(ordered[:, 1:] == ordered[:, :-1]):
        raise ValueError("a list holds an item twice")


def _ratings(seen: Interactions) -> cuts.Split:
    """Each rating by chance: 80 % train (of which a tenth validates), 20 % test."""
    drawn = np.random.default_rng(SEED).random(len(seen))
    part = np.select([drawn < 0.72, drawn < 0.8], [cuts.TRAIN, cuts.VALID], cuts.TEST)
    end = float(seen.time[-1]) + 1
    return cuts.Split("ratings .72/.08/.2", seen, part.astype(np.int8), end, end)


SPLITS: dict[str, Callable[[Interactions], cuts.Split]] = {
    "temporal": cuts.temporal,
    "random": cuts.random_per_user,
    "last": cuts.leave_last_out,
    "ratings": _ratings,
    "cold": cuts.cold_items,
}


@cache
def load(data: str) -> Training:
    return DATA[data]()


@cache
def export(data: str, name: str) -> Split:
    """A split with both its stage files written."""
    training = load(data)
    cut = SPLITS[name](training.interactions)
    stages = (
        _stage(training, data, name, stage, cut.hash, known, held, at)
        for stage, known, held, at in (
            ("valid", cut.train, cut.valid, cut.valid_from),
            ("test", cut.train_valid, cut.test, cut.test_from),
        )
    )
    return Split(data, name, cut.hash, training, *stages)


def _stage(
    training: Training,
    data: str,
    name: str,
    stage: str,
    whole: str,
    known: Interactions,
    held: Interactions,
    at: float,
) -> Stage:
    candidates = np.ones(known.n_items, dtype=np.bool_)
    if name == "cold":  # among what nobody has met
        candidates = np.bincount(held.items, minlength=known.n_items) > 0
    if name == "ratings":  # no list is asked for
        users, relevant = np.zeros(0, np.intp), np.zeros((0, known.n_items), dtype=np.bool_)
    else:
        users, relevant = _people(known, held, candidates)
    assert held.value is not None
    path = environments.cache_folder() / "splits" / f"{data}-{name}-{stage}-{whole}.npz"
    found = Stage(
        split=name, name=stage, hash=whole, path=path, known=known, at=at, users=users,
        relevant=relevant, candidates=candidates, held=held, rated=held.value.astype(np.float64),
    )  # fmt: skip
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(training, found)
    return found


def _people(known: Interactions, held: Interactions, candidates: Bools) -> tuple[Rows, Bools]:
    """People with a past to whom something new and recommendable was held out."""
    past = np.bincount(known.users, minlength=known.n_users) > 0
    users = np.unique(held.users[past[held.users]])
    place = np.full(held.n_users, -1, dtype=np.intp)
    place[users] = np.arange(len(users))
    kept = place[held.users] >= 0
    relevant = np.zeros((len(users), held.n_items), dtype=np.bool_)
    relevant[place[held.users[kept]], held.items[kept]] = True
    relevant &= ~known.histories(users).seen() & candidates
    some = np.flatnonzero(relevant.any(axis=1))
    return users[some], relevant[some]


def _write(training: Training, stage: Stage) -> None:
    known, none = stage.known, np.zeros(0, dtype=np.intp)
    content = sp.csr_matrix((known.n_items, 0), dtype=np.float32)
    if training.content is not None:
        content = features(training.catalogue.items)
    pairs = stage.held if stage.split == "ratings" else None
    assert known.value is not None
    temporary = stage.path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(
        temporary,
        users=known.users, items=known.items, ratings=known.value, times=known.time,
        n_users=known.n_users, n_items=known.n_items, at=stage.at,
        score_users=stage.users, candidates=stage.candidates,
        pair_users=none if pairs is None else pairs.users,
        pair_items=none if pairs is None else pairs.items,
        feature_data=content.data, feature_indices=content.indices,
        feature_indptr=content.indptr, n_features=content.shape[1],
    )  # fmt: skip
    temporary.replace(stage.path)


def main() -> None:
    for data in sys.argv[1:] or list(DATA):
        for name in SPLITS:
            split = export(data, name)
            for stage in (split.valid, split.test):
                print(
                    f"{data} {name} {stage.name}: {len(stage.known):,} known, "
                    f"{len(stage.held):,} held, {len(stage.users):,} people, split {split.hash}"
                )


if __name__ == "__main__":
    main()
