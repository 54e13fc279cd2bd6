"""Files are looked at by the workers of an engine: on all cores, or on other machines.

A worker opens the files itself, so the folders must be reachable there under the same path (a
shared or mounted file system). On each worker a file is decoded in a confined child, as here;
what crosses the wire is what it gave: pictures, texts and 16 kHz sound.
"""

from __future__ import annotations

import os
import socket
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from segue.core.errors import BadInput, UnreadableMedia
from segue.engine.engine import Engine, Job, Outcome
from segue.ingest.examiners import Unfinished
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found
from segue.ingest.sandbox import Sandbox

FILES_A_WORKER = 2  # one in hand and one that waits, so that no worker does
CLOCK_S = 2.0  # file systems keep times as coarsely as this
AGAIN = "the next run tries it again"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a file: what it gave, or why nothing. ``absent`` is the name of a
    machine that cannot see it."""

    examined: Examined | None
    reason: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Look:
    """The task: one file, looked at by a confined child of the worker.

    The child may read ``folders`` and nothing else, and stays for the next file.
    """

    folders: tuple[str, ...]
    limits: MediaLimits

    def __call__(self, found: Found) -> Answer:
        try:
            here = as_seen_here(found)
            if here is None:
                return Answer(None, absent=socket.gethostname())
            box = _sandbox(self.folders, self.limits)
            outcome = box.outcome(here, box.submit(here))
        except UnreadableMedia as error:
            return Answer(None, error.reason)
        return Answer(outcome.examined, outcome.reason)


def as_seen_here(found: Found) -> Found | None:
    """The same file with the numbers that this machine gives it; None where it has no such path.

    Device and inode are this machine's own, so size and time tell whether it is the same.
    """
    try:
        now = os.lstat(found.path)
    except OSError:
        return None
    same = now.st_size == found.size and abs(now.st_mtime_ns - found.mtime_ns) < CLOCK_S * 1e9
    if not stat.S_ISREG(now.st_mode) or not same:
        raise UnreadableMedia(found.path, "changed while it was being read; ingest it again")
    return replace(found, device=now.st_dev, inode=now.st_ino)


_BOXES: dict[tuple[tuple[str, ...], MediaLimits], Sandbox] = {}  # at most one


def _sandbox(folders: tuple[str, ...], limits: MediaLimits) -> Sandbox:
    """The worker's own sandbox; that of an earlier run over other folders is closed."""
    if (folders, limits) not in _BOXES:
        while _BOXES:
            _BOXES.popitem()[1].__exit__(None, None, None)
        _BOXES[folders, limits] = Sandbox(folders, limits)
    return _BOXES[folders, limits]


class _Waiting:
    """Files that no worker has yet. As an iterator it ends when it is empty, and goes on when
    there is more: an engine that asks again for each free worker gets the latest."""

    def __init__(self) -> None:
        self._files: deque[tuple[Found, Future[Outcome[Answer]]]] = deque()
        self.given: dict[str, Future[Outcome[Answer]]] = {}  # by path: those that a worker has

    def add(self, found: Found) -> Future[Outcome[Answer]]:
        future: Future[Outcome[Answer]] = Future()
        self._files.append((found, future))
        return future

    def __iter__(self) -> Iterator[Job[Found]]:
        return self

    def __next__(self) -> Job[Found]:
        while self._files:
            found, future = self._files.popleft()
            if future.set_running_or_notify_cancel():
                self.given[found.path] = future
                return Job(found.path, found)
        raise StopIteration


class Elsewhere:
    """An engine's workers as an examiner. A worker that dies costs a try of its own file."""

    def __init__(self, engine: Engine, folders: Sequence[str], limits: MediaLimits) -> None:
        self.limits = limits
        self._engine = engine
        self._task = Look(tuple(folders), limits)
        self._waiting = _Waiting()
        self._outcomes: Any = None

    @property
    def ahead(self) -> int:
        return FILES_A_WORKER * self._engine.n_workers

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._outcomes is not None:
                self._outcomes.close()
        finally:
            self._engine.__exit__(kind, error, trace)

    def submit(self, found: Found) -> Future[Outcome[Answer]]:
        return self._waiting.add(found)

    def wait(self, futures: Sequence[Any]) -> None:
        """The engine works while it is waited for. Raises
        :class:`~segue.engine.engine.EngineLost` with what to do."""
        while not any(future.done() for future in futures):
            if self._outcomes is None:
                self._outcomes = self._engine.run(self._task, self._waiting)
            outcome = next(self._outcomes, None)
            if outcome is None:  # nothing was left to do; there may be more by now
                self._outcomes = None
            else:
                self._waiting.given.pop(outcome.key).set_result(outcome)

    def result(self, found: Found, future: Future[Outcome[Answer]]) -> Examined:
        self.wait([future])
        outcome = future.result()
        answer = outcome.value
        if answer is None:
            raise Unfinished(f"{outcome.reason}; {AGAIN}")
        if answer.absent:
            raise self._unseen(found, answer.absent, outcome.worker)
        if answer.examined is None:
            raise UnreadableMedia(found.path, answer.reason)
        return answer.examined

    @staticmethod
    def _unseen(found: Found, machine: str, worker: str) -> BadInput:
        if not os.path.lexists(found.path):
            return UnreadableMedia(found.path, "disappeared while it was being read")
        return BadInput(
            f"the worker {worker} on {machine} cannot see {found.path}: the folders must be "
            "reachable under the same path on every worker; mount them there"
        )
