"""The walls of the sandbox, one by one, and what the parent makes of a child that dies."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from pathlib import Path

import pytest

import sandbox_probes
from segue.core.errors import BadSettings, UnreadableMedia
from segue.ingest import sandbox as module
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found, open_blob
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import scan

LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1
TESTS = str(Path(sandbox_probes.__file__).parent)


def found_in(folder: Path, name: str = "bad.png", size: int = 10) -> Found:
    (folder / name).write_bytes(b"x")
    return Found(str(folder / name), str(folder), size, 0, 0, 0)


def ask(monkeypatch, folder: Path, task: str, size: int = 10) -> module.Outcome:
    monkeypatch.setattr(module, "child_task", getattr(sandbox_probes, task))
    found = found_in(folder, size=size)
    with Sandbox([str(folder), TESTS]) as box:
        return box.outcome(found, box.submit(found))


@pytest.mark.parametrize(
    ("task", "reason"),
    [("crash", "ended the decoder (exit code -11)"), ("hang", "took longer than the 1.0 s")],
)
def test_a_child_that_dies_costs_its_own_file_alone(monkeypatch, tmp_path, task, reason):
    monkeypatch.setattr(module, "child_task", getattr(sandbox_probes, task))
    limits = MediaLimits(base_cpu_s=1.0, wall_patience=1.0)
    with Sandbox([str(tmp_path), TESTS], limits) as box:
        with pytest.raises(UnreadableMedia) as caught:
            box.examine(found_in(tmp_path, "bad.png"))
        assert reason in caught.value.reason
        assert box.examine(found_in(tmp_path, "good.png")).media == "image"


def test_cpu_time_runs_out_in_the_kernel(monkeypatch, tmp_path):
    assert "s of CPU time it may take" in ask(monkeypatch, tmp_path, "spin").reason


def test_memory_is_bounded(monkeypatch, tmp_path):
    assert ask(monkeypatch, tmp_path, "eat").reason == "stopped: MemoryError"


def test_python_code_opens_only_the_file_in_hand(monkeypatch, tmp_path):
    (tmp_path / "other.txt").write_text("secret")
    outcome = ask(monkeypatch, tmp_path, "python_open")
    assert outcome.reason == "stopped: PermissionError"
    assert outcome.trail == (("open", str(tmp_path / "other.txt")),)


def test_python_code_gets_no_socket(monkeypatch, tmp_path):
    assert ask(monkeypatch, tmp_path, "python_socket").reason == "stopped: PermissionError"


@pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")
@pytest.mark.parametrize("task", ["c_open", "c_write"])
def test_c_code_reads_and_writes_nothing_else(monkeypatch, tmp_path, task):
    assert ask(monkeypatch, tmp_path, task).reason == f"stopped: {errno.EACCES}"
    assert not (tmp_path / "written").exists()


@pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")
def test_c_code_reaches_no_server(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the server can be reached from here
        assert ask(monkeypatch, tmp_path, "c_connect", port).reason.startswith("stopped")
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_file_swapped_for_a_fifo_or_link_is_not_opened(tmp_path):
    target = tmp_path / "secret.txt"
    target.write_text("secret")
    path = tmp_path / "a.mp4"
    path.write_text("media")
    (found,) = (f for f in scan([tmp_path]) if f.path == str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableMedia, match="changed"):
        open_blob(found)
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(UnreadableMedia, match="cannot be opened"):
        open_blob(found)


def test_limits_refuse_nonsense():
    with pytest.raises(BadSettings, match="max_pixels must be > 0, got 0"):
        MediaLimits(max_pixels=0)
    with pytest.raises(BadSettings, match="soft_share must be < 1"):
        MediaLimits(soft_share=1.5)
    assert MediaLimits().cpu_s(0) < MediaLimits().cpu_s(1 << 30) < MediaLimits().wall_s(1 << 30)
