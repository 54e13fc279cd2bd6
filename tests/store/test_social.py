"""The stored graph: the circle of a request is the circle of a training."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from segue.core import social as core
from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadInput, NotFound
from segue.core.types import Event, Item, Profile, Training, User
from segue.store import catalogue, events, links, schema, social
from segue.store.workspace import Workspace

WEIGHER = BehaviourWeights()
PEOPLE = ("me", "anna", "bob", "cem", "dan")


@pytest.fixture
def engine(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    catalogue.put_items(workspace.engine, [Item(f"m{i}", "movie", f"Film {i}") for i in range(9)])
    catalogue.put_users(workspace.engine, [User(name) for name in PEOPLE])
    events.write(
        workspace.engine,
        [
            Event("1", "anna", "m1", "rating", 10, 5.0),
            Event("2", "anna", "m2", "like", 20),
            Event("3", "anna", "m1", "dislike", 30),
            Event("4", "bob", "m1", "like", 25),
            Event("5", "bob", "m3", "impression", 26),
            Event("6", "bob", "m4", "complete", 60),
            Event("7", "cem", "m5", "like", 5),
            Event("8", "me", "m6", "like", 6),
        ],
    )
    yield workspace.engine
    workspace.engine.dispose()


def share(engine, *names):
    with engine.begin() as connection:
        some = schema.users.c.id.in_(names)
        connection.execute(sa.update(schema.users).where(some).values(shares=True))


def around(engine, at=100.0, name="me"):
    stored = catalogue.load_catalogue(engine)
    return social.circle(engine, name, at, stored.nums, WEIGHER)


def of_training(engine, at, name="me"):
    stored, people = catalogue.load_catalogue(engine), catalogue.load_people(engine)
    seen = events.interactions(engine, stored.catalogue, stored.nums, people.nums, WEIGHER)
    graph = social.load_graph(engine, people.nums)
    past = Training(
        stored.catalogue, seen, (Profile(),) * len(people.ids), None, 1e9, graph
    ).before(at)  # fmt: skip
    row = np.array([people.ids.index(name)])
    return past.with_circle(past.interactions.histories(row), row).circle


def same(one, other):
    for name in ("indptr", "items", "weights", "times", "ties", "who", "sizes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("at", [100.0, 60.0, 27.0, 12.0, 1.0])
def test_a_request_sees_what_a_training_sees(engine, at):
    social.follow(engine, "me", "anna", "follow", 1.0, at=2.0)
    social.follow(engine, "me", "anna", "friend", 3.0, at=4.0)
    social.follow(engine, "me", "bob", "trust", 2.0, at=40.0)
    social.follow(engine, "me", "cem", "follow", 2.0, at=1.0)
    found = around(engine, at)
    same(found.circle, of_training(engine, at))
    assert not (found.circle.times >= at).any()


def test_the_strongest_and_the_newest_alone_are_read(engine, monkeypatch):
    for name, weight in (("anna", 3.0), ("bob", 2.0), ("cem", 1.0)):
        social.follow(engine, "me", name, "follow", weight, at=1.0)
    for module in (core, social):
        monkeypatch.setattr(module, "MOST_TIES", 2)
        monkeypatch.setattr(module, "NEWEST", 1)
    found = around(engine)
    assert found.circle.sizes.tolist() == [3]
    assert len(found.friends) == 2
    assert found.circle.items.tolist() == [1, 4]


def test_those_who_share_are_named_in_the_order_of_their_places(engine):
    share(engine, "cem", "bob")
    for name, weight in (("anna", 1.0), ("bob", 2.0), ("cem", 5.0)):
        social.follow(engine, "me", name, "follow", weight, at=1.0)
    found = around(engine)
    assert found.friends == ("cem", "bob", None)
    items = {place: found.circle.items[found.circle.who == place].tolist() for place in range(3)}
    assert items == {0: [5], 1: [1, 4], 2: [2, 1]}


def test_accounts_of_one_person_are_one_friend_and_one_follower(engine):
    social.follow(engine, "me", "bob", "follow", 1.0, at=1.0)
    social.follow(engine, "dan", "cem", "follow", 1.0, at=1.0)
    before = around(engine)
    nums = dict(zip(catalogue.load_people(engine).ids, catalogue.load_people(engine).nums,
                    strict=True))  # fmt: skip
    link(engine, nums["bob"], nums["anna"])
    link(engine, nums["dan"], nums["me"])
    found = around(engine)
    assert len(before.circle.items) == 2
    assert sorted(found.circle.items.tolist()) == [1, 2, 4, 5]
    same(found.circle, of_training(engine, 100.0))


def link(engine, num, into):
    row = {"entity": "user", "num": int(num), "into_num": int(into), "method": "login", "at": 1.0}
    with engine.begin() as connection:
        connection.execute(sa.insert(schema.links).values(evidence={}, **row))
    assert links.pointers(engine.connect(), "user")[int(num)] == int(into)


def test_follow_change_and_end(engine):
    made = social.follow(engine, "new", "anna", "follow", 1.0, at=7.0)
    assert (made.user_id, made.kind, made.weight, made.time, made.shares) == (
        "anna", "follow", 1.0, 7.0, False,
    )  # fmt: skip
    again = social.follow(engine, "new", "anna", "follow", 4.0, at=9.0)
    assert (again.weight, again.time) == (4.0, 7.0)
    social.follow(engine, "new", "anna", "trust", 1.0, at=9.0)
    social.follow(engine, "new", "bob", "trust", 2.0, at=9.0)
    assert [(f.user_id, f.kind) for f in social.follows(engine, "new")] == [
        ("anna", "follow"), ("bob", "trust"), ("anna", "trust"),
    ]  # fmt: skip
    assert social.unfollow(engine, "new", "anna", "trust") == 1
    assert social.unfollow(engine, "new", "anna") == 1
    assert social.unfollow(engine, "new", "anna") == 0
    assert social.unfollow(engine, "nobody", "anna") == 0


def test_bad_ties_are_refused(engine):
    with pytest.raises(NotFound, match="'zoe'"):
        social.follow(engine, "me", "zoe", "follow", 1.0)
    with pytest.raises(BadInput, match="themselves"):
        social.follow(engine, "me", "me", "follow", 1.0)
    with pytest.raises(BadInput, match="weight must be > 0, got 0"):
        social.follow(engine, "me", "anna", "follow", 0)


def test_without_ties_there_is_no_graph(engine):
    assert social.load_graph(engine, catalogue.load_people(engine).nums) is None
    assert len(around(engine).circle.items) == 0
    assert around(engine, name="a stranger").friends == ()
