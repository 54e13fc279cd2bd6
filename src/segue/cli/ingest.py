"""segue ingest: media files become items."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segue.cli.shared import engine_options, json_option, progress_bar, workspace_option

if TYPE_CHECKING:
    from segue.ingest.run import IngestReport


@click.command("ingest")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", default="", help="Where the files come from, if they do not say.")
@click.option("--licence", default="", help="Their licence, if they do not say.")
@engine_options
@workspace_option
@json_option
def command(
    folders: tuple[Path, ...], source: str, licence: str, engine: str, workers: int | None,
    address: str | None, budget: float | None, workspace: Path, as_json: bool,
) -> None:  # fmt: skip
    """Make items of the video, sound, images, subtitles and e-books in FOLDERS.

    Files are known by their content: moved ones stay the same item, and a second run does nothing.
    The files of a folder whose segue-media.toml has a table [item] are one item (a game, a post).

    A cluster's workers must reach FOLDERS under the same path; here, --workers is the number of
    confined decoders, 1 unless told. After the time of --budget no file is begun. A run that was
    cut off goes on with the same command.

    Then let `segue understand` look at what the items show, say and sound like.
    """
    from segue.ingest.run import Progress, ingest
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar("files", quiet=as_json) as tell:

        def progress(step: Progress) -> None:
            tell("files", step.done, step.total)

        report = ingest(
            opened, folders, progress=progress, source=source, licence=licence, engine=engine,
            workers=workers, address=address, budget_s=budget,
        )  # fmt: skip
    click.echo(json.dumps(asdict(report)) if as_json else _in_words(report))


def _in_words(report: IngestReport) -> str:
    lines = [
        f"{report.added} added, {report.unchanged} unchanged, {report.moved} moved, "
        f"{report.updated} updated, {report.attached} attached, {len(report.refused)} refused"
    ]
    if report.left:
        lines.append(f"time is up: {report.left} files left for the next run")
    lines += [
        f"without a file since its files are another item; kept, but not shown: {item} ({what})"
        for item, what in report.orphaned
    ]
    lines += [f"refused {path}: {reason}" for path, reason in report.refused]
    lines += [f"damaged {path}: {reason}" for path, reason in report.damaged]
    return "\n".join(lines)
