"""segue demo: real films, people and media, ready to look at."""

from __future__ import annotations

import time
from pathlib import Path

import click


@click.command("demo")
@click.option(
    "--workspace", "-w", default="demo", show_default=True, type=click.Path(path_type=Path),
    help="Folder of the demo workspace.",
)  # fmt: skip
@click.option("--port", default=8000, show_default=True, help="Port of the page.")
@click.option("--no-serve", is_flag=True, help="Only set up; do not start the page.")
def command(workspace: Path, port: int, no_serve: bool) -> None:
    """Set up a demo with MovieLens people and real media files, then serve its page."""
    from segue import demo

    start = time.perf_counter()
    made = demo.build(workspace, click.echo)
    click.echo(f"workspace {workspace} is ready after {time.perf_counter() - start:.0f} s")
    if no_serve:
        return
    from segue.cli.serve import run

    click.echo("scenes, speech and words of the media are being read meanwhile, at low priority")
    with demo.deepening(made):
        run(made, "127.0.0.1", port, open_page=False)
