from __future__ import annotations

import dataclasses

import httpx
import pytest

from segue.store import events

VIDEO_BYTES = bytes(range(256)) * 16


@pytest.fixture
def client(address):
    with httpx.Client(base_url=address) as client:
        yield client


def _like(item="film/0", user="1", event_id="x", **more):
    return {"event_id": event_id, "user_id": user, "item_id": item, "kind": "like"} | more


def _post(client, *batch):
    return client.post("/v1/events", json={"events": list(batch)})


def _ids(answer):
    return [item["item_id"] for item in answer.json()["items"]]


def _recommended(client, user, **asked):
    return client.get(f"/v1/users/{user}/recommendations", params=asked)


class TestEvents:
    def test_are_in_the_store_when_answered(self, client, service):
        assert _post(client, _like()).json() == {"added": 1, "known": 0}
        newest = events.recent(service.engine, "1", 1)[0]
        assert (newest.item_id, newest.kind) == ("film/0", "like")

    def test_repeats_change_nothing(self, client, service):
        _post(client, _like())
        again = _post(client, _like(), _like(event_id="y"))
        assert again.json() == {"added": 1, "known": 1}
        assert len(events.recent(service.engine, "1")) == 4

    def test_act_on_the_next_list(self, client):
        before = _ids(_recommended(client, "3"))
        assert before[0] == "film/0"
        _post(client, _like("film/3", "3"))
        after = _ids(_recommended(client, "3"))
        assert after[:2] == ["film/7", "film/11"]

    def test_what_was_hidden_stays_away_when_the_history_is_read_no_further(self, client, service):
        times = {"film/0": ("hide", 1.0), "film/1": ("complete", 2.0), "media-1": ("complete", 3.0)}
        _post(client, *(
            _like(item, "3", f"old-{item}") | {"kind": kind, "time": at}
            for item, (kind, at) in times.items()
        ))  # fmt: skip
        _post(client, _like("film/3", "3", "new", time=1e9))
        service.history_limit = 1
        shown = _ids(_recommended(client, "3", k=50))
        assert shown
        assert not {"film/0", "film/1", "film/3"} & set(shown)
        assert "media-1" in shown  # a track may come back

    def test_of_an_unknown_item_name_it_and_store_nothing(self, client, service):
        answer = _post(client, _like(), _like("nope", event_id="y"))
        assert answer.status_code == 422
        assert "'nope'" in answer.json()["error"]["message"]
        assert len(events.recent(service.engine, "1")) == 2

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"kind": "adore"}, "events.0.kind"),
            ({"kind": "rating"}, "events.0"),
            ({"value": "1"}, "events.0.value"),
            ({"value": True}, "events.0.value"),
            ({"extra": 1}, "events.0.extra"),
            ({"event_id": ""}, "events.0.event_id"),
            ({"event_id": "a\x00b"}, "events.0.event_id"),
            ({"user_id": 7}, "events.0.user_id"),
            ({"user_id": "u" * 301}, "events.0.user_id"),
            ({"time": -1}, "events.0.time"),
            ({"time": 1.7e12}, "events.0.time"),
            ({"position": 2**70}, "events.0.position"),
            ({"position": 1.5}, "events.0.position"),
        ],
    )
    def test_bad_fields_are_named(self, client, change, field):
        answer = _post(client, _like() | change)
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == field

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
    def test_values_must_be_finite(self, client, value):
        body = (
            '{"events":[{"event_id":"x","user_id":"1","item_id":"film/0","kind":"rating","value":'
            f"{value}}}]}}"
        )
        answer = client.post(
            "/v1/events", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == "events.0.value"

    @pytest.mark.parametrize(
        "body", ["", "{", "[]", "null", '{"events":[]}', '{"events":{}}', "\ud800"]
    )
    def test_broken_bodies_are_refused(self, client, body):
        answer = client.post(
            "/v1/events",
            content=body.encode("utf-8", "surrogatepass"),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (400, 422)
        assert answer.json()["error"]["message"]

    def test_batches_have_a_limit(self, client):
        batch = [_like(event_id=str(n)) for n in range(1001)]
        assert _post(client, *batch[:1000]).json()["added"] == 1000
        assert _post(client, *batch).json()["error"]["field"] == "events"

    def test_can_be_taken_back(self, client):
        before = _ids(_recommended(client, "3"))
        _post(client, _like("film/3", "3", "a/b"))
        assert client.delete("/v1/events/a%2Fb").json() == {"deleted": 1}
        assert _ids(_recommended(client, "3")) == before
        assert client.delete("/v1/events/a%2Fb").json() == {"deleted": 0}


class TestUsers:
    def test_are_listed_in_pages(self, client):
        users = client.get("/v1/users", params={"limit": 2, "offset": 0}).json()["users"]
        assert [user["user_id"] for user in users] == ["1", "2"]
        assert users[0] | {"last": []} == {
            "user_id": "1", "gender": "M", "age": 24, "occupation": "technician", "events": 2,
            "last": [],
        }  # fmt: skip
        assert [seen["item_id"] for seen in users[0]["last"]] == ["film/5", "film/1"]
        rest = client.get("/v1/users", params={"limit": 2, "offset": 2}).json()["users"]
        assert [user["user_id"] for user in rest] == ["3"]

    @pytest.mark.parametrize(
        ("words", "found"),
        [("woman", "23"), ("man", "1"), ("woman 31", "3"), ("writ", "2"), ("%", ""), ("2", "2")],
    )
    def test_are_found(self, client, words, found):
        users = client.get("/v1/users", params={"q": words}).json()["users"]
        assert [user["user_id"] for user in users] == list(found)

    @pytest.mark.parametrize("asked", ["limit=0", "limit=x", "offset=-1", "limit=99999999", "x=1"])
    def test_refuse_bad_pages(self, client, asked):
        answer = client.get(f"/v1/users?{asked}")
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == asked.partition("=")[0]

    def test_have_a_history(self, client):
        seen = client.get("/v1/users/1/history").json()["events"]
        assert [(s["item_id"], s["value"]) for s in seen] == [("film/5", 4), ("film/1", 5)]
        assert client.get("/v1/users/nobody/history").json() == {"events": []}


class TestRecommendations:
    def test_carry_reasons_that_sum_to_one(self, client):
        out = _recommended(client, "1", k=5).json()
        assert (out["model_version"], out["strategy"], len(out["items"])) == ("toy-1", "toy", 5)
        for item in out["items"]:
            assert sum(reason["share"] for reason in item["reasons"]) == pytest.approx(1)
        assert {"film/1", "film/5"} >= set(out["items"][0]["reasons"][0]["item_ids"])

    def test_of_strangers_are_a_labelled_cold_start(self, client):
        for user in ("nobody", "3", "никто", "a/b"):
            out = _recommended(client, user).json()
            assert out["strategy"] == "cold-start"
            assert len(out["items"]) == 10

    def test_keep_to_kinds(self, client):
        out = _recommended(client, "1", kinds="video, track", k=50).json()
        assert {item["kind"] for item in out["items"]} == {"video", "track"}

    def test_follow_rails(self, client, service):
        media = _ids(_recommended(client, "1", rail="media", k=50))
        assert sorted(media) == [f"media-{n}" for n in range(10)]
        new = _ids(_recommended(client, "1", rail="new", k=50))
        assert set(new) == {
            item.id for item in service.catalogue.catalogue.items
            if item.added_at > service.new_after
        }  # fmt: skip
        because = _ids(_recommended(client, "1", rail="because"))
        assert because[:2] == ["film/9", "film/13"]
        assert _ids(_recommended(client, "nobody", rail="because")) == []

    @pytest.mark.parametrize(
        ("asked", "field"),
        [({"k": 0}, "k"), ({"k": 201}, "k"), ({"k": "x"}, "k"), ({"kinds": "movie,cake"}, "kinds"),
         ({"rail": "x"}, "rail"), ({"q": "x"}, "q")],
    )  # fmt: skip
    def test_refuse_bad_questions(self, client, asked, field):
        answer = _recommended(client, "1", **asked)
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == field

    def test_reasons_of_one_item(self, client):
        out = client.get("/v1/users/1/recommendations/film%2F9/reasons").json()
        assert out["title"] == "Film 9 (1969)"
        assert sum(reason["share"] for reason in out["reasons"]) == pytest.approx(1)
        assert client.get("/v1/users/1/recommendations/no/reasons").status_code == 404

    def test_a_model_without_forecasts_says_so(self, client):
        answer = client.get("/v1/users/1/outlook")
        assert answer.status_code == 404
        assert "makes no forecasts" in answer.json()["error"]["message"]


class TestItems:
    def test_are_shown_with_picture_and_file(self, client):
        out = client.get("/v1/items/media-0").json()
        assert (out["poster"], out["media"]) == ("/assets/media-0/poster/0", "/media/media-0")
        film = client.get("/v1/items/film%2F3").json()
        assert (film["title"], film["poster"], film["media"]) == ("Film 3 (1963)", None, None)

    def test_unknown_ones_are_named(self, client):
        answer = client.get("/v1/items/nope")
        assert answer.status_code == 404
        assert "'nope'" in answer.json()["error"]["message"]
        assert client.get("/v1/items/nope/similar").status_code == 404

    def test_similar(self, client):
        assert _ids(client.get("/v1/items/film%2F3/similar", params={"k": 2})) == [
            "film/7",
            "film/11",
        ]

    def test_search_by_title_then_meaning(self, client):
        out = client.get("/v1/search", params={"q": "Clip 海边", "k": 20}).json()["items"]
        assert [hit["by"] for hit in out] == ["title"] * 9 + ["meaning"] * 1
        assert out[-1]["item_id"] == "film/7"
        assert _ids(client.get("/v1/search", params={"q": "the sea"})) == ["film/7", "media-1"]
        assert _ids(client.get("/v1/search", params={"q": "zzz"})) == []
        assert client.get("/v1/search").json()["error"]["field"] == "q"

    def test_search_without_an_encoder_uses_titles(self, serve, service):
        client = serve(dataclasses.replace(service, search=None))
        assert _ids(client.get("/v1/search", params={"q": "film 12"})) == ["film/12"]


class TestFiles:
    def test_whole_and_ranges(self, client):
        whole = client.get("/media/media-0")
        assert (whole.status_code, whole.content) == (200, VIDEO_BYTES)
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        part = client.get("/media/media-0", headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, VIDEO_BYTES[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(VIDEO_BYTES)}"
        tail = client.get("/media/media-0", headers={"range": "bytes=-6"})
        assert (tail.status_code, tail.content) == (206, VIDEO_BYTES[-6:])
        beyond = client.get("/media/media-0", headers={"range": "bytes=999999-"})
        assert beyond.status_code == 416

    def test_text_of_a_book(self, client):
        answer = client.get("/media/media-3")
        assert (answer.text, answer.headers["content-type"]) == (
            "Once",
            "text/plain; charset=utf-8",
        )
        assert "sandbox" in answer.headers["content-security-policy"]

    @pytest.mark.parametrize("item", ["media-1", "media-5", "media-2", "film%2F0", "nope"])
    def test_links_removed_files_and_items_without_one_are_not_found(self, client, item):
        answer = client.get(f"/media/{item}")
        assert answer.status_code == 404
        assert "secret" not in answer.text

    @pytest.mark.parametrize(
        "path",
        ["/media/../secret.txt", "/media/..%2f..%2fetc%2fpasswd", "/media//etc/passwd",
         "/media/%2e%2e/%2e%2e/etc/passwd", "/assets/media-0/poster/1", "/assets/media-0/poster/-1",
         "/assets/media-0/audio16k/0", "/assets/..%2fsecret.txt/poster/0",
         "/static/../app.py", "/static/%2e%2e/%2e%2e/app.py", "/media/a%00b"],
    )  # fmt: skip
    def test_paths_lead_nowhere(self, client, path):
        answer = client.get(path)
        assert answer.status_code in (404, 422)
        assert "secret\n" not in answer.text
        assert "root:" not in answer.text

    def test_poster_and_cover(self, client):
        poster = client.get("/assets/media-0/poster/0")
        assert (poster.status_code, poster.headers["content-type"]) == (200, "image/png")
        cover = client.get("/covers/tall/film%2F3")
        assert cover.headers["content-type"] == "image/svg+xml"
        assert "Film 3" in cover.text
        again = client.get(
            "/covers/tall/film%2F3", headers={"if-none-match": cover.headers["etag"]}
        )
        assert again.status_code == 304
        assert "<script>" not in client.get("/covers/wide/media-0").text


class TestGuard:
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]"]
    )
    def test_foreign_hosts_are_refused(self, client, host):
        answer = client.get("/v1/health", headers={"host": host})
        assert answer.status_code == 421
        assert answer.json()["error"]["message"]

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
    def test_loopback_hosts_are_served(self, client, host):
        assert client.get("/v1/health", headers={"host": host}).status_code == 200

    def test_foreign_origins_may_not_write(self, client):
        body = {"events": [_like()]}
        bad = client.post("/v1/events", json=body, headers={"origin": "https://evil.example"})
        assert bad.status_code == 403
        assert client.delete("/v1/events/e1", headers={"origin": "null"}).status_code == 403
        good = client.post("/v1/events", json=body, headers={"origin": str(client.base_url)})
        assert good.status_code == 200

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_only_json_is_taken(self, client, kind):
        answer = client.post("/v1/events", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415

    def test_large_bodies_are_refused_with_and_without_a_length(self, client):
        json = {"content-type": "application/json"}
        big = b" " * 2_000_001
        assert client.post("/v1/events", content=big, headers=json).status_code == 413

        def chunks():
            for _ in range(3):
                yield b" " * 1_000_000

        assert client.post("/v1/events", content=chunks(), headers=json).status_code == 413

    def test_every_answer_is_dressed(self, client):
        for path in (
            "/",
            "/v1/health",
            "/nope",
            "/static/app.js",
            "/media/media-0",
            "/v1/users?x=1",
        ):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "unsafe-inline'" not in headers["content-security-policy"].partition("style")[0]
            assert headers["referrer-policy"] == "no-referrer"


class TestState:
    def test_health_and_ready(self, client):
        assert client.get("/v1/health").json()["status"] == "ok"
        ready = client.get("/v1/ready")
        assert (ready.status_code, ready.json()["model_version"]) == (200, "toy-1")

    def test_without_a_model_says_how_to_get_one(self, serve, service):
        client = serve(dataclasses.replace(service, recommender=None))
        assert client.get("/v1/health").status_code == 200
        for path in ("/v1/ready", "/v1/users/1/recommendations", "/v1/items/film%2F0/similar"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "segue train" in answer.json()["error"]["message"]
        page = client.get("/")
        assert page.status_code == 503
        assert "segue train" in page.text

    def test_documents_itself(self, client):
        spec = client.get("/openapi.json").json()
        assert "/v1/users/{user_id}/recommendations/{item_id}/reasons" in spec["paths"]
        docs = client.get("/docs")
        assert docs.status_code == 200
        assert "POST" in docs.text
        assert "<script" not in docs.text

    def test_unknown_routes_and_methods_have_the_one_shape_of_error(self, client):
        assert client.get("/v1/nope").json()["error"]["message"] == "Not Found"
        assert client.put("/v1/users", json={}).status_code == 405
