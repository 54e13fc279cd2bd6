"""What was understood of an item, over the API and on its page; the moment for a person."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.types import Event, Vectors
from segue.serve.insight_view import WIDTH, view
from segue.store import events, schema
from segue.store.insights import load_insights
from segue.store.scenes import SceneRow, SceneVector, put_scene_vectors
from segue.understand.findings import Findings, Label, Measure, Note
from segue.understand.sources import Cue
from segue.understand.steps import put

ITEM = "media-0"


def numbered(service, item_id):
    return int(service.catalogue.nums[service.catalogue.catalogue.row(item_id)])


@pytest.fixture
def understood(service):
    """Two scenes of a video: one like film/0, one like film/1."""
    num, n = numbered(service, ITEM), len(service.catalogue.catalogue)
    values = np.zeros((n, 4), dtype=np.float32)
    values[:, 3] = 1.0
    values[service.catalogue.catalogue.row("film/0")] = (1, 0, 0, 0)
    values[service.catalogue.catalogue.row("film/1")] = (0, 1, 0, 0)
    values[service.catalogue.catalogue.row(ITEM)] = (0.6, 0.6, 0.5, 0)
    service.content = Vectors(values, np.ones(n, np.bool_), "e@1")
    with service.engine.begin() as connection:
        connection.execute(
            sa.insert(schema.scenes),
            [
                {"item_num": num, "level": level, "position": at, "start_s": 30.5 * at,
                 "end_s": 30.5 * (at + 1), "keyframe": at}
                for level in ("scene", "shot") for at in range(2)
            ],
        )  # fmt: skip
        connection.execute(
            sa.insert(schema.assets),
            [
                {"item_num": num, "kind": "keyframe", "position": at, "path": "p.png",
                 "content_hash": "h"}
                for at in range(2)
            ],
        )  # fmt: skip
        vectors = np.eye(4, dtype=np.float32)
        put_scene_vectors(
            connection, num, [SceneVector(num, at, "e@1", "h", vectors[at]) for at in range(2)]
        )
        put(
            connection, num, "model@1",
            Findings(
                labels=(
                    Label("mood", "<i>calm</i>", 0.8),
                    Label("object", "bicycle", 0.6),
                    Label("sound-span", "speech", 0.9, 0.0, 30.5),
                    Label("sound-span", "music", 0.9, 30.5, 61.0),
                ),
                measures=(
                    Measure("tempo_bpm", 120.0), Measure("people", 3.0),
                    Measure("sentiment", 0.5, 0.0),
                    Measure("sentiment", -0.5, 30.0),
                ),
                cues=(Cue(1.0, 4.0, "<b>Hello</b> there"),),
                notes=(Note("summary", "Two scenes.", "en", generated=True),),
            ),
        )  # fmt: skip
        connection.execute(
            sa.insert(schema.copies).values(
                item_num=num, other_num=numbered(service, "media-5"), score=0.9,
                evidence={"picture": 0.9}, status="proposed",
            )
        )  # fmt: skip
    return service


def get(address, path):
    answer = httpx.get(f"{address}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("liked", "start_s"), [("film/0", 0.0), ("film/1", 30.5)])
def test_the_moment_follows_what_a_person_took(understood, address, liked, start_s):
    events.write(understood.engine, [Event("m1", "9", liked, "like", 400.0)])
    found = get(address, f"/v1/users/9/items/{ITEM}/moment")
    assert (found["start_s"], found["because"]) == (start_s, liked)
    assert found["keyframe"] == f"/assets/{ITEM}/keyframe/{round(start_s / 30.5)}"
    assert found["text"].startswith("closest to Film")
    assert httpx.get(f"{address}{found['keyframe']}").status_code == 200


def test_an_item_without_scenes_says_so(understood, address):
    answer = httpx.get(f"{address}/v1/users/1/items/film%2F2/moment")
    assert answer.status_code == 404
    assert "has no scenes" in answer.json()["error"]["message"]


def test_everything_known_of_an_item_is_told(understood, address):
    found = get(address, f"/v1/items/{ITEM}/insights")
    assert [scene["start_s"] for scene in found["scenes"]] == [0.0, 30.5]
    assert found["shots"] == [[0.0, 30.5], [30.5, 61.0]]
    labels = {label["label"] for label in found["labels"]}
    assert labels == {"<i>calm</i>", "bicycle", "speech", "music"}
    assert found["notes"][0]["generated"] is True
    assert found["copies"][0]["item_id"] == "media-5"
    other = get(address, "/v1/items/media-5/insights")
    assert other["copies"][0]["item_id"] == ITEM
    assert get(address, "/v1/items/film%2F1/insights")["scenes"] == []


def test_scenes_are_found_by_words(understood, address):
    num = numbered(understood, ITEM)
    understood.scene_search = lambda words, k: [(SceneRow(num, 1, 30.5, 61.0, 1), 0.4)][:k]
    (hit,) = get(address, "/v1/search/scenes?q=sea")["scenes"]
    assert (hit["item_id"], hit["start_s"], hit["score"]) == (ITEM, 30.5, 0.4)


def test_the_page_shows_scenes_that_words_found(understood, address):
    num = numbered(understood, ITEM)
    understood.scene_search = lambda words, k: [(SceneRow(num, 1, 30.5, 61.0, 1), 0.4)][:k]
    page = httpx.get(f"{address}/page/search", params={"q": "sea"}).text
    assert f"/assets/{ITEM}/keyframe/1" in page
    assert 'data-at="30.5"' in page


def test_reasons_are_reworded_only_when_asked_and_keep_their_shares(understood, address):
    asked = []

    def reword(reasons, language, titles):
        asked.append((list(reasons), language, list(titles)))
        return [f"in other words: {reason}" for reason in reasons]

    understood.reword = reword
    path = "/v1/users/1/recommendations/film%2F9/reasons"
    plain = get(address, path)["reasons"]
    assert asked == []
    other = get(address, f"{path}?language=zh")["reasons"]
    assert [r["share"] for r in other] == [r["share"] for r in plain]
    assert all(r["text"].startswith("in other words: ") for r in other)
    assert asked[0][1] == "zh"
    assert any("Film" in title for title in asked[0][2])


def test_the_page_of_an_item_draws_it_and_runs_nothing(understood, address):
    events.write(understood.engine, [Event("m1", "9", "film/1", "like", 400.0)])
    page = httpx.get(f"{address}/page/item", params={"item": ITEM, "user": "9"}).text
    for words in (
        "2 scenes of 2 shots", "time__sound--speech", "written by a language model",
        "&lt;b&gt;Hello&lt;/b&gt; there", "&lt;i&gt;calm&lt;/i&gt;", "tempo", "120 bpm",
        "things and people", "bicycle", "most people in one picture",
        "Start at 0:30", "Perhaps the same work", 'polyline class="time__course"',
    ):  # fmt: skip
        assert words in page
    assert "<b>Hello" not in page
    assert " style=" not in page  # the page's policy would refuse it
    rails = httpx.get(f"{address}/page/rails", params={"user": "9"}).text
    assert f'src="/assets/{ITEM}/keyframe/1"' in rails  # the card shows the moment


def test_marks_lie_within_the_line_whatever_the_length_says(understood):
    found = load_insights(understood.engine, ITEM)
    for duration in (None, 61.0, 20.0):
        drawn = view(found, duration)
        assert all(mark.x + mark.width <= WIDTH + 1 for mark in (*drawn.scenes, *drawn.sounds))
    assert view(found, 61.0).course == "0.0,15.0 491.8,45.0"


def test_what_reading_the_file_told_stands_among_the_measures(understood):
    found = load_insights(understood.engine, ITEM)
    look = [{"motion": 0.25}, {"motion": None}, {"motion": 0.75}]
    told = view(found, 61.0, {"loudness": {"integrated_lufs": -23.04}, "look": look}).measures
    assert told[:2] == (("loudness", "-23.0 LUFS"), ("motion", "0.50"))
    assert view(found, 61.0, {"loudness": {}}).measures == view(found, 61.0).measures


def test_of_several_files_the_one_that_plays_is_served(service, address):
    """A game or a post is one item of pictures, texts and perhaps a film."""
    num = numbered(service, "media-2")
    media = service.workspace.root / "media"
    for name in ("a note.txt", "b shot.png", "c trailer.mp4"):
        (media / name).write_bytes(name.encode())
        with service.engine.begin() as connection:
            connection.execute(
                sa.insert(schema.files).values(
                    path=str(media / name), size=1, mtime_ns=1, content_hash=name, item_num=num,
                    status="done", checked_at=1.0,
                )
            )  # fmt: skip
    answer = httpx.get(f"{address}/media/media-2")
    assert answer.content == b"c trailer.mp4"
    assert answer.headers["content-type"] == "video/mp4"
    assert service.shelf.playable["media-2"] == "video/mp4"
    (media / "c trailer.mp4").unlink()
    assert httpx.get(f"{address}/media/media-2").content == b"b shot.png"
