"""Folders whose files are one item: games, posts, albums of pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

import media_makers
from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadSettings
from segue.ingest.examiners import Here, Unfinished
from segue.ingest.group import Group, joined
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Examined, Found, Scene, Shot
from segue.ingest.run import IngestReport, Progress, ingest
from segue.ingest.sandbox import Sandbox
from segue.serve.service import Service
from segue.store import schema
from segue.store.catalogue import StoredCatalogue
from segue.store.works import load_works
from segue.store.workspace import Workspace

GAME = """
[item]
kind = "game"
title = "Tidefall"
description = "Sail between islands that move."
tags = ["sailing", "puzzle"]
creators = ["Low Water"]
year = 2021
cover = "box.png"
"""
POST = '[item]\nkind = "post"\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


def game(folder: Path) -> Path:
    """Three screenshots of different widths, and the box."""
    folder.mkdir(parents=True)
    (folder / "segue-media.toml").write_text(GAME)
    for number in (1, 2, 3):
        media_makers.picture(folder / f"shot-{number}.png", 100 + number, 80)
    media_makers.picture(folder / "box.png", 60, 90)
    return folder


def post(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "segue-media.toml").write_text(POST)
    (folder / "words.txt").write_text("Low tide at last!")  # too short for a book
    media_makers.picture(folder / "a.png", 70, 50)
    media_makers.picture(folder / "b.png", 71, 50)
    return folder


def rows(workspace: Workspace, table: sa.Table) -> list[dict[str, Any]]:
    with workspace.engine.connect() as tx:
        return [dict(row) for row in tx.execute(sa.select(table)).mappings()]


def assets(workspace: Workspace) -> dict[tuple[str, int], Path]:
    """By kind and position, of the one item that there is."""
    assert len(rows(workspace, schema.items)) == 1
    return {
        (row["kind"], row["position"]): workspace.derived / row["path"]
        for row in rows(workspace, schema.assets)
    }


def widths(workspace: Workspace) -> dict[tuple[str, int], int]:
    found = {}
    for key, path in assets(workspace).items():
        if path.suffix == ".jpg":
            with Image.open(path) as picture:
                found[key] = picture.size[0]
    return found


def file_states(workspace: Workspace) -> dict[str, str]:
    return {Path(row["path"]).name: row["status"] for row in rows(workspace, schema.files)}


def test_a_game_is_one_item_and_stays_it(workspace, tmp_path, monkeypatch):
    folder = game(tmp_path / "media" / "tidefall")
    media_makers.picture(tmp_path / "media" / "alone.png", 55, 44)
    (folder / "more").mkdir()
    media_makers.picture(folder / "more" / "own.png", 56, 44)  # not of the folder itself
    steps: list[Progress] = []
    report = ingest(workspace, [tmp_path / "media"], progress=steps.append, licence="CC0")
    assert report == IngestReport(added=3)
    assert [step.done for step in steps][-1] == steps[-1].total == 6
    (item,) = [row for row in rows(workspace, schema.items) if row["kind"] == "game"]
    assert (item["title"], item["year"], item["licence"]) == ("Tidefall", 2021, "CC0")
    assert item["tags"] == ["sailing", "puzzle"]
    assert item["id"] == f"media:{item['content_hash'][:16]}"
    assert {row["item_num"] for row in rows(workspace, schema.files)
            if Path(row["path"]).parent == folder} == {item["num"]}  # fmt: skip

    everything = (rows(workspace, schema.items), rows(workspace, schema.files))
    with monkeypatch.context() as shut:
        shut.setattr("segue.ingest.step.open_blob", lambda found: pytest.fail("opened a file"))
        shut.setattr(Sandbox, "submit", lambda *_: pytest.fail("asked the sandbox"))
        assert ingest(workspace, [tmp_path / "media"]) == IngestReport(unchanged=3)
        assert (rows(workspace, schema.items), rows(workspace, schema.files)) == everything
        # What the sidecar says of it now is written, and nothing is opened.
        (folder / "segue-media.toml").write_text(GAME.replace("Tidefall", "Tiderise"))
        again = ingest(workspace, [tmp_path / "media"])
    assert (again.updated, again.unchanged) == (1, 2)
    titles = {row["num"]: row["title"] for row in rows(workspace, schema.items)}
    assert titles[item["num"]] == "Tiderise"

    folder.rename(tmp_path / "media" / "elsewhere")
    shutil.copytree(tmp_path / "media" / "elsewhere", tmp_path / "media" / "zcopy")
    moved = ingest(workspace, [tmp_path / "media"])
    assert (moved.added, moved.moved, moved.updated) == (0, 2, 0)
    assert len(rows(workspace, schema.items)) == 3
    assert ingest(workspace, [tmp_path / "media"]) == IngestReport(unchanged=5)


def test_changed_and_removed_files_update_it_in_place(workspace, tmp_path):
    folder = game(tmp_path / "tidefall")
    ingest(workspace, [folder])
    (before,) = rows(workspace, schema.items)
    old = assets(workspace)
    assert widths(workspace) == {("poster", 0): 60, ("keyframe", 0): 60, ("keyframe", 1): 101,
                                 ("keyframe", 2): 102, ("keyframe", 3): 103}  # fmt: skip
    media_makers.picture(folder / "shot-2.png", 200, 80)
    (folder / "shot-3.png").unlink()
    assert ingest(workspace, [folder]) == IngestReport(updated=1)
    (after,) = rows(workspace, schema.items)
    kept = ("num", "id", "added_at", "title", "tags")
    assert [after[key] for key in kept] == [before[key] for key in kept]
    assert after["content_hash"] != before["content_hash"]
    assert widths(workspace) == {("poster", 0): 60, ("keyframe", 0): 60, ("keyframe", 1): 101,
                                 ("keyframe", 2): 200}  # fmt: skip
    assert set(file_states(workspace)) == {"box.png", "shot-1.png", "shot-2.png"}
    assert not any(path.exists() for path in old.values()), "what it had is removed"

    (folder / "segue-media.toml").write_text(GAME.replace("box.png", "shot-2.png"))
    assert ingest(workspace, [folder]) == IngestReport(updated=1)
    assert widths(workspace)["poster", 0] == 200
    (folder / "shot-1.png").touch()
    assert ingest(workspace, [folder]) == IngestReport(unchanged=1)
    assert ingest(workspace, [folder]) == IngestReport(unchanged=1)
    (last,) = rows(workspace, schema.items)
    assert last["num"] == before["num"]


def test_a_broken_picture_costs_only_itself(workspace, tmp_path):
    folder = post(tmp_path / "05_low-tide")
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:60])
    steps: list[Progress] = []
    report = ingest(workspace, [folder], progress=steps.append)
    assert report.added == 1
    ((path, reason),) = report.refused
    assert path == str(folder / "b.png")
    assert "truncated" in reason.lower()
    assert [step.done for step in steps] == [1, 3]
    (item,) = rows(workspace, schema.items)
    assert (item["kind"], item["title"]) == ("post", "Low tide")
    assert item["description"] == "Low tide at last!"
    found = assets(workspace)
    assert set(found) == {("poster", 0), ("keyframe", 0), ("text", 0)}
    assert found["text", 0].read_text() == "Low tide at last!"
    assert file_states(workspace) == {"a.png": "done", "b.png": "refused", "words.txt": "done"}

    assert ingest(workspace, [folder]) == IngestReport(unchanged=1, refused=report.refused)
    shutil.move(folder, tmp_path / "moved")
    moved = ingest(workspace, [tmp_path / "moved"])
    assert (moved.moved, [r for _, r in moved.refused]) == (1, [reason])
    (tmp_path / "moved" / "b.png").write_bytes(whole)
    assert ingest(workspace, [tmp_path / "moved"]) == IngestReport(updated=1)
    assert widths(workspace) == {("poster", 0): 70, ("keyframe", 0): 70, ("keyframe", 1): 71}
    assert rows(workspace, schema.items)[0]["num"] == item["num"]


def test_where_nothing_can_be_read_there_is_no_item(workspace, tmp_path):
    folder = tmp_path / "post"
    folder.mkdir()
    (folder / "segue-media.toml").write_text(POST)
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "LICENSE.txt").write_text("All rights reserved, every one of them.")
    report = ingest(workspace, [folder])
    assert (report.added, len(report.refused)) == (0, 2)
    assert rows(workspace, schema.items) == []
    media_makers.picture(folder / "a.png")
    report = ingest(workspace, [folder])
    assert (report.added, len(report.refused)) == (1, 1)
    # What cannot be read any more leaves the item as it was.
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    report = ingest(workspace, [folder])
    assert (report.added, report.updated, len(report.refused)) == (0, 0, 2)
    assert ("poster", 0) in assets(workspace)


def test_files_come_together_and_apart_with_the_sidecar(workspace, tmp_path):
    folder = post(tmp_path / "post")
    (folder / "segue-media.toml").unlink()
    first = ingest(workspace, [folder])
    assert (first.added, first.refused[0][1]) == (2, "fewer than 40 characters")
    (folder / "segue-media.toml").write_text(POST)
    ids = {row["title"]: row["id"] for row in rows(workspace, schema.items)}
    with workspace.engine.begin() as tx:
        tx.execute(sa.insert(schema.users).values(id="u"))
        tx.execute(
            sa.insert(schema.events).values(
                event_id="e", user_num=1, item_num=1, kind="like", time=1.0
            )
        )
    together = ingest(workspace, [folder])
    assert (together.added, dict(together.orphaned)) == (
        1,
        {ids["A"]: "'A', 1 events", ids["B"]: "'B', 0 events"},
    )
    assert shown(workspace) == {"Post"}
    assert ingest(workspace, [folder]) == IngestReport(unchanged=1), "said once"
    assert set(file_states(workspace).values()) == {"done"}
    (folder / "segue-media.toml").unlink()
    apart = ingest(workspace, [folder])
    ((item, what),) = apart.orphaned
    assert item not in ids.values()
    assert what.endswith(", 0 events")
    assert (apart.added, apart.unchanged, len(apart.refused)) == (0, 2, 1)
    nums = {row["item_num"] for row in rows(workspace, schema.files) if row["status"] == "done"}
    kinds = {row["num"]: row["kind"] for row in rows(workspace, schema.items)}
    assert {kinds[num] for num in nums} == {"image"}
    assert shown(workspace) == {"A", "B"}


def shown(workspace: Workspace) -> set[str]:
    """Titles that may be recommended and found."""
    catalogue = load_works(workspace.engine).catalogue
    service = Service(workspace, StoredCatalogue(catalogue, np.zeros(0)), None, BehaviourWeights())
    found = {hit.item_id for item in catalogue.items for hit in service.find(item.title, 9)}
    titles = {i.title for i, ok in zip(catalogue.items, catalogue.shown, strict=True) if ok}
    assert found == {item.id for item in catalogue.items if item.title in titles}
    return titles


def part(name: str, media: str, *kinds: str, **fields: Any) -> tuple[Found, Examined]:
    some = tuple(Asset(kind, "x", f"{name} {kind}".encode(), 1.0) for kind in kinds)
    return Found(f"/g/{name}", "/g", 1, 0, 0, 0), Examined(media, "f", assets=some, **fields)


def test_sound_and_film_of_a_group_come_after_its_pictures():
    shots = (Shot(0.0, 2.0, keyframe=0), Shot(2.0, 4.0, keyframe=None))
    parts = [
        part("a.mp3", "audio", "audio16k", "poster"),
        part("b.mp4", "video", "poster", "keyframe", "audio16k", shots=shots, duration_s=4.0,
             scenes=(Scene(0.0, 4.0, 0),)),
        part("c.png", "image", "poster", "keyframe"),
        part("d.png", "image", "poster", "keyframe"),
        part("e.txt", "book", "text", note="cut"),
        part("f.srt", "subtitle", "subtitle", "text"),
    ]  # fmt: skip
    group = Group("/g", "/g", tuple(found for found, _ in parts), {})
    whole = joined(group, parts, MediaLimits())
    data = [(asset.kind, asset.data.decode()) for asset in whole.assets]
    assert data == [
        ("poster", "c.png poster"), ("keyframe", "c.png keyframe"), ("keyframe", "d.png keyframe"),
        ("keyframe", "b.mp4 keyframe"), ("audio16k", "b.mp4 audio16k"), ("text", "e.txt text"),
        ("subtitle", "f.srt subtitle"), ("text", "f.srt text"),
    ]  # fmt: skip
    assert [shot.keyframe for shot in whole.shots] == [2, None]
    assert [scene.keyframe for scene in whole.scenes] == [2]
    assert (whole.media, whole.duration_s, whole.note) == ("group", 4.0, "e.txt: cut")
    few = joined(group, parts, MediaLimits(max_keyframes=1))
    assert "the first 1 of 2 pictures are kept" in few.note
    assert [shot.keyframe for shot in few.shots] == [1, None]


def test_a_long_text_begins_the_description():
    text = part("e.txt", "book")[0], Examined("book", "text", assets=(
        Asset("text", "txt", ("word " * 1000).encode()),))  # fmt: skip
    whole = joined(Group("/g", "/g", (text[0],), {}), [text], MediaLimits())
    assert whole.description == "word " * 119 + "word …"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[item]\ntitle = "x"', "[item] needs a kind: one of movie"),
        ('[item]\nkind = "gmae"', "kind 'gmae' is not one of"),
        ('[item]\nkind = "game"\ncovr = "a"', "unknown key 'covr'; did you mean 'cover'"),
        ('[item]\nkind = "game"\ncover = "bx.png"', "did you mean 'box.png'?"),
        ('[item]\nkind = "game"\ncover = 3', "cover must be a file name, got 3"),
        ("item = 3", "write [item]"),
    ],
)
def test_a_wrong_table_is_refused_with_the_remedy(workspace, tmp_path, text, message):
    folder = game(tmp_path / "game")
    (folder / "segue-media.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        ingest(workspace, [folder])
    assert message in str(caught.value)


def test_a_file_that_was_not_finished_joins_on_the_next_run(workspace, tmp_path, monkeypatch):
    folder = post(tmp_path / "post")
    whole = Here.result

    def lost(self: Here, found: Found, future: Any) -> Examined:
        if found.path.endswith("b.png"):
            raise Unfinished("ended the worker; the next run tries it again")
        return whole(self, found, future)

    def run(*, losing: bool) -> IngestReport:
        with monkeypatch.context() as patch:
            if losing:
                patch.setattr(Here, "result", lost)
            return ingest(workspace, [folder])

    first = run(losing=True)
    assert (first.added, [Path(path).name for path, _ in first.refused]) == (1, ["b.png"])
    assert file_states(workspace) == {"a.png": "done", "words.txt": "done"}
    assert run(losing=False) == IngestReport(updated=1)
    assert widths(workspace)["keyframe", 1] == 71
    media_makers.picture(folder / "b.png", 99, 50)
    assert len(run(losing=True).refused) == 1
    assert run(losing=False) == IngestReport(updated=1)
    assert widths(workspace)["keyframe", 1] == 99
    assert run(losing=False) == IngestReport(unchanged=1)
