"""Tasks for the sandboxed child that misbehave on purpose; found there by their module's name."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import stat
import time
from collections.abc import Callable
from typing import Any

from segue.ingest.confine import GUARD, cpu_limit
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Examined, Found, Outcome, Scene, Shot
from segue.ingest.wire import HEAD, answer


def _tried(act: Callable[[], object]) -> Outcome:
    try:
        return Outcome(None, f"did it: {act()!r}"[:200])
    except (OSError, MemoryError) as error:
        return Outcome(None, f"stopped: {type(error).__name__}")


def crash(found: Found, limits: MediaLimits) -> Outcome:
    if found.path.endswith("bad.png"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return Outcome(Examined("image", "png"))


def hang(found: Found, limits: MediaLimits) -> Outcome:
    if found.path.endswith("bad.png"):
        time.sleep(60)
    return Outcome(Examined("image", "png"))


def spin(found: Found, limits: MediaLimits) -> Outcome:
    cpu_limit(0.1)
    while True:
        pass


def eat(found: Found, limits: MediaLimits) -> Outcome:
    return _tried(lambda: len(bytearray(limits.memory_bytes)))


def python_open(found: Found, limits: MediaLimits) -> Outcome:
    GUARD.path, GUARD.active = found.path, True
    try:
        with open(f"{found.folder}/other.txt") as file:
            return Outcome(None, f"did it: {file.read()}")
    except PermissionError as error:
        return Outcome(None, f"stopped: {type(error).__name__}", tuple(GUARD.trail))
    finally:
        GUARD.active = False


def python_socket(found: Found, limits: MediaLimits) -> Outcome:
    GUARD.active = True
    try:
        return _tried(lambda: socket.socket(socket.AF_INET))
    finally:
        GUARD.active = False


def c_open(found: Found, limits: MediaLimits) -> Outcome:
    """What a decoder that has been taken over would do: no Python in between."""
    descriptor = ctypes.CDLL(None, use_errno=True).open(b"/etc/passwd", os.O_RDONLY)
    return Outcome(None, "did it" if descriptor >= 0 else f"stopped: {ctypes.get_errno()}")


def c_write(found: Found, limits: MediaLimits) -> Outcome:
    name = os.fsencode(found.folder) + b"/written"
    descriptor = ctypes.CDLL(None, use_errno=True).open(name, os.O_WRONLY | os.O_CREAT, 0o600)
    return Outcome(None, "did it" if descriptor >= 0 else f"stopped: {ctypes.get_errno()}")


def c_connect(found: Found, limits: MediaLimits) -> Outcome:
    """``found.size`` is the port of a listening loopback server."""
    return _tried(lambda: socket.create_connection(("127.0.0.1", found.size), 1.0))


class Evil:
    """Unpickling it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


def _parent() -> int:
    """The descriptor of the socket to the parent, as any code in this process finds it."""
    # The child keeps the number that the parent's descriptor had, however many that one has open.
    (number,) = [n for n in range(3, 65_536) if _is_socket(n)]
    return number


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


GOOD = Examined("image", "png")
JPEG = b"\xff\xd8\xff"
STREAM: Any = {"type": "video", "more": ["nested"]}
ANSWERS: dict[str, Examined] = {
    "path": Examined("image", "png", assets=(Asset("../../../evil", "jpg", JPEG),)),
    "suffix": Examined("image", "png", assets=(Asset("poster", "/../evil", JPEG),)),
    "postscript": Examined("image", "png", assets=(Asset("poster", "jpg", b"%!PS-Adobe-3.0"),)),
    "bytes": Examined("book", "text", assets=(Asset("text", "txt", b"\xff\xfe\xff"),)),
    "type": Examined("image", "png", title=7),  # type: ignore[arg-type]
    "nested": Examined("video", "mp4", streams=(STREAM,)),
    "huge": Examined("image", "png", year=2**62),
    "nan": Examined("video", "mp4", duration_s=float("nan")),
    "nul": Examined("image", "png", title="a\0b"),
    "long": Examined("image", "png", title="x" * 200_000),
    "kind": Examined("script", "png"),
    "frame": Examined("video", "mp4", shots=(Shot(0.0, 1.0, keyframe=3),)),
    "backwards": Examined("video", "mp4", scenes=(Scene(2.0, 1.0),)),
}


def taken_over(found: Found, limits: MediaLimits) -> Outcome:
    """``bad <way>.png``: what a decoder that was taken over may answer. Others are good."""
    way = os.path.basename(found.path).removesuffix(".png").removeprefix("bad ")
    if way in ANSWERS:
        return Outcome(ANSWERS[way])
    if way in FRAMES:
        data = FRAMES[way](found.folder)
        os.write(_parent(), data)
        if way in ("cut", "silent"):
            time.sleep(60)
    if way == "close":
        os.close(_parent())
        time.sleep(60)
    return Outcome(GOOD)


def _framed(data: bytes) -> bytes:
    return HEAD.pack(len(data)) + data


FRAMES: dict[str, Callable[[str], bytes]] = {
    "pickle": lambda folder: _framed(pickle.dumps(Outcome(None, reason=Evil(f"{folder}/made")))),
    "garbage": lambda _: _framed(bytes(range(256)) * 40),
    "empty": lambda _: _framed(b""),
    "deep": lambda _: _framed(b"\x91" * 100_000),  # lists in lists
    "endless": lambda _: HEAD.pack(2**32 - 1),
    "cut": lambda _: HEAD.pack(1000) + b"x" * 10,
    "silent": lambda _: b"\0",
    "twice": lambda _: _framed(answer(Outcome(GOOD))),  # and then the proper answer
}
