"""Exploration over the API: off by default, told and logged where it is on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sqlalchemy as sa

from segue.assembly import read_settings
from segue.core.types import Event
from segue.recommend.explore import Explore
from segue.serve.service import Service
from segue.store import exposures, schema


def _with(service: Service, **settings) -> Service:
    return dataclasses.replace(service, explore=Explore(**settings))


def _rows(service):
    with service.engine.connect() as connection:
        query = sa.select(schema.exposures).order_by(schema.exposures.c.num)
        return connection.execute(query).mappings().all()


def _list(client, user="1", k=10):
    return client.get(f"/v1/users/{user}/recommendations", params={"k": k}).json()


def test_off_by_default_with_nothing_logged_and_nothing_told(service, serve):
    answer = _list(serve(service))
    assert "request_id" not in answer
    assert _rows(service) == []
    assert service.explorer is None


@pytest.mark.parametrize("policy", ["thompson", "linucb"])
def test_a_list_has_one_place_that_explores_and_is_logged(service, serve, policy):
    plain = _list(serve(service))["items"]
    exploring = _with(service, policy=policy)
    answer = _list(serve(exploring))
    shown = answer["items"]
    assert [i["item_id"] for i in shown[:3]] == [i["item_id"] for i in plain[:3]]
    assert [i["item_id"] for i in shown[4:]] == [i["item_id"] for i in plain[3:-1]]
    assert shown[3]["reasons"][0]["kind"] == "exploration"
    rows = _rows(service)
    assert len(rows) == 10
    assert {row["request_id"] for row in rows} == {answer["request_id"]}
    assert {row["policy"] for row in rows} == {policy}
    assert [row["position"] for row in rows] == list(range(10))
    assert [row["propensity"] for row in rows if row["position"] != 3] == [1.0] * 9
    assert 0 < rows[3]["propensity"] < 1


def test_the_id_reproduces_the_list_and_logs_it_once(service):
    exploring = _with(service, policy="thompson", slots=2)
    query, model = exploring.query("1"), exploring.model()
    first = exploring.explorer.explored(model, query)
    again = exploring.explorer.explored(model, query, first.request_id)
    assert again == first
    assert len(_rows(service)) == 10
    others = [exploring.explorer.explored(model, query).ranking for _ in range(20)]
    assert any(other != first.ranking for other in others)


def test_logged_propensities_are_how_often_items_are_shown(service):
    exploring = _with(service, policy="thompson", candidates=4, equal=0.3, enough=10**6)
    query, model = exploring.query("1"), exploring.model()
    rounds = 1500
    shown = [exploring.explorer.explored(model, query).ranking.entries[3].id for _ in range(rounds)]
    told = {row["item_num"]: row["propensity"] for row in _rows(service) if row["position"] == 3}
    ids = service.catalogue.catalogue.ids
    nums = {int(num): ids[row] for row, num in enumerate(service.catalogue.nums)}
    assert sum(told.values()) == pytest.approx(1)
    for num, share in told.items():
        often = shown.count(nums[num]) / rounds
        assert abs(often - share) < 4.5 * np.sqrt(share * (1 - share) / rounds)


def test_what_was_taken_is_learned_and_shown_more(service):
    exploring = _with(service, policy="thompson", candidates=6)
    query, model = exploring.query("1"), exploring.model()
    at = query.at
    first = exploring.explorer._candidates(model, query, model.recommend(query))
    star = first[-1].id
    nums = dict(zip(service.catalogue.catalogue.ids, service.catalogue.nums.tolist(), strict=True))
    for n, entry in enumerate(first):
        for visit in range(30):
            shown = exposures.Shown(f"{n:x}{visit:04x}", f"u{visit}", "thompson", "toy", at - 60)
            exposures.write(service.engine, shown, [exposures.Exposure(nums[entry.id], 3, 0.2)])
    service.record([Event(f"s{v}", f"u{v}", star, "like", at - 50) for v in range(9)])
    exploring.explorer._learned = None
    learned = exploring.explorer.learned(at)
    row = service.catalogue.catalogue.row(star)
    assert (learned.shown[row], learned.taken[row]) == (30, 9)
    shares = exploring.explorer._shares(model, query, first, 1)[0]
    assert int(np.argmax(shares)) == len(first) - 1
    assert shares[-1] > 0.5


def test_items_that_were_shown_enough_are_explored_no_more(service):
    exploring = _with(service, policy="thompson", candidates=3, enough=5)
    query, model = exploring.query("1"), exploring.model()
    explorer = exploring.explorer
    before = {e.id for e in explorer._candidates(model, query, model.recommend(query))}
    for n in range(5):
        for entry in before:
            num = int(service.catalogue.nums[service.catalogue.catalogue.row(entry)])
            shown = exposures.Shown(f"{n}{entry}", "u", "thompson", "toy", 1.0)
            exposures.write(service.engine, shown, [exposures.Exposure(num, 3, 0.2)])
    explorer._learned = None
    after = {e.id for e in explorer._candidates(model, query, model.recommend(query))}
    assert len(before) == len(after) == 3
    assert not before & after


def test_who_is_unsure_is_shown_what_tells_most(asking):
    exploring = _with(asking, policy="thompson", candidates=6)
    query, model = exploring.query("nobody"), exploring.model()
    found = exploring.explorer._candidates(model, query, model.recommend(query))
    texts = {reason.text for entry in found for reason in entry.reasons}
    assert any("tells us what you like" in text for text in texts)
    assert len({entry.id for entry in found}) == len(found)


def test_the_page_shows_one_list_for_one_visit(service):
    exploring = _with(service, policy="thompson")
    exploring.clock = lambda: 1e9
    assert exploring.first_rail("1", 10) == exploring.rails("1", 10, 5)[0]
    assert len(_rows(service)) == 10


def test_settings_are_read_from_the_workspace(service):
    path = service.workspace.root / "segue.toml"
    path.write_text(path.read_text() + '\n[explore]\npolicy = "linucb"\nslots = 2\n')
    assert read_settings(service.workspace).explore == Explore(policy="linucb", slots=2)
