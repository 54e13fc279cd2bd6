"""Tasks for the sandboxed child that misbehave on purpose; found there by their module's name."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Callable

from segue.ingest.confine import GUARD, cpu_limit
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found
from segue.ingest.sandbox import Outcome


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
