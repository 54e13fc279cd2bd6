"""segue data: public data, models and media by name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from segue.cli.shared import json_option, progress_bar, workspace_option


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


@command.command("load")
@click.argument("names", nargs=-1, required=True)
@workspace_option
@json_option
def load(names: tuple[str, ...], workspace: Path, as_json: bool) -> None:
    """Fetch public catalogues and write their items: movielens-100k, tmdb-5000, …

    Each item remembers its id at the source; segue works match then finds which are one work.
    """
    from segue import datasets
    from segue.catalogues import bring, known
    from segue.store.workspace import Workspace

    opened, told = Workspace.open(workspace), {}
    for public in [known(name) for name in names]:
        with progress_bar("items", quiet=as_json) as progress:
            folder = datasets.get(public.package)
            made = bring(opened, public.package, folder, progress)
        told[public.package] = asdict(made)
        if not as_json:
            click.echo(f"{public.package}: {made.added:,} items added, {made.changed:,} changed")
            if datasets.packages()[public.package].notice:
                click.secho(datasets.packages()[public.package].notice, dim=True, err=True)
    if as_json:
        click.echo(json.dumps(told))
