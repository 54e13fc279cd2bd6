"""The report of one training, as values and as JSON; :mod:`report_page` draws it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segue.core.errors import BadInput
from segue.evaluate.compare import Interval
from segue.evaluate.metrics import METRICS, MORE_METRICS
from segue.evaluate.segments import SegmentLine


@dataclass(frozen=True)
class Line:
    """One strategy on the test part. ``versus`` is what serves minus this one, in NDCG@10.

    ``p_holm`` is the signed-rank test of that difference, corrected for all lines. ``beyond`` is
    what a list is like besides accurate, by name of :data:`BEYOND`.
    """

    name: str
    metrics: Mapping[str, Interval]  # by key of METRICS and MORE_METRICS
    coverage: float
    valid_ndcg: float
    versus: Interval | None = None
    p_holm: float | None = None
    beyond: Mapping[str, float] = field(default_factory=dict)


BEYOND = {
    "novelty": "novelty (bits)",
    "diversity": "diversity",
    "lift": "popularity lift",
    "miscalibration": "miscalibration (nats)",
}


@dataclass(frozen=True)
class Step:
    """One step from popularity to what serves. Chosen on validation, looked at once on test."""

    label: str
    name: str
    valid: Interval
    test: Interval


@dataclass(frozen=True)
class Tuned:
    """What the search of one strategy found. Scores are mean NDCG@10 over the folds searched."""

    strategy: str
    settings: Mapping[str, Any]
    default: float
    best: float
    trials: int
    pruned: int
    seconds: float
    curve: tuple[float, ...]  # the best so far, after each finished trial


@dataclass(frozen=True)
class GoalLine:
    """What lists of ten achieve of one goal on test: by the default blend, by that for the mix.

    ``gap`` is the mix minus the default, person by person. NDCG counts the goal's own gains, over
    people who achieved anything of it.
    """

    goal: str
    share: float  # of the mix
    plain: Interval
    mixed: Interval
    gap: Interval
    ndcg_plain: Interval
    ndcg_mixed: Interval
    ndcg_gap: Interval


@dataclass(frozen=True)
class GoalReport:
    """What a mix of goals changes. ``overlap``: share of the ten that both lists hold."""

    lines: tuple[GoalLine, ...]
    overlap: Interval

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows) of the table as text."""
        header = ("goal", "share", "default, a list", "mix, a list", "mix minus default",
                  "NDCG@10 default", "NDCG@10 mix", "difference")  # fmt: skip
        out: list[tuple[str, ...]] = []
        for line in self.lines:
            share = "" if line.goal == "mix" else f"{line.share:.0%}"
            means = [f"{i.mean:.4f}" for i in (line.plain, line.mixed)]
            ndcg = [f"{i.mean:.4f}" for i in (line.ndcg_plain, line.ndcg_mixed)]
            out.append((line.goal, share, *means, signed(line.gap), *ndcg, signed(line.ndcg_gap)))
        return header, out

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> GoalReport:
        """The inverse of ``asdict``, also after a round trip through JSON."""
        return GoalReport(
            tuple(_goal_line(line) for line in data["lines"]), Interval(**data["overlap"])
        )


