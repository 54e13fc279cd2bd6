"""Events: idempotent, in order, and read back as histories."""

import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadInput, NotFound
from segue.core.types import Event, Item, Profile, User
from segue.store import catalogue, events, schema
from segue.store.workspace import Workspace


class Plain:
    """Likes count 1, dislikes -1, ratings a fraction of 5, impressions nothing."""

    def weigh(self, kinds, values):
        table = {"like": 1.0, "dislike": -1.0, "impression": np.nan}
        return np.array(
            [table.get(str(kind), value / 5) for kind, value in zip(kinds, values, strict=True)],
            dtype=np.float32,
        )

    def running(self, pairs, kinds, weights):
        return weights


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "w")
    catalogue.put_items(made.engine, [Item(f"m{i}", "movie", f"Film {i}") for i in range(5)])
    yield made
    made.engine.dispose()


def event(number, user="u", item="m0", kind="like", time=1.0, value=None):
    return Event(f"e{number}", user, item, kind, time, value)


def test_a_repeated_delivery_changes_nothing(workspace):
    batch = [event(1), event(2, item="m1")]
    assert events.write(workspace.engine, batch) == events.Written(2, 0)
    assert events.write(workspace.engine, [*batch, event(3)]) == events.Written(1, 2)
    assert len(events.recent(workspace.engine, "u")) == 3


def test_an_unknown_item_refuses_the_batch_and_stores_none_of_it(workspace):
    with pytest.raises(BadInput, match="'nope'"):
        events.write(workspace.engine, [event(1), event(2, item="nope")])
    assert events.recent(workspace.engine, "u") == ()


def test_recent_is_newest_first_and_limited(workspace):
    events.write(workspace.engine, [event(i, item=f"m{i}", time=float(i)) for i in range(5)])
    assert [seen.item_id for seen in events.recent(workspace.engine, "u", 3)] == ["m4", "m3", "m2"]


def test_a_history_keeps_the_last_word_on_an_item(workspace):
    events.write(
        workspace.engine,
        [
            event(1, item="m1", time=1.0),
            event(2, item="m2", time=2.0),
            event(3, item="m1", kind="dislike", time=3.0),
            event(4, item="m3", kind="impression", time=4.0),
        ],
    )
    stored = catalogue.load_catalogue(workspace.engine)
    history = events.history(workspace.engine, "u", stored.nums, Plain()).history
    assert history.items.tolist() == [2, 1]
    assert history.weights.tolist() == [1.0, -1.0]
    nobody = events.history(workspace.engine, "who?", stored.nums, Plain())
    assert nobody.history.counts.tolist() == [0]
    assert not nobody.cut


def test_what_was_refused_or_finished_before_the_newest_events_is_told(workspace):
    events.write(
        workspace.engine,
        [
            event(1, item="m0", kind="hide", time=1.0),
            event(2, item="m0", kind="play", time=2.0),
            event(3, item="m1", kind="dislike", time=3.0),
            event(4, item="m1", kind="like", time=4.0),
            event(5, item="m2", kind="skip", time=5.0),
            event(6, item="m3", kind="complete", time=6.0),
        ],
    )
    stored = catalogue.load_catalogue(workspace.engine)
    read = events.history(workspace.engine, "u", stored.nums, BehaviourWeights(), limit=2)
    assert read.cut
    assert read.history.items.tolist() == [2, 3]
    met = events.met_ever(workspace.engine, "u")
    assert met == {"m0": "hide", "m1": "like", "m3": "complete"}


def test_a_click_after_the_end_of_a_film_does_not_make_it_a_click(workspace):
    times = {"complete": 1.0, "click": 2.0}
    events.write(workspace.engine, [event(k, kind=k, time=at) for k, at in times.items()])
    stored, people = (
        catalogue.load_catalogue(workspace.engine),
        catalogue.load_people(workspace.engine),
    )
    use = BehaviourWeights()
    history = events.history(workspace.engine, "u", stored.nums, use).history
    assert history.weights.tolist() == pytest.approx([use.complete])
    every = events.interactions(workspace.engine, stored.catalogue, stored.nums, people.nums, use)
    assert every.weight.tolist() == pytest.approx([use.complete, use.complete])


def test_interactions_are_in_time_order_and_in_rows(workspace):
    catalogue.put_users(workspace.engine, [User("b"), User("a", Profile(age=3))])
    events.write(
        workspace.engine,
        [
            event(1, user="a", item="m4", time=9.0),
            event(2, user="b", item="m0", time=5.0, kind="rating", value=4.0),
        ],
    )
    stored, people = (
        catalogue.load_catalogue(workspace.engine),
        catalogue.load_people(workspace.engine),
    )
    assert people.ids == ("b", "a")
    assert people.profiles[1].age == 3
    found = events.interactions(
        workspace.engine, stored.catalogue, stored.nums, people.nums, Plain()
    )
    assert found.users.tolist() == [0, 1]
    assert found.items.tolist() == [0, 4]
    assert found.weight.tolist() == pytest.approx([0.8, 1.0])
    assert len(found.before(9.0)) == 1


def test_the_bulk_path_is_idempotent_too(workspace):
    events.write(workspace.engine, [event(1)])
    row = ("bulk-1", 1, 1, "rating", 4.0, 7.0, "", "", None, "")
    assert events.write_rows(workspace.engine, [row]) == events.Written(1, 0)
    assert events.write_rows(workspace.engine, [row]) == events.Written(0, 1)


def test_upsert_tells_new_changed_and_unchanged_apart(workspace):
    items = [
        Item("m0", "movie", "Film 0"),
        Item("m1", "movie", "New title"),
        Item("m9", "movie", ""),
    ]
    assert catalogue.put_items(workspace.engine, items) == catalogue.Upserted(1, 1, 1)
    assert catalogue.put_items(workspace.engine, items) == catalogue.Upserted(0, 0, 3)


def test_the_database_is_durable_and_migrated(workspace):
    with workspace.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    from_migrations = sa.MetaData()
    from_migrations.reflect(workspace.engine)
    for table in schema.metadata.sorted_tables:
        assert set(table.c.keys()) == set(from_migrations.tables[table.name].c.keys())


def test_a_folder_that_is_no_workspace_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(NotFound, match="segue init"):
        Workspace.open(tmp_path)
