"""Files looked at by the workers of an engine, some of which are killed."""

from __future__ import annotations

import json
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import media_makers
import slow_look
from contracts.engine import alive, wait_until
from segue.cli.ingest import command
from segue.core.errors import BadInput, BadSettings, UnreadableMedia
from segue.engine.engine import EngineLost, Outcome
from segue.engine.local import InProcess
from segue.ingest import elsewhere
from segue.ingest.elsewhere import Answer, Elsewhere, Look, as_seen_here
from segue.ingest.examiners import Unfinished
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found
from segue.ingest.run import IngestReport, Progress, ingest
from segue.ingest.scan import scan
from segue.store import schema
from segue.store.workspace import Workspace


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        media_makers.picture(folder / f"p{number}.png", 100 + number, 80)
    return folder


def contents(workspace: Workspace) -> tuple[Any, ...]:
    """All that a run leaves, without what depends on the order or the clock."""
    i, a, f = schema.items.c, schema.assets.c, schema.files.c
    with workspace.engine.connect() as tx:
        items = tx.execute(sa.select(i.id, i.kind, i.title, i.extra)).all()
        assets = sa.select(i.id, a.kind, a.position, a.content_hash)
        made = tx.execute(assets.join_from(schema.assets, schema.items)).all()
        files = tx.execute(sa.select(f.path, f.status, f.reason)).all()
    return tuple(sorted(map(repr, rows)) for rows in (items, made, files))


def statuses(workspace: Workspace) -> Counter[str]:
    with workspace.engine.connect() as tx:
        return Counter(tx.execute(sa.select(schema.files.c.status)).scalars())


def test_two_workers_give_what_one_gives_here(tmp_path):
    folder = media_makers.golden(tmp_path / "media")
    media_makers.picture(folder / "cut.png", 300, 300)
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:300])
    (folder / "post").mkdir()
    (folder / "post" / "segue-media.toml").write_text('[item]\nkind = "post"\n')
    (folder / "post" / "words.txt").write_text("Low tide.")
    media_makers.picture(folder / "post" / "a.png", 90, 50)
    here, there = (Workspace.create(tmp_path / name) for name in ("here", "there"))
    first = ingest(here, [folder])
    assert first.refused[0][1].startswith("damaged: image file is truncated")
    second = ingest(there, [folder], engine="cores", workers=2)
    assert second == first == IngestReport(added=8, attached=1, refused=first.refused)
    assert contents(there) == contents(here)
    # Later: of two new files with one content, whichever is read first makes the item.
    (folder / "same.wav").write_bytes((folder / "speech" / "hello.wav").read_bytes())
    again = ingest(there, [folder], engine="cores", workers=2)
    assert (again.attached, again.unchanged) == (1, 9)
    assert ingest(here, [folder]) == again
    assert contents(there) == contents(here)


