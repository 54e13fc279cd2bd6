"""A hand: one child process that does one job at a time, and is replaced when a job ends it.

Why not a pool: the workers of a pool share their pipes and locks. When one of them was killed
while it sent an answer, pebble's pool gave up all 28 jobs that waited, and a killed worker of
multiprocessing's pool is a job that never returns. A hand shares nothing, so the damage is one
try. It is also told apart exactly who had which job, since when, and how it ended.

Needs a POSIX system: a hand is a process group of its own, joined by a socket pair.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from segue.core.errors import BadInput
from segue.engine.engine import EngineLost, said

HELLO, GOT, BYE = b"hello", b"got", b"bye"
IDLE_S = 300.0  # a hand without work goes, and its models with it
CHECK_S = 0.5  # how often a child is looked at whose end the pipe may not show
STARTS = 3
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)  # fmt: skip  as many hands as cores: threads beyond that only wait for each other
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from segue.engine.hands import serve; serve(int(sys.argv[1]))"
)


@dataclass(frozen=True, slots=True)
class Tried:
    """One try of one job. ``answer`` is the pickled value, None where ``reason`` says why not.

    ``final``: another try cannot end better.
    """

    answer: bytes | None
    reason: str = ""
    final: bool = False
    seconds: float = 0.0

    def value(self) -> Any:
        """The answer. It comes from our own child, and is trusted like this process."""
        return None if self.answer is None else pickle.loads(self.answer)  # noqa: S301 - see above


@dataclass(frozen=True, slots=True)
class _Held:
    """The job that a hand has: pickled task, pickled matter, limit."""

    task: bytes
    matter: bytes
    timeout_s: float | None


class Hand:
    """:meth:`give` a job, then :meth:`take` until it is not None. The child starts when needed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._known: bytes | None = None  # the task that the child has
        self._held: _Held | None = None
        self._began: float | None = None  # None: the child has not got the job yet
        self._starts = 0

    @property
    def pipe(self) -> Connection:
        """Readable when :meth:`take` has something to do."""
        assert self._pipe is not None, "give first"
        return self._pipe

    @property
    def pid(self) -> int:
        """Process of the child; 0 where there is none."""
        return 0 if self._child is None else self._child.pid

    @property
    def left_s(self) -> float:
        """Seconds until the job in hand is late."""
        if self._held is None or self._held.timeout_s is None or self._began is None:
            return float("inf")
        return self._began + self._held.timeout_s - time.monotonic()

    def give(self, task: bytes, matter: bytes, timeout_s: float | None = None) -> None:
        self._held, self._began, self._starts = _Held(task, matter, timeout_s), None, 0
        if self._child is None:
            self._start()
        else:
            self._send()

    def take(self) -> Tried | None:
        """What came of the job; None while it is not finished. Does not wait."""
        assert self._child is not None
        dead = self._child.poll() is not None  # asked first: what it still sent is in the pipe
        try:
            if self.pipe.poll(0):
                return self._read(self.pipe.recv_bytes())
        except (EOFError, OSError):
            return self._ended()
        if dead:
            return self._ended()
        return self._late() if self.left_s <= 0 else None

    def attempt(
        self,
        task: bytes,
        matter: bytes,
        timeout_s: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Tried:
        """Give, and wait until it is finished, or until ``stopped`` (asked now and then)."""
        self.give(task, matter, timeout_s)
        while (tried := self.take()) is None:
            if stopped():
                self.close()
                return Tried(None, "stopped", final=True)
            await_any([self])
        return tried

    def kill(self) -> None:
        """End the child and all that it started. Safe from another thread."""
        child = self._child
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the child and wait for its end."""
        self.kill()
        if self._child is not None:
            self._child.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._child = self._pipe = self._known = None

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                # -P: or a json.py in the folder where segue was started would be run
                [sys.executable, "-P", "-c", CHILD, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=2,  # a task that prints must not spoil what the command prints
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,  # one group: a job's own children go with it
            )
        self._pipe = Connection(ours.detach())
        self._starts += 1
        self._began = None

    def _send(self) -> None:
        assert self._held is not None
        task = None if self._held.task == self._known else self._held.task
        try:
            self.pipe.send_bytes(pickle.dumps((task, self._held.matter)))
        except OSError:  # it ended while it had nothing to do: not the job's fault
            self._start()
            return
        self._known = self._held.task

    def _read(self, message: bytes) -> Tried | None:
        if message == HELLO:
            self._send()
        elif message == GOT:
            self._began = time.monotonic()
        elif message == BYE:  # it left just when the job was given
            self._start()
        else:
            answer = Tried(*pickle.loads(message))  # noqa: S301 - from our own child
            self._held = None
            return answer
        return None

    def _late(self) -> Tried:
        assert self._held is not None
        seconds = self._spent()
        reason = f"took longer than {self._held.timeout_s:g} s"
        self.close()
        return Tried(None, reason, seconds=seconds)

    def _ended(self) -> Tried | None:
        """The child is gone: was it the job, or did it never get there?"""
        assert self._child is not None
        begun, seconds = self._began is not None, self._spent()
        self.kill()
        how = _ending(self._child.wait())
        self.close()
        if begun:
            return Tried(None, f"ended the worker with {how}", seconds=seconds)
        if self._starts >= STARTS:
            raise EngineLost(
                f"a worker process does not start: it ended with {how}, {STARTS} times; is memory "
                f"short, or can {sys.executable} not import segue?"
            )
        self._start()
        return None

    def _spent(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began


def await_any(hands: Sequence[Hand]) -> None:
    """Wait until one of the hands may have something to take."""
    patience = min([CHECK_S, *(max(hand.left_s, 0.0) for hand in hands)])
    wait([hand.pipe for hand in hands], patience)


def attempt(task: Callable[[Any], Any], matter: Any) -> tuple[Any, str, bool, float]:
    """One try in this process: value, reason, whether it is final, seconds."""
    began = time.perf_counter()
    try:
        value = task(matter)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a task may raise anything, SystemExit too
        return None, said(error), isinstance(error, BadInput), time.perf_counter() - began
    return value, "", False, time.perf_counter() - began


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def serve(number: int) -> None:
    """Runs in the child: does what comes through the pipe until its parent is gone."""
    os.set_inheritable(number, False)
    pipe = Connection(number)
    threading.Thread(target=_leave_with_parent, args=(number,), daemon=True).start()
    worker = _Worker()
    with suppress(EOFError, OSError):  # the parent is gone, and so is the pipe
        pipe.send_bytes(HELLO)
        while pipe.poll(IDLE_S):
            given = pipe.recv_bytes()
            pipe.send_bytes(GOT)  # from here on an end is the job's doing
            task, matter = pickle.loads(given)  # noqa: S301 - from our parent
            pipe.send_bytes(pickle.dumps(worker.answer(task, matter)))
        pipe.send_bytes(BYE)


def _leave_with_parent(number: int) -> None:
    """A job may take an hour; a parent that was killed does not want its answer."""
    hung_up = select.poll()
    hung_up.register(number, 0)
    hung_up.poll()
    os.killpg(0, signal.SIGKILL)


class _Worker:
    """The child's side: the task is loaded once, so what it loads itself stays for later jobs."""

    def __init__(self) -> None:
        self.packed = b""
        self.task: Callable[[Any], Any] | None = None

    def answer(self, task: bytes | None, matter: bytes) -> tuple[bytes | None, str, bool, float]:
        """Fields of :class:`Tried`. Exceptions become reasons: not every one can be pickled."""
        if task is not None:
            self.packed, self.task = task, None
        try:
            if self.task is None:
                self.task = pickle.loads(self.packed)  # noqa: S301 - from our parent
            loaded = pickle.loads(matter)  # noqa: S301 - from our parent
        except Exception as error:  # noqa: BLE001 - unpickling imports, which may raise anything
            return None, f"the worker cannot load the job: {said(error)}", False, 0.0
        assert self.task is not None
        value, reason, final, seconds = attempt(self.task, loaded)
        if reason:
            return None, reason, final, seconds
        try:
            return pickle.dumps(value), "", False, seconds
        except Exception as error:  # noqa: BLE001 - pickling runs code of the value
            return None, f"the answer cannot be sent back: {said(error)}", True, seconds
