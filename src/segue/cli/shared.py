"""What commands share: options, the progress bar and the table of a report."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from segue.evaluate.report import GoalReport, Report
    from segue.rating import RatingReport

Tell = Callable[[str, int, int], None]
SHOW_AFTER_S = 1.0
PACE = 10  # slower than so many a second, a decimal tells something

workspace_option = click.option(
    "--workspace", "-w", default=".", envvar="SEGUE_WORKSPACE", show_default=True,
    show_envvar=True, type=click.Path(path_type=Path), help="Folder of the workspace.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as 90s, 10m, 1.5h; seconds without a unit."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is not a time; write it like 90s, 10m or 2h", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


DURATION = Duration()


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the work runs, and how long: ``--engine --workers --address --budget``."""
    for option in (
        click.option("--budget", type=DURATION, help="Begin no dear step, or file, after it: 8h."),
        click.option("--address", help="Of a Dask scheduler: tcp://host:8786."),
        click.option("--workers", type=click.IntRange(min=1), help="How many; else all cores."),
        click.option(
            "--engine", default="here", show_default=True,
            type=click.Choice(["here", "cores", "dask"]),
            help="In this process, on all cores, or on Dask.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def steps(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A callable for one line a step, on stderr, with the time since the start."""
    began = time.monotonic()

    def say(text: str) -> None:
        if not quiet:
            minutes, seconds = divmod(int(time.monotonic() - began), 60)
            click.echo(f"[{minutes:d}:{seconds:02d}] {text}", err=True)

    yield say


class _Bar:
    """Appears on stderr once the work has taken a second; shorter work stays silent."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._started = self._last = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}  # each label has its own pace

    def __call__(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(label, self._last)
        self._last = now
        if self._bar is None:
            if now - self._started < SHOW_AFTER_S:
                return
            self._bar = self._start()
        if label not in self._tasks:
            self._tasks[label] = self._bar.add_task(label, total=total, rate="")
        pace = done / max(now - began, 1e-3)
        rate = f"{pace:,.0f} {self._unit}/s" if pace >= PACE else f"{pace:.1f} {self._unit}/s"
        self._bar.update(self._tasks[label], completed=done, total=total, rate=rate)

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
        )  # fmt: skip
        bar = Progress(*columns, console=Console(stderr=True))
        bar.start()
        return bar

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress_bar(unit: str, *, quiet: bool = False) -> Iterator[Tell]:
    """A callable for (label, done, total) that draws a bar with ``unit``/s after a second."""
    if quiet:
        yield lambda _label, _done, _total: None
        return
    bar = _Bar(unit)
    try:
        yield bar
    finally:
        bar.close()


LINES = 12  # strategies of a report in a terminal


def print_report(report: Report) -> None:
    """The tables of a report, in 80 columns, then what they mean in words."""
    from rich.console import Console

    console = Console()
    console.print(_accuracy(report))
    if report.steps:
        console.print(_steps(report))
    if report.goals is not None:
        console.print(_goals(report.goals))
    if report.segments:
        console.print(_segments(report))
    for sentence in report.summary():
        console.print(sentence, highlight=False)


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)


def _accuracy(report: Report) -> Table:
    from segue.evaluate.metrics import METRICS

    table = _table("Test part, measured once, full ranking")
    table.add_column("strategy", no_wrap=True)
    for name in (*METRICS.values(), "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in report.lines[:LINES]:
        ndcg, *rest = (line.metrics[key] for key in METRICS)
        cells = [f"{ndcg.mean:.3f} ± {ndcg.half_width:.3f}", *(f"{m.mean:.3f}" for m in rest)]
        style = "bold" if line is report.lines[0] else None
        table.add_row(line.name, *cells, f"{line.coverage:.3f}", style=style)
    if len(report.lines) > LINES:
        table.caption = f"the best {LINES} on validation of {len(report.lines)}; all in the report"
    return table


def _steps(report: Report) -> Table:
    table = _table("Before and after (NDCG@10)")
    for column in ("step", "strategy"):
        table.add_column(column)
    for column in ("validation", "test"):
        table.add_column(column, justify="right", no_wrap=True)
    for step in report.steps:
        cells = (f"{m.mean:.3f} ± {m.half_width:.3f}" for m in (step.valid, step.test))
        table.add_row(step.label, step.name, *cells)
    return table


def _segments(report: Report) -> Table:
    table = _table("Who wins where, on validation")
    for column in ("segment", "people", "metric", "winner"):
        table.add_column(column, justify="right" if column == "people" else "left")
    for line in report.segments:
        table.add_row(line.segment, f"{line.n_people:,}", line.metric, line.said)
    return table


def _goals(goals: GoalReport) -> Table:
    table = _table("What the mix of goals changes: lists of ten on test")
    table.add_column("goal")
    for column in ("share", "default", "mix", "mix minus default"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in goals.lines:
        share = "" if line.goal == "mix" else f"{line.share:.0%}"
        gap = f"{line.gap.mean:+.3f} [{line.gap.low:+.3f}, {line.gap.high:+.3f}]"
        means = (f"{found.mean:.3f}" for found in (line.plain, line.mixed))
        table.add_row(line.goal, share, *means, gap)
    table.caption = f"{goals.overlap.mean:.0%} of the items of both lists are the same"
    return table


def print_ratings(report: RatingReport) -> None:
    """How well ratings are predicted, best first."""
    from rich.console import Console

    table = _table("Predicted ratings, a random fifth held out")
    table.add_column("rater", no_wrap=True)
    for column in ("RMSE on test", "MAE on test", "RMSE on validation"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in report.lines:
        rmse = f"{line.rmse.mean:.4f} [{line.rmse.low:.4f}, {line.rmse.high:.4f}]"
        table.add_row(line.name, rmse, f"{line.mae:.4f}", f"{line.valid_rmse:.4f}")
    console = Console()
    console.print(table)
    train, valid, test = report.n_ratings
    console.print(f"{train:,} ratings train, {valid:,} validation, {test:,} test", highlight=False)


def time_of(text: str | None) -> float | None:
    """Unix seconds of a time as people write it; None for none."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time; write 2026-05-31, 2026-05-31T12:00 or Unix seconds",
            param_hint="--at",
        ) from error
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
