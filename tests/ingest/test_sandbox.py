"""The walls of the sandbox, one by one, and what the parent makes of a child that dies."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from segue.core.errors import BadSettings, UnreadableMedia
from segue.ingest import wire
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found, Outcome, open_blob
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import scan

LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1


def found_in(folder: Path, name: str = "bad.png", size: int = 10) -> Found:
    (folder / name).write_bytes(b"x")
    return Found(str(folder / name), str(folder), size, 0, 0, 0)


def ask(folder: Path, task: str, size: int = 10) -> Outcome:
    found = found_in(folder, size=size)
    with Sandbox([str(folder)], task=f"sandbox_probes:{task}") as box:
        return box.outcome(found, box.submit(found))


@pytest.mark.parametrize(
    ("task", "reason"),
    [("crash", "ended the decoder (exit code -11)"), ("hang", "took longer than the 1.0 s")],
)
def test_a_child_that_dies_costs_its_own_file_alone(tmp_path, task, reason):
    limits = MediaLimits(base_cpu_s=1.0, wall_patience=1.0)
    with Sandbox([str(tmp_path)], limits, task=f"sandbox_probes:{task}") as box:
        with pytest.raises(UnreadableMedia) as caught:
            box.examine(found_in(tmp_path, "bad.png"))
        assert reason in caught.value.reason
        assert box.examine(found_in(tmp_path, "good.png")).media == "image"


REFUSED = "made the decoder answer what it never does: "


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory):
    """A sandbox of which every child is taken over by a file with a bad name."""
    folder = tmp_path_factory.mktemp("media")
    with Sandbox([str(folder)], task="sandbox_probes:taken_over") as box:
        yield folder, box


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """The same, but soon late."""
    folder = tmp_path_factory.mktemp("media")
    limits = MediaLimits(base_cpu_s=3.0, wall_patience=1.0)
    with Sandbox([str(folder)], limits, task="sandbox_probes:taken_over") as box:
        yield folder, box


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("pickle", "not a message of its kind"),
        ("garbage", "not a message of its kind"),
        ("deep", "not a message of its kind"),
        ("empty", "an empty message"),
        ("endless", "4,294,967,295 bytes, limit "),
        ("path", "no derived file: '../../../evil', 'jpg'"),
        ("suffix", "no derived file: 'poster', '/../evil'"),
        ("postscript", "a poster that is no jpg"),
        ("bytes", "a text that is not UTF-8"),
        ("type", "Expected `str`, got `int`"),
        ("nested", "got `array`"),
        ("huge", "no measure: 4611686018427387904"),
        ("nan", "no measure: nan"),
        ("nul", "a text of 3 characters: 'a\\x00b'"),
        ("long", "a text of 200,000 characters"),
        ("kind", "no kind of medium: 'script'"),
        ("frame", "keyframe 3 of 0"),
        ("backwards", "a stretch from 2.0 s to 1.0 s"),
    ],
)
def test_what_a_taken_over_child_answers_is_refused_and_another_child_goes_on(
    taken_over, way, reason
):
    folder, box = taken_over
    with pytest.raises(UnreadableMedia) as caught:
        box.examine(found_in(folder, f"bad {way}.png"))
    assert reason in caught.value.reason
    assert REFUSED in caught.value.reason
    assert box.examine(found_in(folder, "good.png")).media == "image"
    assert not (folder / "made").exists(), "the parent ran what the child sent"


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("cut", "took longer than the 3.0 s"),
        ("silent", "took longer than the 3.0 s"),
        ("close", "ended the decoder"),
    ],
)
def test_a_child_that_does_not_end_its_answer_is_ended(impatient, way, reason):
    folder, box = impatient
    with pytest.raises(UnreadableMedia, match=reason):
        box.examine(found_in(folder, f"bad {way}.png"))
    assert box.examine(found_in(folder, "good.png")).media == "image"


def test_a_child_that_speaks_unasked_answers_no_other_file(taken_over):
    folder, box = taken_over
    assert box.examine(found_in(folder, "bad twice.png")).media == "image"
    (child,) = box._idle
    process = child._process
    assert box.examine(found_in(folder, "good.png")).media == "image"
    assert process.poll() is not None


def test_a_child_that_the_system_ended_between_two_files_costs_none(taken_over):
    folder, box = taken_over
    box.examine(found_in(folder, "good.png"))
    (child,) = box._idle
    child._process.kill()
    child._process.wait()
    assert box.examine(found_in(folder, "good.png")).media == "image"


def test_after_many_files_a_fresh_child_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr("segue.ingest.sandbox.TASKS_PER_CHILD", 2)
    pids = []
    with Sandbox([str(tmp_path)], task="sandbox_probes:taken_over") as box:
        for _ in range(2):
            box.examine(found_in(tmp_path, "good.png"))
            pids += [child._process.pid for child in box._idle]
        assert len(pids) == 1
        assert box._idle == []
        box.examine(found_in(tmp_path, "good.png"))
        (child,) = box._idle
    assert child._process is None
    assert box.examine(found_in(tmp_path, "good.png")).media == "image", "usable again"
    box.__exit__(None, None, None)


def test_closing_ends_children_in_the_middle_of_a_file(tmp_path):
    with Sandbox([str(tmp_path)], workers=2, task="sandbox_probes:hang") as box:
        futures = [box.submit(found_in(tmp_path, "bad.png")) for _ in range(4)]
        until = time.monotonic() + 30
        while sum(child._process is not None for child in box._busy) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        processes = [child._process for child in box._busy]
    assert all(process.returncode == -signal.SIGKILL for process in processes)
    assert [future.cancelled() for future in futures] == [False, False, True, True]


def test_no_module_of_the_folder_where_segue_was_started_is_run(monkeypatch, tmp_path):
    (tmp_path / "json.py").write_text("open('ran', 'w').close()\nfrom nowhere import loads\n")
    monkeypatch.chdir(tmp_path)
    with Sandbox([str(tmp_path)], task="sandbox_probes:taken_over") as box:
        assert box.examine(found_in(tmp_path, "good.png")).media == "image"
    assert not (tmp_path / "ran").exists()


def test_a_name_that_is_not_utf_8_crosses_as_it_is():
    name = os.fsdecode(b"/media/caf\xe9/a.txt")
    found = Found(name, os.path.dirname(name), 1, 2, 3, 4)
    assert wire.read_question(wire.question(found)) == found
    outcome = Outcome(None, "no", (("open", name),))
    assert wire.read_answer(wire.answer(outcome), MediaLimits()) == outcome


def test_cpu_time_runs_out_in_the_kernel(tmp_path):
    assert "s of CPU time it may take" in ask(tmp_path, "spin").reason


def test_memory_is_bounded(tmp_path):
    assert ask(tmp_path, "eat").reason == "stopped: MemoryError"


def test_python_code_opens_only_the_file_in_hand(tmp_path):
    (tmp_path / "other.txt").write_text("secret")
    outcome = ask(tmp_path, "python_open")
    assert outcome.reason == "stopped: PermissionError"
    assert outcome.trail == (("open", str(tmp_path / "other.txt")),)


def test_python_code_gets_no_socket(tmp_path):
    assert ask(tmp_path, "python_socket").reason == "stopped: PermissionError"


@pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")
@pytest.mark.parametrize("task", ["c_open", "c_write"])
def test_c_code_reads_and_writes_nothing_else(tmp_path, task):
    assert ask(tmp_path, task).reason == f"stopped: {errno.EACCES}"
    assert not (tmp_path / "written").exists()


@pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")
def test_c_code_reaches_no_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the server can be reached from here
        assert ask(tmp_path, "c_connect", port).reason.startswith("stopped")
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
