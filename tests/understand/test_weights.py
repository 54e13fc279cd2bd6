"""The reader of checkpoints: reads numbers, runs nothing."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from segue.core.errors import BadPackage
from segue.understand.weights import MAGIC, PROTOCOL, read_checkpoint


class FloatStorage:
    """Stands for torch's class of this name."""


class Key:
    """Names a storage; a string would be named again inside its own name."""

    def __init__(self, text: str) -> None:
        self.text = text


class Saved:
    """A tensor as torch writes it: a call with a reference to a storage."""

    def __init__(self, key: str, values: np.ndarray[Any, Any], stride: tuple[int, ...]) -> None:
        self.key, self.values, self.stride = key, values, stride

    def __reduce__(self) -> Any:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2  # type: ignore[attr-defined]
        return rebuild, (Key(self.key), 0, self.values.shape, self.stride, False, {})


class Writer(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Key):
            return ("storage", FloatStorage, value.text, "cpu", 6, None)
        return None


@pytest.fixture(autouse=True)
def _torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle names functions by module; these modules need not be installed."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None:
        raise AssertionError("must never be called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils", "_rebuild_tensor_v2",
    )  # fmt: skip
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    torch.FloatStorage = FloatStorage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def checkpoint(tensors: Any, storages: dict[str, np.ndarray[Any, Any]]) -> bytes:
    out = io.BytesIO()
    for value in (MAGIC, PROTOCOL, {"little_endian": True}):
        out.write(pickle.dumps(value, protocol=2))
    Writer(out, protocol=2).dump(tensors)
    out.write(pickle.dumps(list(storages), protocol=2))
    for values in storages.values():
        out.write(struct.pack("<q", values.size) + values.astype("<f4").tobytes())
    return out.getvalue()


def two() -> bytes:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {"a": Saved("storage-0", a, (3, 1)), "b.t": Saved("storage-1", a, (1, 2))}
    return checkpoint(tensors, {"storage-0": a, "storage-1": a.T})


def test_tensors_are_read_with_shape_and_stride(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(two())
    read = read_checkpoint(path)
    assert list(read) == ["a", "b.t"]
    assert read["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["b.t"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["a"].dtype == np.float32


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_call_in_the_file_is_refused_and_never_made(tmp_path: Path) -> None:
    path, proof = tmp_path / "w.pth", tmp_path / "called"
    path.write_bytes(checkpoint({"a": Evil(proof)}, {}))
    with pytest.raises(BadPackage, match="not allowed in weights"):
        read_checkpoint(path)
    assert not proof.exists()


def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    a = np.zeros((2, 3), np.float32)
    path.write_bytes(checkpoint({"a": Saved("storage-0", a, (300, 1))}, {"storage-0": a}))
    with pytest.raises(BadPackage, match="leaves its storage"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [0, 1, 15, 60, 140, 300])
def test_a_torn_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(two()[:length])
    with pytest.raises(BadPackage, match=r"w\.pth|opcode"):
        read_checkpoint(path)


def test_random_damage_never_escapes_as_another_error(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    good = two()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 4):
            data[at] = int(rng.integers(0, 256))
        path.write_bytes(bytes(data))
        try:
            read_checkpoint(path)
        except BadPackage:
            continue
