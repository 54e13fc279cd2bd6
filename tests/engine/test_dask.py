"""The engine on Dask: in this process, and on a scheduler and workers that are killed."""

from __future__ import annotations

import os
import signal
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
from contracts.engine import ApartContract, alive, numbered, tries_of, wait_until
from engine import tasks
from segue.core.errors import BadInput, SegueError
from segue.engine.dask import Dask
from segue.engine.engine import EngineLost, Job

TESTS = Path(__file__).parent.parent
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
        wait_until(file.exists, 30)
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
    assert time.monotonic() - began < 20


def kill_one(running: Cluster, folder: Path, finished: set[int]) -> int:
    """Kill the Dask worker of a job that has begun; returns the job's number."""

    def in_hand() -> list[Path]:
        begun = (path for path in folder.iterdir() if int(path.name) not in finished)
        return [path for path in begun if path.read_text()]

    wait_until(lambda: len(in_hand()) > 0)
    chosen = in_hand()[0]
    hand = psutil.Process(int(chosen.read_text().split()[0]))
    victim = hand.parent().pid
    assert victim in {worker.pid for worker in running.workers}
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive(hand.pid))  # it does not go on without its worker
    return int(chosen.name)


def test_a_killed_worker_repeats_its_own_job_and_a_killed_scheduler_is_said(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    with (
        cluster(tmp_path, ("--no-nanny",), ("--no-nanny",)) as running,
        Dask(running.address) as engine,
    ):
        wait_until(lambda: engine.n_workers == 2, 30)
        outcomes = engine.run(tasks.Slow(str(notes), 0.4), numbered(10))
        found = [next(outcomes) for _ in range(3)]
        repeated = kill_one(running, notes, {one.value for one in found})
        found += outcomes
        assert sorted(one.value for one in found) == list(range(10))
        assert [n for n in range(10) if tries_of(notes, n) > 1] == [repeated]
        assert len({one.worker for one in found}) == 2

        outcomes = engine.run(tasks.Slow(str(notes), 0.2), [Job(str(n), n) for n in range(20, 40)])
        kept = [next(outcomes).value for _ in range(2)]
        running.scheduler.kill()
        began = time.monotonic()
        with pytest.raises(EngineLost, match=r"gone; what is finished is kept, and the same"):
            kept.extend(one.value for one in outcomes)
        assert time.monotonic() - began < 10
        assert len(kept) >= 2


def test_a_real_worker_with_a_nanny_survives_jobs_that_crash(tmp_path):
    """A nanny's worker may not have children of multiprocessing; a hand is none."""
    notes = tmp_path / "notes"
    notes.mkdir()
    with cluster(tmp_path, ()) as running, Dask(running.address) as engine:
        task = tasks.Once(str(notes), "kill", frozenset({1}), fails=9)
        found = {one.key: one for one in engine.run(task, numbered(4))}
        reason = "ended the worker with signal 9 (SIGKILL), three times"
        assert found["item 1"].reason == reason
        assert [found[f"item {n}"].value for n in (0, 2, 3)] == [0, 2, 3]
        assert len({one.worker for one in found.values()}) == 1


def test_a_worker_of_another_version_is_refused(monkeypatch, tmp_path):
    with cluster(tmp_path, ("--no-nanny",)) as running:
        monkeypatch.setattr(segue, "__version__", "99.0")
        with (
            pytest.raises(EngineLost, match=r"has segue \d.*this is 99\.0; install the same"),
            Dask(running.address),
        ):
            pass
        monkeypatch.undo()
        with Dask(running.address, patience_s=1.0) as engine:
            assert next(engine.run(tasks.square, numbered(1))).value == 0
            running.workers[0].kill()
            with pytest.raises(EngineLost, match="no Dask worker is left for 1 s"):
                list(engine.run(tasks.square, numbered(2)))
