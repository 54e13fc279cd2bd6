"""segue understand: vectors and labels for the items."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from segue.cli.shared import json_option, progress_bar, workspace_option


@click.command("understand")
@workspace_option
@json_option
def command(workspace: Path, as_json: bool) -> None:
    """Label the pictures and sound of all items and give each a content vector.

    What was understood before is taken from the cache; a second run does nothing.
    """
    from segue.store.workspace import Workspace
    from segue.understand.run import understand

    opened = Workspace.open(workspace)
    with progress_bar("items", quiet=as_json) as progress:
        report = understand(opened, progress=progress)
    click.echo(json.dumps(asdict(report)) if as_json else str(report))
