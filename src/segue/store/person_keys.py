"""Keys by which a person let their accounts be found: keyed hashes, never the address itself.

HMAC-SHA256 (RFC 2104) with a secret of this workspace: without it nobody can try addresses out.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from segue.core.errors import BadInput
from segue.store import schema
from segue.store.events import insert_ignore, numbers
from segue.store.links import Links, Match, merge, pair_of
from segue.store.workspace import Workspace

KeyKind = Literal["login", "email", "phone"]
KEY_KINDS: tuple[KeyKind, ...] = ("login", "email", "phone")
SECRET_FILE = "person.key"
SECRET_BYTES = 32
MAX_CHARS = 320
_EMAIL = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")


@dataclass(frozen=True)
class Kept:
    """What became of a key: ``user_id`` is the account that stands for the person now."""

    user_id: str
    joined: tuple[str, ...]  # the other accounts that are this person
    new: bool


def secret_of(workspace: Workspace) -> bytes:
    """The workspace's secret, made on first use; a file that its owner alone may read."""
    path = workspace.root / SECRET_FILE
    if not path.is_file():
        _write_once(path)
    secret = bytes.fromhex(path.read_text("ascii").strip())
    if len(secret) < SECRET_BYTES:
        raise BadInput(f"{SECRET_FILE} holds {len(secret)} bytes, {SECRET_BYTES} are needed")
    return secret


def _write_once(path: Path) -> None:
    """Whole under a name of its own first: two that begin at once get one secret."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(made, path)
    except FileExistsError:
        pass  # another was first, and its secret holds
    finally:
        made.unlink()


def normal(kind: KeyKind, text: str) -> str:
    """One spelling of a login, an address or a number; :class:`BadInput` for what is none.

    The value is not repeated in the error: it may end in a log.
    """
    told = text.strip()
    if not told or len(told) > MAX_CHARS:
        raise BadInput(f"a {kind} key has 1 to {MAX_CHARS} letters, got {len(told)}")
    if kind == "email":
        told = told.casefold()
        if not _EMAIL.match(told):
            raise BadInput("the e-mail address has not the form name@place.tld")
    if kind == "phone":
        digits = re.sub(r"[\s().\-/]", "", told)
        digits = "+" + digits[2:] if digits.startswith("00") else digits
        if not re.fullmatch(r"\+\d{7,15}", digits):
            raise BadInput("a phone number needs its country code: +44 20 7946 0000")
        told = digits
    return told


def digest(secret: bytes, kind: KeyKind, text: str) -> str:
    """64 hex digits; the kind is part of what is hashed."""
    message = f"{kind}\x00{normal(kind, text)}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def keep(workspace: Workspace, user_id: str, kind: KeyKind, text: str, *, at: float) -> Kept:
    """Store a key that a person consented to, and join the accounts that have the same.

    Nothing but an equal key ever joins two accounts.
    """
    hashed = digest(secret_of(workspace), kind, text)
    k = schema.person_keys
    with workspace.engine.begin() as connection:
        insert_ignore(connection, schema.users, [{"id": user_id, "interests": []}])
        num = numbers(connection, schema.users, [user_id])[user_id]
        row = {"user_num": num, "kind": kind, "digest": hashed, "consented_at": at}
        new = bool(insert_ignore(connection, k, [row]))
        same = (k.c.kind == kind) & (k.c.digest == hashed)
        holders = connection.execute(
            sa.select(k.c.user_num).where(same).order_by(k.c.consented_at, k.c.user_num)
        ).scalars()
        links = Links.load(connection, "user")
        for other in holders.all():
            if other != num:
                links.join(Match(other, num, kind, 1.0), at=at)
        links.save(connection)
        group = links.group(num)
        ids = dict(
            connection.execute(
                sa.select(schema.users.c.num, schema.users.c.id).where(
                    schema.users.c.num.in_(group)
                )
            ).all()
        )
    return Kept(ids[group[0]], tuple(ids[n] for n in group if n != num), new)


def forget(workspace: Workspace, user_id: str, kind: KeyKind | None = None) -> int:
    """Withdraw consent: delete a person's keys (of one kind) and part what only they joined.

    Returns how many keys went. The history splits back exactly: events never moved.
    """
    k = schema.person_keys
    with workspace.engine.begin() as connection:
        num = numbers(connection, schema.users, [user_id]).get(user_id)
        if num is None:
            return 0
        mine = k.c.user_num == num
        if kind is not None:
            mine &= k.c.kind == kind
        gone = connection.execute(sa.delete(k).where(mine)).rowcount
        links = Links.load(connection, "user")
        _part_without_key(connection, links, num)
        links.save(connection)
    return int(gone)


def _part_without_key(connection: sa.Connection, links: Links, num: int) -> None:
    """End links of a person's accounts that came from a key which no two of them share now."""
    k = schema.person_keys.c
    group = links.group(num)
    rows = connection.execute(sa.select(k.user_num, k.kind, k.digest).where(k.user_num.in_(group)))
    held: dict[int, set[tuple[str, str]]] = {n: set() for n in group}
    for user, kind, hashed in rows:
        held[user].add((kind, hashed))
    found = [link for n in group if (link := links.link(n)) is not None]
    if not any(num in (link.num, link.under) for link in found):
        return
    # Anew from what still holds: links by hand, and equal keys.
    for link in found:
        if links.link(link.num) is not None:
            links.part(link.num)
    for link in found:
        if link.evidence.get("by_hand"):
            links.join(Match(link.under, link.num, link.method, link.score, {"by_hand": True}),
                       at=link.at)  # fmt: skip
    for n in group:
        for m in group:
            for kind, _ in held[n] & held[m] if n < m else ():
                links.join(Match(n, m, kind, 1.0), at=max(link.at for link in found))


def link_by_hand(engine: sa.Engine, first: str, second: str, by: KeyKind) -> bool:
    """Join two accounts whose owner proved to hold the same login, address or number."""
    nums = pair_of(engine, "user", first, second)
    return bool(merge(engine, "user", [Match(*nums, by, 1.0, {"by_hand": True})]))
