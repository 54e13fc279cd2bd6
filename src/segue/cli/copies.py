"""segue copies: pairs of items that look like one work."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import json_option, workspace_option


@click.command("copies")
@click.option("--same", nargs=2, metavar="ID ID", help="These two are one work.")
@click.option("--different", nargs=2, metavar="ID ID", help="These two are not.")
@workspace_option
@json_option
def command(
    same: tuple[str, str] | None, different: tuple[str, str] | None, workspace: Path, as_json: bool
) -> None:
    """List pairs that look like one work; nothing is ever merged by itself.

    What you say with --same or --different stays, whatever is found later.
    """
    from segue.store.copies import decide, list_copies
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    for pair, status in ((same, "same"), (different, "different")):
        if pair is not None:
            decide(opened.engine, *pair, status)
    found = list_copies(opened.engine)
    if as_json:
        click.echo(json.dumps({"copies": [row.as_dict() for row in found]}))
        return
    for row in found:
        told = ", ".join(f"{name} {share:.2f}" for name, share in sorted(row.evidence.items()))
        click.echo(f"{row.score:4.0%}  {row.status:9}  {row.first_title}  =  {row.second_title}")
        click.secho(f"      {row.first}  {row.second}  {told}", dim=True)
    click.echo(f"{len(found)} pairs")
