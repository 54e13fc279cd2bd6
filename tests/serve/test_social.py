"""Whom a person follows, over the API, and that a model which asks gets to see it."""

from __future__ import annotations

import httpx
import sqlalchemy as sa

from segue.core.types import Event
from segue.store import schema


def test_follow_list_and_end(address: str) -> None:
    with httpx.Client(base_url=f"{address}/v1") as client:
        assert client.get("/users/1/follows").json() == {"follows": []}
        made = client.put("/users/1/follows/2", json={"kind": "trust", "weight": 0.5})
        assert made.status_code == 200
        told = made.json()
        assert (told["user_id"], told["kind"], told["weight"], told["shares"]) == (
            "2", "trust", 0.5, False,
        )  # fmt: skip
        assert client.put("/users/1/follows/2", json={}).json()["kind"] == "follow"
        found = client.get("/users/1/follows").json()["follows"]
        assert [(f["user_id"], f["kind"]) for f in found] == [("2", "follow"), ("2", "trust")]
        one = client.delete("/users/1/follows/2", params={"kind": "trust"})
        assert one.json() == {"deleted": 1}
        assert client.delete("/users/1/follows/2").json() == {"deleted": 1}
        assert client.get("/users/1/follows").json() == {"follows": []}


def test_bad_ties_are_refused_by_name(address: str) -> None:
    with httpx.Client(base_url=f"{address}/v1") as client:
        for told, field in (
            ({"kind": "enemy"}, "kind"), ({"weight": 0}, "weight"), ({"strength": 1}, "strength"),
        ):  # fmt: skip
            refused = client.put("/users/1/follows/2", json=told)
            assert refused.status_code == 422
            assert field in refused.json()["error"]["field"]
        assert client.put("/users/1/follows/1", json={}).status_code == 422
        unknown = client.put("/users/1/follows/nobody", json={})
        assert unknown.status_code == 404
        assert "'nobody'" in unknown.json()["error"]["message"]


def test_a_question_carries_the_circle_only_where_the_model_looks_at_it(service) -> None:
    from segue.store import social  # noqa: PLC0415

    item = service.catalogue.catalogue.ids[3]
    service.record([Event("friend-1", "2", item, "like", 5.0)])
    social.follow(service.engine, "1", "2", "follow", 1.0, at=1.0)
    assert service.query("1").history.circle is None

    service.recommender.asks_friends = lambda: True
    query = service.query("1")
    assert 3 in query.history.circle.items.tolist()
    assert query.friends == (None,)
    with service.engine.begin() as connection:
        u2 = schema.users.c.id == "2"
        connection.execute(sa.update(schema.users).where(u2).values(shares=True))
    assert service.query("1").friends == ("2",)
