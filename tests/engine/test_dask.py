"""The engine on Dask: in this process, and on a scheduler and workers that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

import segue
from contracts.engine import ApartContract, alive, held, numbered, tries_of, wait_until
from engine import tasks
from segue.core.errors import BadInput, SegueError
from segue.engine import dask
from segue.engine.dask import Dask
from segue.engine.engine import EngineLost, Job

TESTS = Path(__file__).parent.parent
NO_HANG_S = 60  # it takes well under a second, but not on every machine
SCHEDULER = ("distributed.cli.dask_scheduler", "--port", "0")
WORKER = ("distributed.cli.dask_worker", "--nthreads", "1")


@dataclass
class Cluster:
    """A scheduler and workers, each a process of its own, on the loopback address."""

    folder: Path
    scheduler: subprocess.Popen[bytes] = field(init=False)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        file = self.folder / "scheduler.json"
        self.scheduler = self.start(*SCHEDULER, "--scheduler-file", str(file))
        wait_until(file.exists)
        (listening,) = [
            one.laddr.port
            for one in psutil.Process(self.scheduler.pid).net_connections("tcp")
            if one.status == "LISTEN" and f':{one.laddr.port}"' in file.read_text()
        ]
        self.address = f"tcp://127.0.0.1:{listening}"

    def start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{module}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *options, "--host", "127.0.0.1", "--no-dashboard"],
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdout=log,
                stderr=log,
            )

    def add_worker(self, *options: str) -> None:
        folder = ("--local-directory", str(self.folder / f"worker {len(self.workers)}"))
        self.workers.append(self.start(*WORKER, self.address, *options, *folder))

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                process.terminate()  # a nanny that is killed would leave its worker behind
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path, *workers: tuple[str, ...]) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        for options in workers:
            made.add_worker(*options)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def dask_here() -> Iterator[Dask]:
    with Dask(n=2) as engine:
        yield engine


class TestDaskInThisProcess(ApartContract):
    @pytest.fixture
    def engine(self, dask_here: Dask) -> Dask:
        return dask_here


def test_nothing_listens_beyond_this_machine():
    def listening():
        return {c.laddr for c in psutil.Process().net_connections("inet") if c.status == "LISTEN"}

    before = listening()
    with Dask(n=1):
        assert {address.ip for address in listening() - before} <= {"127.0.0.1"}


def test_its_processes_end_with_it(tmp_path):
    with Dask(n=2) as engine:
        pids = {one.value for one in engine.run(tasks.Loaded(str(tmp_path)), numbered(6))}
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_leaving_in_the_middle_ends_what_is_in_hand(tmp_path):
    names = [tmp_path / "0", tmp_path / "1"]
    with Dask(n=1) as engine:
        outcomes = engine.run(tasks.sleep_after_first, [Job(n.name, str(n)) for n in names])
        assert next(outcomes).key == "0"
        wait_until(lambda: names[1].exists() and names[1].read_text() != "")
        pid = int(names[1].read_text())
    wait_until(lambda: not alive(pid))
    with pytest.raises(EngineLost, match="the Dask scheduler of this process is gone"):
        next(outcomes)


def test_a_job_that_begins_when_its_run_is_stopped_does_not_stay(monkeypatch, tmp_path):
    """It may be on its way to a worker, or wait for its child, when the caller closes."""
    with Dask(n=1) as engine:
        outcomes = engine.run(tasks.sleep_after_first, [Job(n, str(tmp_path / n)) for n in "01"])
        assert next(outcomes).key == "0"
        wait_until(lambda: len(dask._BUSY) == 1)
        with monkeypatch.context() as blind:
            blind.setattr(dask, "_BUSY", {})  # where it would be found
            outcomes.close()
        wait_until(lambda: len(dask._BUSY) == 0)
        assert [one.value for one in engine.run(tasks.square, numbered(1))] == [0]


def test_work_before_it_is_connected_is_refused():
    with pytest.raises(SegueError, match="not connected; write: with Dask"):
        Dask().run(tasks.square, numbered(1))
    with pytest.raises(BadInput, match="at least one worker, got 0"):
        Dask(n=0)


def test_where_no_scheduler_answers_it_says_so_soon():
    began = time.monotonic()
    with (
        pytest.raises(EngineLost, match=r"127\.0\.0\.1:9 .*start them with `dask scheduler`"),
        Dask("tcp://127.0.0.1:9", patience_s=1.0),
    ):
        pass
    assert time.monotonic() - began < NO_HANG_S


def test_a_worker_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(dask, "version", tasks.other_version)
    words = rf"inproc://\S+ has segue 99\.0, this is {segue.__version__}; install the same"
    with pytest.raises(EngineLost, match=words), Dask(n=1):
        pass


def test_when_all_workers_are_gone_it_does_not_wait_for_ever():
    with Dask(n=1, patience_s=1.0) as engine:
        outcomes = engine.run(tasks.square, numbered(100))
        assert next(outcomes).reason == ""
        engine._cluster.scale(0)
        with pytest.raises(EngineLost, match=r"no Dask worker is left for 1 s; what is finished"):
            list(outcomes)


def test_a_job_with_which_too_many_workers_vanish_is_given_up(tmp_path):
    with Dask(n=1) as engine:
        outcomes = engine.run(tasks.sleep_after_first, [Job(n, str(tmp_path / n)) for n in "01"])
        assert next(outcomes).key == "0"
        wait_until(lambda: (tmp_path / "1").exists())
        scheduler = engine._cluster.scheduler
        (held,) = (task for task in scheduler.tasks.values() if task.state == "processing")
        held.suspicious = 3  # so many workers vanished with it before
        (worker,) = scheduler.workers
        engine._cluster.sync(scheduler.remove_worker, worker, stimulus_id="test")
        (one,) = outcomes
    assert (one.key, one.value, one.tries) == ("1", None, 4)
    assert one.reason == "ended its Dask worker, four times"
    wait_until(lambda: dask._BUSY == {})


def kill_worker(worker: subprocess.Popen[bytes], jobs: dict[int, int]) -> int:
    """Kill a Dask worker in the middle of a job; returns the job's number."""
    ((number, pid),) = (
        (number, pid) for number, pid in jobs.items() if psutil.Process(pid).ppid() == worker.pid
    )
    worker.kill()
    wait_until(lambda: not alive(pid))  # it does not go on without its worker
    return number


