"""segue evaluate: how good is what serves, beside popularity and every single strategy."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import DURATION, workspace_option


@click.command("evaluate")
@workspace_option
@click.option(
    "--split", type=click.Choice(["temporal", "last", "random", "ratings"]),
    help="Measure anew: train before validation before test (temporal), the last event of each "
    "person (last), a random fifth of each person's events (random), or how well ratings are "
    "predicted (ratings). Serves nothing.",
)  # fmt: skip
@click.option("--with", "strategies", multiple=True, metavar="NAME", help="Try this one too.")
@click.option("--budget", "budget_s", type=DURATION, metavar="TIME", help="Time to tune: 10m.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    workspace: Path,
    split: str | None,
    strategies: tuple[str, ...],
    budget_s: float | None,
    as_json: bool,
) -> None:
    """Show the measured quality of the model that serves, as measured when it was trained.

    With --split, --with or --budget it is measured anew.
    """
    from segue import assembly
    from segue.cli.shared import print_ratings, print_report, steps
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    if split == "ratings":
        with steps(quiet=as_json) as say:
            ratings = assembly.evaluate_ratings(opened, say, raters=strategies)
        click.echo(json.dumps(ratings.as_dict())) if as_json else print_ratings(ratings)
        return
    if split is None and not strategies and budget_s is None:
        report = assembly.report_of_champion(opened)
    else:
        with steps(quiet=as_json) as say:
            report = assembly.evaluate(
                opened, say, split=split or "temporal", strategies=strategies, budget_s=budget_s
            )
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_report(report)
