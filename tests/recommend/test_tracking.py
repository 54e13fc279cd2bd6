"""What the watchers write can be read back; nothing leaves the machine."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segue.core.errors import BadSettings, MissingExtra
from segue.recommend.tracking import (
    Recorder,
    Several,
    TensorBoardWatcher,
    WandbWatcher,
)


def test_tensorboard_reads_back_what_was_seen(tmp_path: Path) -> None:
    with TensorBoardWatcher(tmp_path) as watcher:
        for step in range(3):
            assert watcher.epoch("deep ratings", step, {"loss": 1.0 / (step + 1), "valid": 0.5})
        assert watcher.epoch("towers", 0, {"loss": 2.0})
    events = EventAccumulator(str(tmp_path / "deep-ratings"))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == [0, 1, 2]
    assert [e.value for e in events.Scalars("loss")] == pytest.approx([1, 1 / 2, 1 / 3])
    assert len(events.Scalars("valid")) == 3
    assert (tmp_path / "towers").is_dir()


def test_a_curve_is_on_disk_before_the_training_ends(tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path)
    watcher.epoch("net", 0, {"loss": 3.0})
    events = EventAccumulator(str(tmp_path / "net"))
    events.Reload()
    assert events.Scalars("loss")[0].value == 3.0
    watcher.close()


def remote_addresses() -> set[str]:
    """Remote TCP addresses in use on this machine, loopback left out; hexadecimal."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            remote = line.split()[2].split(":")[0]
            if not remote.endswith("0100007F") and set(remote) != {"0"}:
                found.add(remote)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads the connections from /proc")
def test_wandb_writes_files_and_opens_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")  # what the user's shell says must not win
    connected = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX:
            connected.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    before = remote_addresses()
    with WandbWatcher(tmp_path) as watcher:
        for step in range(2):
            assert watcher.epoch("deep ratings", step, {"loss": 0.5})
        assert remote_addresses() <= before
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert next(run.glob("*.wandb")).stat().st_size > 0
    assert all(str(address[0]) in ("127.0.0.1", "::1", "localhost") for address in connected)


def test_curves_become_a_picture(tmp_path: Path) -> None:
    recorder = Recorder()
    for step in (0, 1, 1, 2):  # the second epoch was lost and repeated
        recorder.epoch("deep ratings", step, {"loss": 1.0 - step / 4, "valid": step / 4})
    recorder.epoch("towers", 0, {"loss": 1.0})
    assert recorder.curves["deep ratings"]["loss"] == [(0, 1.0), (1, 0.75), (2, 0.5)]
    recorder.picture(tmp_path / "report" / "curves.png")
    with Image.open(tmp_path / "report" / "curves.png") as image:
        assert image.format == "PNG"
        assert image.size[0] > 500
    with pytest.raises(BadSettings, match="train a net"):
        Recorder().picture(tmp_path / "none.png")


def test_one_of_several_can_stop_the_training_and_all_see_it() -> None:
    class Stops:
        def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
            return False

    first, last = Recorder(), Recorder()
    with Several([first, Stops(), last]) as watcher:
        assert not watcher.epoch("net", 0, {"loss": 1.0})
    assert first.curves == last.curves == {"net": {"loss": [(0, 1.0)]}}


@pytest.mark.parametrize(
    ("kind", "package"), [(TensorBoardWatcher, "tensorboard"), (WandbWatcher, "wandb")]
)
def test_a_missing_package_is_named_with_its_command(
    kind: type, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [package, *(n for n in sys.modules if n.startswith("tensorboard."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'segue\[tracking\]'"):
        kind(tmp_path)
