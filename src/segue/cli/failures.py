"""segue failures: what could not be understood, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import json_option, workspace_option


@click.command("failures")
@click.option("--retry", is_flag=True, help="Forget them, so that the next run tries them again.")
@workspace_option
@json_option
def command(retry: bool, workspace: Path, as_json: bool) -> None:
    """List the items that a step of understanding failed for, with the reason."""
    from segue.store.workspace import Workspace
    from segue.understand.steps import failures, forget_failures

    opened = Workspace.open(workspace)
    found = failures(opened.engine)
    if retry:
        forget_failures(opened.engine)
    if as_json:
        keys = ("item_id", "step", "tries", "reason")
        rows = [dict(zip(keys, letter, strict=True)) for letter in found]
        click.echo(json.dumps({"failures": rows}))
        return
    for item_id, step, tries, reason in found:
        click.echo(f"{item_id}  {step}, tried {tries} times: {reason}")
    click.echo(f"{len(found)} failures" + (", forgotten: run segue understand" if retry else ""))
