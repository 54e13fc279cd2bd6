"""How well ratings are predicted: every rater on a random part of the ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput, SegueError
from segue.core.protocols import Rater
from segue.core.types import Doubles, Floats, Interactions, Rows, Training
from segue.evaluate.compare import LEVEL, ROUNDS, Interval
from segue.evaluate.metrics import mae, rmse
from segue.recommend.registry import RATERS, make_rater, missing

Progress = Callable[[str], None]
Parts = npt.NDArray[np.int8]

SHARE = 0.2  # of the ratings that are held out, and of the rest for validation
ON_REQUEST = ("text ratings",)  # fetches a model from a hub, which nobody asked for by default
CHUNK = 500  # people whose ratings of everything are held at once


@dataclass(frozen=True)
class RatingLine:
    """One rater on the held-out ratings; the interval of the RMSE is over people."""

    name: str
    valid_rmse: float
    rmse: Interval
    mae: float


@dataclass(frozen=True)
class RatingReport:
    """Raters, best first on validation."""

    lines: tuple[RatingLine, ...]
    n_ratings: tuple[int, int, int]  # train, validation, test
    seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_ratings(training: Training) -> Interactions:
    """The events that carry a rating; one a person and item, the latest."""
    seen = training.interactions
    if seen.value is None or not np.isfinite(seen.value).any():
        raise BadInput("no event carries a rating; import events of kind rating with a value")
    seen = seen.where(np.isfinite(seen.value))
    keys = seen.users.astype(np.int64) * seen.n_items + seen.items
    _, last = np.unique(keys[::-1], return_index=True)
    kept = np.zeros(len(seen), dtype=np.bool_)
    kept[len(seen) - 1 - last] = True
    return seen.where(kept)


def parts(n: int, seed: int) -> Parts:
    """(n,) 0 train, 1 validation, 2 test: a random fifth is test, of the rest a fifth valid."""
    order = np.random.default_rng(seed).permutation(n)
    n_test = int(n * SHARE)
    n_valid = int((n - n_test) * SHARE)
    out = np.zeros(n, dtype=np.int8)
    out[order[:n_test]] = 2
    out[order[n_test : n_test + n_valid]] = 1
    return out


def predict(rater: Rater, known: Training, asked: Interactions) -> Doubles:
    """(n,) the ratings of ``asked`` by people whose history is ``known``."""
    out = np.empty(len(asked))
    people = np.unique(asked.users)
    for start in range(0, len(people), CHUNK):
        some = people[start : start + CHUNK]
        histories = known.interactions.histories(some)
        profiles = [known.profiles[u] for u in some]
        table = rater.ratings(histories, profiles, known.at)
        rows = np.flatnonzero((asked.users >= some[0]) & (asked.users <= some[-1]))
        out[rows] = table[np.searchsorted(some, asked.users[rows]), asked.items[rows]]
    return out


def evaluate_ratings(
    training: Training, *, seed: int, progress: Progress, raters: Sequence[str] | None = None
) -> RatingReport:
    """RMSE and MAE of raters on a random fifth of the ratings.

    By default of all that are installed, but for those of :data:`ON_REQUEST`.

    The order is that of validation, whose ratings are then added to what is fitted for test.
    """
    seen = of_ratings(training)
    part = parts(len(seen), seed)
    lines = []
    for name in default_raters() if raters is None else raters:
        install = missing(name)
        if install is not None:
            progress(f"{name}: not tried; get it with: {install}")
            continue
        try:
            line = _measured(name, training, seen, part, seed)
        except SegueError as error:
            if raters is not None:
                raise
            progress(f"{name}: not tried: {error}")
            continue
        lines.append(line)
        progress(f"{name}: validation RMSE {line.valid_rmse:.4f}")
    counts = tuple(int((part == p).sum()) for p in range(3))
    order = tuple(sorted(lines, key=lambda line: line.valid_rmse))
    return RatingReport(order, (counts[0], counts[1], counts[2]), seed)


def default_raters() -> tuple[str, ...]:
    """Raters that are measured unless others are named."""
    return tuple(name for name in RATERS if name not in ON_REQUEST)


def _measured(
    name: str, training: Training, seen: Interactions, part: Parts, seed: int
) -> RatingLine:
    found = []
    for held, known in ((1, part == 0), (2, part != 2)):
        past, asked = replace(training, interactions=seen.where(known)), seen.where(part == held)
        rater = make_rater(name)
        rater.fit(past)
        found.append((predict(rater, past, asked), asked))
    (valid, valid_asked), (test, asked) = found
    assert valid_asked.value is not None
    assert asked.value is not None
    interval = rmse_interval(test, asked.value, asked.users, np.random.default_rng(seed))
    return RatingLine(name, rmse(valid, valid_asked.value), interval, mae(test, asked.value))


def rmse_interval(
    predicted: Doubles, actual: Floats, users: Rows, rng: np.random.Generator
) -> Interval:
    """RMSE with its percentile bootstrap interval, people resampled with all their ratings."""
    _, at = np.unique(users, return_inverse=True)
    errors, counts = np.bincount(at, (predicted - actual) ** 2), np.bincount(at)
    draws = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), ROUNDS)
    found = np.sqrt(draws @ errors / (draws @ counts))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(rmse(predicted, actual), float(low), float(high))
