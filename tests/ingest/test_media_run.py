"""Folders of real media through :func:`segue.ingest.run.ingest`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

import media_makers
from segue.core.errors import BadInput, BadSettings
from segue.ingest.limits import MediaLimits
from segue.ingest.run import IngestReport, Progress, ingest
from segue.ingest.sandbox import Sandbox
from segue.store import schema
from segue.store.workspace import Workspace

RUN = """
import sys
from segue.ingest.run import ingest
from segue.store.workspace import Workspace

if __name__ == "__main__":
    ingest(Workspace.open(sys.argv[1]), [sys.argv[2]],
           progress=lambda step: print(step.status, step.path, flush=True))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return media_makers.golden(tmp_path / "media")


def rows(workspace: Workspace, table: sa.Table) -> list[dict[str, Any]]:
    with workspace.engine.connect() as tx:
        return [dict(row) for row in tx.execute(sa.select(table)).mappings()]


def by_title(workspace: Workspace) -> dict[str, dict[str, Any]]:
    return {row["title"]: row for row in rows(workspace, schema.items)}


def assets_of(workspace: Workspace, num: int) -> dict[str, list[Path]]:
    out: dict[str, list[Path]] = {}
    for row in rows(workspace, schema.assets):
        if row["item_num"] == num:
            out.setdefault(row["kind"], []).append(workspace.derived / row["path"])
    return out


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_each_sort_of_file_becomes_an_item(workspace, folder):
    steps: list[Progress] = []
    report = ingest(workspace, [folder], progress=steps.append, licence="CC0")
    assert report == IngestReport(added=7, attached=1)
    assert [step.done for step in steps] == list(range(1, 9))
    assert {step.total for step in steps} == {8}
    items = by_title(workspace)
    kinds = {title: item["kind"] for title, item in items.items()}
    assert kinds == {"Harbour at dawn": "video", "Night train": "track", "Hello": "speech",
                     "Hills": "image", "The Glass Lake": "book", "Tide tables": "book",
                     "Northern Roads": "book"}  # fmt: skip
    track = items["Night train"]
    assert (track["creators"], track["tags"], track["year"]) == (["Mo", "Zia"], ["Jazz"], 1999)
    assert track["duration_s"] == pytest.approx(3.0, abs=0.1)
    assert track["id"] == f"media:{track['content_hash'][:16]}"
    assert {item["licence"] for item in items.values()} == {"CC0"}
    assert items["The Glass Lake"]["language"] == "en"
    assert items["Northern Roads"]["creators"] == ["Cy Fell"]


