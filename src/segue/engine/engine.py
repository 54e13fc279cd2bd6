"""What an engine is: a task and many jobs go in, outcomes come out as they are ready.

An engine keeps nothing. The caller owns the notes of what is done, and stores each outcome when
it arrives; so a run that was cut off loses only the jobs that were in hand.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from segue.core.errors import BadInput, SegueError

T = TypeVar("T")
R = TypeVar("R")
TASK_LIMIT_BYTES = 8_000_000  # a task is settings; what is bigger is a model that was left in it
REASON_CHARS = 300
TIMES = ("", "", "twice", "three times", "four times", "five times")


class EngineLost(SegueError):
    """The engine itself is gone: all outcomes that came before stand, the others never began."""


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """One piece of work. ``key`` names it to people; ``matter`` is what the task gets."""

    key: str
    matter: T


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What came of one job. ``reason`` is "" where it went well, and then ``value`` is the answer.

    ``tries`` were begun (0: the job could not be sent to a worker), ``seconds`` is the wall time
    of all of them together, ``worker`` who did the last one.
    """

    key: str
    value: R | None
    reason: str
    tries: int
    seconds: float
    worker: str


@runtime_checkable
class Engine(Protocol):
    """Use as a context manager; one run at a time."""

    @property
    def n_workers(self) -> int:
        """How many jobs are in hand at a time, >= 1."""

    def run(
        self,
        task: Callable[[T], R],
        jobs: Iterable[Job[T]],
        *,
        tries: int = 3,
        timeout_s: float | None = None,
    ) -> Iterator[Outcome[R]]:
        """One outcome for each job, in the order in which they are ready.

        ``jobs`` is read only as fast as there are hands, so it may be endless or end early
        (:class:`Within`). A try that raises, ends its process or lasts longer than ``timeout_s``
        costs only itself; the job is tried ``tries`` times in all. Matter that is refused with
        :class:`~segue.core.errors.BadInput` is not tried again: it will not be better. Closing
        the iterator stops what is in hand.

        Raises :class:`~segue.core.errors.BadInput` at once for a task that cannot travel, and
        :class:`EngineLost` where no work is possible any more.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Within(Generic[T]):
    """Jobs until the time is used up: those begun finish, the others are :meth:`left`.

    ``over`` says whether the time is used up; it is asked before each job begins.
    """

    def __init__(self, jobs: Iterable[Job[T]], over: Callable[[], bool]) -> None:
        self._rest = iter(jobs)
        self._over = over

    def __iter__(self) -> Iterator[Job[T]]:
        while not self._over():
            try:
                yield next(self._rest)
            except StopIteration:
                return

    def left(self) -> Iterator[Job[T]]:
        """The jobs that did not begin."""
        return self._rest


def packed(task: Callable[[Any], Any], tries: int, timeout_s: float | None) -> bytes:
    """The task as it travels to a worker. Refuses, before anything starts, what cannot travel."""
    if tries < 1:
        raise BadInput(f"tries must be >= 1, got {tries}")
    if timeout_s is not None and not timeout_s > 0:
        raise BadInput(f"timeout_s must be > 0, or None for no limit; got {timeout_s}")
    name = getattr(task, "__qualname__", type(task).__qualname__)
    remedy = "use a function of a module, or a frozen dataclass with __call__ and plain settings"
    try:
        sent = pickle.dumps(task)
    except Exception as error:
        raise BadInput(f"the task {name} cannot be sent to a worker ({error}); {remedy}") from error
    home = task.__module__ if hasattr(task, "__qualname__") else type(task).__module__
    if home == "__main__":
        raise BadInput(
            f"the task {name} is part of the script that was started, which a worker does not "
            "import; move it to a module of its own"
        )
    if len(sent) > TASK_LIMIT_BYTES:
        raise BadInput(
            f"the task {name} is {len(sent):,} bytes, at most {TASK_LIMIT_BYTES:,} travel; keep "
            "settings in it, and load models in the worker when they are first needed"
        )
    return sent


def said(error: BaseException) -> str:
    """An exception as a short reason on one line."""
    if isinstance(error, MemoryError):
        return "ran out of memory"
    words = " ".join(str(error).split())[:REASON_CHARS]
    if isinstance(error, SegueError) and words:
        return words
    return f"{type(error).__name__}: {words}".rstrip(": ")


def told(reasons: list[str]) -> str:
    """The reasons of all tries as one: "took longer than 3 s, three times"."""
    runs: list[tuple[str, int]] = []
    for reason in reasons:
        if runs and runs[-1][0] == reason:
            runs[-1] = (reason, runs[-1][1] + 1)
        else:
            runs.append((reason, 1))
    return "; then ".join(f"{reason}, {_times(n)}" if n > 1 else reason for reason, n in runs)


def _times(n: int) -> str:
    return TIMES[n] if n < len(TIMES) else f"{n} times"
