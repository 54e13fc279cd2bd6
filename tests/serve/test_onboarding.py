"""A newcomer answers questions, and the list follows; on real films and a real recommender."""

from __future__ import annotations

import httpx
import pytest

from segue.store import events


@pytest.fixture
def client(films, serve):
    return serve(films)


def _post(client, user, answers, **more):
    told = [{"item_id": i, "answer": a} for i, a in answers]
    return client.post(f"/v1/users/{user}/onboarding", json={"answers": told, **more})


def _ids(items):
    return [item["item_id"] for item in items]


def test_questions_answers_and_the_list_come_back(client, films):
    asked = client.get("/v1/users/new-1/onboarding", params={"k": 6}).json()
    assert len(asked["questions"]) == 6
    assert (asked["known"], asked["unknown"], asked["enough"]) == (0, 0, False)
    before = client.get("/v1/users/new-1/recommendations").json()
    first, second, third = _ids(asked["questions"])[:3]
    answer = _post(client, "new-1", [(first, "like"), (second, "unknown"), (third, "dislike")])
    told = answer.json()
    assert (told["onboarding"]["known"], told["onboarding"]["unknown"]) == (2, 1)
    assert not {first, second, third} & set(_ids(told["onboarding"]["questions"]))
    assert (before["strategy"], told["recommendations"]["strategy"]) == ("cold-start", "newcomers")
    assert client.get("/v1/users/p1/recommendations").json()["strategy"] == "blend"
    shown = told["recommendations"]["items"]
    assert _ids(shown) != _ids(before["items"])
    assert not {first, third} & set(_ids(shown))
    again = client.get("/v1/users/new-1/recommendations").json()
    assert again["items"] == shown
    kinds = {(e.item_id, e.kind) for e in events.recent(films.engine, "new-1")}
    assert kinds == {(first, "like"), (second, "impression"), (third, "dislike")}


def test_five_known_are_enough(client):
    for _ in range(5):
        asked = client.get("/v1/users/new-2/onboarding", params={"k": 1}).json()
        assert not asked["enough"]
        told = _post(client, "new-2", [(asked["questions"][0]["item_id"], "like")]).json()
    assert told["onboarding"]["enough"]


def test_a_second_answer_takes_the_place_of_the_first(client, films):
    item = client.get("/v1/users/new-3/onboarding").json()["questions"][0]["item_id"]
    _post(client, "new-3", [(item, "like")])
    _post(client, "new-3", [(item, "dislike")])
    assert [e.kind for e in events.recent(films.engine, "new-3")] == ["dislike"]


def test_an_answer_is_taken_back_as_an_event(client):
    asked = client.get("/v1/users/new-4/onboarding").json()
    before = client.get("/v1/users/new-4/recommendations").json()
    told = _post(client, "new-4", [(asked["questions"][0]["item_id"], "like")]).json()
    where = f"/v1/events/{told['answered'][0]['event_id']}"
    assert client.delete(where).json() == {"deleted": 1}
    assert client.get("/v1/users/new-4/onboarding").json() == asked
    assert client.get("/v1/users/new-4/recommendations").json() == before


def test_the_answers_of_others_are_no_answers_of_mine(client):
    asked = client.get("/v1/users/new-5/onboarding").json()
    _post(client, "new-6", [(asked["questions"][0]["item_id"], "like")])
    assert client.get("/v1/users/new-5/onboarding").json() == asked


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ([("no such film", "like")], 404, "'no such film' is not in the catalogue"),
        ([], 422, "at least 1"),
        ([("1", "perhaps")], 422, "'like', 'dislike' or 'unknown'"),
    ],
)
def test_refuses_with_the_remedy(client, answers, status, words):
    answer = _post(client, "new-7", answers)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_a_model_that_cannot_ask_asks_nothing(address):
    with httpx.Client(base_url=address) as client:
        assert client.get("/v1/users/x/onboarding").json()["questions"] == []
