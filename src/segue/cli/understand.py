"""segue understand: vectors and labels for the items."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from segue.cli.shared import engine_options, json_option, progress_bar, workspace_option


@click.command("understand")
@engine_options
@workspace_option
@json_option
def command(
    engine: str, workers: int | None, address: str | None, budget: float | None, workspace: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Look at all items: labels, scenes, words, sound, speech, and one vector each.

    First the cheap pass over everything, then the dear steps (speech, words on the screen, a
    language model). What was understood before is kept; a second run does nothing.
    """
    from segue.store.workspace import Workspace
    from segue.understanding import understand_workspace

    opened = Workspace.open(workspace)
    with progress_bar("items", quiet=as_json) as progress:
        report = understand_workspace(
            opened, progress=progress, engine=engine, workers=workers, address=address,
            budget_s=budget,
        )  # fmt: skip
    click.echo(json.dumps(asdict(report)) if as_json else str(report))
