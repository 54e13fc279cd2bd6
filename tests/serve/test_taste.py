"""Interests over the API, and that an edit acts on the next list: on real people and films."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from segue import assembly
from segue.core.types import Event
from segue.serve import tastes as serving
from segue.serve.tastes import Said, edit_taste, take_back_edit, taste_of
from segue.store import events, schema
from segue.store import tastes as stored

K = 20


@pytest.fixture(autouse=True)
def _nothing_edited(films):
    yield
    with films.engine.begin() as connection:
        connection.execute(sa.delete(schema.taste_edits))


def _people(service):
    known = [p for p in events.keys(service.engine, schema.users) if p.startswith("p")]
    return [p for p in known if len(taste_of(service, p).interests) >= 2]


def _list(service, user):
    return service.recommend(user, K).ranking


def _belonging(service, ranking, items):
    """How far a list belongs to an interest, 0 to 1."""
    rows = service.catalogue.catalogue.rows(items)
    inside = serving.belonging(service.recommender.near(rows), rows)
    return float(inside[service.catalogue.catalogue.rows(e.id for e in ranking)].mean())


class TestEdits:
    @pytest.mark.parametrize(("kind", "sign"), [("less", -1), ("more", 1)])
    def test_move_the_next_list_and_come_back_exactly(self, films, kind, sign):
        people = _people(films)
        assert len(people) >= 4
        moved = []
        for person in people:
            interest = taste_of(films, person).interests[0]
            items = [item.id for item in interest.items]
            before = _list(films, person)
            edit = edit_taste(films, person, Said(kind, interest.interest.label))
            after = _list(films, person)
            moved.append(_belonging(films, after, items) - _belonging(films, before, items))
            assert take_back_edit(films, person, edit.num)
            assert _list(films, person) == before
        assert all(sign * m > 0.05 for m in moved), moved

    def test_a_wish_is_told_as_a_reason_whose_share_is_its_part(self, films):
        person = _people(films)[0]
        label = taste_of(films, person).interests[1].interest.label
        edit = edit_taste(films, person, Said("more", label))
        ranking = _list(films, person)
        told = [r for e in ranking for r in e.reasons if r.kind == "taste"]
        assert told
        assert {r.text for r in told} == {f"you asked for more of {label}"}
        for entry in ranking:
            assert sum(r.share for r in entry.reasons) == pytest.approx(1)
        first = ranking.entries[0]
        alone = films.reasons(person, first.id)
        assert [r.text for r in alone] == [r.text for r in first.reasons]
        assert [r.share for r in alone] == pytest.approx([r.share for r in first.reasons])
        take_back_edit(films, person, edit.num)

    def test_items_of_an_unwanted_interest_are_no_reason(self, films):
        person = _people(films)[0]
        interest = taste_of(films, person).interests[0]
        edit = edit_taste(films, person, Said("less", interest.interest.label))
        shown = taste_of(films, person).interests[0]
        assert shown.edit == edit
        named = {i for e in _list(films, person) for r in e.reasons for i in r.item_ids}
        assert named
        assert not named & {item.id for item in interest.items}
        take_back_edit(films, person, edit.num)

    def test_the_newest_wish_holds(self, films):
        person = _people(films)[0]
        label = taste_of(films, person).interests[0].interest.label
        nums = [edit_taste(films, person, Said("more", label)).num]
        alone = _list(films, person)
        nums.append(edit_taste(films, person, Said("less", label)).num)
        assert _list(films, person) != alone
        nums.append(edit_taste(films, person, Said("more", label)).num)
        assert _list(films, person) == alone
        for num in nums:
            take_back_edit(films, person, num)

    def test_what_others_watched_does_not_count_and_may_come_back(self, films):
        person = _people(films)[1]
        history = films.query(person).history
        start, end = float(np.median(history.times)), float(history.times.max()) + 1
        before = _list(films, person)
        edit = edit_taste(films, person, Said("lent", start=start, end=end))
        own = films.query(person).history
        kept = history.times < start
        assert own.items.tolist() == history.items[kept].tolist()
        assert _list(films, person) != before
        assert not films.query(person).exclude
        take_back_edit(films, person, edit.num)
        assert _list(films, person) == before

    def test_what_was_hidden_on_a_lent_account_stays_hidden(self, films):
        hidden = _list(films, "visitor").entries[0].id
        films.record([Event("h", "visitor", hidden, "hide", 50.0)])
        edit = edit_taste(films, "visitor", Said("lent", start=10.0, end=60.0))
        assert films.query("visitor").history.items.size == 0
        assert hidden not in {e.id for e in _list(films, "visitor")}
        take_back_edit(films, "visitor", edit.num)


def test_lent_stretches_teach_nothing(service):
    engine = service.engine
    before = assembly.load_training(service.workspace).interactions
    stored.add(engine, "1", stored.Edit("lent", 1.0, start=150.0, end=250.0))
    after = assembly.load_training(service.workspace).interactions
    assert before.time.tolist() == [100.0, 200.0, 300.0]
    assert after.time.tolist() == [100.0, 300.0]


class TestApi:
    @pytest.fixture
    def client(self, address):
        with httpx.Client(base_url=address) as client:
            yield client

    @pytest.fixture
    def taste(self, client, service):
        service.clock = lambda: 200.0
        rows = [(f"film/{n}", n) for n in (0, 4, 8, 12, 16, 1, 5, 9, 13)]
        service.record([Event(f"t{n}", "2/b", i, "like", 10.0 * n + 1) for i, n in rows])
        return client.get("/v1/users/2%2Fb/taste").json()

    def test_tells_interests_in_words(self, taste):
        first, second = taste["interests"]
        assert (first["label"], second["label"]) == ("1970s drama films", "1960s comedy films")
        assert (first["n_items"], second["n_items"]) == (5, 4)
        assert first["share"] + second["share"] == pytest.approx(1)
        assert first["strength"] == pytest.approx(5, rel=0.01)
        assert len(first["items"]) == 4
        assert first["edit"] is None

    def test_an_edit_is_stored_told_and_taken_back(self, client, taste):
        where = "/v1/users/2%2Fb/taste/edits"
        label = taste["interests"][0]["label"]
        made = client.post(where, json={"kind": "less", "label": label}).json()
        assert set(made["items"]) == {f"film/{n}" for n in (0, 4, 8, 12, 16)}
        assert client.get(where).json()["edits"] == [made]
        told = client.get("/v1/users/2%2Fb/taste").json()
        assert told["interests"][0]["edit"] == made
        assert client.delete(f"{where}/{made['num']}").json() == {"deleted": 1}
        assert client.delete(f"{where}/{made['num']}").json() == {"deleted": 0}
        assert client.get("/v1/users/2%2Fb/taste").json() == taste

    def test_nobody_takes_back_what_another_said(self, client, taste):
        made = client.post(
            "/v1/users/2%2Fb/taste/edits", json={"kind": "less", "items": ["film/0"]}
        )
        num = made.json()["num"]
        assert client.delete(f"/v1/users/1/taste/edits/{num}").json() == {"deleted": 0}

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"kind": "less", "label": "polka"}, 404, "'1970s drama films', '1960s comedy films'"),
            ({"kind": "less"}, 422, "needs the label or the items"),
            ({"kind": "more", "items": ["nothing"]}, 404, "'nothing' is not in the catalogue"),
            ({"kind": "lent", "start": 5.0, "end": 5.0}, 422, "start before its end"),
            ({"kind": "lent"}, 422, "start None"),
            ({"kind": "louder"}, 422, "kind"),
        ],
    )
    def test_refuses_with_the_remedy(self, client, taste, body, status, words):
        answer = client.post("/v1/users/2%2Fb/taste/edits", json=body)
        assert answer.status_code == status
        assert words in answer.json()["error"]["message"]

    def test_nobody_known_has_no_taste(self, client):
        assert client.get("/v1/users/nobody/taste").json() == {"interests": [], "edits": []}
