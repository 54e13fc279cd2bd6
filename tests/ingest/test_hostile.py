"""Hostile files: a small version of ``benchmarks/bench_hostile.py``, and its control."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path

import av
import pytest

import hostile_files
import media_makers
from segue.core.errors import UnreadableMedia
from segue.ingest import probe
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found, open_blob
from segue.ingest.run import ingest
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import scan
from segue.store.workspace import Workspace

IN_OPEN, IN_NONBLOCK = 0x20, 0o4000


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary.txt"
    path.write_text(f"{hostile_files.CANARY_TEXT}\n" * 20)
    return path


@pytest.fixture
def opened(canary: Path):
    """How often the canary was opened since the last call, by C code too."""
    libc = ctypes.CDLL(None)
    descriptor = libc.inotify_init1(IN_NONBLOCK)
    assert libc.inotify_add_watch(descriptor, os.fsencode(canary), IN_OPEN) >= 0

    def count() -> int:
        try:
            return len(os.read(descriptor, 1 << 16)) // 16
        except BlockingIOError:
            return 0

    yield count
    os.close(descriptor)


def test_hostile_folder_neither_crashes_nor_leaks(tmp_path, canary, opened):
    folder = tmp_path / "hostile"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hostile_files.make_hostile(folder, canary, port, 48)
        opened()
        (folder / "good").mkdir()
        media_makers.golden(folder / "good")
        workspace = Workspace.create(tmp_path / "workspace")
        report = ingest(workspace, [folder])
        assert opened() == 0
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    crashed = [reason for _, reason in report.refused if "ended the decoder" in reason]
    assert crashed == []
    good = [path for path, _ in (*report.refused, *report.damaged) if "/good/" in path]
    assert good == [], "good files must come through beside hostile ones"
    assert report.added >= 7
    written = [p.read_bytes() for p in workspace.root.rglob("*") if p.is_file()]
    assert not any(hostile_files.CANARY_TEXT.encode() in data for data in written)
    refused = {Path(path).name for path, _ in report.refused}
    assert {"pipe.mp4", "socket.mp4", "link.txt", "links"} <= refused


def references(folder: Path, canary: Path, port: int) -> list[Found]:
    folder.mkdir()
    for name, build in hostile_files.references(canary, port).items():
        build(folder / name)
    return [entry for entry in scan([folder]) if isinstance(entry, Found)]


def test_no_reference_is_followed(tmp_path, canary, opened):
    files = references(tmp_path / "refs", canary, 9)
    with Sandbox([str(tmp_path / "refs")]) as box:
        outcomes = [box.outcome(found, box.submit(found)) for found in files]
    assert opened() == 0
    tried = {(event, what) for outcome in outcomes for event, what in outcome.trail}
    assert {what for event, what in tried} <= {found.path for found in files}
    assert hostile_files.CANARY_TEXT not in repr(outcomes)


def test_control_the_same_playlist_opened_carelessly_reads_the_canary(tmp_path, canary, opened):
    """Without the walls the guard's counter does move: so its zero means something."""
    playlist = tmp_path / "list.mp4"
    playlist.write_text(hostile_files.CONCAT.format(target=canary))
    av.open(str(playlist), options={"safe": "0"}).close()
    assert opened() > 0
    (found,) = (f for f in scan([tmp_path]) if f.path == str(playlist))
    with open_blob(found) as blob, pytest.raises(UnreadableMedia, match="not media"):
        probe.open_container(blob, MediaLimits())
    assert opened() == 0


def test_control_without_the_list_of_demuxers_only_the_later_walls_hold(
    tmp_path, canary, opened, monkeypatch
):
    """Defence in depth: a demuxer that slipped in still gets no second file."""
    monkeypatch.setattr(probe, "DEMUXERS", probe.DEMUXERS + ",concat,hls,sdp,dash")
    for name, text in (("a.mp4", hostile_files.CONCAT), ("b.mp4", hostile_files.HLS)):
        (tmp_path / name).write_text(text.format(target=canary))
    for found in scan([tmp_path]):
        if isinstance(found, Found) and found.path.endswith(".mp4"):
            with open_blob(found) as blob, pytest.raises(UnreadableMedia):
                probe.open_container(blob, MediaLimits())
    assert opened() == 0
