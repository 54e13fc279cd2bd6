"""What crosses the socket between segue and the confined child: MessagePack, checked on arrival.

A decoder that was taken over answers what it likes. So nothing of an answer is executed, as
unpickling it would: its types are those of :class:`Outcome` or it is refused, and so are sizes,
numbers, names and kinds that segue's own code would never send. What it may still do is lie
about the file in hand.
"""

from __future__ import annotations

import importlib
import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from segue.core.errors import SegueError
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Examined, Found, Outcome, Scene, Shot

HEAD = struct.Struct("!I")  # before each message: how many bytes follow
HERE = b""  # a message of nothing says: I am there, I have got it
Task = Callable[[Found, MediaLimits], Outcome]

MEDIA = ("video", "audio", "image", "book", "subtitle", "nfo")
SUFFIXES = {
    "poster": "jpg",
    "keyframe": "jpg",
    "audio16k": "wav",
    "text": "txt",
    "subtitle": "vtt",
}  # fmt: skip  the only derived files; both words become names on the disk
MAGIC = {"jpg": b"\xff\xd8\xff", "wav": b"RIFF"}
BESIDE_BYTES = 64 << 20  # all of an answer but its pictures, sound and text
MAX_CHARS = 100_000  # of one value
MAX_VALUES = 500_000  # of one list
MAX_INT = 2**53  # larger ones are no measures, and no database takes those above 2**63
SOUND_BYTES_A_S = 32_000  # 16 kHz, two bytes a sample
BYTES_A_PIXEL = 3


class BadAnswer(SegueError):
    """The child sent what it never sends by itself."""


class _Setup(msgspec.Struct, array_like=True):
    """What a child gets to know first. Paths are bytes: not every name is UTF-8."""

    task: str
    folders: tuple[bytes, ...]
    limits: MediaLimits


class _Question(msgspec.Struct, array_like=True):
    path: bytes
    folder: bytes
    size: int
    mtime_ns: int
    device: int
    inode: int


class _Answer(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    examined: Examined | None
    reason: str
    trail: tuple[tuple[str, bytes], ...]


_encoder = msgspec.msgpack.Encoder()
_setups = msgspec.msgpack.Decoder(_Setup)
_questions = msgspec.msgpack.Decoder(_Question)
_answers = msgspec.msgpack.Decoder(_Answer)


def most_bytes(limits: MediaLimits) -> int:
    """No answer is longer."""
    sound = SOUND_BYTES_A_S * limits.max_audio_s
    pictures = BYTES_A_PIXEL * limits.picture_side_px**2 * (limits.max_keyframes + 1)
    texts = 2 * 4 * limits.max_text_chars
    return int(sound) + pictures + texts + BESIDE_BYTES


def setup(task: str, folders: Sequence[str], limits: MediaLimits) -> bytes:
    return _encoder.encode(_Setup(task, tuple(map(os.fsencode, folders)), limits))


def read_setup(data: bytes) -> tuple[Task, list[str], MediaLimits]:
    """In the child: its task (``module:function``), the folders that it may read, its limits."""
    told = _setups.decode(data)
    module, _, name = told.task.partition(":")
    task: Task = getattr(importlib.import_module(module), name)
    return task, [os.fsdecode(folder) for folder in told.folders], told.limits


def question(found: Found) -> bytes:
    return _encoder.encode(
        _Question(
            os.fsencode(found.path), os.fsencode(found.folder), found.size, found.mtime_ns,
            found.device, found.inode,
        )
    )  # fmt: skip


def read_question(data: bytes) -> Found:
    """In the child."""
    asked = _questions.decode(data)
    path, folder = os.fsdecode(asked.path), os.fsdecode(asked.folder)
    return Found(path, folder, asked.size, asked.mtime_ns, asked.device, asked.inode)


def answer(outcome: Outcome) -> bytes:
    """In the child."""
    reason = outcome.reason.encode("utf-8", "replace").decode()
    trail = tuple((event, os.fsencode(what)) for event, what in outcome.trail)
    return _encoder.encode(_Answer(outcome.examined, reason, trail))


def read_answer(data: bytes | bytearray, limits: MediaLimits) -> Outcome:
    """In the parent. Raises :class:`BadAnswer` for all that a sound child does not send."""
    try:
        told = _answers.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
        raise BadAnswer(f"not a message of its kind ({error})"[:300]) from None
    outcome = Outcome(
        told.examined, told.reason, tuple((event, os.fsdecode(what)) for event, what in told.trail)
    )
    _check_values(outcome)
    if outcome.examined is not None:
        _check_examined(outcome.examined, len(data), limits)
    return outcome


def _check_examined(examined: Examined, n_bytes: int, limits: MediaLimits) -> None:
    if examined.media not in MEDIA:
        raise BadAnswer(f"no kind of medium: {examined.media[:40]!r}")
    for asset in examined.assets:
        _check_asset(asset)
    beside = n_bytes - sum(len(asset.data) for asset in examined.assets)
    if beside > BESIDE_BYTES:
        raise BadAnswer(f"{beside:,} bytes beside pictures, sound and text")
    n_frames = sum(asset.kind == "keyframe" for asset in examined.assets)
    if n_frames > limits.max_keyframes:
        raise BadAnswer(f"{n_frames} keyframes, limit {limits.max_keyframes}")
    spans: tuple[Shot | Scene, ...] = (*examined.shots, *examined.scenes)
    for span in spans:
        _check_span(span, n_frames)


def _check_asset(asset: Asset) -> None:
    if SUFFIXES.get(asset.kind) != asset.suffix:
        raise BadAnswer(f"no derived file: {asset.kind[:40]!r}, {asset.suffix[:40]!r}")
    if not asset.data.startswith(MAGIC.get(asset.suffix, b"")):
        raise BadAnswer(f"a {asset.kind} that is no {asset.suffix}")
    if asset.suffix not in MAGIC:
        try:
            asset.data.decode()
        except UnicodeDecodeError:
            raise BadAnswer(f"a {asset.kind} that is not UTF-8") from None


def _check_span(span: Shot | Scene, n_frames: int) -> None:
    if not 0 <= span.start_s <= span.end_s:
        raise BadAnswer(f"a stretch from {span.start_s} s to {span.end_s} s")
    if span.keyframe is not None and not 0 <= span.keyframe < n_frames:
        raise BadAnswer(f"keyframe {span.keyframe} of {n_frames}")


def _check_values(outcome: Outcome) -> None:
    """Each text, number and length by itself."""
    for value in _values(outcome):
        if isinstance(value, str):
            if len(value) > MAX_CHARS or "\0" in value:  # PostgreSQL keeps no NUL
                raise BadAnswer(f"a text of {len(value):,} characters: {value[:40]!r}")
        elif isinstance(value, int):
            if abs(value) > MAX_INT:
                raise BadAnswer(f"no measure: {value}")
        elif not math.isfinite(value):
            raise BadAnswer(f"no measure: {value}")


def _values(value: Any) -> Iterator[Any]:
    """All texts and numbers in a value of the types above, which are nowhere recursive."""
    if value is None or isinstance(value, bytes):
        return
    if is_dataclass(value):
        parts: Any = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        parts = [part for pair in value.items() for part in pair]
    elif isinstance(value, tuple):
        parts = value
    else:
        yield value
        return
    if len(parts) > MAX_VALUES:
        raise BadAnswer(f"a list of {len(parts):,}")
    for part in parts:
        yield from _values(part)
