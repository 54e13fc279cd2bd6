"""Workspaces of older versions come up to date with what is in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from segue.store import schema
from segue.store.catalogue import load_people
from segue.store.workspace import Workspace


def at_revision(workspace: Workspace, revision: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", "segue.store:migrations")
    with workspace.engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()


def test_people_of_an_older_workspace_are_kept(tmp_path):
    workspace = Workspace.create(tmp_path / "shelf")
    at_revision(workspace, "0002", down=True)
    with workspace.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO users (id, gender, interests) VALUES ('ann', 'F', '[\"jazz\"]')")
        )
        # What refers to people must not stand in the way.
        connection.execute(
            sa.text(
                "INSERT INTO items (id, kind, title, description, tags, creators, added_at, "
                "source, licence, extra) "
                "VALUES ('i', 'track', 'I', '', '[]', '[]', 1, '', '', '{}')"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO events (event_id, user_num, item_num, kind, time, platform, session, "
                "model_version) VALUES ('e', 1, 1, 'play', 1, '', '', '')"
            )
        )
    people = load_people(Workspace.open(workspace.root).engine)
    assert people.ids == ("ann",)
    assert people.profiles[0].interests == ("jazz",)
    assert people.profiles[0].device is None
    with workspace.engine.connect() as connection:
        assert connection.scalar(sa.select(schema.users.c.shares)) is False


def test_migrations_make_the_tables_that_the_code_asks_for(tmp_path):
    workspace = Workspace.create(tmp_path / "shelf")
    with workspace.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_all_the_way_back_and_forth(tmp_path):
    workspace = Workspace.create(tmp_path / "shelf")
    at_revision(workspace, "base", down=True)
    assert set(sa.inspect(workspace.engine).get_table_names()) <= {"alembic_version"}
    at_revision(workspace, "head")
    assert set(schema.TABLES) < set(sa.inspect(workspace.engine).get_table_names())
