"""Train, choose on validation, measure once on test, then fit what is served on everything."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segue.choosing import Choice, Look, Windows, best_view, choose, measured, windows
from segue.core.errors import BadInput, BadSettings
from segue.core.goals import Goals
from segue.core.protocols import Watcher
from segue.core.types import Rows, Training
from segue.evaluate.compare import Interval, bootstrap, compare
from segue.evaluate.metrics import (
    METRICS,
    MORE_METRICS,
    PerUser,
    diversity,
    measure,
    miscalibration,
    novelty,
    popularity_lift,
    tag_shares,
)
from segue.evaluate.report import GoalReport, Line, Report, Step, Tuned
from segue.evaluate.segments import SegmentLine, by_segment
from segue.folds import Fold, Folds, folds
from segue.mixing import compared, mix_of, mixed
from segue.recommend.blend import Blending
from segue.recommend.fitting import Fitting
from segue.recommend.goals import Achieved, Mix
from segue.recommend.pipeline import Pipeline, strategy_of
from segue.recommend.plan import DEFAULT, POPULARITY, Part, part_of
from segue.recommend.registry import STRATEGIES, kind_of, missing
from segue.recommend.takers import Collector, Takers
from segue.recommend.traits import tells
from segue.tuning import tunable, tune

Progress = Callable[[str], None]

POPULAR, RECENT = "popular", "popular 30d"
SHOWN = {POPULAR: "popular (all time)", RECENT: "recent popular (30 days)"}
SOCIAL = "social"
TRAITS = "traits"
TUNED = " tuned"  # ends the name of a part with searched settings


@dataclass(frozen=True)
class Options:
    """What one training is asked to do beyond the default."""

    split: str = "temporal"
    strategies: tuple[str, ...] = ()  # tried beside those of the default plan
    budget_s: float | None = None  # time for tuning; None: default settings
    studies: Path | None = None  # file that keeps the tuning trials
    work: Path | None = None  # folder that keeps finished and unfinished nets until the end
    watcher: Watcher | None = None  # of the nets
    goals: Goals = field(default_factory=Goals)
    achieved: Achieved | None = None  # how events count towards goals; None: ratings of 1 to 5

    @property
    def fitting(self) -> Fitting:
        return Fitting(self.watcher, self.work)


@dataclass(frozen=True)
class Trained:
    """What serves, and what was measured."""

    pipeline: Pipeline
    report: Report


@dataclass(frozen=True)
class Evaluation:
    """The report and what it took, for the final fit."""

    report: Report
    found: Windows
    choice: Choice


def unavailable() -> dict[str, str]:
    """strategy -> the command that makes it available."""
    commands = {name: missing(name) for name in STRATEGIES}
    return {name: command for name, command in commands.items() if command is not None}


def with_social(training: Training, strategies: Sequence[str]) -> tuple[str, ...]:
    """The strategies to try: what friends did among them, where anybody follows anybody."""
    known = training.social is not None and len(training.social) > 0
    if SOCIAL in strategies and not known:
        raise BadInput(
            f"strategy {SOCIAL!r} needs a social graph, and there is none here; bring one in with: "
            "segue import edges FILE, and write social = true into segue.toml"
        )
    return tuple(dict.fromkeys([*strategies, *([SOCIAL] if known else [])]))


def with_traits(training: Training, strategies: Sequence[str]) -> tuple[str, ...]:
    """The strategies, and what profiles tell where people of several groups tell it."""
    known = [TRAITS] if tells(training.profiles) else []
    return tuple(dict.fromkeys([*strategies, *known]))


def extra_parts(strategies: Sequence[str], tuned: Sequence[Tuned]) -> dict[str, Part]:
    """Parts to try beside the default plan: named strategies, and all that tuning changed."""
    own = {part.strategy for part in DEFAULT.parts.values()}
    out = {n: part_of(n, {}, n, proposes=True) for n in strategies if n not in own}
    for found in tuned:
        name = found.strategy + TUNED
        if found.best > found.default and found.strategy != "content":
            out[name] = part_of(found.strategy, found.settings, name, proposes=True)
    return out


def evaluate(
    training: Training, *, seed: int, progress: Progress, options: Options | None = None
) -> Evaluation:
    """Tune, choose on validation and measure once on test."""
    return _evaluate(training, seed, progress, Options() if options is None else options)


def _evaluate(
    training: Training,
    seed: int,
    progress: Progress,
    options: Options,
    look: Callable[[Folds], Look] | None = None,
) -> Evaluation:
    strategies = with_traits(training, with_social(training, options.strategies))
    for name in strategies:
        kind_of(name)  # unknown or not installed: say so before an hour of work
    began = time.monotonic()
    cut = folds(training, options.split, seed)
    tuned: tuple[Tuned, ...] = ()
    if options.budget_s is not None:
        own = dict.fromkeys(part.strategy for part in DEFAULT.parts.values())
        names = tunable([*own, *strategies] if options.strategies else None)
        tuned = tune(
            cut,
            names,
            budget_s=options.budget_s,
            seed=seed,
            studies=options.studies,
            data_hash=training.interactions.hash,
            progress=progress,
        )
    extra = extra_parts([*strategies, *(t.strategy for t in tuned)], tuned)
    plan = DEFAULT.with_parts(extra)
    found = windows(
        cut,
        plan,
        seed=seed,
        fitting=options.fitting,
        progress=progress,
        look=None if look is None else look(cut),
    )
    if cut.uneven:
        found = found.standing(plan)
    choice = choose(found, plan, extra, seed=seed, progress=progress)
    goals: GoalReport | None = None
    if options.goals.shares:
        achieved = options.achieved or Achieved.of(training.catalogue)
        mix = mix_of(options.goals, achieved, cut.split.train)
        before = (found, choice)
        found, choice = mixed(*before, mix, DEFAULT, seed=seed, progress=progress)
        goals = _goals(before, (found, choice), mix, seed)
    report = replace(_report(training, cut, found, choice, tuned, seed, began), goals=goals)
    return Evaluation(report, found, choice)


def train(
    training: Training, *, seed: int, progress: Progress, options: Options | None = None
) -> Trained:
    """Evaluate, then fit what serves on all data, with all windows as lessons for the blend.

    Raises :class:`BadSettings` for a split other than the temporal one: a blend that learned from
    standings (see :meth:`Window.standing`) would be served raw scores.
    """
    options = Options() if options is None else options
    if options.split != "temporal":
        raise BadSettings(
            f"split {options.split!r} is for evaluate alone; what serves is chosen on 'temporal'"
        )
    collectors: list[Collector] = []

    def look(cut: Folds) -> Look:
        earlier = [fold.past.at for fold in (*cut.lessons, cut.valid)]
        collectors.append(Collector.of(training, earlier, cut.test.past.at, seed))
        return collectors[0]

    done = _evaluate(training, seed, progress, options, look)
    progress("fitting what serves on everything")
    blend = done.choice.fresh()
    blend.fit((*done.found.lessons, done.found.valid, done.found.test), seed)
    pipeline = Pipeline.fit(
        training, blend, done.report.data_hash, seed=seed, fitting=options.fitting
    )
    pipeline.takers = _takers(collectors[0], blend, seed)
    if options.work is not None:
        shutil.rmtree(options.work, ignore_errors=True)
    return Trained(pipeline, done.report)


def _goals(
    before: tuple[Windows, Choice], after: tuple[Windows, Choice], mix: Mix, seed: int
) -> GoalReport:
    """What the mix changes on test; both blends are fitted on lessons and validation."""
    plain, mixing = before[1].fresh(), after[1].fresh()
    for blend, found in ((plain, before[0]), (mixing, after[0])):
        blend.fit((*found.lessons, found.valid), seed)
    return compared(plain, mixing, after[0], mix, np.random.default_rng(seed))


def _takers(collected: Collector, blend: Blending, seed: int) -> Takers | None:
    """None where too little came of too few moments: then there are no audiences."""
    out = Takers(horizon_days=collected.horizon_days, seed=seed)
    with contextlib.suppress(BadInput):
        out.fit(collected.lessons, blend)
        return out
    return None


def _report(
    training: Training,
    cut: Folds,
    found: Windows,
    choice: Choice,
    tuned: Sequence[Tuned],
    seed: int,
    began: float,
) -> Report:
    """Test is looked at here, once: by what was chosen, and by every part beside it."""
    blend = choice.fresh()
    blend.fit((*found.lessons, found.valid), seed)
    rng = np.random.default_rng(seed)
    ours = measured(found.test, blend)
    served = strategy_of(blend)
    return Report(
        lines=_lines(served, ours, choice, cut.test, found, rng),
        settings=blend.described(),
        tried=choice.tried,
        seed=seed,
        data_hash=training.interactions.hash,
        split_hash=cut.split.hash,
        n_events=(cut.split.n_train, cut.split.n_valid, cut.split.n_test),
        n_people=(len(found.valid.users), len(found.test.users)),
        n_items=training.interactions.n_items,
        seconds=time.monotonic() - began,
        split=cut.split.name,
        parts=tuple(blend.plan.parts),
        steps=_steps(served, ours, choice, found, rng),
        segments=_segments(cut.valid, found, choice, rng),
        tuned=tuple(tuned),
        unavailable=unavailable(),
    )


def _lines(
    served: str,
    ours: PerUser,
    choice: Choice,
    fold: Fold,
    found: Windows,
    rng: np.random.Generator,
) -> tuple[Line, ...]:
    """What serves and every single strategy on test."""
    test = found.test
    theirs = {n: measure(top, test.relevant) for n, top in test.tops.items() if n != served}
    compared = compare(ours.ndcg, {name: p.ndcg for name, p in theirs.items()}, rng)
    lists = {served: ours, **theirs}
    beyond = _beyond(fold, test.users, {name: p.top for name, p in lists.items()})
    n_items = fold.held.n_items
    metrics = {name: _intervals(p, rng) for name, p in lists.items()}
    first = Line(
        served, metrics[served], ours.coverage(n_items), float(choice.valid.ndcg.mean()),
        beyond=beyond[served],
    )  # fmt: skip
    rest = [
        Line(
            SHOWN.get(c.name, c.name),
            metrics[c.name],
            theirs[c.name].coverage(n_items),
            float(measure(found.valid.tops[c.name], found.valid.relevant).ndcg.mean()),
            c.gap,
            c.p_holm,
            beyond[c.name],
        )
        for c in compared
    ]
    return (first, *sorted(rest, key=lambda line: -line.valid_ndcg))


def _intervals(found: PerUser, rng: np.random.Generator) -> dict[str, Interval]:
    return {key: bootstrap(getattr(found, key), rng) for key in (*METRICS, *MORE_METRICS)}


def _beyond(fold: Fold, users: Rows, tops: Mapping[str, Rows]) -> dict[str, dict[str, float]]:
    """What the lists of each strategy are like besides accurate."""
    seen = fold.past.interactions
    histories = seen.histories(users)
    pairs = np.unique(seen.users.astype(np.int64) * seen.n_items + seen.items)
    people = np.bincount(pairs % seen.n_items, minlength=seen.n_items)
    events = np.bincount(seen.items, minlength=seen.n_items)
    tags = tag_shares(fold.past.catalogue.items)
    content = fold.past.content
    out: dict[str, dict[str, float]] = {}
    for name, top in tops.items():
        values = {
            "novelty": float(np.nanmean(novelty(top, people, max(len(np.unique(seen.users)), 1)))),
            "lift": popularity_lift(top, histories, events),
        }
        if content is not None:
            values["diversity"] = _mean(diversity(top, content))
        if tags.shape[1]:
            values["miscalibration"] = _mean(miscalibration(top, histories, tags))
        out[name] = {key: value for key, value in values.items() if np.isfinite(value)}
    return out


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _steps(
    served: str, ours: PerUser, choice: Choice, found: Windows, rng: np.random.Generator
) -> tuple[Step, ...]:
    """Popularity, the best single strategy as it comes, the best after tuning, what serves."""
    views = [n for n in found.valid.tops if n not in POPULARITY]
    plain = [n for n in views if not n.endswith(TUNED)]
    recent = best_view(found.valid, [n for n in POPULARITY if n != POPULAR])
    wanted = [
        ("popularity", POPULAR),
        ("best recent popularity", recent),
        ("best single, default settings", best_view(found.valid, plain)),
    ]
    if len(plain) < len(views):
        wanted.append(("best single, tuned", best_view(found.valid, views)))
    out = [
        Step(
            label,
            name,
            bootstrap(measure(found.valid.tops[name], found.valid.relevant).ndcg, rng),
            bootstrap(measure(found.test.tops[name], found.test.relevant).ndcg, rng),
        )
        for label, name in wanted
    ]
    last = Step("what serves", served, bootstrap(choice.valid.ndcg, rng), bootstrap(ours.ndcg, rng))
    return (*out, last)


def _segments(
    fold: Fold, found: Windows, choice: Choice, rng: np.random.Generator
) -> tuple[SegmentLine, ...]:
    """Who wins where on validation, what serves among them."""
    seen, valid = fold.past.interactions, found.valid
    first = np.full(seen.n_items, np.inf)
    np.minimum.at(first, seen.items, seen.time)
    scores = choice.blend.score(valid.columns(choice.blend.plan.names))
    tops = {**valid.tops, strategy_of(choice.blend): valid.ranking(scores)}
    return by_segment(
        tops,
        valid.relevant,
        seen.histories(valid.users),
        np.bincount(seen.items, minlength=seen.n_items),
        first,
        fold.past.at,
        rng,
    )
