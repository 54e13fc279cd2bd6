"""What every engine must do, with tasks that fail, crash and hang on purpose."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import tasks
from segue.core.errors import BadInput, SegueError
from segue.engine.engine import Engine, Job, Outcome, Within


def numbered(n: int) -> list[Job[int]]:
    return [Job(f"item {i}", i) for i in range(n)]


def by_key(outcomes: Iterator[Outcome]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        assert outcome.key not in found, "one outcome a job"
        found[outcome.key] = outcome
    return found


def wait_until(true: Callable[[], bool], patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process still does something; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def tries_of(folder: Path, n: int) -> int:
    return len((folder / str(n)).read_text().split())


def in_hand(folder: Path) -> dict[int, int]:
    """Jobs of :class:`tasks.Slow` that are begun and not done: process by number."""
    begun = [path for path in folder.iterdir() if path.name.isdigit()]
    pids = {path: path.read_text().split() for path in begun}
    return {
        int(path.name): int(found[-1])
        for path, found in pids.items()
        if found and not (folder / f"{path.name} done").exists()
    }


@contextmanager
def held(folder: Path, n_workers: int) -> Iterator[dict[int, int]]:
    """Jobs of :class:`tasks.Slow` that so many workers have in hand, process by number; they do not
    end before the block does."""
    hold = folder / tasks.HOLD
    hold.touch()
    found: list[dict[int, int]] = [{}]

    def settled() -> bool:
        found.append(in_hand(folder))
        return len(found[-1]) == n_workers and found[-1] == found[-2]

    try:
        # A job may have seen, just before, that there is no hold: two looks must agree.
        wait_until(settled)
        yield found[-1]
    finally:
        hold.unlink()


class EngineContract:
    """Inherit, and give the fixture ``engine``: started, of one or two workers."""

    def test_is_an_engine(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.n_workers in (1, 2)

    def test_every_job_has_its_own_answer(self, engine: Engine) -> None:
        found = by_key(engine.run(tasks.square, numbered(20)))
        assert {key: one.value for key, one in found.items()} == {
            f"item {n}": n * n for n in range(20)
        }
        assert all((one.reason, one.tries) == ("", 1) for one in found.values())
        assert all(0 <= one.seconds < 60 and one.worker for one in found.values())

    def test_no_jobs_no_outcomes(self, engine: Engine) -> None:
        assert list(engine.run(tasks.square, [])) == []

    def test_none_is_an_answer(self, engine: Engine) -> None:
        assert [one.reason for one in engine.run(tasks.nothing, numbered(1))] == [""]

    def test_an_error_costs_only_its_own_job(self, engine: Engine) -> None:
        found = by_key(engine.run(tasks.odd_ones_fail, numbered(6)))
        assert [found[f"item {n}"].value for n in (0, 2, 4)] == [0, 2, 4]
        assert found["item 3"].reason == "ValueError: 3 is odd, three times"
        assert (found["item 3"].value, found["item 3"].tries) == (None, 3)

    def test_a_job_that_fails_once_is_repeated_and_no_other(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        task = tasks.Once(str(tmp_path), "raise", frozenset({1, 4}))
        found = by_key(engine.run(task, numbered(6)))
        assert {one.value for one in found.values()} == set(range(6))
        assert [tries_of(tmp_path, n) for n in range(6)] == [1, 2, 1, 1, 2, 1]
        assert [found[f"item {n}"].tries for n in range(6)] == [1, 2, 1, 1, 2, 1]

    def test_tries_are_counted(self, engine: Engine) -> None:
        (once,) = engine.run(tasks.odd_ones_fail, [Job("x", 1)], tries=1)
        (twice,) = engine.run(tasks.odd_ones_fail, [Job("x", 1)], tries=2)
        assert (once.tries, once.reason) == (1, "ValueError: 1 is odd")
        assert (twice.tries, twice.reason) == (2, "ValueError: 1 is odd, twice")

    def test_refused_matter_is_not_tried_again(self, engine: Engine, tmp_path: Path) -> None:
        file = tmp_path / "tries"
        (one,) = engine.run(tasks.refuse, [Job("x", str(file))])
        assert (one.tries, one.reason) == (1, "a.mp4: no frames")
        assert file.read_text() == "."

    @pytest.mark.parametrize(
        ("task", "reason"),
        [
            (tasks.short_of_memory, "ran out of memory, twice"),
            (tasks.leave, "SystemExit: leaving, twice"),
        ],
    )
    def test_what_is_no_common_error_is_a_reason_too(
        self, engine: Engine, task: Callable[[int], object], reason: str
    ) -> None:
        assert [one.reason for one in engine.run(task, numbered(1), tries=2)] == [reason]

    def test_jobs_are_read_no_faster_than_they_are_done(self, engine: Engine) -> None:
        read = itertools.count()
        outcomes = engine.run(tasks.square, (Job(str(n), n) for n in read))
        for done in range(1, 6):
            next(outcomes)
            begun = next(read)  # itself counts as one more
            assert begun <= 2 * done + 2 * engine.n_workers
        outcomes.close()
        assert len(by_key(engine.run(tasks.square, numbered(4)))) == 4, "usable again"

    def test_when_the_time_is_up_nothing_begins_and_what_is_begun_finishes(
        self, engine: Engine
    ) -> None:
        asked = itertools.count()
        jobs = Within(numbered(12), over=lambda: next(asked) >= 5)
        done = by_key(engine.run(tasks.square, jobs))
        assert set(done) == {f"item {n}" for n in range(5)}
        assert [job.key for job in jobs.left()] == [f"item {n}" for n in range(5, 12)]

    def test_time_enough_leaves_nothing(self, engine: Engine) -> None:
        jobs = Within(numbered(3), over=lambda: False)
        assert len(by_key(engine.run(tasks.square, jobs))) == 3
        assert list(jobs.left()) == []

    @pytest.mark.parametrize("task", [lambda n: n, threading.Lock().__enter__])
    def test_a_task_that_cannot_travel_is_refused_before_anything_starts(
        self, engine: Engine, task: Callable[[int], object]
    ) -> None:
        jobs = iter(numbered(2))
        with pytest.raises(BadInput, match=r"cannot be sent to a worker.*function of a module"):
            engine.run(task, jobs)
        assert len(list(jobs)) == 2

    def test_a_task_of_the_script_itself_is_refused(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def task(n: int) -> int:
            return n

        task.__module__, task.__qualname__ = "__main__", "task"
        monkeypatch.setattr(sys.modules["__main__"], "task", task, raising=False)
        with pytest.raises(BadInput, match="move it to a module"):
            engine.run(task, numbered(1))

    def test_a_task_with_a_model_in_it_is_refused(self, engine: Engine) -> None:
        with pytest.raises(BadInput, match=r"9,000,\d+ bytes.*load models in the worker"):
            engine.run(tasks.Once("x" * 9_000_000), numbered(1))

    @pytest.mark.parametrize(
        ("limits", "words"),
        [
            ({"tries": 0}, "tries must be >= 1, got 0"),
            ({"timeout_s": 0.0}, "timeout_s must be > 0"),
            ({"timeout_s": float("nan")}, "timeout_s must be > 0"),
        ],
    )
    def test_bad_limits_are_refused(self, engine: Engine, limits: dict, words: str) -> None:
        with pytest.raises(BadInput, match=words):
            engine.run(tasks.square, numbered(1), **limits)

    def test_an_error_of_the_jobs_themselves_reaches_the_caller(self, engine: Engine) -> None:
        def jobs() -> Iterator[Job[int]]:
            yield Job("good", 1)
            raise OSError("the list of items ends here")

        with pytest.raises(OSError, match="ends here"):
            list(engine.run(tasks.square, jobs()))
        assert len(by_key(engine.run(tasks.square, numbered(4)))) == 4, "usable again"

    def test_what_a_task_loads_stays_for_the_next_job(self, engine: Engine, tmp_path: Path) -> None:
        task = tasks.Loaded(str(tmp_path))
        pids = {one.value for one in engine.run(task, numbered(12))}
        loads = (tmp_path / "loads").read_text().split()
        assert sorted(loads) == sorted(str(pid) for pid in pids)
        assert len(pids) <= engine.n_workers


class ApartContract(EngineContract):
    """For engines whose jobs run in other processes, which they may end."""

    @pytest.mark.parametrize(
        ("way", "reason"),
        [
            ("exit", "ended the worker with exit code 3"),
            ("kill", "ended the worker with signal 9 (SIGKILL)"),
            ("hang", "took longer than 0.2 s"),
        ],
    )
    def test_a_crash_or_a_hang_costs_only_its_own_job(
        self, engine: Engine, tmp_path: Path, way: str, reason: str
    ) -> None:
        task = tasks.Once(str(tmp_path), way, frozenset({2}), fails=9)
        found = by_key(engine.run(task, numbered(8), tries=2, timeout_s=0.2))
        assert found["item 2"].reason == f"{reason}, twice"
        assert found["item 2"].value is None
        assert {one.value for key, one in found.items() if key != "item 2"} == {0, 1, *range(3, 8)}
        assert [tries_of(tmp_path, n) for n in range(8)] == [1, 1, 2, 1, 1, 1, 1, 1]

    @pytest.mark.parametrize("way", ["exit", "kill", "hang"])
    def test_a_job_that_crashed_once_is_repeated(
        self, engine: Engine, tmp_path: Path, way: str
    ) -> None:
        task = tasks.Once(str(tmp_path), way, frozenset({0}))
        (one,) = engine.run(task, numbered(1), timeout_s=0.2)
        assert (one.value, one.reason, one.tries) == (0, "", 2)

    def test_another_reason_each_time_is_told_in_order(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        (one,) = engine.run(tasks.worse_and_worse, [Job("x", str(tmp_path / "tries"))])
        assert one.reason == ("ValueError: at first; then ended the worker with exit code 3, twice")

    def test_an_answer_that_cannot_be_sent_is_a_reason(self, engine: Engine) -> None:
        (one,) = engine.run(tasks.unpicklable, numbered(1))
        assert one.reason.startswith("the answer cannot be sent back: ")
        assert one.tries == 1

    def test_matter_that_cannot_be_sent_is_a_reason(self, engine: Engine) -> None:
        jobs = [Job("bad", threading.Lock()), Job("good", 3)]
        found = by_key(engine.run(tasks.square, jobs))
        assert found["good"].value == 9
        assert found["bad"].reason.startswith("cannot be sent to a worker: TypeError")
        assert found["bad"].tries == 0

    def test_much_matter_and_long_answers_arrive(self, engine: Engine) -> None:
        jobs = [Job(str(n), bytes([n]) * 3_000_000) for n in range(4)]
        found = by_key(engine.run(tasks.doubled, jobs))
        assert all(found[str(n)].value == bytes([n]) * 6_000_000 for n in range(4))

    def test_numeric_libraries_have_one_thread(self, engine: Engine) -> None:
        (one,) = engine.run(tasks.thread_settings, numbered(1))
        assert one.value == ("1", "1")

    def test_what_a_task_prints_is_not_our_output(
        self, engine: Engine, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert len(list(engine.run(tasks.print_and_return, numbered(2)))) == 2
        assert "to standard output" not in capfd.readouterr().out

    def test_closing_ends_what_is_in_hand(self, engine: Engine, tmp_path: Path) -> None:
        files = [tmp_path / str(n) for n in range(4)]
        outcomes = engine.run(tasks.sleep_after_first, [Job(f.name, str(f)) for f in files])
        assert next(outcomes).key == "0"
        wait_until(lambda: files[1].exists() and files[1].read_text() != "")
        pid = int(files[1].read_text())
        assert alive(pid)
        outcomes.close()
        wait_until(lambda: not alive(pid))
        assert not files[3].exists()
        assert len(by_key(engine.run(tasks.square, numbered(4)))) == 4, "usable again"

    def test_what_a_job_started_ends_with_it(self, engine: Engine, tmp_path: Path) -> None:
        file = tmp_path / "pid"
        (one,) = engine.run(tasks.with_child, [Job("x", str(file))], tries=1, timeout_s=1.0)
        assert one.reason == "took longer than 1 s"
        wait_until(lambda: not alive(int(file.read_text())))

    def test_one_run_at_a_time(self, engine: Engine) -> None:
        first = engine.run(tasks.square, numbered(4))
        next(first)
        with pytest.raises(SegueError, match="at work already"):
            engine.run(tasks.square, numbered(1))
        first.close()

    def test_the_caller_is_another_process(self, engine: Engine, tmp_path: Path) -> None:
        assert os.getpid() not in {
            one.value for one in engine.run(tasks.Loaded(str(tmp_path)), numbered(4))
        }
