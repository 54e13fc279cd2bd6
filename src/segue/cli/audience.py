"""segue audience: whom an item suits."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segue.cli.shared import json_option, progress_bar, time_of, workspace_option

if TYPE_CHECKING:
    from segue.audience import Audience

SHOWN = 20  # people in a terminal


@click.command("audience")
@click.argument("item")
@click.option("--k", default=100, show_default=True, type=click.IntRange(min=1), help="People.")
@click.option("--segments", "only_segments", is_flag=True, help="Segments alone, no people.")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the people here.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the gain curve (.png).")
@click.option("--at", metavar="TIME", help="As of then: 2026-05-31, or Unix seconds.")
@click.option("--include-takers", is_flag=True, help="Also those who took it already.")
@click.option(
    "--contact", "campaign", metavar="CAMPAIGN",
    help="Record that these people are addressed; leaves out who was addressed often of late.",
)  # fmt: skip
@workspace_option
@json_option
def command(
    item: str,
    k: int,
    only_segments: bool,
    table: Path | None,
    picture: Path | None,
    at: str | None,
    include_takers: bool,
    campaign: str | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Show the people who most likely take ITEM (an id, or words of its title), and segments.

    The probability is of taking it within the model's horizon, by themselves. Who took it already
    or turned it away is left out.
    """
    from segue import assembly
    from segue.audience import Ask
    from segue.cli.show import find
    from segue.store.catalogue import load_catalogue
    from segue.store.contacts import record
    from segue.store.workspace import Workspace

    opened, now = Workspace.open(workspace), time.time()
    known = find(load_catalogue(opened.engine).catalogue, item)
    ask = Ask(known.id, k, at=time_of(at), takers=include_takers)
    with progress_bar("people", quiet=as_json) as tell:
        found, num = assembly.audience(
            opened, ask, respect=campaign is not None, now=now, tell=tell
        )
    if table is not None:
        _write(found, table)
    if picture is not None:
        from segue.audience_view import draw_gains

        draw_gains(found, picture)
    recorded = 0
    if campaign is not None:
        recorded = record(opened.engine, found.nums, num, campaign, now)
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"contacts_recorded": recorded}))
        return
    _print(found, 0 if only_segments or table is not None else SHOWN)
    if table is not None:
        click.echo(f"{len(found.members):,} people written to {table}")
    if campaign is not None:
        click.echo(f"{recorded:,} contacts recorded for {campaign!r}")


def _write(found: Audience, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["place", "user_id", "probability", "item_id", "horizon_days"])
        for place, member in enumerate(found.members, 1):
            said = f"{member.probability:.6f}"
            horizon = f"{found.horizon_days:g}"
            writer.writerow([place, _plain(member.user_id), said, found.item_id, horizon])


def _plain(cell: str) -> str:
    """What a spreadsheet would run as a formula is kept as text."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _print(found: Audience, most: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    days = f"{found.horizon_days:.0f} days"
    console.print(f"[bold]{found.title}[/bold]  ({found.item_id})")
    if not found.met:
        console.print("nobody has taken it yet: told from its content alone", style="dim")
    console.print(
        f"of {found.people:,} people {found.expected:,.1f} would take it within {days} "
        f"({found.base_rate:.2%}); the likeliest 5 % hold {found.lift:.1f} times their share"
    )
    for reason, n in found.left_out.items():
        console.print(f"{n:,} left out: {reason}", style="dim")
    if most and found.members:
        people = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for column in ("", "person", "probability"):
            people.add_column(column, justify="left" if column == "person" else "right")
        for place, member in enumerate(found.members[:most], 1):
            people.add_row(str(place), member.user_id, f"{member.probability:.2%}")
        console.print(people)
        if len(found.members) > most:
            console.print(f"… and {len(found.members) - most:,} more: --csv FILE", style="dim")
    _segments(console, found)


def _segments(console: object, found: Audience) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title="Segments", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False,
        title_justify="left",
    )  # fmt: skip
    table.add_column("who")
    for column in ("people", "expected", "rate", "lift"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found.segments:
        s = one.segment
        table.add_row(
            one.words,
            f"{s.people:,}",
            f"{s.expected:,.1f}",
            f"{s.rate:.2%} [{s.low:.2%}, {s.high:.2%}]",
            f"{s.lift:.1f} [{s.lift_low:.1f}, {s.lift_high:.1f}]",
        )
    if found.segments:
        console.print(table)  # type: ignore[attr-defined]
    else:
        console.print("no segment stands out from the rest")  # type: ignore[attr-defined]
    if found.too_small:
        console.print(  # type: ignore[attr-defined]
            f"{found.too_small:,} descriptions fit too few people to be named", style="dim"
        )