def test_a_killed_worker_repeats_its_own_job_and_a_killed_scheduler_is_said(tmp_path):
    """One of the workers has a nanny, and so may have no children of multiprocessing."""
    notes = tmp_path / "notes"
    notes.mkdir()
    with (
        cluster(tmp_path, ("--no-nanny",), ("--nanny",)) as running,
        Dask(running.address) as engine,
    ):
        wait_until(lambda: engine.n_workers == 2)
        outcomes = engine.run(tasks.Slow(str(notes), 0.5), numbered(7))
        found = [next(outcomes) for _ in range(3)]
        with held(notes, 2) as jobs:
            repeated = kill_worker(running.workers[0], jobs)
        found += outcomes
        assert sorted(one.value for one in found) == list(range(7))
        assert [n for n in range(7) if tries_of(notes, n) > 1] == [repeated]
        assert len({one.worker for one in found}) == 2

        outcomes = engine.run(tasks.Slow(str(notes), 0.2), [Job(str(n), n) for n in range(20, 40)])
        kept = [next(outcomes).value for _ in range(2)]
        running.scheduler.kill()
        began = time.monotonic()
        with pytest.raises(EngineLost, match=r"gone; what is finished is kept, and the same"):
            kept.extend(one.value for one in outcomes)
        assert time.monotonic() - began < NO_HANG_S
        assert len(kept) >= 2
