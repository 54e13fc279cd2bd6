"""segue train: fit, choose, blend, measure, package, serve."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import workspace_option


@click.command("train")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(workspace: Path, as_json: bool) -> None:
    """Train on everything in the workspace and let the new model serve."""
    from segue import assembly
    from segue.cli.shared import print_report
    from segue.store.workspace import Workspace

    say = (lambda _text: None) if as_json else click.echo
    report = assembly.train(Workspace.open(workspace), say)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_report(report)
