"""The confined child's own side: it answers questions about files until its parent is gone."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found, Outcome
from segue.ingest.wire import HEAD, HERE, answer, read_question, read_setup

LATER_S = 5.0  # when the parent would have ended it long ago, the child's own alarm does


def serve(number: int) -> None:
    """``number`` is the descriptor of the socket to the parent."""
    os.set_inheritable(number, False)
    with socket.socket(fileno=number) as parent, suppress(EOFError, OSError):  # it is gone
        task, folders, limits = read_setup(_get(parent))
        start(folders, limits)
        _put(parent, HERE)
        while True:
            found = read_question(_get(parent))
            _put(parent, HERE)
            # Should the parent be killed now, nobody else would end a child that waits for ever.
            signal.setitimer(signal.ITIMER_REAL, limits.wall_s(found.size) + LATER_S)
            told = answer(task(found, limits))
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            _put(parent, told)


def start(folders: Sequence[str], limits: MediaLimits) -> None:
    """Import everything first, then give up the right to anything else."""
    from segue.ingest import examine  # noqa: F401, PLC0415  the parent never loads the decoders
    from segue.ingest.confine import confine  # noqa: PLC0415

    confine(folders, limits)


def look(found: Found, limits: MediaLimits) -> Outcome:
    """The task: one file. Whatever is wrong with it is the outcome's reason."""
    from segue.ingest.confine import GUARD, cpu_limit  # noqa: PLC0415
    from segue.ingest.examine import examine  # noqa: PLC0415

    cpu_limit(limits.cpu_s(found.size))
    GUARD.path, GUARD.active = found.path, True
    GUARD.trail.clear()
    try:
        return Outcome(examine(found, limits), "", tuple(GUARD.trail))
    except UnreadableMedia as error:
        return Outcome(None, error.reason, tuple(GUARD.trail))
    finally:
        GUARD.active = False
        cpu_limit(0.0)


def _get(parent: socket.socket) -> bytes:
    (length,) = HEAD.unpack(_exactly(parent, HEAD.size))
    return _exactly(parent, length)


def _exactly(parent: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        got = parent.recv(length - len(data))
        if not got:
            raise EOFError
        data += got
    return bytes(data)


def _put(parent: socket.socket, data: bytes) -> None:
    parent.sendall(HEAD.pack(len(data)))
    parent.sendall(data)
