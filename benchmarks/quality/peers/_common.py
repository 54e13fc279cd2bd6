"""What every peer script shares: reading a split, timing, ranking, writing the answer.

Runs inside a peer's own environment: numpy and scipy only, nothing of segue.

    python implicit_peer.py --split FILE.npz --model als --out FILE.npz --settings '{"factors": 64}'
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

DEPTH = 20
CHUNK = 256  # people whose score rows are held at once
SEED = 0

Array = np.ndarray[Any, Any]
Settings = Mapping[str, Any]
Ranker = Callable[[Array], Array]  # user rows -> (n, DEPTH) item rows, best first, -1 beyond
Predictor = Callable[[Array, Array], Array]  # user rows, item rows -> (n,) ratings
Fit = Callable[["Problem", Settings], Any]


@dataclass(frozen=True)
class Problem:
    """One split at one stage: all that a peer may know. Events are in time order."""

    users: Array
    items: Array
    ratings: Array
    times: Array  # Unix seconds
    n_users: int
    n_items: int
    at: float  # the time of the question
    score_users: Array  # whom to rank for; empty in a rating split
    candidates: Array  # (n_items,) bool: what may be recommended
    pair_users: Array  # what to predict; empty in a ranking split
    pair_items: Array
    features: sp.csr_matrix  # (n_items, n_features); no columns where items have no content

    @staticmethod
    def read(path: Path) -> Problem:
        """The file that `splits.py` wrote."""
        with np.load(path) as file:
            data = {name: file[name] for name in file.files}
        shape = (int(data["n_items"]), int(data["n_features"]))
        features = sp.csr_matrix(
            (data["feature_data"], data["feature_indices"], data["feature_indptr"]), shape=shape
        )
        return Problem(
            users=data["users"],
            items=data["items"],
            ratings=data["ratings"],
            times=data["times"],
            n_users=int(data["n_users"]),
            n_items=int(data["n_items"]),
            at=float(data["at"]),
            score_users=data["score_users"],
            candidates=data["candidates"],
            pair_users=data["pair_users"],
            pair_items=data["pair_items"],
            features=features,
        )

    def matrix(self) -> sp.csr_matrix:
        """(n_users, n_items) float32 of ones: every rating counts as wanted."""
        ones = np.ones(len(self.users), dtype=np.float32)
        out = sp.csr_matrix((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))
        out.data[:] = 1
        out.sort_indices()
        return out

    @property
    def full(self) -> bool:
        """Whether everything may be recommended."""
        return bool(self.candidates.all())


def best(scores: Array, seen: sp.csr_matrix, candidates: Array) -> Array:
    """(n, DEPTH) best rows that are unseen and allowed; ties in catalogue order."""
    masked = np.array(scores, dtype=np.float64)
    masked[seen.nonzero()] = -np.inf
    masked[:, ~candidates] = -np.inf
    order = np.argsort(-masked, axis=1, kind="stable")[:, :DEPTH]
    reachable = np.isfinite(np.take_along_axis(masked, order, axis=1))
    return np.where(reachable, order, -1)


def ranker(problem: Problem, scores: Callable[[Array], Array]) -> Ranker:
    """A ranker out of a function that scores every item: user rows -> (n, n_items)."""
    seen = problem.matrix()

    def rank(users: Array) -> Array:
        parts = [users[at : at + CHUNK] for at in range(0, len(users), CHUNK)]
        return np.vstack([best(scores(p), seen[p], problem.candidates) for p in parts])

    return rank


def frame_ranker(frame: Any, columns: tuple[str, str, str], users: Array) -> Array:
    """(n, DEPTH) of a table of (user, item, rank) rows as several libraries give it."""
    who, what, rank = (frame[c].to_numpy() for c in columns)
    row_of = {int(u): n for n, u in enumerate(users)}
    rows = np.fromiter((row_of[int(u)] for u in who), dtype=np.intp, count=len(who))
    out = np.full((len(users), DEPTH), -1, dtype=np.int64)
    kept = rank <= DEPTH
    out[rows[kept], rank[kept].astype(np.intp) - 1] = what[kept]
    return out


def peak_mb() -> float:
    """Largest resident size of this process so far, MB."""
    unit = 1024 if sys.platform != "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(models: Mapping[str, Fit]) -> None:
    """Parse, then fit, answer and write for each of the settings in turn.

    One process tries many settings, because starting a library can cost more than fitting it.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--model", choices=sorted(models), required=True)
    parser.add_argument("--out", type=Path, required=True, nargs="+")
    parser.add_argument("--settings", type=json.loads, default=[{}], nargs="+")
    given = parser.parse_args()
    if len(given.out) != len(given.settings):
        parser.error("--out and --settings must be of one length")
    problem = Problem.read(given.split)
    for out, settings in zip(given.out, given.settings, strict=True):
        _answer(problem, models[given.model], settings, out)


def _answer(problem: Problem, fit: Fit, settings: Settings, out: Path) -> None:
    np.random.seed(SEED)  # noqa: NPY002 several peers draw from the global generator
    began = time.process_time()
    fitted = fit(problem, settings)
    fit_s, began = time.process_time() - began, time.process_time()
    answer = {}
    if len(problem.score_users):
        answer["top"] = np.asarray(fitted(problem.score_users), dtype=np.int32)
    if len(problem.pair_users):
        answer["predicted"] = np.asarray(
            fitted(problem.pair_users, problem.pair_items), dtype=np.float64
        )
    score_s = time.process_time() - began
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(f".{os.getpid()}.npz")  # two benchmarks may run at once
    np.savez_compressed(part, fit_s=fit_s, score_s=score_s, peak_mb=peak_mb(), **answer)
    part.replace(out)
