"""The confined child as its parent sees it: a process that gets questions and sends answers.

The parent believes nothing that the child says: it reads no more than an answer may have, waits no
longer than it said it would, and unpickles nothing. A child that is late, gone or talks out of
turn is ended, and another one answers the next question.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from segue.core.errors import SegueError
from segue.engine.hands import ONE_THREAD
from segue.ingest.wire import HEAD, HERE, BadAnswer

START_S = 60.0  # the imports of a cold machine
STARTS = 3
END_S = 5.0
CHILD = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # Ctrl-C is the parent's
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from segue.ingest.inside import serve; serve(int(sys.argv[1]))"
)


class Late(SegueError):
    """The answer did not come in time."""


class Ended(SegueError):
    """The child ended instead of answering. ``code`` is negative where a signal did it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Child:
    """One process that answers one question at a time. It starts when the first is asked."""

    def __init__(self, setup: bytes, most_bytes: int) -> None:
        self.answered = 0
        self._setup = setup
        self._most_bytes = most_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()  # nobody starts what another thread has closed
        self.closed = False

    def ask(self, question: bytes, wall_s: float) -> bytearray:
        """The answer. Raises :class:`Late`, :class:`Ended` or :class:`BadAnswer`; then this child
        is of no use any more."""
        self._begin(question)
        found = self._read(time.monotonic() + wall_s)
        if found == HERE:
            raise BadAnswer("an empty message where an answer was due")
        self.answered += 1
        return found

    def close(self) -> None:
        """End the process, from any thread; who waits for its answer gets :class:`Ended`."""
        with self._lock:
            self.closed = True
            if self._process is not None:
                self._process.kill()

    def reap(self) -> None:
        """After :meth:`close`, in the thread that asks: nothing of the process is left."""
        self.close()
        self._end()

    def _begin(self, question: bytes) -> None:
        """Let a process have the question; what goes wrong until then is not its doing."""
        for start in range(1, STARTS + 1):
            try:
                if self._process is None:
                    self._start()
                if not self._speaks():
                    self._send(question)
                    self._expect_here()
                    return
            except (Late, Ended, BadAnswer) as error:
                if start == STARTS:
                    raise SegueError(
                        f"the media sandbox does not start ({error}); is memory short, or can "
                        f"{sys.executable} not import segue?"
                    ) from error
            self._end()

    def _expect_here(self) -> None:
        if self._read(time.monotonic() + START_S) != HERE:
            raise BadAnswer("it spoke before it was asked")

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs, self._lock:
            if self.closed:
                raise Ended(-signal.SIGKILL)
            self._process = subprocess.Popen(
                # -P: or a json.py in the folder where segue was started would be run
                [sys.executable, "-P", "-c", CHILD, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **ONE_THREAD},
            )
        self._send(self._setup)
        self._expect_here()

    def _speaks(self) -> bool:
        """Whether there is something to read that is not its end."""
        assert self._socket is not None
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        except OSError as error:
            raise Ended(self._code()) from error

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.settimeout(START_S)
        try:
            self._socket.sendall(HEAD.pack(len(data)) + data)
        except TimeoutError as error:
            raise Late("it does not listen") from error
        except OSError as error:
            raise Ended(self._code()) from error

    def _read(self, until: float) -> bytearray:
        (length,) = HEAD.unpack(self._exactly(HEAD.size, until))
        if length > self._most_bytes:
            raise BadAnswer(f"{length:,} bytes, limit {self._most_bytes:,}")
        return self._exactly(length, until)

    def _exactly(self, length: int, until: float) -> bytearray:
        assert self._socket is not None
        data = bytearray(length)  # of zeros: no memory is taken before it is written to
        left = memoryview(data)
        while left:
            patience_s = until - time.monotonic()
            if patience_s <= 0:
                raise Late("no answer in time")
            self._socket.settimeout(patience_s)
            try:
                got = self._socket.recv_into(left)
            except TimeoutError as error:
                raise Late("no answer in time") from error
            except OSError as error:
                raise Ended(self._code()) from error
            if not got:
                raise Ended(self._code())
            left = left[got:]
        return data

    def _code(self) -> int:
        """How the process ended, whose socket is closed; one that lives on is ended."""
        assert self._process is not None
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
