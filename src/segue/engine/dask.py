"""The engine on a Dask cluster, or on one that it starts in this process.

Dask says which worker gets which job and repeats what was in hand on a worker that vanished. On
the worker each job is done by a :class:`~segue.engine.hands.Hand`, as on one machine: a job that
crashes or hangs costs its own try, and neither the Dask worker (which may have no nanny to bring
it back) nor its neighbours in other threads.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

import segue
from segue.core.errors import BadInput, MissingExtra, SegueError
from segue.engine.engine import EngineLost, Job, Outcome, packed, said
from segue.engine.hands import Hand, Tried
from segue.engine.local import Open, cores, next_open

try:
    from distributed import Client, Future, KilledWorker, LocalCluster, get_worker
except ImportError as error:
    raise MissingExtra("a Dask cluster needs the package: pip install 'segue[dask]'") from error

T = TypeVar("T")
R = TypeVar("R")
CHECK_S = 0.5  # how often it is looked whether the scheduler is still there
COUNT_S = 2.0  # how often the workers are counted: more may come while a run lasts
CLOSE_S = 5.0
LOOPBACK = "127.0.0.1:0"
KEPT = "what is finished is kept, and the same command goes on from there"

_IDLE: list[Hand] = []  # hands of this Dask worker, one for each of its threads at most
_BUSY: dict[tuple[str, int], Hand] = {}  # by run, and number in it
_STOPPED: set[str] = set()  # runs whose jobs, even those that are just about to begin, must end


def work(run: str, number: int, task: bytes, matter: bytes, timeout_s: float | None) -> Any:
    """Runs on the Dask worker: one try, and the address of the worker."""
    try:
        hand = _IDLE.pop()  # the latest used, whose models are warm
    except IndexError:
        hand = Hand()
    _BUSY[run, number] = hand
    try:
        tried = hand.attempt(task, matter, timeout_s, lambda: run in _STOPPED)
    except EngineLost as error:  # no child can be started on that machine
        tried = Tried(None, str(error))
    finally:
        _BUSY.pop((run, number), None)
        _IDLE.append(hand)
    fields = (tried.answer, tried.reason, tried.final, tried.seconds)
    return fields, str(get_worker().address)


def stop(run: str) -> None:
    """Runs on the Dask worker: end what is in hand for a run, and the hands that wait."""
    _STOPPED.add(run)
    for (whose, _), hand in list(_BUSY.items()):
        if whose == run:
            hand.kill()
    while _IDLE:
        _IDLE.pop().close()


def version() -> str:
    """Runs on the Dask worker."""
    return segue.__version__


@dataclass
class _Given:
    """A job that Dask has."""

    work: Open[Any]
    future: Future[Any]


class Dask:
    """A Dask cluster by the address of its scheduler, or without one: ``n`` threads of this
    process, each with a child, which needs no port.

    A worker that vanishes costs the job that it had in hand, which Dask repeats elsewhere; a job
    with which as many workers vanish as the cluster allows (``allowed-failures``, 3) is given up.
    """

    def __init__(
        self, address: str | None = None, *, n: int | None = None, patience_s: float = 60.0
    ) -> None:
        """``patience_s``: how long to wait for a first worker, or for one when all are gone."""
        self.address = address
        self.patience_s = patience_s
        self._n = cores() if n is None else n
        if self._n < 1:
            raise BadInput(f"a run needs at least one worker, got {n}")
        self._cluster: Any = None
        self._client: Any = None
        self._run = ""  # the latest
        self._running = False
        self._threads = (0, float("-inf"))  # how many, and when they were counted

    def __enter__(self) -> Self:
        _be_quiet()
        try:
            self._connect()
        except BaseException:
            self._disconnect()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._disconnect()

    @property
    def n_workers(self) -> int:
        """Threads of all workers that are there now, at least 1; before it is connected, those
        that it will start."""
        if self._client is None:
            return self._n if self.address is None else 1
        return max(self._count(), 1)

    def run(
        self,
        task: Callable[[T], R],
        jobs: Iterable[Job[T]],
        *,
        tries: int = 3,
        timeout_s: float | None = None,
    ) -> Iterator[Outcome[R]]:
        sent = packed(task, tries, timeout_s)
        if self._client is None:
            raise SegueError("not connected; write: with Dask(address) as engine")
        if self._running:
            raise SegueError("this engine is at work already; finish or close the first run")
        return self._outcomes(sent, iter(jobs), tries, timeout_s)

    def _outcomes(
        self, task: bytes, jobs: Iterator[Job[Any]], tries: int, timeout_s: float | None
    ) -> Iterator[Outcome[Any]]:
        self._run, self._running = uuid.uuid4().hex[:12], True
        given: dict[int, _Given] = {}
        again: deque[Open[Any]] = deque()
        ready: list[Outcome[Any]] = []
        done: SimpleQueue[int] = SimpleQueue()
        number = 0
        try:
            while True:
                while len(given) < self.n_workers:
                    job = again.popleft() if again else next_open(jobs, ready)
                    if job is None:
                        break
                    number += 1
                    given[number] = self._give(number, task, job, timeout_s, done)
                yield from ready
                ready.clear()
                if not given:
                    return
                for finished in self._finished(done):
                    job = given[finished].work
                    outcome = self._closed(given.pop(finished), tries)
                    if outcome is None:
                        again.append(job)
                    else:
                        ready.append(outcome)
        except EngineLost:
            yield from ready
            raise
        finally:
            self._running = False
            self._stop([one.future for one in given.values()])

    def _give(
        self,
        number: int,
        task: bytes,
        job: Open[Any],
        timeout_s: float | None,
        done: SimpleQueue[int],
    ) -> _Given:
        self._check()
        future = self._client.submit(
            work, self._run, number, task, job.matter, timeout_s,
            key=f"segue-{self._run}-{number}", pure=False,
        )  # fmt: skip
        future.add_done_callback(lambda _: done.put(number))
        return _Given(job, future)

    def _finished(self, done: SimpleQueue[int]) -> list[int]:
        """Numbers of jobs that Dask is done with, at least one; looks after the cluster."""
        alone_since: float | None = None
        while True:
            try:
                found = [done.get(timeout=CHECK_S)]
            except Empty:
                found = []
            self._check()
            while not done.empty():
                found.append(done.get())
            if found:
                return found
            if self._count():
                alone_since = None
                continue
            alone_since = time.monotonic() if alone_since is None else alone_since
            if time.monotonic() - alone_since > self.patience_s:
                raise EngineLost(f"no Dask worker is left for {self.patience_s:g} s; {KEPT}")

    def _closed(self, one: _Given, tries: int) -> Outcome[Any] | None:
        """What became of a job that Dask is done with, or None where another try is due."""
        while True:
            try:
                fields, worker = one.future.result(timeout=CHECK_S)
            except TimeoutError:  # a scheduler that ends now would never answer
                self._check()
            except KilledWorker as error:
                n = error.allowed_failures + 1
                one.work.reasons += ["ended its Dask worker"] * (n - 1)
                return one.work.closed(
                    Tried(None, "ended its Dask worker"), tries, error.last_worker.address
                )
            except Exception as error:
                self._check()
                if one.future.status == "error":  # raised on the worker, outside the task
                    return one.work.closed(Tried(None, said(error)), tries, "")
                raise EngineLost(f"the Dask cluster dropped its jobs ({error}); {KEPT}") from error
            else:
                return one.work.closed(Tried(*fields), tries, worker)

    def _check(self) -> None:
        if not self._connected():
            where = self.address or "of this process"
            raise EngineLost(f"the Dask scheduler {where} is gone; {KEPT}")

    def _connected(self) -> bool:
        return self._client is not None and self._client.status == "running"

    def _count(self) -> int:
        """Threads of all workers, counted now and then."""
        n, when = self._threads
        if n and time.monotonic() - when < COUNT_S:
            return n
        try:
            info = self._client.scheduler_info(n_workers=-1)  # by default it tells of five
        except OSError:
            self._check()
        else:
            n = sum(worker["nthreads"] for worker in info["workers"].values())
        self._threads = (n, time.monotonic())
        return n

    def _connect(self) -> None:
        address = self.address
        if address is None:
            self._cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=1,
                threads_per_worker=self._n,
                processes=False,  # the hands are the processes
                dashboard_address=LOOPBACK,  # None would be port 8787 of all interfaces
                worker_dashboard_address=LOOPBACK,
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,  # it would be this process's memory, and stop at its share
                silence_logs=logging.CRITICAL,
            )
            address = self._cluster
        try:
            self._client = Client(address, timeout=self.patience_s, set_as_default=False)  # type: ignore[no-untyped-call]
            self._client.wait_for_workers(1, timeout=self.patience_s)
        except OSError as error:
            raise EngineLost(
                f"no Dask scheduler with a worker answers at {self.address} within "
                f"{self.patience_s:g} s; start them with `dask scheduler` and `dask worker`"
            ) from error
        self._same_version()

    def _same_version(self) -> None:
        try:
            versions = self._client.run(version)
        except Exception as error:
            raise EngineLost(
                f"a Dask worker cannot import segue ({error}); install segue[dask] there"
            ) from error
        for worker, found in versions.items():
            if found != segue.__version__:
                raise EngineLost(
                    f"the Dask worker {worker} has segue {found}, this is {segue.__version__}; "
                    "install the same on all"
                )

    def _stop(self, futures: list[Future[Any]]) -> None:
        """Cancel what is given, as far as there is a scheduler to hear it."""
        if not futures or not self._connected():
            return
        try:
            self._client.cancel(futures, force=True)
            self._client.run(stop, self._run, on_error="ignore")
        except Exception:
            if self._connected():
                raise

    def _disconnect(self) -> None:
        if self.address is None:
            stop(self._run)  # even if Dask has lost its worker, that was of this process
        with suppress(OSError):  # time-outs are among them; what is left ends with this process
            if self._connected():
                self._client.run(stop, self._run, on_error="ignore")
        client, cluster = self._client, self._cluster
        self._client = self._cluster = None
        for one in (client, cluster):
            if one is not None:
                with suppress(OSError):
                    one.close(timeout=CLOSE_S)


def _be_quiet() -> None:
    """What matters of its log is said by outcomes and errors."""
    for name in ("distributed", *logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
