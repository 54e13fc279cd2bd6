"""The command line. A command's module loads only when that command runs."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import click

from segue import __version__
from segue.core.errors import SegueError

# name: (module:attribute, one line for --help)
COMMANDS = {
    "init": ("segue.cli.init:command", "Make a workspace."),
    "import": ("segue.cli.import_:command", "Import items, users, events or edges from tables."),
    "ingest": ("segue.cli.ingest:command", "Make items of the media files in folders."),
    "connect": ("segue.cli.connect:command", "Read media servers and exports; write lists back."),
    "understand": ("segue.cli.understand:command", "Label, describe and embed the items."),
    "reembed": ("segue.cli.reembed:command", "Make another encoder's vectors beside the old."),
    "copies": ("segue.cli.copies:command", "List items that look like one work, and decide."),
    "works": ("segue.cli.works:command", "Find items that are one work; merge, part, review."),
    "people": ("segue.cli.people:command", "Join accounts of one person, or part them again."),
    "failures": ("segue.cli.failures:command", "List what could not be understood, and why."),
    "show": ("segue.cli.show:command", "Show what was understood of one item."),
    "train": ("segue.cli.train:command", "Tune, train, measure and let the new model serve."),
    "evaluate": ("segue.cli.evaluate:command", "Show the measured quality of what serves."),
    "audience": ("segue.cli.audience:command", "Whom an item suits, with segments in words."),
    "features": ("segue.cli.features:command", "What ranking sees of a person, at any time."),
    "strategies": ("segue.cli.strategies:command", "List every strategy and what it needs."),
    "serve": ("segue.cli.serve:command", "Serve the API and the page."),
    "demo": ("segue.cli.demo:command", "Real films, people and media, ready to look at."),
    "encoders": ("segue.cli.encoders:command", "List what turns items into vectors."),
    "data": ("segue.cli.data:command", "List and fetch public data and models."),
}
EXIT_ERROR = 2
JSON_KEY = "segue.json"  # whether a machine reads the answer


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[JSON_KEY] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SegueError as error:
            if ctx.meta[JSON_KEY]:
                click.echo(json.dumps({"error": type(error).__name__, "message": str(error)}))
            click.secho(f"Error: {error}", fg="red", err=True)
            ctx.exit(EXIT_ERROR)


@click.command(cls=LazyGroup)
@click.version_option(__version__, prog_name="segue")
def main() -> None:
    """A recommender for audio and video: from real files and real behaviour to reasoned lists."""


if __name__ == "__main__":
    main()
