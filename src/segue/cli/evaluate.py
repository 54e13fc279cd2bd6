"""segue evaluate: how good is what serves, beside popularity and every single strategy."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import workspace_option


@click.command("evaluate")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(workspace: Path, as_json: bool) -> None:
    """Show the measured quality of the model that serves (measured when it was trained)."""
    from segue import assembly
    from segue.cli.shared import print_report
    from segue.store.workspace import Workspace

    report = assembly.report_of_champion(Workspace.open(workspace))
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_report(report)
