"""A child process that looks at hostile files and is replaced when one of them wins."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from segue.core.errors import SegueError, UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found

TASKS_PER_CHILD = 500  # a fresh child now and then: leaks of the decoders do not add up
OUT_OF_TIME = (signal.SIGPROF, signal.SIGXCPU)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the child sends back: values or a reason, and what it tried to open."""

    examined: Examined | None
    reason: str = ""
    trail: tuple[tuple[str, str], ...] = ()


def start_child(folders: Sequence[str], limits: MediaLimits) -> None:
    """Import everything first, then give up the right to anything else."""
    from segue.ingest import examine  # noqa: F401, PLC0415  the parent never loads the decoders
    from segue.ingest.confine import confine  # noqa: PLC0415

    confine(folders, limits)


def child_task(found: Found, limits: MediaLimits) -> Outcome:
    """Runs in the child. Exceptions become values: they would not survive the pipe."""
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


class Sandbox:
    """``workers`` confined children. Use as a context manager.

    ``folders`` are all that the children may read. A child that crashes, hangs or runs out of
    time costs its own file alone.
    """

    def __init__(
        self, folders: Sequence[str], limits: MediaLimits | None = None, workers: int = 1
    ) -> None:
        self.limits = MediaLimits() if limits is None else limits
        self._folders = tuple(folders)
        self._workers = workers
        self._pool: Any = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _start(self) -> Any:
        return ProcessPool(
            max_workers=self._workers,
            max_tasks=TASKS_PER_CHILD,
            initializer=start_child,
            initargs=(self._folders, self.limits),
            context=multiprocessing.get_context("spawn"),  # fork would share our open files
        )

    def submit(self, found: Found) -> Any:
        """Begin to look at a file; give the future to :meth:`result`."""
        if found.size > self.limits.max_file_bytes:
            raise UnreadableMedia(
                found.path, f"{found.size:,} bytes, limit {self.limits.max_file_bytes:,}"
            )
        if self._pool is None or not self._pool.active:
            self._drop()
            self._pool = self._start()
        wall_s = self.limits.wall_s(found.size)
        return self._pool.schedule(child_task, args=(found, self.limits), timeout=wall_s)

    def outcome(self, found: Found, future: Any) -> Outcome:
        """Wait for the child; whatever happened to it becomes a reason.

        A child that the system ended between two files is started anew once.
        """
        try:
            return self._wait(found, future)
        except BrokenProcessPool:
            future = self.submit(found)
        try:
            return self._wait(found, future)
        except BrokenProcessPool as error:
            raise SegueError(
                f"the media sandbox did not start ({error}); is memory short, or the open-file "
                "limit below 64?"
            ) from error

    def _wait(self, found: Found, future: Any) -> Outcome:
        try:
            outcome: Outcome = future.result()
        except FutureTimeout:
            seconds = self.limits.wall_s(found.size)
            return Outcome(None, f"took longer than the {seconds:.1f} s it may take")
        except ProcessExpired as error:
            if -(error.exitcode or 0) in OUT_OF_TIME:
                seconds = self.limits.cpu_s(found.size)
                return Outcome(None, f"took more than the {seconds:.1f} s of CPU time it may take")
            return Outcome(None, f"ended the decoder (exit code {error.exitcode})")
        return outcome

    def result(self, found: Found, future: Any) -> Examined:
        """What the child learned. Raises :class:`UnreadableMedia` with its reason."""
        outcome = self.outcome(found, future)
        if outcome.examined is None:
            raise UnreadableMedia(found.path, outcome.reason)
        return outcome.examined

    def examine(self, found: Found) -> Examined:
        """Look at one file and wait."""
        return self.result(found, self.submit(found))
