"""Confined children that look at hostile files, and are replaced when one of them wins."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from segue.core.errors import UnreadableMedia
from segue.ingest.child import Child, Ended, Late
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found, Outcome
from segue.ingest.wire import BadAnswer, most_bytes, question, read_answer, setup

TASKS_PER_CHILD = 500  # a fresh child now and then: leaks of the decoders do not add up
OUT_OF_TIME = (signal.SIGPROF, signal.SIGXCPU)
LOOK = "segue.ingest.inside:look"


class Sandbox:
    """``workers`` confined children. Use as a context manager.

    ``folders`` are all that the children may read. A child that crashes, hangs, runs out of time
    or answers what no sound child does costs its own file alone. ``task`` (``module:function``)
    is what a child does with a file.
    """

    def __init__(
        self,
        folders: Sequence[str],
        limits: MediaLimits | None = None,
        workers: int = 1,
        task: str = LOOK,
    ) -> None:
        self.limits = MediaLimits() if limits is None else limits
        self._setup = setup(task, folders, self.limits)
        self._workers = workers
        self._threads: ThreadPoolExecutor | None = None  # each waits for one child at a time
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._lock = threading.Lock()
        self._closing = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads is None:
            return
        with self._lock:
            self._closing = True
            for child in self._busy:
                child.close()
        self._threads.shutdown(cancel_futures=True)
        for child in self._idle:
            child.reap()
        self._idle.clear()
        self._threads, self._closing = None, False

    def submit(self, found: Found) -> Future[Outcome]:
        """Begin to look at a file; give the future to :meth:`result`."""
        if found.size > self.limits.max_file_bytes:
            raise UnreadableMedia(
                found.path, f"{found.size:,} bytes, limit {self.limits.max_file_bytes:,}"
            )
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="sandbox")
        return self._threads.submit(self._look, found)

    def outcome(self, found: Found, future: Future[Outcome]) -> Outcome:
        """Wait for the child; whatever happened to it is a reason."""
        return future.result()

    def result(self, found: Found, future: Future[Outcome]) -> Examined:
        """What the child learned. Raises :class:`UnreadableMedia` with its reason."""
        outcome = self.outcome(found, future)
        if outcome.examined is None:
            raise UnreadableMedia(found.path, outcome.reason)
        return outcome.examined

    def examine(self, found: Found) -> Examined:
        """Look at one file and wait."""
        return self.result(found, self.submit(found))

    def _look(self, found: Found) -> Outcome:
        """In a thread: ask an idle child, or a new one."""
        child = self._take()
        try:
            return self._ask(child, found)
        except BaseException:
            child.close()
            raise
        finally:
            self._give_back(child)

    def _ask(self, child: Child, found: Found) -> Outcome:
        wall_s = self.limits.wall_s(found.size)
        try:
            return read_answer(child.ask(question(found), wall_s), self.limits)
        except Late:
            reason = f"took longer than the {wall_s:.1f} s it may take"
        except Ended as error:
            reason = f"ended the decoder (exit code {error.code})"
            if -error.code in OUT_OF_TIME:
                cpu_s = self.limits.cpu_s(found.size)
                reason = f"took more than the {cpu_s:.1f} s of CPU time it may take"
        except BadAnswer as error:
            reason = f"made the decoder answer what it never does: {error}"
        child.close()
        return Outcome(None, reason)

    def _take(self) -> Child:
        with self._lock:
            child = self._idle.pop() if self._idle else Child(self._setup, most_bytes(self.limits))
            self._busy.add(child)
            if self._closing:
                child.close()
        return child

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._busy.discard(child)
            if not child.closed and child.answered < TASKS_PER_CHILD:
                self._idle.append(child)
                return
        child.reap()
