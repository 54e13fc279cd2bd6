"""What commands share: options, the progress bar and the table of a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from segue.evaluate.report import Report

Tell = Callable[[str, int, int], None]
SHOW_AFTER_S = 1.0

workspace_option = click.option(
    "--workspace", "-w", default=".", envvar="SEGUE_WORKSPACE", show_default=True,
    show_envvar=True, type=click.Path(path_type=Path), help="Folder of the workspace.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


class _Bar:
    """Appears on stderr once the work has taken a second; shorter work stays silent."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._started < SHOW_AFTER_S:
                return
            self._bar = self._start()
        if label not in self._tasks:
            self._tasks[label] = self._bar.add_task(label, total=total, rate="")
        elapsed = time.monotonic() - self._started
        rate = f"{done / elapsed:,.0f} {self._unit}/s"
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


def print_report(report: Report) -> None:
    """The table of a report, in 80 columns, then what it means in words."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    title = "Test part, measured once, full ranking"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("strategy", no_wrap=True)
    for name in ("NDCG@10", "Recall@20", "MAP@10", "HitRate@10", "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in report.lines:
        ndcg, *rest = line.metrics.values()
        cells = [f"{ndcg.mean:.3f} ± {ndcg.half_width:.3f}", *(f"{m.mean:.3f}" for m in rest)]
        style = "bold" if line is report.lines[0] else None
        table.add_row(line.name, *cells, f"{line.coverage:.3f}", style=style)
    console = Console()
    console.print(table)
    for sentence in report.summary():
        console.print(sentence, highlight=False)
