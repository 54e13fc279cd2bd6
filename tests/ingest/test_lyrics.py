"""Lyrics in tags and beside the file, up to the words that understanding reads."""

from __future__ import annotations

from pathlib import Path

import pytest

import media_makers
from segue.ingest.examine import examine
from segue.ingest.limits import MediaLimits
from segue.ingest.lyrics import is_timed, lyric_assets, lyrics_in
from segue.ingest.run import ingest
from segue.ingest.scan import scan
from segue.store.workspace import Workspace
from segue.understand.run import Encoders, StepPlan, understand
from segue.understand.sources import Cue, item_sources
from segue.understand.speech.transcript import Subtitles
from understand.test_understand_run import BagOfWords

PLAIN = "The tide comes in at the harbour wall\nand the lamps go out one by one"
LRC = (
    "[ar:Somebody]\n[offset:+500]\n[00:01.50]The tide comes in\n[00:03.00]\n"
    "[00:04.00][01:00.250]and the <00:04.50>lamps go out\n[00:20]one by one\n"
)
TIMED = (
    Cue(1.0, 2.5, "The tide comes in"),
    Cue(3.5, 13.5, "and the lamps go out"),
    Cue(19.5, 29.5, "one by one"),
    Cue(59.75, 64.75, "and the lamps go out"),
)


def uslt(path: Path, words: str) -> Path:
    """The sound with its lyrics in a real ID3v2.3 frame: FFmpeg's own writer makes TXXX of them."""
    media_makers.sound(path, 1.0, "libmp3lame")
    body = b"\x01eng" + b"\xff\xfe\0\0" + words.encode("utf-16")  # its byte order mark leads
    frame = b"USLT" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())
    return path


def flac(path: Path, words: str) -> Path:
    return media_makers.sound(path, 1.0, "flac", {"LYRICS": words})


def m4a(path: Path, words: str) -> Path:
    return media_makers.sound(path, 1.0, "aac", {"lyrics": words})


def sources_of(folder: Path):
    workspace = Workspace.create(folder.parent / "workspace")
    report = ingest(workspace, [folder])
    assert (report.added, report.refused) == (1, ())
    understand(
        workspace, encoders=Encoders(BagOfWords(), picture=None, sound=None),
        steps=StepPlan(cheap=(Subtitles(),)),
    )  # fmt: skip
    (item,) = item_sources(workspace.engine, workspace.derived)
    return item


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "media"
    made.mkdir()
    return made


@pytest.mark.parametrize(("name", "make"), [("a.mp3", uslt), ("a.flac", flac), ("a.m4a", m4a)])
def test_lyrics_in_tags_are_words_of_the_item(folder, name, make):
    make(folder / name, PLAIN)
    item = sources_of(folder)
    assert item.texts[0].path.read_text() == PLAIN
    assert "lamps go out" in item.text, "what the text encoder reads"
    assert item.cues == ()


@pytest.mark.parametrize(("name", "make"), [("a.mp3", uslt), ("a.flac", flac), ("a.m4a", m4a)])
def test_timed_lyrics_in_tags_are_cues(folder, name, make):
    make(folder / name, LRC)
    item = sources_of(folder)
    assert item.cues == TIMED
    assert "lamps go out" in item.text


def test_lyrics_beside_the_file_are_cues(folder):
    media_makers.sound(folder / "song.flac", 1.0)
    (folder / "song.lrc").write_text(LRC)
    workspace = Workspace.create(folder.parent / "w")
    report = ingest(workspace, [folder])
    assert (report.added, report.attached, report.refused) == (1, 1, ())
    (item,) = item_sources(workspace.engine, workspace.derived)
    assert Subtitles().run([item])[0].cues == TIMED


def test_a_few_words_are_no_lyrics():
    assert lyric_assets("instrumental", MediaLimits()) == ()
    assert lyric_assets("", MediaLimits()) == ()
    assert not is_timed("[01:02] is when it begins, and nothing more is said of it")


def test_of_several_lyrics_the_timed_ones_count():
    tags = [{"lyrics-deu": PLAIN * 9, "Lyrics-eng": LRC, "lyricist": "x" * 9999}]
    assert lyrics_in(tags) == LRC
    assert lyrics_in([{"UNSYNCEDLYRICS": PLAIN}]) == PLAIN
    assert lyrics_in([{"lyricist": "Mo"}]) == ""


def test_synchronised_lyrics_of_id3_are_cues(folder):
    lines = [(1000, "The tide comes in"), (3500, "and the lamps go out"), (19_500, "one by one")]
    media_makers.sound_with_lyrics(folder / "song.mp3", lines)
    item = sources_of(folder)
    assert item.cues[0] == Cue(1.0, 3.5, "The tide comes in")
    assert [cue.text for cue in item.cues] == [words for _, words in lines]


@pytest.mark.parametrize("cut", range(14, 120, 7))
def test_a_damaged_id3_tag_costs_no_sound(folder, cut):
    path = media_makers.sound_with_lyrics(
        folder / "song.mp3", [(1000, "The tide comes in"), (3500, "and goes out again")]
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + bytes([255, 255]) + whole[cut + 2 :])
    (found,) = scan([folder])
    told = examine(found, MediaLimits())
    assert told.media == "audio"
    assert any(asset.kind == "audio16k" for asset in told.assets)
