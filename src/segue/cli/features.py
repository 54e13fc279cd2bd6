"""segue features: what ranking sees of a person, now or at an earlier time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segue.cli.shared import json_option, time_of, workspace_option

if TYPE_CHECKING:
    from segue.features import Features

SHOWN = 10  # of a history in a terminal


@click.command("features")
@click.argument("user")
@click.option("--at", help="As of this time: 2026-05-31, or Unix seconds. Now when not given.")
@workspace_option
@json_option
def command(user: str, at: str | None, workspace: Path, as_json: bool) -> None:
    """Show what ranking sees of USER: profile, behaviour in numbers, and the history behind them.

    Nothing that happened at that time or later is in it, and no field that [profile] use leaves
    out. Profiles are told as they are now: their changes are not kept.
    """
    from segue.features import features
    from segue.store.workspace import Workspace

    when = time_of(at)
    found = features(Workspace.open(workspace), user, time.time() if when is None else when)
    click.echo(json.dumps(found.as_dict()) if as_json else _in_words(found))


def _in_words(found: Features) -> str:
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.at))
    lines = [f"{found.user_id} as of {day}"]
    lines += [f"  {name}: {value}" for name, value in found.profile.items()]
    lines += [
        f"  {name}: {value:.4g}" for name, value in found.behaviour.items() if value is not None
    ]
    for entry in found.history[:SHOWN]:
        lines.append(f"  {entry.days_ago:8.1f} days ago  {entry.weight:+.2f}  {entry.title}")
    rest = len(found.history) - SHOWN
    if rest > 0:
        lines.append(f"  and {rest:,} more{' that are read' if found.more else ''}")
    return "\n".join(lines)