def test_assets_are_whole_files_of_the_promised_form(workspace, folder):
    ingest(workspace, [folder])
    items = by_title(workspace)
    video = assets_of(workspace, items["Harbour at dawn"]["num"])
    assert {"poster", "keyframe", "audio16k", "subtitle", "text"} == set(video)
    assert size_of(video["poster"][0]) == (160, 120)
    assert video["text"][0].read_text() == "Hello there\nGoodbye"
    assert video["subtitle"][0].read_text().startswith("WEBVTT")
    with wave.open(str(video["audio16k"][0])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
        assert sound.getnframes() / 16000 == pytest.approx(3.0, abs=0.2)
    picture = assets_of(workspace, items["Hills"]["num"])
    assert max(size_of(picture["poster"][0])) == 640
    track = assets_of(workspace, items["Night train"]["num"])
    assert set(track) == {"audio16k"}, "sound without a cover has no poster"
    book = assets_of(workspace, items["The Glass Lake"]["num"])
    assert book["text"][0].read_text() == "One\nThe lake was glass, and nobody skated."
    assert size_of(book["poster"][0]) == (60, 90)


def test_a_second_run_opens_nothing(workspace, folder, monkeypatch):
    ingest(workspace, [folder])
    before = (rows(workspace, schema.items), rows(workspace, schema.files))
    monkeypatch.setattr("segue.ingest.step.open_blob", lambda found: pytest.fail("opened a file"))
    monkeypatch.setattr(Sandbox, "submit", lambda *_: pytest.fail("asked the sandbox"))
    assert ingest(workspace, [folder]) == IngestReport(unchanged=8)
    assert (rows(workspace, schema.items), rows(workspace, schema.files)) == before


def test_a_moved_file_stays_the_same_item(workspace, folder):
    ingest(workspace, [folder])
    before = rows(workspace, schema.items)
    (folder / "films").mkdir()
    (folder / "harbour.mp4").rename(folder / "films" / "port.mp4")
    report = ingest(workspace, [folder])
    assert (report.added, report.moved) == (0, 1)
    assert rows(workspace, schema.items) == before
    paths = {row["path"]: row["item_num"] for row in rows(workspace, schema.files)}
    assert str(folder / "harbour.mp4") not in paths
    assert (
        paths[str(folder / "films" / "port.mp4")] == by_title(workspace)["Harbour at dawn"]["num"]
    )


def test_a_copy_is_one_more_place_of_the_same_item(workspace, folder):
    shutil.copy(folder / "hills.png", folder / "copy.png")
    report = ingest(workspace, [folder])
    assert (report.added, report.attached) == (7, 2)
    assert ingest(workspace, [folder]) == IngestReport(unchanged=9)


def test_a_changed_file_is_a_new_item(workspace, folder):
    ingest(workspace, [folder])
    media_makers.picture(folder / "hills.png", 64, 64)
    assert ingest(workspace, [folder]).added == 1
    assert len(rows(workspace, schema.items)) == 8


def test_an_edited_subtitle_replaces_its_earlier_text(workspace, folder):
    ingest(workspace, [folder])
    (folder / "harbour.en.srt").write_text(media_makers.CUES.replace("Goodbye", "Farewell"))
    assert ingest(workspace, [folder]).attached == 1
    assets = assets_of(workspace, by_title(workspace)["Harbour at dawn"]["num"])
    assert [path.read_text() for path in assets["text"]] == ["Hello there\nFarewell"]


def test_a_subtitle_waits_for_its_film(workspace, tmp_path):
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "film.srt").write_text(media_makers.CUES)
    (refusal,) = ingest(workspace, [folder]).refused
    assert "without a video" in refusal[1]
    media_makers.video(folder / "film.mp4", 1.0)
    report = ingest(workspace, [folder])
    assert (report.added, report.attached, report.refused) == (1, 1, ())


def test_bad_files_are_reported_and_the_rest_goes_on(workspace, folder):
    whole = media_makers.video(folder / "long.mkv", 8.0).read_bytes()
    (folder / "long.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.mp4").write_bytes((folder / "harbour.mp4").read_bytes()[:-9000])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "prose.mp4").write_text("no film at all " * 20)
    (folder / "half.png").write_bytes((folder / "hills.png").read_bytes()[:400])
    (folder / "tool.exe").write_bytes(b"MZ" + bytes(500))
    (folder / "README.txt").write_text("Read me first, as this is no book. " * 9)
    os.mkfifo(folder / "pipe.mp3")
    (folder / ".hidden.png").write_bytes(b"x")
    media_makers.picture(folder / "vast.png", 300, 300)
    limits = MediaLimits(max_pixels=160 * 120 * 30 - 1)
    report = ingest(workspace, [folder], limits=limits)
    reasons = {Path(path).name: reason for path, reason in report.refused}
    expected = {"cut.mp4": "moov", "empty.mp4": "empty", "prose.mp4": "not media",
                "half.png": "truncated", "tool.exe": "not a media file", "README.txt": "read-me",
                "pipe.mp3": "never opened"}  # fmt: skip
    assert set(reasons) == set(expected)
    for name, part in expected.items():
        assert part.lower() in reasons[name].lower(), (name, reasons[name])
    (damaged,) = report.damaged
    assert damaged[0].endswith("long.mkv")
    assert "truncated" in damaged[1]
    assert report.added == 9
    kept = {Path(row["path"]).name: row for row in rows(workspace, schema.files)}
    assert kept["prose.mp4"]["status"] == "refused"
    assert kept["long.mkv"]["status"] == "done"
    again = ingest(workspace, [folder], limits=limits)
    assert dict(again.refused) == dict(report.refused)
    assert again.added == 0


def test_limits_refuse_with_their_reason(workspace, folder):
    limits = MediaLimits(max_pixels=100 * 100, max_duration_s=2.0, max_file_bytes=60_000)
    report = ingest(workspace, [folder], limits=limits)
    reasons = {Path(path).name: reason for path, reason in report.refused}
    assert "900 x 500 pixels, limit 10,000" in reasons["hills.png"]
    assert "says it lasts 3 s, limit 2 s" in reasons["03_night-train.flac"]
    assert "160 x 120 pixels, limit 10,000" in reasons["harbour.mp4"]
    assert "88,278 bytes, limit 60,000" in reasons["hello.wav"]


