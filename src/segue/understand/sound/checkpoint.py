"""Weights out of a TensorFlow checkpoint (tensor bundle, version 2), without TensorFlow.

The index is a sorted table in LevelDB's format: uncompressed blocks of keys that share prefixes,
found through a footer; a value is a protocol buffer that says where a tensor lies in the one data
file. Only what such a file needs is read; anything else is refused. Nothing in it can run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadPackage

Array = np.ndarray[Any, Any]

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
FLOAT = 1  # DT_FLOAT of tensorflow/core/framework/types.proto
# Fields of BundleEntryProto, tensorflow/core/protobuf/tensor_bundle.proto
DTYPE, SHAPE, SHARD, OFFSET, SIZE = 1, 2, 3, 4, 5
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
DAMAGE = (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error)


def read_checkpoint(index: Path, data: Path) -> dict[str, Array]:
    """Float32 tensors by name; those of other types are left out."""
    try:
        table, numbers = index.read_bytes(), data.read_bytes()
        return dict(_tensors(table, numbers))
    except DAMAGE as error:
        raise BadPackage(f"{index.name}: damaged checkpoint: {error!r}") from error


def _tensors(table: bytes, numbers: bytes) -> Iterator[tuple[str, Array]]:
    for key, value in _entries(table):
        if not key:
            continue  # the header: how many data files, which order of bytes
        entry = _fields(value)
        if _number(entry, DTYPE) != FLOAT:
            continue
        if _number(entry, SHARD):
            raise BadPackage("checkpoint: more than one data file; expected one")
        dims = _fields(_bytes(entry, SHAPE)).get(2, [])
        shape = [_number(_fields(dim), 1) for dim in dims if isinstance(dim, bytes)]
        at, size = _number(entry, OFFSET), _number(entry, SIZE)
        name = key.decode()
        if size != 4 * int(np.prod(shape, dtype=np.int64)) or at + size > len(numbers):
            raise BadPackage(f"checkpoint: {name} of shape {shape} does not fit its {size} bytes")
        yield name, np.frombuffer(numbers[at : at + size], dtype="<f4").reshape(shape)


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of all data blocks."""
    footer = table[-FOOTER:]
    if len(footer) < FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise BadPackage("checkpoint: the index is not a table of TensorFlow's")
    at = 0
    for _ in range(2):  # where an index of filters would lie: not needed
        _, at = _varint(footer, at)
    start, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(table, start, size):
        start, at = _varint(handle, 0)
        size, _ = _varint(handle, at)
        yield from _block(table, start, size)


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if table[start + size] != 0:
        raise BadPackage("checkpoint: a compressed index; expected a plain one")
    block = table[start : start + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at`` (seven bits a byte, low ones first), and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")


def _fields(message: bytes) -> dict[int, list[int | bytes]]:
    """Values of a protocol buffer by the number of their field."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        if tag & 7 == VARINT:
            value, at = _varint(message, at)
        elif tag & 7 in (BYTES, FIXED32, FIXED64):
            size = {FIXED32: 4, FIXED64: 8}.get(tag & 7)
            if size is None:
                size, at = _varint(message, at)
            value = message[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {tag & 7}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(entry: Mapping[int, list[int | bytes]], field: int) -> int:
    """0 where the field is not there, as protocol buffers have it."""
    value = entry.get(field, [0])[0]
    if not isinstance(value, int):
        raise ValueError(f"field {field} is not a number")
    return value


def _bytes(entry: Mapping[int, list[int | bytes]], field: int) -> bytes:
    value = entry.get(field, [b""])[0]
    if not isinstance(value, bytes):
        raise ValueError(f"field {field} is not a message")
    return value
