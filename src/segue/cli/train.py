"""segue train: tune, fit, choose, blend, measure, package, serve."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import DURATION, workspace_option


@click.command("train")
@workspace_option
@click.option(
    "--budget", "budget_s", type=DURATION, metavar="TIME",
    help="Tune every strategy first, for so long in all: 90s, 10m, 2h.",
)  # fmt: skip
@click.option(
    "--with", "strategies", multiple=True, metavar="NAME",
    help="Try this strategy too (see: segue strategies). With --budget, tune only the default ones "
    "and these. May be given several times.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    workspace: Path, budget_s: float | None, strategies: tuple[str, ...], as_json: bool
) -> None:
    """Train on everything in the workspace and let the new model serve.

    Which strategies are blended, and how, is chosen on past windows and a validation window; the
    test window is looked at once, for the report.
    """
    from segue import assembly
    from segue.cli.shared import print_report, steps
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with steps(quiet=as_json) as say:
        report = assembly.train(opened, say, strategies=strategies, budget_s=budget_s)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
        return
    print_report(report)
    page = assembly.report_page_of_champion(opened)
    click.echo(f"the whole report, with plots: {page}")
