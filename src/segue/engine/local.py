"""Engines on this machine: one job after the other in this process, or on all its cores."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from segue.core.errors import BadInput, SegueError
from segue.engine.engine import EngineLost, Job, Outcome, packed, said, told
from segue.engine.hands import Hand, Tried, attempt, await_any

T = TypeVar("T")
R = TypeVar("R")


class InProcess:
    """No other process: the simplest, and the one that a debugger can follow.

    It cannot stop a job: ``timeout_s`` has no effect, and a crash ends the caller.
    """

    n_workers = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def run(
        self,
        task: Callable[[T], R],
        jobs: Iterable[Job[T]],
        *,
        tries: int = 3,
        timeout_s: float | None = None,
    ) -> Iterator[Outcome[R]]:
        packed(task, tries, timeout_s)  # so that what runs here runs everywhere
        return (_tried_here(task, job, tries) for job in jobs)


def _tried_here(task: Callable[[T], R], job: Job[T], tries: int) -> Outcome[R]:
    reasons: list[str] = []
    total_s = 0.0
    for _ in range(tries):
        value, reason, final, seconds = attempt(task, job.matter)
        total_s += seconds
        if not reason:
            return Outcome(job.key, value, "", len(reasons) + 1, total_s, "here")
        reasons.append(reason)
        if final:
            break
    return Outcome(job.key, None, told(reasons), len(reasons), total_s, "here")


@dataclass
class Open(Generic[T]):
    """A job that is not finished: its matter as it travels, and what became of earlier tries."""

    key: str
    matter: bytes
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def closed(self, tried: Tried, tries: int, worker: str) -> Outcome[Any] | None:
        """The outcome, or None where another try is due."""
        self.seconds += tried.seconds
        reason, value = tried.reason, None
        if not reason:
            try:
                value = tried.value()
            except Exception as error:  # noqa: BLE001 - unpickling runs code of the value
                reason = f"the answer cannot be read: {said(error)}"
        if not reason:
            return Outcome(self.key, value, "", len(self.reasons) + 1, self.seconds, worker)
        self.reasons.append(reason)
        if not tried.final and len(self.reasons) < tries:
            return None
        n = len(self.reasons)
        return Outcome(self.key, None, told(self.reasons), n, self.seconds, worker)


def opened(job: Job[Any]) -> Open[Any] | Outcome[Any]:
    """The job made ready to travel, or at once its outcome where its matter cannot."""
    try:
        return Open(job.key, pickle.dumps(job.matter))
    except Exception as error:  # noqa: BLE001 - pickling runs code of the matter
        return Outcome(job.key, None, f"cannot be sent to a worker: {said(error)}", 0, 0.0, "")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cores:
    """``n`` child processes, by default one a core; numeric libraries get one thread in each.

    A job that ends its process, hangs or runs out of memory costs its own try and nothing else.
    """

    def __init__(self, n: int | None = None) -> None:
        self.n_workers = cores() if n is None else n
        if self.n_workers < 1:
            raise BadInput(f"a run needs at least one worker, got {n}")
        self._hands = [Hand() for _ in range(self.n_workers)]
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hand in self._hands:
            hand.kill()
        for hand in self._hands:
            hand.close()

    def run(
        self,
        task: Callable[[T], R],
        jobs: Iterable[Job[T]],
        *,
        tries: int = 3,
        timeout_s: float | None = None,
    ) -> Iterator[Outcome[R]]:
        sent = packed(task, tries, timeout_s)
        if self._running:
            raise SegueError("this engine is at work already; finish or close the first run")
        return self._outcomes(sent, iter(jobs), tries, timeout_s)

    def _outcomes(
        self, task: bytes, jobs: Iterator[Job[Any]], tries: int, timeout_s: float | None
    ) -> Iterator[Outcome[Any]]:
        idle, busy = list(self._hands), dict[Hand, Open[Any]]()
        again: deque[Open[Any]] = deque()
        ready: list[Outcome[Any]] = []
        self._running = True
        try:
            while True:
                while idle and (work := again.popleft() if again else next_open(jobs, ready)):
                    hand = idle.pop()
                    hand.give(task, work.matter, timeout_s)
                    busy[hand] = work
                yield from ready  # after the hands are full again: the caller may take its time
                ready.clear()
                if not busy:
                    return
                await_any(list(busy))
                for hand in list(busy):
                    worker = f"process {hand.pid}"
                    tried = hand.take()
                    if tried is None:
                        continue
                    work = busy.pop(hand)
                    idle.append(hand)
                    outcome = work.closed(tried, tries, worker)
                    if outcome is None:
                        again.append(work)
                    else:
                        ready.append(outcome)
        except EngineLost:
            yield from ready
            raise
        finally:
            self._running = False
            for hand in busy:
                hand.kill()
            for hand in busy:
                hand.close()


def next_open(jobs: Iterator[Job[Any]], ready: list[Outcome[Any]]) -> Open[Any] | None:
    """The next job that can travel; the outcomes of those that cannot go to ``ready``."""
    for job in jobs:
        made = opened(job)
        if isinstance(made, Open):
            return made
        ready.append(made)
    return None
