"""Merges are read everywhere, and taken back exactly."""

import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadInput, NotFound
from segue.core.types import Event, Item, Profile, User, Vectors
from segue.store import catalogue, events, links, schema, works
from segue.store.links import Link, Links, Match
from segue.store.workspace import Workspace

USE = BehaviourWeights()


@pytest.fixture
def engine(tmp_path):
    made = Workspace.create(tmp_path)
    items = [
        Item("ml:50", "movie", "Star Wars (1977)", year=1977),
        Item("tmdb:11", "movie", "Star Wars", description="A farm boy.", creators=("Lucas",)),
        Item("omdb:7", "movie", "Star Wars: Episode IV", description="Droids.", duration_s=7260.0),
        Item("ml:9", "movie", "Heat", year=1995),
    ]
    catalogue.put_items(made.engine, items)
    people = [User("ann", Profile(age=30)), User("ann@tv", Profile(gender="f", age=31)), User("bo")]
    catalogue.put_users(made.engine, people)
    told = [
        ("ann", "ml:50", "like", 10.0), ("ann@tv", "tmdb:11", "dislike", 20.0),
        ("ann@tv", "ml:9", "complete", 15.0), ("bo", "ml:50", "like", 5.0),
        ("bo", "omdb:7", "play", 6.0),
    ]  # fmt: skip
    events.write(made.engine, [Event(str(n), *told[n][:3], told[n][3]) for n in range(len(told))])
    yield made.engine
    made.engine.dispose()


def content(engine):
    """All tables, whole: what a merge and its undoing must leave as it was."""
    with engine.connect() as connection:
        return {
            name: connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()
            for name, table in schema.metadata.tables.items()
        }


def merge(engine, *pairs, entity="item"):
    found = [Match(*links.pair_of(engine, entity, *pair), method="decided") for pair in pairs]
    return links.merge(engine, entity, found, at=1.0)


def history(engine, user):
    stored = works.load_works(engine)
    found = events.history(engine, user, stored.nums, USE).history
    ids = stored.catalogue.ids
    return {ids[r]: float(w) for r, w in zip(found.items, found.weights, strict=True)}


def test_a_link_reads_as_the_row_with_most_events_and_goes_back_exactly(engine):
    before, seen = content(engine), history(engine, "bo")
    assert merge(engine, ("tmdb:11", "ml:50"), ("omdb:7", "tmdb:11")) == 2
    assert merge(engine, ("omdb:7", "ml:50")) == 0  # they are one already
    stored = works.load_works(engine)
    assert stored.catalogue.stands_for.tolist() == [0, 0, 0, 3]
    assert stored.catalogue.shown.tolist() == [True, False, False, True]
    assert set(history(engine, "bo")) == {"ml:50"}
    assert [s.item_id for s in events.recent(engine, "bo")] == ["ml:50", "ml:50"]
    assert events.met_ever(engine, "bo") == {"ml:50": "play"}
    # What the representative lacks comes from the others, the longest description's row first.
    one = stored.catalogue.items[0]
    assert (one.title, one.year) == ("Star Wars (1977)", 1977)
    assert (one.description, one.creators, one.duration_s) == ("A farm boy.", ("Lucas",), 7260.0)
    for name in ("tmdb:11", "omdb:7"):
        assert len(links.unmerge(engine, "item", links.num_of(engine, "item", name))) == 1
    assert content(engine) == before
    assert history(engine, "bo") == seen


def test_training_counts_works_and_people_once(engine):
    merge(engine, ("tmdb:11", "ml:50"))
    merge(engine, ("ann", "ann@tv"), entity="user")
    stored, people = works.load_works(engine), catalogue.load_people(engine)
    found = events.interactions(engine, stored.catalogue, stored.nums, people.nums, USE)
    # ann@tv did more: that account stands for both.
    assert list(zip(found.users.tolist(), found.items.tolist(), strict=True)) == [
        (2, 0), (2, 2), (1, 0), (1, 3), (1, 0),
    ]  # fmt: skip
    assert people.profiles[1] == Profile(gender="f", age=31)
    assert catalogue.load_user(engine, "ann").profile == Profile(gender="f", age=31)


def test_one_person_has_one_history_and_unlinking_splits_it_exactly(engine):
    before = content(engine)
    alone = {user: history(engine, user) for user in ("ann", "ann@tv", "bo")}
    merge(engine, ("ann", "ann@tv"), entity="user")
    both = history(engine, "ann")
    assert both == history(engine, "ann@tv")
    assert both.keys() == alone["ann"].keys() | alone["ann@tv"].keys()
    assert [s.time for s in events.recent(engine, "ann", 2)] == [20.0, 15.0]
    stored = works.load_works(engine)
    cut = events.history(engine, "ann", stored.nums, USE, limit=2)
    assert cut.cut
    assert cut.history.times.tolist() == [15.0, 20.0]
    assert history(engine, "bo") == alone["bo"]
    links.unmerge(engine, "user", links.num_of(engine, "user", "ann"))
    assert {user: history(engine, user) for user in alone} == alone
    assert content(engine) == before


