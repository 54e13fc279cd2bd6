"""segue works: which items of several platforms are one work."""

from __future__ import annotations

import json
from pathlib import Path

import click

from segue.cli.shared import json_option, progress_bar, workspace_option


@click.group("works")
def command() -> None:
    """Find items that are one work; merge, part and review them. Every merge can be undone.

    A running server sees merges of this command at its next start, those of its API at once.
    """


@command.command("match")
@click.option("--platform", "platforms", multiple=True, help="Only items of it; may be repeated.")
@workspace_option
@json_option
def match(platforms: tuple[str, ...], workspace: Path, as_json: bool) -> None:
    """Merge what is surely one work; what may be waits for: segue works review."""
    from segue.linking import match_works
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    with progress_bar("pairs", quiet=as_json) as progress:
        found = match_works(opened, platforms, progress)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    click.echo(
        f"{found.items:,} items, {found.candidates:,} pairs looked at: {found.merged:,} merged, "
        f"{found.proposed:,} for a person to decide"
    )
    for names, count in sorted(found.by_platforms.items(), key=lambda pair: -pair[1]):
        click.echo(f"  {names}: {count:,}")
    if found.proposed:
        click.echo("decide with: segue works review")


@command.command("review")
@click.option("--same", nargs=2, metavar="ID ID", help="These two are one work.")
@click.option("--different", nargs=2, metavar="ID ID", help="These two are not, for good.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--ask", is_flag=True, help="Go through them one by one.")
@workspace_option
@json_option
def review(
    same: tuple[str, str] | None,
    different: tuple[str, str] | None,
    limit: int,
    ask: bool,
    workspace: Path,
    as_json: bool,
) -> None:
    """List pairs that wait for a person, the surest first, or decide one."""
    from segue.linking import decide
    from segue.store.copies import list_copies
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    for pair, yes in ((same, True), (different, False)):
        if pair is not None:
            decide(opened.engine, *pair, same=yes)
    waiting = [row for row in list_copies(opened.engine) if row.status == "proposed"]
    if as_json:
        rows = [row.as_dict() for row in waiting[:limit]]
        click.echo(json.dumps({"proposals": rows, "waiting": len(waiting)}))
        return
    for row in waiting[:limit]:
        click.echo(f"{row.score:4.0%}  {row.first_title}  =  {row.second_title}")
        click.secho(f"      {row.first}  {row.second}", dim=True)
        if ask:
            said = click.prompt("one work?", type=click.Choice(["y", "n", "later"]))
            if said != "later":
                decide(opened.engine, row.first, row.second, same=said == "y")
    click.echo(f"{len(waiting):,} pairs wait")


@command.command("merge")
@click.argument("first")
@click.argument("second")
@workspace_option
def merge(first: str, second: str, workspace: Path) -> None:
    """Make the items FIRST and SECOND one work."""
    from segue.linking import merge_works
    from segue.store.workspace import Workspace

    done = merge_works(Workspace.open(workspace).engine, first, second)
    click.echo(f"{first} and {second} are one work" + ("" if done else ", as before"))


@command.command("unmerge")
@click.argument("item")
@workspace_option
def unmerge(item: str, workspace: Path) -> None:
    """Take ITEM out of its work; all is as it was before the merge.

    To keep two apart in later matching too: segue works review --different ID ID.
    """
    from segue.linking import unmerge_work
    from segue.store.workspace import Workspace

    parted = unmerge_work(Workspace.open(workspace).engine, item)
    for one, other in parted:
        click.echo(f"{one} parted from {other}")
    if not parted:
        click.echo(f"{item} stands for itself; nothing to part")


@command.command("show")
@click.argument("item")
@workspace_option
@json_option
def show(item: str, workspace: Path, as_json: bool) -> None:
    """Show the items of ITEM's work, how they came together, and where it can be had."""
    from segue.linking import describe_work
    from segue.store.workspace import Workspace

    told = describe_work(Workspace.open(workspace).engine, item)
    if as_json:
        click.echo(json.dumps(told))
        return
    for row in told["items"]:
        how = "stands for the work" if row["method"] is None else row["method"]
        sure = "" if row["score"] is None else f" {row['score']:.1%}"
        click.echo(f"{row['item_id']}  {row['title']} ({row['year'] or '?'})  {how}{sure}")
    for place in told["available_on"]:
        click.secho(f"  on {place['platform']} as {place['external_id']}", dim=True)
