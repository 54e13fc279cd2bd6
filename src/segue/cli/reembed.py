"""segue reembed: the vectors of another encoder, beside those that serve."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import json_option, progress_bar, workspace_option


@click.command("reembed")
@click.argument("encoder", required=False)
@workspace_option
@json_option
def command(encoder: str | None, workspace: Path, as_json: bool) -> None:
    """Make the vectors of ENCODER for all items while the old ones go on serving.

    Without ENCODER: of the one in the settings ([understand] text). A training uses the encoder of
    the settings; when the model that it made serves, the old vectors are dropped.
    """
    from segue import assembly
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar("items", quiet=as_json) as progress:
        state = assembly.reembed(opened, encoder or "", progress)
    if as_json:
        click.echo(json.dumps(state))
        return
    for name, n in state["items"].items():
        marks = [m for m in ("serving", "settings") if state[m] == name]
        click.echo(f"{n:8,} items  {name}" + (f"  ({', '.join(marks)})" if marks else ""))
    if state["serving"] != state["made"]:
        setting = f'[understand] text = "{state["encoder"]}" in segue.toml, then ' * (
            state["settings"] != state["made"]
        )
        click.echo(f"to let it serve: {setting}segue train, and start segue serve again")
