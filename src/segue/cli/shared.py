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
    """The table of a report, then what it means in words."""
    from rich.console import Console
    from rich.table import Table

    header, rows = report.rows()
    table = Table(title="Test part, measured once; intervals are 95 % bootstraps over people")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == "blend" else None)
    console = Console()
    console.print(table)
    for sentence in report.summary():
        console.print(sentence)
