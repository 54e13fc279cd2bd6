"""Works and people over HTTP, on MovieLens-100K (it lists 18 films twice) and its recommender."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import httpx
import pytest
import sqlalchemy as sa

from segue.core.behaviour import BehaviourWeights
from segue.core.types import Event
from segue.recommend.pipeline import Pipeline
from segue.serve.service import Service
from segue.store import copies, events, schema
from segue.store.catalogue import put_items
from segue.store.works import load_works
from segue.store.workspace import Workspace
from serve.conftest import running

PEOPLE = (1, 160, 300)
K = 200  # so many that both rows of a film are among them, whatever the rounding


def content(engine):
    """All tables whole."""
    with engine.connect() as connection:
        return {
            name: connection.execute(sa.select(t).order_by(*t.primary_key.columns)).all()
            for name, t in schema.metadata.tables.items()
        }


@pytest.fixture(scope="module")
def films(tmp_path_factory, before_test, pipeline: Pipeline):
    workspace = Workspace.create(tmp_path_factory.mktemp("works") / "ws")
    items = [replace(item, added_at=1.0) for item in before_test.catalogue.items]
    put_items(workspace.engine, items)
    seen, ids = before_test.interactions, before_test.catalogue.ids
    rows = zip(seen.users, seen.items, seen.time, seen.value, strict=True)
    batch = [
        Event(f"e{n}", f"p{u}", ids[i], "rating", float(t), float(v))
        for n, (u, i, t, v) in enumerate(rows) if u in PEOPLE
    ]  # fmt: skip
    events.write(workspace.engine, batch)
    with workspace.engine.begin() as connection:
        rows = [
            {"entity": "item", "platform": platform, "external_id": f"{platform}-{n}", "num": n}
            for n in range(1, len(items) + 1)
            for platform in ("movielens", *(["shop"] if n % 7 == 0 else []))
        ]
        connection.execute(sa.insert(schema.identities), rows)
    model = replace(pipeline, catalogue=load_works(workspace.engine).catalogue)
    at = before_test.at
    stored = load_works(workspace.engine)
    yield Service(workspace, stored, model, BehaviourWeights(), clock=lambda: at)
    workspace.engine.dispose()


@pytest.fixture(scope="module")
def client(films):
    with running(films) as url, httpx.Client(base_url=url) as made:
        yield made


@pytest.fixture(scope="module")
def twice(films):
    """The pairs of ids that are one film."""
    found = defaultdict(list)
    for item in films.catalogue.catalogue.items:
        found[item.title, item.year].append(item.id)
    return [tuple(ids) for ids in found.values() if len(ids) == 2]


def lists(client):
    out = {}
    for u in PEOPLE:
        answer = client.get(f"/v1/users/p{u}/recommendations", params={"k": K}).json()
        out[u] = [(row["item_id"], row["score"]) for row in answer["items"]]
    return out


def decide(client, first, second, decision):
    answer = client.post(
        f"/v1/works/{first}/decision", json={"other": second, "decision": decision}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_merged_films_show_once_and_parting_brings_every_list_back(films, client, twice):
    assert len(twice) == 18
    before, answers = content(films.engine), lists(client)
    shown = {item_id for rows in answers.values() for item_id, _ in rows}
    assert any(a in shown and b in shown for a, b in twice)  # today both are listed
    for a, b in twice:
        stands = decide(client, a, b, "same")["item_id"]
        assert stands in (a, b)
    after = lists(client)
    assert after != answers
    for rows in after.values():
        ids = {item_id for item_id, _ in rows}
        assert not any(a in ids and b in ids for a, b in twice)
    for a, b in twice:
        decide(client, a, b, "different")
    assert lists(client) == answers
    with films.engine.begin() as connection:  # what the person said is kept; all else is as before
        said = connection.execute(sa.delete(schema.copies)).rowcount
    assert said == 18
    assert content(films.engine) == before


def test_seen_on_one_row_is_seen_on_all_and_counts_for_the_work(films, client, twice):
    a, b = next(
        (a, b) for a, b in twice
        if {i for i, _ in lists(client)[1]} & {a} and {i for i, _ in lists(client)[1]} & {b}
    )  # fmt: skip
    stands = decide(client, a, b, "same")["item_id"]
    other = b if stands == a else a
    event = {"event_id": "seen", "user_id": "p1", "item_id": other, "kind": "complete"}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 200
    assert not {a, b} & {i for i, _ in lists(client)[1]}
    history = client.get("/v1/users/p1/history", params={"limit": 1}).json()["events"]
    assert history[0]["item_id"] == stands
    client.delete("/v1/events/seen")
    decide(client, a, b, "different")


def test_search_and_similar_name_the_work_once(films, client, twice):
    a, b = next(pair for pair in twice if films.item(pair[0]).title == "Sliding Doors")
    stands = decide(client, a, b, "same")["item_id"]
    hits = client.get("/v1/search", params={"q": "sliding doors"}).json()["items"]
    assert [hit["item_id"] for hit in hits] == [stands]
    like = {
        item: client.get(f"/v1/items/{item}/similar", params={"k": 50}).json()["items"]
        for item in (a, b)
    }
    assert like[a] == like[b]
    assert not {a, b} & {row["item_id"] for row in like[a]}
    told = client.get(f"/v1/items/{a}").json()
    assert told["work"] == stands
    assert {(p["platform"], p["item_id"]) for p in told["available_on"]} >= {
        ("movielens", a), ("movielens", b),
    }  # fmt: skip
    decide(client, a, b, "different")
    assert client.get(f"/v1/items/{b}").json()["work"] == b


def test_a_list_can_be_kept_to_what_a_platform_has(films, client):
    asked = {"k": 20, "platform": "shop"}
    rows = client.get("/v1/users/p300/recommendations", params=asked).json()["items"]
    assert len(rows) == 20
    assert all("shop" in row["available_on"] for row in rows)
    every = client.get("/v1/users/p300/recommendations", params={"k": 20}).json()["items"]
    assert not all("shop" in row["available_on"] for row in every)
    cold = client.get("/v1/users/nobody-yet/recommendations", params=asked).json()["items"]
    assert all("shop" in row["available_on"] for row in cold)
    unknown = client.get("/v1/users/p300/recommendations", params={"platform": "cinema"})
    assert unknown.status_code == 404
    assert "movielens, shop" in unknown.json()["error"]["message"]


def test_proposals_wait_until_decided(films, client, twice):
    nums = [sorted(int(films.catalogue.nums[films.catalogue.catalogue.row(i)]) for i in pair)
            for pair in twice[:2]]  # fmt: skip
    with films.engine.begin() as connection:
        connection.execute(sa.delete(schema.copies))
        rows = [(a, b, 0.5 + n / 10, {"rival": 0.0}) for n, (a, b) in enumerate(nums)]
        assert copies.propose(connection, rows, copies.MATCHER) == 2
        # The other proposer's rows are not these; a decided pair is not proposed again.
        assert copies.propose(connection, [], copies.PRINTS) == 0
    told = client.get("/v1/works/proposals", params={"limit": 1}).json()
    assert told["waiting"] == 2
    assert told["proposals"][0]["score"] == pytest.approx(0.6)
    first = told["proposals"][0]
    decide(client, first["first"], first["second"], "different")
    with films.engine.begin() as connection:
        assert copies.propose(connection, rows, copies.MATCHER) == 1
        connection.execute(sa.delete(schema.copies))


def test_what_cannot_be_decided_is_refused(client):
    asked = {"other": "50", "decision": "same"}
    assert client.post("/v1/works/no-such/decision", json=asked).status_code == 404
    assert client.post("/v1/works/50/decision", json=asked).status_code == 422
    asked = {"other": "51", "decision": "perhaps"}
    assert client.post("/v1/works/50/decision", json=asked).status_code == 422


def test_a_consented_address_makes_one_history_and_withdrawing_splits_it(films, client):
    alone = {
        u: client.get(f"/v1/users/p{u}/history", params={"limit": 500}).json() for u in (1, 300)
    }
    assert all(told["events"] for told in alone.values())
    answers = lists(client)
    key = {"kind": "email", "value": "ann@example.org", "consent": True}
    refused = client.post("/v1/users/p1/keys", json=key | {"consent": False})
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == "consent"
    assert client.post("/v1/users/p1/keys", json=key).json()["accounts"] == []
    joined = client.post("/v1/users/p300/keys", json=key | {"value": "Ann@Example.org"}).json()
    assert joined["user_id"] in ("p1", "p300")
    assert joined["accounts"] == ["p1"]
    both = [client.get(f"/v1/users/p{u}/history", params={"limit": 1000}).json() for u in (1, 300)]
    assert both[0] == both[1]
    assert len(both[0]["events"]) == sum(len(told["events"]) for told in alone.values())
    one = lists(client)
    assert one[1] == one[300] != answers[1]
    assert one[160] == answers[160]
    seen = {row["item_id"] for row in both[0]["events"]}
    assert not seen & {item_id for item_id, _ in one[1]}
    assert client.delete("/v1/users/p300/keys").json() == {"deleted": 1}
    assert lists(client) == answers
    for u, told in alone.items():
        assert client.get(f"/v1/users/p{u}/history", params={"limit": 500}).json() == told
    client.delete("/v1/users/p1/keys")
