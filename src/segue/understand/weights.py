"""Weights out of a PyTorch checkpoint (the format before 1.6), without running anything.

Such a file is a row of pickles followed by raw numbers. A pickle is a program that may call any
function; here its opcodes are read by an interpreter that knows twenty of them and calls nothing:
three names may stand in it, and each stands for data.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from segue.core.errors import BadPackage

Array = np.ndarray[Any, Any]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
REBUILD = "torch._utils _rebuild_tensor_v2"
MAPPING = "collections OrderedDict"
PUSHED = frozenset({
    "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "NONE", "NEWTRUE", "NEWFALSE",
})  # fmt: skip
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MARK = object()
# What reading a damaged file may raise; a length of a million gigabytes is among them.
DAMAGE = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError,
    struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Name:
    """A name that the pickle would have imported."""

    text: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor's numbers lie."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]  # in numbers, not bytes


class _Reader:
    """The stack machine for one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name != "STOP":
                self.step(opcode.name, argument)
        return self.stack.pop()

    def step(self, name: str, argument: Any) -> None:
        if name in PUSHED:
            self.stack.append(
                {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}.get(name, argument)
            )
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in TUPLES:
            count = TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        else:
            handler = getattr(self, f"op_{name.lower()}", None)
            if handler is None:
                raise BadPackage(f"checkpoint: opcode {name} is not allowed in weights")
            handler(argument)

    def op_proto(self, version: int) -> None:
        if version != 2:
            raise BadPackage(f"checkpoint: pickle protocol {version}, expected 2")

    def op_mark(self, _: None) -> None:
        self.stack.append(MARK)

    def _since_mark(self) -> list[Any]:
        at = max(i for i, value in enumerate(self.stack) if value is MARK)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def op_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._since_mark()))

    def op_append(self, _: None) -> None:
        value = self.stack.pop()
        self.stack[-1].append(value)

    def op_appends(self, _: None) -> None:
        values = self._since_mark()
        self.stack[-1].extend(values)

    def op_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][key] = value

    def op_setitems(self, _: None) -> None:
        values = self._since_mark()
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def op_build(self, _: None) -> None:
        self.stack.pop()  # attributes of the mapping, such as version numbers: not needed

    def op_global(self, name: str) -> None:
        if name not in (REBUILD, MAPPING, *STORAGES):
            raise BadPackage(f"checkpoint: the name {name!r} is not allowed in weights")
        self.stack.append(Name(name))

    def op_binpersid(self, _: None) -> None:
        kind, storage, key, _location, size, view = self.stack.pop()
        if kind != "storage" or view is not None or storage.text not in STORAGES:
            raise BadPackage(f"checkpoint: unknown storage {kind!r}")
        self.stack.append((key, STORAGES[storage.text], size))

    def op_reduce(self, _: None) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if name == Name(MAPPING) and not arguments:
            self.stack.append({})
            return
        if name != Name(REBUILD):
            raise BadPackage(f"checkpoint: {name!r} is not allowed to be called in weights")
        (key, dtype, _size), offset, shape, stride = arguments[:4]
        self.stack.append(Tensor(key, dtype, offset, shape, stride))


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Tensors by name: float32 and int64 arrays."""
    try:
        with path.open("rb") as file:
            if _Reader().run(file) != MAGIC or _Reader().run(file) != PROTOCOL:
                raise BadPackage(f"{path.name}: not a PyTorch checkpoint of the format before 1.6")
            _Reader().run(file)  # the machine that wrote it; numbers are little-endian below
            tensors = _Reader().run(file)
            storages = _storages(file, _Reader().run(file), tensors)
        return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except DAMAGE as error:
        raise BadPackage(f"{path.name}: damaged checkpoint: {error!r}") from error


def _storages(file: BinaryIO, keys: list[str], tensors: dict[str, Tensor]) -> dict[str, Array]:
    dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        data = file.read(count * dtypes[key].itemsize)
        storages[key] = np.frombuffer(data, dtype=dtypes[key], count=count)
    return storages


def _array(tensor: Tensor, storages: dict[str, Array]) -> Array:
    numbers = storages[tensor.storage][tensor.offset :]
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride, strict=True))
    if min((tensor.offset, *tensor.shape, *tensor.stride)) < 0 or reach >= len(numbers):
        raise BadPackage(f"checkpoint: a tensor of shape {tensor.shape} leaves its storage")
    strides = [step * numbers.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False).copy()
