"""What crosses the socket between segue and the confined child: plain values only."""

from __future__ import annotations

import io
import os
import stat
import time
from dataclasses import dataclass, field
from typing import Any

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that the walk met, as its directory entry described it."""

    path: str  # absolute
    folder: str  # the folder that was asked for, absolute
    size: int
    mtime_ns: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Asset:
    """A derived file: its kind, bytes and place in time."""

    kind: str  # poster | keyframe | audio16k | text | subtitle
    suffix: str
    data: bytes
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot. What was not measured is None or empty; ``keyframe`` counts keyframe assets."""

    start_s: float
    end_s: float
    brightness: float | None = None  # 0-1
    motion: float | None = None  # mean change of the picture in 40 ms, in levels of 0-255
    colours: tuple[tuple[str, float], ...] = ()  # ("#rrggbb", share of the picture)
    keyframe: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A run of shots that look alike."""

    start_s: float
    end_s: float
    keyframe: int | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """All that was learned of one file. ``note`` says what was damaged."""

    media: str  # video | audio | image | book | subtitle | nfo
    format: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    year: int | None = None
    language: str | None = None
    duration_s: float | None = None
    streams: tuple[dict[str, str | int | float | None], ...] = ()
    assets: tuple[Asset, ...] = ()
    note: str = ""
    raw_tags: dict[str, str] = field(default_factory=dict)
    shots: tuple[Shot, ...] = ()
    scenes: tuple[Scene, ...] = ()
    loudness: dict[str, float] = field(default_factory=dict)  # integrated_lufs, range_lu


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the child answers: values or a reason, and what it tried to open."""

    examined: Examined | None
    reason: str = ""
    trail: tuple[tuple[str, str], ...] = ()


class Blob(io.RawIOBase):
    """A read-only view of an open file that has no name.

    Libraries take ``file.name`` as a hint (FFmpeg resolves playlists against it), so the path
    stays out of their sight.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self.size = os.fstat(descriptor).st_size

    def again(self) -> Blob:
        """The same open file with a position of its own."""
        return Blob(os.dup(self._descriptor))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"seek before the start of the file: {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def open_blob(found: Found) -> Blob:
    """Open exactly the regular file that the walk met: no link, no FIFO, not one swapped in since.

    O_NONBLOCK: should a FIFO have taken its place, open returns at once and is refused.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(found.path, flags)
    except OSError as error:
        raise UnreadableMedia(found.path, f"cannot be opened: {error.strerror}") from error
    now = os.fstat(descriptor)
    same = (now.st_dev, now.st_ino, now.st_size) == (found.device, found.inode, found.size)
    if not stat.S_ISREG(now.st_mode) or not same:
        os.close(descriptor)
        raise UnreadableMedia(found.path, "changed while it was being read; ingest it again")
    return Blob(descriptor)


class Budget:
    """CPU seconds that a decoder may spend before it stops and keeps what it has."""

    def __init__(self, limits: MediaLimits, size: int) -> None:
        self._seconds = limits.cpu_s(size) * limits.soft_share
        self._end = time.process_time() + self._seconds

    def spent(self) -> bool:
        return time.process_time() > self._end

    def share(self) -> float:
        """How much of it is spent: 0 at first, 1 at the end."""
        return 1.0 - (self._end - time.process_time()) / self._seconds
