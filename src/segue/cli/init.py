"""segue init: make a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import json_option


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Make a workspace in FOLDER (default: here), or bring an older one up to date."""
    from segue.store.workspace import Workspace

    workspace = Workspace.create(folder)
    if as_json:
        click.echo(json.dumps({"workspace": str(workspace.root)}))
    else:
        click.echo(f"workspace {folder} is ready; next: segue import --help or segue ingest --help")
