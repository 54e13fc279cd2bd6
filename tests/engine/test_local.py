"""Engines on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.engine import (
    ApartContract,
    EngineContract,
    alive,
    held,
    numbered,
    tries_of,
    wait_until,
)
from engine import tasks
from segue.core.errors import BadInput
from segue.engine import hands, local
from segue.engine.engine import EngineLost, Job
from segue.engine.local import Cores, InProcess, cores

TESTS = Path(__file__).parent.parent
DRIVER = """
import sys
from engine import tasks
from segue.engine.engine import Job
from segue.engine.local import Cores
with Cores(1) as engine:
    list(engine.run(tasks.sleep_after_first, [Job("x", sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def two_cores() -> Iterator[Cores]:
    with Cores(2) as engine:
        yield engine


class TestInProcess(EngineContract):
    @pytest.fixture
    def engine(self) -> Iterator[InProcess]:
        with InProcess() as engine:
            yield engine

    def test_an_interrupt_is_for_the_caller(self, engine):
        with pytest.raises(KeyboardInterrupt):
            list(engine.run(tasks.interrupt, numbered(1)))


class TestCores(ApartContract):
    @pytest.fixture
    def engine(self, two_cores: Cores) -> Cores:
        return two_cores


def test_all_cores_are_used_unless_told_otherwise():
    assert Cores().n_workers == cores() >= 1
    with pytest.raises(BadInput, match="at least one worker, got 0"):
        Cores(0)


def test_two_work_at_the_same_time(tmp_path):
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    jobs = [Job("a", (names[0], names[1])), Job("b", (names[1], names[0]))]
    with Cores(2) as engine:
        assert [one.reason for one in engine.run(tasks.meet, jobs, tries=1)] == ["", ""]


def test_workers_end_with_the_engine(tmp_path):
    with Cores(2) as engine:
        pids = {one.value for one in engine.run(tasks.Loaded(str(tmp_path)), numbered(8))}
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    """Even in the middle of a job: nobody would read its answer."""
    file = tmp_path / "pid"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(file)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        wait_until(lambda: file.exists() and file.read_text() != "")
        pid = int(file.read_text())
        assert alive(pid)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not alive(pid))


def test_a_worker_that_is_killed_between_jobs_costs_no_try(tmp_path):
    with Cores(1) as engine:
        (one,) = engine.run(tasks.Loaded(str(tmp_path)), numbered(1))
        os.kill(one.value, signal.SIGKILL)
        wait_until(lambda: not alive(one.value))
        task = tasks.Once(str(tmp_path))
        assert [one.tries for one in engine.run(task, numbered(2), tries=1)] == [1, 1]
    assert [tries_of(tmp_path, n) for n in range(2)] == [1, 1]


def test_a_worker_killed_in_the_middle_repeats_only_its_own_job(tmp_path):
    """By somebody else, such as a system that is short of memory."""
    task = tasks.Slow(str(tmp_path), 0.1)
    with Cores(2) as engine:
        outcomes = engine.run(task, numbered(6))
        found = [next(outcomes)]
        with held(tmp_path, 2) as jobs:
            number, pid = jobs.popitem()
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid))
        found += outcomes
    assert sorted(one.value for one in found) == list(range(6))
    assert [n for n in range(6) if tries_of(tmp_path, n) > 1] == [number]


def test_a_worker_without_work_leaves_and_another_comes(monkeypatch, tmp_path):
    monkeypatch.setattr(
        hands, "CHILD", hands.CHILD.replace("from segue.engine.hands import serve; ", "")
        .replace("serve(", "import segue.engine.hands as h; h.IDLE_S = 0.05; h.serve(")
    )  # fmt: skip
    with Cores(1) as engine:
        (first,) = engine.run(tasks.Loaded(str(tmp_path)), numbered(1))
        wait_until(lambda: not alive(first.value))
        (second,) = engine.run(tasks.Loaded(str(tmp_path)), numbered(1), tries=1)
    assert second.reason == ""
    assert second.value != first.value


def test_workers_that_do_not_start_are_not_the_fault_of_a_job(monkeypatch):
    with Cores(1) as engine:
        outcomes = engine.run(tasks.crash_from_one_on, numbered(3), tries=2)
        assert next(outcomes).value == 0
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(EngineLost, match=r"does not start: it ended with exit code 1, 3 times"):
            list(outcomes)


def test_the_outcomes_before_a_loss_arrive(monkeypatch):
    """Two hands are looked at in one round: one has an answer, the other cannot be replaced."""
    monkeypatch.setattr(hands, "STARTS", 1)
    with Cores(2) as engine:
        assert len(list(engine.run(tasks.square, numbered(4)))) == 4  # both have a child now
        monkeypatch.setattr(local, "await_any", lambda _: time.sleep(0.5))
        monkeypatch.setattr(sys, "executable", "/bin/false")
        outcomes = engine.run(tasks.crash_or_wait, [Job("bad", 0.0), Job("good", 0.7)])
        assert next(outcomes).value == 0.7
        with pytest.raises(EngineLost):
            next(outcomes)
