"""segue import: catalogues, people, events and social graphs that lie in tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from segue.cli.shared import json_option, progress_bar, workspace_option
from segue.core.errors import BadSettings

if TYPE_CHECKING:
    from segue.ingest.mapping import Mapping
    from segue.ingest.tables import ImportReport


@click.command("import")
@click.argument("what", type=click.Choice(["items", "users", "events", "edges"]))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--mapping", "-m", "mapping_file", type=click.Path(path_type=Path),
    help="TOML file that says which columns are which.",
)  # fmt: skip
@click.option("--preset", "-p", help="A mapping that comes with segue: movielens-100k, …")
@click.option("--set", "constants", multiple=True, metavar="COLUMN=TEXT", help="kind=movie, …")
@workspace_option
@json_option
def command(
    what: Literal["items", "users", "events", "edges"],
    files: tuple[Path, ...],
    mapping_file: Path | None,
    preset: str | None,
    constants: tuple[str, ...],
    workspace: Path,
    as_json: bool,
) -> None:
    """Import FILES (csv, tsv, jsonl, parquet) as items, users, events or edges.

    Good rows go in; each bad row is written to the workspace's rejects folder with its number and
    reason. Importing the same file again changes nothing.
    """
    from segue.ingest.tables import import_table
    from segue.store.workspace import Workspace

    mapping = _mapping(mapping_file, preset, constants)
    opened = Workspace.open(workspace)
    if mapping.notice and not as_json:
        click.secho(mapping.notice, dim=True, err=True)
    with progress_bar("rows", quiet=as_json) as progress:
        report = import_table(opened, what, files, mapping=mapping, progress=progress)
    click.echo(json.dumps(_as_dict(report)) if as_json else _in_words(what, report))


def _mapping(file: Path | None, preset: str | None, constants: tuple[str, ...]) -> Mapping:
    from segue.ingest import mapping, presets

    if file is not None and preset is not None:
        raise BadSettings(f"give --mapping {file} or --preset {preset}, not both")
    chosen = mapping.DEFAULT if file is None else mapping.read_mapping(file)
    if preset is not None:
        chosen = presets.preset(preset)
    pairs = [text.partition("=") for text in constants]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise BadSettings(f"--set takes COLUMN=TEXT, got {name!r}; example: --set kind=movie")
    return chosen.with_constants({name: text for name, _, text in pairs})


def _as_dict(report: ImportReport) -> dict[str, object]:
    return {
        "rows": report.rows, "added": report.added, "changed": report.changed,
        "unchanged": report.unchanged, "rejected": report.rejected,
        "rejects": [str(path) for path in report.rejects], "seconds": round(report.seconds, 3),
    }  # fmt: skip


def _in_words(what: str, report: ImportReport) -> str:
    rate = report.rows / max(report.seconds, 1e-9)
    text = (
        f"{what}: {report.rows:,} rows in {report.seconds:.1f} s ({rate:,.0f} rows/s): "
        f"{report.added:,} added, {report.changed:,} changed, {report.unchanged:,} unchanged, "
        f"{report.rejected:,} rejected"
    )
    if report.rejects_path is None:
        return text
    return f"{text}\nrejected rows and reasons: {report.rejects_path}"
