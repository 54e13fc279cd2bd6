"""segue strategies: what can be blended here, and what is missing for the rest."""

from __future__ import annotations

import json

import click

from segue.cli.shared import json_option


@click.command("strategies")
@json_option
def command(as_json: bool) -> None:
    """List every strategy and rater, whether it is in the default blend, and what it needs."""
    from segue.recommend.plan import DEFAULT
    from segue.recommend.registry import described

    own = {part.strategy for part in DEFAULT.parts.values()}
    rows = [{**row, "default": str(row["name"] in own).lower()} for row in described()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("name", "for", "state", "what it does"):
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        state = "default blend" if row["default"] == "true" else row["state"]
        table.add_row(row["name"], row["kind"], state, escape(row["about"]))
    Console().print(table)