@pytest.fixture
def held(tmp_path, monkeypatch) -> Path:
    """Workers wait with the first file until the hold in this folder is gone."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / slow_look.HOLD).touch()
    monkeypatch.setenv("SLOW_LOOK", str(notes))
    monkeypatch.setattr(elsewhere, "Look", slow_look.SlowLook)
    return notes


@contextmanager
def then_let_go(notes: Path, kill: Callable[[], None]) -> Iterator[None]:
    """``kill`` beside what is done here, then the workers may go on."""

    def beside() -> None:
        kill()
        (notes / slow_look.HOLD).unlink()

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(beside)
        yield
        killing.result()


def test_a_killed_worker_repeats_its_own_file_and_nothing_is_lost(tmp_path, held):
    folder = pictures(tmp_path / "media", 6)
    killed: list[str] = []
    family: list[int] = []  # the worker that is killed and its own confined child
    before = set(psutil.Process().children(recursive=True))

    def kill_one() -> None:
        wait_until(lambda: len(slow_look.in_hand(held)) == 2)
        name, pid = slow_look.in_hand(held).popitem()
        family[:] = [pid, *(p.pid for p in psutil.Process(pid).children(recursive=True))]
        os.kill(pid, signal.SIGKILL)
        killed.append(name)

    workspace = Workspace.create(tmp_path / "workspace")
    with then_let_go(held, kill_one):
        report = ingest(workspace, [folder], engine="cores", workers=2)
    assert report == IngestReport(added=6)
    assert slow_look.tries(held) == {f"p{n}.png": 1 + (f"p{n}.png" in killed) for n in range(6)}
    assert set(psutil.Process().children(recursive=True)) <= before, "a worker outlived the run"
    wait_until(lambda: not any(alive(pid) for pid in family))


def test_after_the_time_is_up_nothing_is_begun(tmp_path, monkeypatch):
    folder = pictures(tmp_path / "media", 3)
    workspace = Workspace.create(tmp_path / "workspace")
    ticks = iter([0.0, 1.0, 99.0, 100.0])  # the start, then before each file
    with monkeypatch.context() as slow:
        slow.setattr("segue.ingest.run.time", SimpleNamespace(monotonic=lambda: next(ticks)))
        report = ingest(workspace, [folder], engine="cores", workers=1, budget_s=100.0)
    assert report == IngestReport(added=2, left=1)
    assert ingest(workspace, [folder]) == IngestReport(added=1, unchanged=2)


def test_an_address_is_for_dask_alone(tmp_path):
    workspace = Workspace.create(tmp_path / "workspace")
    with pytest.raises(BadSettings, match="only the engine dask has an address"):
        ingest(workspace, [tmp_path], address="tcp://127.0.0.1:1")


def test_the_command_takes_an_engine_and_a_budget(tmp_path):
    folder = pictures(tmp_path / "media", 2)
    workspace = Workspace.create(tmp_path / "workspace")
    options = ["--engine", "cores", "--workers", "1", "--budget", "8h"]
    told = CliRunner().invoke(command, [str(folder), "-w", str(workspace.root), "--json", *options])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["added"] == 2
    assert statuses(workspace) == {"done": 2}
    assert "segue understand" in CliRunner().invoke(command, ["--help"]).output


def found_in(folder: Path) -> Found:
    (found,) = scan([folder])
    assert isinstance(found, Found)
    return found


def test_a_worker_knows_a_file_by_its_size_and_time(tmp_path):
    """Device and inode are other numbers on another machine."""
    found = found_in(pictures(tmp_path / "media", 1))
    assert as_seen_here(replace(found, device=1, inode=2)) == found
    assert as_seen_here(replace(found, path=f"{found.path}x")) is None
    for other in (replace(found, size=3), replace(found, mtime_ns=found.mtime_ns - 5 * 10**9)):
        with pytest.raises(UnreadableMedia, match="changed"):
            as_seen_here(other)
    Path(found.path).unlink()
    os.mkfifo(found.path)
    with pytest.raises(UnreadableMedia, match="changed"):
        as_seen_here(found)


def asked(found: Found, outcome: Outcome[Answer]) -> None:
    """What the examiner makes of an outcome."""
    examiner = Elsewhere(InProcess(), [found.folder], MediaLimits())
    future = examiner.submit(found)
    future.set_result(outcome)
    examiner.result(found, future)


def test_a_file_that_a_worker_cannot_see_ends_the_run_with_the_remedy(tmp_path):
    found = found_in(pictures(tmp_path / "media", 1))
    elsewhere_only = replace(found, path=f"{found.path}.gone")
    answer = Look((found.folder,), MediaLimits())(elsewhere_only)
    assert answer.absent
    outcome = Outcome(found.path, answer, "", 1, 0.0, "tcp://worker:1")
    with pytest.raises(BadInput, match=r"cannot see .*p0\.png: the folders must be reachable"):
        asked(found, outcome)
    with pytest.raises(UnreadableMedia, match="disappeared"):
        asked(elsewhere_only, outcome)


def test_what_workers_could_not_finish_is_not_held_against_the_file(tmp_path, monkeypatch):
    folder = pictures(tmp_path / "media", 1)
    failed: Outcome[Answer] = Outcome("", None, "ended the worker with signal 9", 3, 0.0, "w")
    with pytest.raises(Unfinished, match="signal 9; the next run tries it again"):
        asked(found_in(folder), failed)
    workspace = Workspace.create(tmp_path / "workspace")
    with monkeypatch.context() as broken:
        broken.setattr(InProcess, "run", lambda _, task, jobs, **__: (
            replace(failed, key=job.key) for job in jobs))  # fmt: skip
        broken.setattr("segue.ingest.run.make_engine", lambda *_, **__: InProcess())
        report = ingest(workspace, [folder], engine="cores")
    assert "signal 9" in report.refused[0][1]
    assert statuses(workspace) == {}
    assert ingest(workspace, [folder]).added == 1


def test_a_task_is_small(tmp_path):
    assert len(pickle.dumps(Look((str(tmp_path),), MediaLimits()))) < 2000


@pytest.mark.slow
def test_on_dask_a_worker_is_killed_then_the_scheduler_and_then_it_goes_on(tmp_path, held):
    from engine.test_dask import cluster  # noqa: PLC0415 - needs the extra
    from segue.engine.dask import Dask  # noqa: PLC0415

    folder = pictures(tmp_path / "media", 12)
    workspace = Workspace.create(tmp_path / "workspace")
    steps: list[Progress] = []
    killed: list[str] = []
    with cluster(tmp_path, ("--no-nanny",), ("--no-nanny",)) as running:
        with Dask(running.address) as engine:
            wait_until(lambda: engine.n_workers == 2)

        def kill_worker() -> None:
            wait_until(lambda: len(slow_look.in_hand(held)) == 2)
            (mine,) = [
                name for name, pid in slow_look.in_hand(held).items()
                if psutil.Process(pid).ppid() == running.workers[0].pid
            ]  # fmt: skip
            running.workers[0].kill()
            killed.append(mine)

        def kill_scheduler(step: Progress) -> None:
            steps.append(step)
            if len(steps) == 7:
                running.scheduler.kill()

        with (
            then_let_go(held, kill_worker),
            pytest.raises(EngineLost, match="the same command goes on from there"),
        ):
            ingest(workspace, [folder], engine="dask", address=running.address,
                   progress=kill_scheduler)  # fmt: skip
    done = [Path(step.path).name for step in steps]
    assert statuses(workspace) == {"done": len(done)}
    assert 7 <= len(done) < 12
    assert killed[0] in done
    assert [name for name, count in slow_look.tries(held).items() if count > 1] == killed
    (tmp_path / "second").mkdir()
    with cluster(tmp_path / "second", ("--no-nanny",), ("--no-nanny",)) as running:
        again = ingest(workspace, [folder], engine="dask", address=running.address)
    assert again == IngestReport(added=12 - len(done), unchanged=len(done))