def test_a_dislike_on_another_platform_is_the_last_word_on_the_work(engine):
    merge(engine, ("tmdb:11", "ml:50"))
    merge(engine, ("ann", "ann@tv"), entity="user")
    assert history(engine, "ann")["ml:50"] < 0
    assert events.met_ever(engine, "ann")["ml:50"] == "dislike"


def rows(links_):
    return {n: links_.root(n) for n in range(1, 9)}


def test_any_order_of_joining_and_parting_comes_back():
    rng = np.random.default_rng(0)
    for _ in range(200):
        found = Links("item")
        states, cut = [], []
        for _ in range(6):
            a, b = rng.choice(np.arange(1, 9), 2, replace=False).tolist()
            states.append(dict(found._links))
            roots = {found.root(a), found.root(b)}
            if found.join(Match(a, b, "learned"), at=0.0):
                cut.append((next(iter(r for r in roots if found.root(r) != r)), states[-1]))
        assert all(found.root(found.root(n)) == found.root(n) for n in range(1, 9))
        for num, state in reversed(cut):
            assert [link.num for link in found.part(num)] == [num]
            assert found._links == state


def test_a_row_in_the_middle_takes_along_what_came_with_it():
    found = Links("item")
    for a, b in ((3, 4), (3, 5), (1, 3), (1, 2)):
        found.join(Match(a, b, "learned"), at=0.0)
    assert found.group(5) == (1, 2, 3, 4, 5)
    found.part(3)
    assert found.group(5) == (3, 4, 5)
    assert found.group(2) == (1, 2)
    found.part(3)  # a root: all that was joined to it parts
    assert [found.group(n) for n in (3, 4, 5)] == [(3,), (4,), (5,)]


def test_two_of_one_work_are_taken_apart_whichever_came_with_the_other():
    for first, second, left in ((5, 3, (5,)), (3, 5, (5,)), (1, 5, (5,)), (2, 3, (3, 4, 5))):
        found = Links("item")
        for a, b in ((3, 4), (3, 5), (1, 3), (1, 2)):
            found.join(Match(a, b, "learned"), at=0.0)
        found.split(first, second)
        assert found.root(first) != found.root(second)
        assert left in (found.group(first), found.group(second))
        assert found.split(first, second) == ()


def test_links_survive_a_round_through_the_store(engine):
    merge(engine, ("tmdb:11", "omdb:7"), ("omdb:7", "ml:50"))
    with engine.connect() as connection:
        found = Links.load(connection, "item")
    assert found.link(3) == Link(3, 1, "decided", None, {"under": 2}, 1.0)
    assert found.group(2) == (1, 2, 3)
    assert [link.num for link in links.unmerge(engine, "item", 2)] == [2]
    with engine.connect() as connection:
        assert Links.load(connection, "item").group(3) == (2, 3)


def test_what_cannot_be_one_is_refused(engine):
    with pytest.raises(NotFound, match="'nobody' is not known"):
        merge(engine, ("ann", "nobody"), entity="user")
    with pytest.raises(BadInput, match="name two"):
        merge(engine, ("ml:50", "ml:50"))


def test_a_work_has_the_vector_of_the_row_that_describes_it(engine):
    merge(engine, ("tmdb:11", "ml:50"))
    stored = works.load_works(engine)
    values = np.eye(4, dtype=np.float32)
    told = works.content_of_works(Vectors(values, np.ones(4, dtype=bool)), stored)
    assert told.values[0].tolist() == values[1].tolist()
    lacking = Vectors(values, np.array([False, False, True, True]))
    assert works.content_of_works(lacking, stored).present.tolist() == [False, False, True, True]


def test_a_work_can_be_had_where_any_of_its_rows_can(engine):
    with engine.begin() as connection:
        for platform, key, num in (("movielens", "50", 1), ("tmdb", "11", 2), ("omdb", "7", 3)):
            row = {"entity": "item", "platform": platform, "external_id": key, "num": num}
            connection.execute(sa.insert(schema.identities).values(**row))
    merge(engine, ("tmdb:11", "ml:50"))
    found = works.load_availability(engine, works.load_works(engine))
    assert [(p.platform, p.external_id) for p in found.of(0)] == [
        ("movielens", "50"),
        ("tmdb", "11"),
    ]
    assert found.of(1) == found.of(0)
    assert found.mask("tmdb").tolist() == [True, False, False, False]
    assert not found.mask("elsewhere").any()
    assert found.platforms == ("movielens", "omdb", "tmdb")