def test_the_sidecar_wins_over_the_file(workspace, folder):
    (folder / "segue-media.toml").write_text(
        '[defaults]\nlicence = "CC-BY-4.0"\n'
        '[[file]]\nname = "*.flac"\ntitle = "Sleeper"\ntags = ["slow"]\nkind = "podcast"\n'
    )
    (folder / "speech" / "segue-media.toml").write_text('[defaults]\nlanguage = "fi"\n')
    ingest(workspace, [folder], source="attic", licence="unknown")
    items = by_title(workspace)
    assert items["Sleeper"]["kind"] == "podcast"
    assert items["Sleeper"]["creators"] == ["Mo", "Zia"], "what the sidecar leaves out stays"
    assert items["Hello"]["language"] == "fi"
    assert {(item["source"], item["licence"]) for item in items.values()} == {
        ("attic", "CC-BY-4.0")
    }


def test_an_edited_sidecar_acts_on_the_next_run(workspace, folder):
    ingest(workspace, [folder])
    shutil.copy(folder / "hills.png", folder / "zcopy.png")
    sidecar = folder / "segue-media.toml"
    sidecar.write_text('[[file]]\nname = "hills.png"\ntitle = "Downs"\ntags = ["green"]\n'
                       '[[file]]\nname = "zcopy.png"\ntitle = "Copy"\n')  # fmt: skip
    report = ingest(workspace, [folder])
    assert (report.updated, report.unchanged, report.attached) == (1, 7, 1)
    assert by_title(workspace)["Downs"]["tags"] == ["green"]
    assert ingest(workspace, [folder]) == IngestReport(unchanged=9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[file]]\nname = "a"\ntitel = "x"', "unknown key 'titel'; did you mean 'title'"),
        ('[[file]]\ntitle = "x"', "needs a name"),
        ('[[file]]\nname = "a"\nkind = "song"', "kind 'song' is not one of"),
        ('[defaults]\ntags = "x"', "tags must be a list of texts, got 'x'"),
        ("[defaults", "not valid TOML"),
    ],
)
def test_a_wrong_sidecar_is_refused_with_the_remedy(workspace, folder, text, message):
    (folder / "segue-media.toml").write_text(text)
    with pytest.raises(BadSettings, match=r"segue-media\.toml") as caught:
        ingest(workspace, [folder])
    assert message in str(caught.value)


def test_a_missing_folder_is_named(workspace, tmp_path):
    with pytest.raises(BadInput, match="nowhere: not a folder"):
        ingest(workspace, [tmp_path / "nowhere"])


def test_a_folder_left_by_a_dead_run_is_replaced(workspace, folder):
    content_hash = {}
    ingest(workspace, [folder])
    for row in rows(workspace, schema.items):
        content_hash[row["title"]] = row["content_hash"]
    left = content_hash["Hills"]
    other = Workspace.create(folder.parent / "other")
    stale = other.derived / left[:2] / left
    stale.mkdir(parents=True)
    (stale / "poster-000.jpg").write_bytes(b"half a pict")
    (stale / "junk").write_bytes(b"x")
    ingest(other, [folder])
    assert sorted(path.name for path in stale.iterdir()) == ["keyframe-000.jpg", "poster-000.jpg"]
    assert size_of(stale / "poster-000.jpg")[0] == 640


def test_two_children_give_what_one_gives(workspace, folder):
    other = Workspace.create(folder.parent / "other")
    assert ingest(workspace, [folder]) == ingest(other, [folder], workers=2)
    ids = [{row["id"] for row in rows(place, schema.items)} for place in (workspace, other)]
    assert ids[0] == ids[1]


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_kill_9_loses_nothing_reported_and_a_rerun_resumes(workspace, folder, tmp_path):
    for number in range(6):
        media_makers.picture(folder / f"extra-{number}.png", 100 + number, 80)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    arguments = [sys.executable, str(script), str(workspace.root), str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline().split()[1] for _ in range(4)]
        children = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
    done = {row["path"] for row in rows(workspace, schema.files) if row["status"] == "done"}
    assert set(reported) <= done
    for row in rows(workspace, schema.assets):
        assert (workspace.derived / row["path"]).stat().st_size > 0
    report = ingest(workspace, [folder])
    assert report.added + report.unchanged + report.attached == 14
    assert report.unchanged >= 4
    assert len(rows(workspace, schema.items)) == 13
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children), "a child outlived its parent"
