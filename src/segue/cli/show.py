"""segue show: all that is known of one item."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segue.cli.shared import json_option, workspace_option

if TYPE_CHECKING:
    from segue.core.types import Catalogue, Item
    from segue.store.insights import Insights

NEAREST = 8
LINES = 12  # of scenes and of the transcript in a terminal


@click.command("show")
@click.argument("item")
@click.option("--all", "everything", is_flag=True, help="Every scene and line of the transcript.")
@workspace_option
@json_option
def command(item: str, everything: bool, workspace: Path, as_json: bool) -> None:
    """Show what was understood of ITEM, named by its id or by words of its title."""
    from segue import assembly
    from segue.store.catalogue import load_catalogue
    from segue.store.insights import load_insights
    from segue.store.workspace import Workspace

    opened = Workspace.open(workspace)
    stored = load_catalogue(opened.engine)
    known = find(stored.catalogue, item)
    found = load_insights(opened.engine, known.id)
    near = assembly.nearest(opened, stored, known.id, NEAREST)
    if as_json:
        click.echo(json.dumps(_plain(known, found, near), default=_scene_plain))
        return
    _print(known, found, near, None if everything else LINES)


def find(items: Catalogue, words: str) -> Item:
    """The item of an id, or the one whose title holds all the words."""
    from segue.core.errors import NotFound

    row = items.row(words)
    if row >= 0:
        return items.items[row]
    parts = words.casefold().split()
    hits = [i for i in items.items if all(part in i.title.casefold() for part in parts)]
    exact = [i for i in hits if i.title.casefold() == words.casefold()]
    if len(exact or hits) == 1:
        return (exact or hits)[0]
    if not hits:
        raise NotFound(f"no item has the id or the title {words!r}; look with: segue show TITLE")
    some = "; ".join(f"{i.id} ({i.title})" for i in hits[:5])
    raise NotFound(f"{len(hits)} items fit {words!r}; name one by its id: {some}")


def _plain(item: Item, found: Insights, near: list[tuple[Item, float]]) -> dict[str, Any]:
    return {
        "item_id": item.id,
        "title": item.title,
        "kind": item.kind,
        **asdict(found),
        "nearest": [{"item_id": i.id, "title": i.title, "cosine": c} for i, c in near],
    }


def _scene_plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _print(item: Item, found: Insights, near: list[tuple[Item, float]], limit: int | None) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    facts = (item.kind, item.year, item.language, _clock(item.duration_s), ", ".join(item.creators))
    console.print(f"[bold]{item.title}[/bold]  ({item.id})")
    console.print(" · ".join(str(fact) for fact in facts if fact), style="dim")
    for note in found.notes:
        mark = " (written by a language model, may be wrong)" if note.generated else ""
        console.print(f"\n[bold]{note.kind}[/bold]{mark} [dim]{note.model}[/dim]\n{note.text}")
    _tags(console, found)
    _scenes(console, found, limit)
    _lines(console, found, limit)
    for copy in found.copies:
        console.print(f"perhaps the same work: {copy.title} ({copy.score:.0%}, {copy.status})")
    if near:
        console.print("\n[bold]nearest[/bold]")
        for other, cosine in near:
            console.print(f"  {cosine:.2f}  {other.title} [dim]{other.kind}[/dim]")
    for step in found.steps:
        if step.status != "done":
            console.print(f"{step.step} did not work: {step.reason}", style="yellow")


def _tags(console: Any, found: Insights) -> None:
    for kind, labels in found.tags().items():
        told = ", ".join(f"{x.label} {x.score:.0%}" for x in labels[:8])
        models = ", ".join(sorted({x.model for x in labels}))
        console.print(f"\n[bold]{kind}[/bold] [dim]{models}[/dim]\n  {told}")
    whole = found.whole()
    if whole:
        told = ", ".join(f"{name} {value:.3g}" for name, value in sorted(whole.items()))
        console.print(f"\n[bold]measured[/bold]\n  {told}")


def _scenes(console: Any, found: Insights, limit: int | None) -> None:
    if len(found.scenes) < 2:
        return
    console.print(f"\n[bold]{len(found.scenes)} scenes[/bold] of {len(found.shots)} shots")
    for scene in found.scenes[:limit]:
        picture = "" if scene.keyframe is None else f"  keyframe {scene.keyframe}"
        console.print(f"  {_clock(scene.start_s)} – {_clock(scene.end_s)}{picture}")
    _rest(console, len(found.scenes), limit)


def _lines(console: Any, found: Insights, limit: int | None) -> None:
    if not found.cues:
        return
    console.print(f"\n[bold]transcript[/bold] [dim]{found.cues[0].model}[/dim]")
    for cue in found.cues[:limit]:
        console.print(f"  {_clock(cue.start_s)}  {cue.text}")
    _rest(console, len(found.cues), limit)


def _rest(console: Any, n: int, limit: int | None) -> None:
    if limit is not None and n > limit:
        console.print(f"  … and {n - limit} more: segue show --all", style="dim")


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
