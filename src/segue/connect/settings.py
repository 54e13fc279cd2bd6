"""From ``[connect.NAME]`` to an open connection: address, secret, people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from segue.config import Connection
from segue.connect.http import Place
from segue.core.errors import BadSettings

KINDS = ("jellyfin", "subsonic")
MAX_SECRET_BYTES = 10_000


@dataclass(frozen=True)
class Named:
    """A connection with its name and the folder that its files are relative to."""

    name: str
    told: Connection
    root: Path

    @property
    def place(self) -> Place:
        """Where the server is; refuses a connection without address."""
        if not self.told.address:
            raise BadSettings(
                f"where is the server? Give --address http://…, or write into segue.toml:\n"
                f'[connect.{self.name}]\naddress = "http://192.168.1.10:8096"'
            )
        return Place(
            self.told.address,
            timeout_s=self.told.timeout_s,
            pause_s=self.told.pause_s,
            plain_http=self.told.plain_http,
        )

    @property
    def variable(self) -> str:
        """The environment variable that may hold the secret."""
        letters = "".join(c if c.isalnum() else "_" for c in self.name.upper())
        return self.told.secret_env or f"SEGUE_{letters}_SECRET"

    def secret(self) -> str:
        """Token or password, from the environment, else from the file of the settings."""
        found = os.environ.get(self.variable, "").strip()
        if not found and self.told.secret_file:
            found = _read_secret(self.root / Path(self.told.secret_file).expanduser())
        if not found:
            raise BadSettings(
                f"no token or password for {self.name!r}: put it into the environment variable "
                f"{self.variable}, or into a file and name that as secret_file in "
                f"[connect.{self.name}]; never on the command line"
            )
        if not found.isprintable():
            raise BadSettings(f"the secret for {self.name!r} must be one line of plain text")
        return found

    def people(self) -> dict[str, str]:
        """User name there -> id here, of those that are read; empty for everybody."""
        found = {}
        for line in self.told.people:
            there, _, here = line.partition("=")
            if not there.strip():
                raise BadSettings(f'people must read like "anna" or "anna = id", got {line!r}')
            found[there.strip()] = here.strip() or f"{self.name}/{there.strip()}"
        return found


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
        if len(data) > MAX_SECRET_BYTES:
            raise BadSettings(f"secret_file {path} is too long to hold a secret alone")
        return data.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"secret_file {path} cannot be read: {error}") from error


def named(known: Mapping[str, Connection], kind: str, name: str, root: Path, **over: str) -> Named:
    """The connection of a name, of a kind; ``over`` (address, user, person) goes before."""
    told = known.get(name, Connection(kind=kind))
    found = told.kind or name
    if found not in KINDS:
        raise BadSettings(f"[connect.{name}] kind must be one of {KINDS}, got {found!r}")
    if found != kind:
        raise BadSettings(f"[connect.{name}] is of kind {found!r}; run: segue connect {found}")
    given = {key: value for key, value in over.items() if value}
    return Named(name, replace(told, **given), root)  # type: ignore[arg-type]
