"""Whether words are glad or bitter, over an item: one line through the space of sentences.

Trained on labelled English and Chinese sentences; as the encoder puts a sentence and its
translation in one place, it holds for the encoder's other languages too.
``benchmarks/understand/bench_text.py train`` makes the weights and says how good they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from segue.core.errors import BadSettings
from segue.core.types import Floats
from segue.understand.findings import Measure
from segue.understand.words.logistic import Logistic
from segue.understand.words.reading import Reading

SCALE = 4.0  # of unit vectors before the fit, so that its penalty stays small
MODEL = "sentiment-2026.11.1"


@cache
def stored() -> dict[str, Any]:
    """Arrays that were fitted once and come with segue, by name."""
    with (resources.files("segue.understand.words") / "fitted.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return {name: archive[name] for name in archive.files}


def sentiment(vectors: Floats) -> Floats:
    """(n,) float32 in [-1, 1] of sentences' unit vectors, (n, 512); 0 is neither."""
    model = Logistic(stored()["sentiment_weights"], stored()["sentiment_bias"])
    return np.asarray(2.0 * model.probabilities(vectors * SCALE)[:, 0] - 1.0, dtype=np.float32)


FEWEST_POINTS = 4  # fewer are no course


@dataclass(frozen=True)
class CourseRule:
    """How the course over an item is drawn."""

    points: int = 12  # at most
    least_sentences: int = 2  # a point, on average

    def __post_init__(self) -> None:
        if not 2 <= self.points <= 100 or self.least_sentences < 1:
            raise BadSettings(f"points must be in [2, 100] and least_sentences >= 1, got {self}")


DEFAULT_COURSE = CourseRule()


def sentiment_measures(reading: Reading, rule: CourseRule = DEFAULT_COURSE) -> tuple[Measure, ...]:
    """``sentiment`` as a whole; along the item with ``start_s`` where there is time, else as
    ``sentiment_25_percent``: of the part that begins a quarter into the text."""
    if not reading.texts:
        return ()
    whole = Measure("sentiment", float(sentiment(reading.vectors).mean()))
    points = min(rule.points, len(reading.body) // rule.least_sentences)
    if points < FEWEST_POINTS:
        return (whole,)
    values = sentiment(reading.body_vectors)
    last = reading.body[-1].share + 1e-9
    bins = np.asarray([int(s.share / last * points) for s in reading.body])
    course = []
    for point in np.unique(bins):
        rows = np.flatnonzero(bins == point)
        first = reading.body[rows[0]]
        name = "sentiment"
        if first.start_s is None:
            name = f"sentiment_{round(100 * point / points):02d}_percent"
        course.append(Measure(name, float(values[rows].mean()), first.start_s))
    return (whole, *course)
