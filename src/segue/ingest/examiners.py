"""Who looks at files: confined children of this process, or of workers elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from types import TracebackType
from typing import Any, Protocol, Self

from segue.core.errors import SegueError
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Examined, Found
from segue.ingest.sandbox import Sandbox


class Unfinished(SegueError):
    """A file was not looked at to the end, by no fault of its own: the next run tries again."""


class Examiner(Protocol):
    """Looks at files without being harmed. Use as a context manager."""

    @property
    def limits(self) -> MediaLimits: ...

    @property
    def ahead(self) -> int:
        """How many files it wants to have at a time, so that no hand is idle; >= 1."""

    def submit(self, found: Found) -> Any:
        """Begin with a file; its future has ``done`` and ``cancel``."""

    def wait(self, futures: Sequence[Any]) -> None:
        """Until one of them is done."""

    def result(self, found: Found, future: Any) -> Examined:
        """Raises :class:`~segue.core.errors.UnreadableMedia` where the file is bad,
        :class:`Unfinished` where it may be good."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Here:
    """``workers`` confined children of this process."""

    def __init__(self, folders: Sequence[str], limits: MediaLimits, workers: int = 1) -> None:
        self.limits = limits
        self.ahead = workers
        self._sandbox = Sandbox(folders, limits, workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.__exit__(kind, error, trace)

    def submit(self, found: Found) -> Any:
        return self._sandbox.submit(found)

    def wait(self, futures: Sequence[Any]) -> None:
        wait(futures, return_when=FIRST_COMPLETED)

    def result(self, found: Found, future: Any) -> Examined:
        return self._sandbox.result(found, future)
