"""segue people: accounts of several platforms that are one person."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Literal

import click

from segue.cli.shared import json_option, workspace_option

KINDS = click.Choice(["login", "email", "phone"])


@click.group("people")
def command() -> None:
    """Join accounts of one person, or part them again. Nobody is ever guessed to be somebody."""


@command.command("link")
@click.argument("first")
@click.argument("second")
@click.option("--by", required=True, type=KINDS, help="What the person proved to hold in both.")
@workspace_option
def link(first: str, second: str, by: Literal["login", "email", "phone"], workspace: Path) -> None:
    """Say that FIRST and SECOND are one person: from now on they have one history."""
    from segue.store.person_keys import link_by_hand
    from segue.store.workspace import Workspace

    begun = link_by_hand(Workspace.open(workspace).engine, first, second, by)
    click.echo(f"{first} and {second} are one person" + ("" if begun else ", as before"))


@command.command("unlink")
@click.argument("person")
@workspace_option
def unlink(person: str, workspace: Path) -> None:
    """Take the account PERSON apart again; each gets its own history back exactly."""
    from segue.store import links
    from segue.store.workspace import Workspace

    engine = Workspace.open(workspace).engine
    ended = links.unmerge(engine, "user", links.num_of(engine, "user", person))
    names = links.ids_of(engine, "user", [n for e in ended for n in (e.num, e.into_num)])
    for one in ended:
        click.echo(f"{names[one.num]} parted from {names[one.into_num]}")
    if not ended:
        click.echo(f"{person} is one account; nothing to part")


@command.command("key")
@click.argument("person")
@click.option("--kind", required=True, type=KINDS)
@click.option("--consent", is_flag=True, help="The person agreed to be found by it.")
@workspace_option
@json_option
def key(
    person: str,
    kind: Literal["login", "email", "phone"],
    consent: bool,
    workspace: Path,
    as_json: bool,
) -> None:
    """Keep a login, e-mail or phone of PERSON as a keyed hash, and join who has the same.

    The value is asked for, or read from standard input, so that it stands in no shell history.
    """
    from segue.core.errors import BadInput
    from segue.store.person_keys import keep
    from segue.store.workspace import Workspace

    if not consent:
        raise BadInput("no key is stored without consent; with it: --consent")
    value = click.prompt(kind, hide_input=True, err=True)
    kept = keep(Workspace.open(workspace), person, kind, value, at=time.time())
    if as_json:
        click.echo(json.dumps({"user_id": kept.user_id, "accounts": list(kept.joined)}))
        return
    others = ", ".join(kept.joined) or "no other account"
    click.echo(f"{person}: kept; one person with {others}")


@command.command("forget")
@click.argument("person")
@click.option("--kind", type=KINDS, help="Keys of this kind alone.")
@workspace_option
def forget(person: str, kind: Literal["login", "email", "phone"] | None, workspace: Path) -> None:
    """Withdraw consent: delete PERSON's keys and part what only they joined."""
    from segue.store.person_keys import forget as withdraw
    from segue.store.workspace import Workspace

    gone = withdraw(Workspace.open(workspace), person, kind)
    click.echo(f"{gone} keys of {person} are gone")
