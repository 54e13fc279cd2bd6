"""A workspace: one folder with the database, derived files and model packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from segue.core.errors import NotFound
from segue.store import schema

SETTINGS_FILE = "segue.toml"
DATABASE_FILE = "segue.db"


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # WAL: readers never wait for a writer. FULL: an acknowledged event survives a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def make_engine(url: str) -> sa.Engine:
    """An engine with durable defaults for the database behind ``url``."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_pragmas)
    return engine


@dataclass(frozen=True)
class Workspace:
    """Where everything of one catalogue lies. Open it with :meth:`open` or :meth:`create`."""

    root: Path

    @staticmethod
    def create(root: Path | str) -> Workspace:
        """Make the folder and its tables, or bring an older one up to date; safe to repeat."""
        workspace = Workspace(Path(root).absolute())
        for folder in (workspace.root, workspace.derived, workspace.models, workspace.snapshots):
            folder.mkdir(parents=True, exist_ok=True)
        settings = workspace.root / SETTINGS_FILE
        if not settings.exists():
            settings.write_text("# Settings of this segue workspace; every key has a default.\n")
        workspace._migrate()
        return workspace

    @staticmethod
    def open(root: Path | str) -> Workspace:
        """Open an existing workspace, migrating it when it was made by an older version."""
        workspace = Workspace(Path(root).absolute())
        if not (workspace.root / SETTINGS_FILE).is_file():
            raise NotFound(f"{root} is not a segue workspace; make one with: segue init {root}")
        workspace._migrate()
        return workspace

    @property
    def derived(self) -> Path:
        """Posters, keyframes, sound and text made from media, by content hash."""
        return self.root / "derived"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def snapshots(self) -> Path:
        """Memory-mapped vectors for training and serving."""
        return self.root / "snapshots"

    @property
    def rejects(self) -> Path:
        """Rows that an import refused, with the reason."""
        return self.root / "rejects"

    @cached_property
    def engine(self) -> sa.Engine:
        return make_engine(f"sqlite:///{self.root / DATABASE_FILE}")

    def _migrate(self) -> None:
        config = Config()
        folder = resources.files("segue.store").joinpath("migrations")
        config.set_main_option("script_location", str(folder))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def get_meta(self, key: str) -> Any:
        """A small value kept with the workspace; None when it was never set."""
        with self.engine.connect() as connection:
            found = connection.scalar(
                sa.select(schema.meta.c.value).where(schema.meta.c.key == key)
            )
        return None if found is None else json.loads(found)

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value with the workspace."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(schema.meta).where(schema.meta.c.key == key))
            connection.execute(sa.insert(schema.meta).values(key=key, value=json.dumps(value)))
