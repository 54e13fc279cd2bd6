"""Audiences over HTTP."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import pytest

from segue.config import Contact
from segue.core.types import Event
from segue.store import events

PEOPLE = 30
NOW = 10_000.0


class Addressing:
    """A recommender beside it that also says who takes an item: later people more likely."""

    version = "toy-1"
    strategy = "toy"
    fitted_at = NOW

    def __init__(self, inner):
        self.inner = inner
        self.catalogue = inner.catalogue

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def horizon(self):
        return 30.0

    def taking(self, histories, profiles, at, item):
        return 0.01 + histories.times[histories.indptr[1:] - 1] / 1e6


@pytest.fixture
def crowded(service):
    did = [Event(f"p{n}", f"p{n}", "film/0", "like", 1000.0 + n) for n in range(PEOPLE)]
    did += [Event("took", "p29", "film/9", "rating", 1029.0, value=5)]
    did += [Event("hid", "p28", "film/9", "hide", 1028.0)]
    events.write(service.engine, did)
    return replace(
        service,
        recommender=Addressing(service.recommender),
        contact=Contact(most=1, days=7, rest_days_same_item=90),
        clock=lambda: NOW,
    )


@pytest.fixture
def api(crowded, serve):
    return serve(crowded)


def users(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [user["user_id"] for user in answer.json()["users"]]


def test_an_audience_is_ranked_and_leaves_out_takers_and_who_hid_it(api) -> None:
    answer = api.get("/v1/items/film/9/audience", params={"k": 3})
    assert users(answer) == ["p27", "p26", "p25"]
    body = answer.json()
    assert body["left_out"] == {
        "took it already": 1, "turned it away": 1, "nothing known of them": 1,
    }  # fmt: skip
    assert body["people"] == PEOPLE
    assert body["horizon_days"] == 30
    assert body["users"][0]["probability"] == pytest.approx(0.01 + 1027 / 1e6)
    assert body["base_rate"] == pytest.approx(body["expected"] / body["people"])
    assert users(api.get("/v1/items/film/9/audience", params={"k": 1, "takers": True})) == ["p29"]


def test_a_new_event_acts_on_the_next_audience(api) -> None:
    before = users(api.get("/v1/items/film/9/audience", params={"k": 1}))
    sent = {"event_id": "x", "user_id": before[0], "item_id": "film/9", "kind": "dislike"}
    assert api.post("/v1/events", json={"events": [{**sent, "time": 2000.0}]}).status_code == 200
    assert users(api.get("/v1/items/film/9/audience", params={"k": 1})) != before


def test_who_was_addressed_is_left_in_peace(api) -> None:
    asked = {"campaign": "spring", "k": 2}
    first = api.post("/v1/items/film/9/audience/contacts", json=asked).json()
    assert first["recorded"] == 2
    assert [u["user_id"] for u in first["audience"]["users"]] == ["p27", "p26"]
    again = api.post("/v1/items/film/9/audience/contacts", json=asked).json()["audience"]
    assert [u["user_id"] for u in again["users"]] == ["p25", "p24"]
    assert again["left_out"]["contacted about it lately"] == 2
    other = api.post("/v1/items/film/8/audience/contacts", json=asked).json()["audience"]
    assert other["left_out"]["contacted often of late"] == 4
    assert not {"p24", "p25", "p26", "p27"} & {u["user_id"] for u in other["users"]}
    # To look at an audience without addressing anybody takes no notice of contacts.
    assert users(api.get("/v1/items/film/9/audience", params={"k": 1})) == ["p27"]


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        ("/v1/items/nothing/audience", {}, 404, "item 'nothing' is not in the catalogue"),
        ("/v1/items/film/9/audience", {"k": 0}, 422, "k"),
        ("/v1/items/film/9/audience", {"kk": 3}, 422, "kk"),
        ("/v1/items/film/9/audience", {"k": 10**9}, 422, "100000"),
    ],
)
def test_what_is_wrong_is_named(api, path, params, status, words) -> None:
    answer = api.get(path, params=params)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_a_campaign_needs_a_name(api) -> None:
    answer = api.post("/v1/items/film/9/audience/contacts", json={"campaign": ""})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "campaign"


def test_a_model_that_cannot_say_tells_what_to_do(service, serve) -> None:
    answer = serve(service).get("/v1/items/film/9/audience")
    assert answer.status_code == 404
    assert "train again" in answer.json()["error"]["message"]


def test_without_a_model_the_answer_is_that_there_is_none(service, serve) -> None:
    answer = serve(replace(service, recommender=None)).get("/v1/items/film/9/audience")
    assert answer.status_code == 503


def test_probabilities_are_numbers(api) -> None:
    found = api.get("/v1/items/film/9/audience").json()
    assert np.isfinite([user["probability"] for user in found["users"]]).all()
