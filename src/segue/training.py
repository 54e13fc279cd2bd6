"""Train, choose on validation, measure once on test, then fit what is served on everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Rows, Training
from segue.evaluate.compare import Interval, bootstrap, difference
from segue.evaluate.metrics import METRICS, PerUser, measure
from segue.evaluate.report import Line, Report
from segue.evaluate.split import Split, cut_time, data_hash, temporal
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.pipeline import Pipeline
from segue.recommend.windows import Window, build

Progress = Callable[[str], None]

PAST = (0.3, 0.4, 0.5, 0.6, 0.7)  # cuts of the past windows, as shares of the events
MAX_USERS = 500  # people of a past window; validation and test take everybody
GRID = (
    BlendSettings(),
    BlendSettings(leaves=10, rate=0.06),
    BlendSettings(trees=90, rate=0.06),
)
SHOWN = {"popular": "popular (all time)", "popular 30d": "recent popular (30 days)"}


@dataclass(frozen=True)
class Trained:
    """What serves, and what was measured."""

    pipeline: Pipeline
    report: Report


@dataclass(frozen=True)
class Windows:
    """Past windows to train on, then validation, then test."""

    past: tuple[Window, ...]
    valid: Window
    test: Window


def windows(training: Training, split: Split, *, seed: int, progress: Progress) -> Windows:
    """Fit every part as of each cut; nothing of a window is known to what is fitted before it."""
    seen = training.interactions
    cuts = [*(cut_time(seen, share) for share in PAST), split.valid_from]
    past = []
    for number, (start, end) in enumerate(pairwise(cuts)):
        if start < end:
            progress(f"past window {number + 1} of {len(PAST)}")
            window = build(training, start, end, max_users=MAX_USERS, seed=seed + number)
            past.extend([window] if len(window.users) else [])
    progress("validation window")
    valid = build(training, split.valid_from, split.test_from, max_users=None, seed=seed)
    progress("test window")
    test = build(training, split.test_from, training.at, max_users=None, seed=seed)
    for name, window in (("validation", valid), ("test", test)):
        if not len(window.users):
            raise BadInput(
                f"nobody with a past consumed anything new in the {name} window; "
                "import events that span a longer time"
            )
    return Windows(tuple(past), valid, test)


def choose(found: Windows, *, seed: int, progress: Progress) -> list[tuple[BlendSettings, float]]:
    """(settings, validation NDCG@10), best first. Sees past windows and validation only."""
    out = []
    for settings in GRID:
        blend = Blend(settings)
        blend.fit(found.past, seed)
        per_user = measured(found.valid, found.valid.ranking(blend.score(found.valid.features)))
        out.append((settings, float(per_user.ndcg.mean())))
        progress(f"blend {len(out)} of {len(GRID)}: validation NDCG@10 {out[-1][1]:.4f}")
    return sorted(out, key=lambda pair: -pair[1])


def measured(window: Window, top: Rows) -> PerUser:
    """Metrics of one ranking of one window."""
    return measure(top, window.relevant)


def report_on(
    found: Windows, blend: Blend, valid_ndcg: float, n_items: int, seed: int
) -> tuple[Line, ...]:
    """The blend and every single strategy on test, measured once."""
    test, rng = found.test, np.random.default_rng(seed)
    ours = measured(test, test.ranking(blend.score(test.features)))
    lines = [_line("blend", ours, valid_ndcg, n_items, None, rng)]
    rest = []
    for name, top in test.tops.items():
        theirs = measured(test, top)
        before = float(measured(found.valid, found.valid.tops[name]).ndcg.mean())
        gap = difference(ours.ndcg, theirs.ndcg, rng)
        rest.append(_line(SHOWN.get(name, name), theirs, before, n_items, gap, rng))
    return (*lines, *sorted(rest, key=lambda line: -line.valid_ndcg))


def _line(
    name: str,
    found: PerUser,
    valid_ndcg: float,
    n_items: int,
    gap: Interval | None,
    rng: np.random.Generator,
) -> Line:
    metrics: Mapping[str, Interval] = {key: bootstrap(getattr(found, key), rng) for key in METRICS}
    return Line(name, metrics, found.coverage(n_items), valid_ndcg, gap)


def evaluate(
    training: Training, *, seed: int, progress: Progress
) -> tuple[Report, Windows, BlendSettings]:
    """Choose on validation and measure once on test; also what that took, for the final fit."""
    began = time.monotonic()
    split = temporal(training.interactions)
    found = windows(training, split, seed=seed, progress=progress)
    tried = choose(found, seed=seed, progress=progress)
    settings, valid_ndcg = tried[0]
    blend = Blend(settings)
    blend.fit((*found.past, found.valid), seed)
    n_items = training.interactions.n_items
    report = Report(
        lines=report_on(found, blend, valid_ndcg, n_items, seed),
        settings=blend.described(),
        tried=tuple((str(s), score) for s, score in tried),
        seed=seed,
        data_hash=data_hash(training.interactions),
        split_hash=split.hash,
        n_events=(split.n_train, split.n_valid, split.n_test),
        n_people=(len(found.valid.users), len(found.test.users)),
        n_items=n_items,
        seconds=time.monotonic() - began,
    )
    return report, found, settings


def train(training: Training, *, seed: int, progress: Progress) -> Trained:
    """Evaluate, then fit what serves on all data, with all windows as lessons for the blend."""
    report, found, settings = evaluate(training, seed=seed, progress=progress)
    progress("fitting what serves on everything")
    blend = Blend(settings)
    blend.fit((*found.past, found.valid, found.test), seed)
    pipeline = Pipeline.fit(training, blend, report.data_hash, seed=seed)
    return Trained(pipeline, report)
