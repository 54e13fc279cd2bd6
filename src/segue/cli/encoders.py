"""segue encoders: what can turn text, pictures and sound into vectors."""

from __future__ import annotations

import json

import click

from segue.cli.shared import json_option


@click.command("encoders")
@json_option
def command(as_json: bool) -> None:
    """List the encoders and the forms of names that load others."""
    from segue.understand.encoders.registry import ENCODERS, FORMS, missing

    rows = [{"name": name, "install": missing(name)} for name in ENCODERS]
    rows += [{"name": form, "install": missing(f"{scheme}:x")} for scheme, form in FORMS.items()]
    if as_json:
        click.echo(json.dumps({"encoders": rows}))
        return
    for row in rows:
        click.echo(f"{row['name']:44}" + (f"needs: {row['install']}" if row["install"] else ""))