@dataclass(frozen=True)
class Report:
    """What was measured, on what, and how it was chosen."""

    lines: tuple[Line, ...]  # what serves first, then the rest by validation NDCG@10
    settings: Mapping[str, Any]  # of the chosen blend
    tried: tuple[tuple[str, float], ...]  # (settings, validation NDCG@10)
    seed: int
    data_hash: str
    split_hash: str
    n_events: tuple[int, int, int]  # train, validation, test
    n_people: tuple[int, int]  # measured on validation, on test
    n_items: int
    seconds: float
    split: str = "temporal"
    parts: tuple[str, ...] = ()  # of the plan that serves
    steps: tuple[Step, ...] = ()
    segments: tuple[SegmentLine, ...] = ()  # on validation
    tuned: tuple[Tuned, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)  # strategy -> how to get it
    goals: GoalReport | None = None  # where a mix of goals serves

    @property
    def headline(self) -> dict[str, float]:
        """The figures of what serves, flat, for a model's manifest."""
        first = self.lines[0]
        out = {METRICS[key]: round(first.metrics[key].mean, 5) for key in METRICS}
        return {**out, "coverage": round(first.coverage, 5)}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Report:
        """The inverse of :meth:`as_dict`, also after a round trip through JSON."""
        rest = dict(data)
        rest["lines"] = tuple(_line(line) for line in data["lines"])
        rest["tried"] = tuple((str(name), float(value)) for name, value in data["tried"])
        rest["n_events"], rest["n_people"] = tuple(data["n_events"]), tuple(data["n_people"])
        rest["parts"] = tuple(data["parts"])
        rest["steps"] = tuple(
            Step(s["label"], s["name"], Interval(**s["valid"]), Interval(**s["test"]))
            for s in data["steps"]
        )
        rest["segments"] = tuple(_segment(line) for line in data["segments"])
        told = data.get("goals")
        rest["goals"] = None if told is None else GoalReport.from_dict(told)
        rest["tuned"] = tuple(Tuned(**{**t, "curve": tuple(t["curve"])}) for t in data["tuned"])
        return Report(**rest)

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows) of the table as text, for a terminal, Markdown or HTML."""
        header = (
            "strategy", *METRICS.values(), "coverage", "valid NDCG@10", "best minus it", "p (Holm)",
        )  # fmt: skip
        out = []
        for line in self.lines:
            cells = [f"{m.mean:.4f} ± {m.half_width:.4f}" for m in _of(line, METRICS)]
            gap = "" if line.versus is None else signed(line.versus)
            p = "" if line.p_holm is None else f"{line.p_holm:.2g}"
            out.append(
                (line.name, *cells, f"{line.coverage:.3f}", f"{line.valid_ndcg:.4f}", gap, p)
            )
        return header, out

    def beyond_rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows): the other measures of each strategy."""
        keys = [key for key in BEYOND if any(key in line.beyond for line in self.lines)]
        header = ("strategy", *MORE_METRICS.values(), *(BEYOND[key] for key in keys))
        out = []
        for line in self.lines:
            more = [f"{m.mean:.4f}" for m in _of(line, MORE_METRICS)]
            rest = [f"{line.beyond[k]:.3f}" if k in line.beyond else "" for k in keys]
            out.append((line.name, *more, *rest))
        return header, out

    def step_rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows): before and after."""
        header = ("step", "strategy", "validation NDCG@10", "test NDCG@10")
        cells: list[tuple[str, ...]] = [
            (s.label, s.name, within(s.valid), within(s.test)) for s in self.steps
        ]
        return header, cells

    def segment_rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows): who wins where, on validation."""
        header = ("segment", "people", "metric", "best", "runner-up", "difference", "winner")
        out: list[tuple[str, ...]] = []
        for s in self.segments:
            best = f"{s.best} {s.means[s.best].mean:.4f}"
            second = "" if s.runner_up is None else f"{s.runner_up} {s.means[s.runner_up].mean:.4f}"
            gap = "" if s.gap is None else signed(s.gap)
            winner = "no difference" if s.winner is None else s.winner
            out.append((s.segment, f"{s.n_people:,}", s.metric, best, second, gap, winner))
        return header, out

    def tuned_rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows): what tuning found."""
        header = ("strategy", "default", "tuned", "trials", "pruned", "seconds", "settings")
        out: list[tuple[str, ...]] = []
        for t in self.tuned:
            chosen = ", ".join(f"{k} {_short(v)}" for k, v in t.settings.items())
            cells = (f"{t.default:.4f}", f"{t.best:.4f}", str(t.trials), str(t.pruned))
            out.append((t.strategy, *cells, f"{t.seconds:.0f}", chosen))
        return header, out

    def summary(self) -> tuple[str, ...]:
        """Lines of text on data, split, choice and time."""
        lines = [
            f"test on {self.n_people[1]:,} people, validation on {self.n_people[0]:,}; "
            f"{self.n_items:,} items; full ranking over everything not seen",
            f"events: {self.n_events[0]:,} train, {self.n_events[1]:,} validation, "
            f"{self.n_events[2]:,} test; split {self.split}",
            f"seed {self.seed}, data {self.data_hash}, split {self.split_hash}",
            f"{self.lines[0].name} serves, made of {', '.join(self.parts)}",
            f"chosen on validation only, of {len(self.tried)}: {self.tried[0][0]}",
            f"{self.seconds:.0f} s; ± and brackets: 95 % bootstrap intervals over people",
        ]
        if self.unavailable:
            commands = sorted(set(self.unavailable.values()))
            names = ", ".join(self.unavailable)
            lines.append(f"not tried, torch is not installed: {names} ({'; '.join(commands)})")
        return tuple(lines)


def signed(gap: Interval) -> str:
    """A difference with its interval."""
    return f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"


def within(found: Interval) -> str:
    """A mean with its interval."""
    return f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _of(line: Line, names: Mapping[str, str]) -> list[Interval]:
    return [line.metrics[key] for key in names if key in line.metrics]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _interval(data: Mapping[str, Any] | None) -> Interval | None:
    return None if data is None else Interval(**data)


def _line(data: Mapping[str, Any]) -> Line:
    metrics = {key: Interval(**value) for key, value in data["metrics"].items()}
    return Line(**{**data, "metrics": metrics, "versus": _interval(data["versus"])})


def _goal_line(data: Mapping[str, Any]) -> GoalLine:
    told: dict[str, Any] = {
        key: Interval(**value) if isinstance(value, Mapping) else value
        for key, value in data.items()
    }
    return GoalLine(**told)


def _segment(data: Mapping[str, Any]) -> SegmentLine:
    means = {name: Interval(**value) for name, value in data["means"].items()}
    return SegmentLine(**{**data, "means": means, "gap": _interval(data["gap"])})


def write_json(report: Report, path: Path) -> None:
    """Write atomically, so that a reader never meets half a report."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(report.as_dict(), indent=1), "utf-8")
    part.replace(path)


def read_json(path: Path) -> Report:
    try:
        return Report.from_dict(json.loads(path.read_text("utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path.name}: not a report of this version ({error}); train again"
        ) from error
