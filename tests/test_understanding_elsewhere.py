"""Steps of understanding by the workers of an engine, one of which is killed, then the rest."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

import media_makers
import slow_look
from contracts.engine import alive, wait_until
from segue import understanding
from segue.config import read_settings
from segue.engine.engine import EngineLost
from segue.engine.local import Cores
from segue.ingest.run import ingest
from segue.store import schema
from segue.store.workspace import Workspace
from segue.understand.run import Encoders
from segue.understand.sources import item_sources
from segue.understand.steps import BATCH, Steps, failures
from segue.understanding import Chosen, OnEngine, plan_of, understand_workspace
from understand.test_understand_run import BagOfWords

STEPS = ("sound-print", "language")  # both need no model that must be fetched
WORDS = (
    "The tide comes in while the children play by the old harbour wall.",
    "Das Meer liegt in der Nacht ganz still, und der alte Fischer wartet.",
)
N_ITEMS = 8
Done = dict[tuple[str, int], float]  # when it was noted as done, by step and item


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Eight sounds with words in two languages; each item has two steps to go."""
    made = Workspace.create(tmp_path / "workspace")
    folder = tmp_path / "media"
    folder.mkdir()
    for n in range(N_ITEMS):
        tags = {"title": f"Take {n}", "description": WORDS[n % 2]}
        media_makers.sound(folder / f"{n}.flac", 2.5 + n / 10, tags=tags)
    assert ingest(made, [folder]).added == N_ITEMS
    (made.root / "segue.toml").write_text(
        f"[understand]\npictures = 'none'\nonly = {list(STEPS)!r}\n"
    )
    return made


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Workers wait with what they have until the hold in this folder is gone."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / slow_look.HOLD).touch()
    monkeypatch.setenv("SLOW_LOOK", str(notes))
    monkeypatch.setattr(understanding, "Worker", slow_look.SlowWork)
    # Vectors are made by this process: their models are not what is asked here.
    monkeypatch.setattr(
        understanding, "encoders_of", lambda _: Encoders(BagOfWords(), picture=None, sound=None)
    )
    yield notes
    (notes / slow_look.HOLD).unlink(missing_ok=True)


def done(workspace: Workspace) -> Done:
    d = schema.done.c
    query = sa.select(d.step, d.item_num, d.at).where(d.status == "done")
    with workspace.engine.connect() as connection:
        return {(step, num): at for step, num, at in connection.execute(query)}


def prints(workspace: Workspace) -> Counter[int]:
    """How many fingerprints each item has."""
    with workspace.engine.connect() as connection:
        return Counter(connection.scalars(sa.select(schema.prints.c.item_num)))


def every() -> dict[str, int]:
    """One try of each step for each item."""
    return {f"{step}:{num}": 1 for step in STEPS for num in range(1, N_ITEMS + 1)}


def test_on_all_cores_a_killed_worker_repeats_its_own_item_alone(workspace, held):
    killed: list[str] = []

    def kill_one() -> None:
        wait_until(lambda: len(slow_look.in_hand(held)) == 2)
        name, pid = slow_look.in_hand(held).popitem()
        os.kill(pid, signal.SIGKILL)
        killed.append(name)
        wait_until(lambda: not alive(pid))
        (held / slow_look.HOLD).unlink()

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_one)
        report = understand_workspace(workspace, engine="cores", workers=2)
        killing.result()
    assert report.steps == dict.fromkeys(STEPS, N_ITEMS)
    assert failures(workspace.engine) == []
    assert slow_look.tries(held) == every() | dict.fromkeys(killed, 2)
    assert prints(workspace) == dict.fromkeys(range(1, N_ITEMS + 1), 1)


def test_when_the_time_is_up_what_workers_have_in_hand_is_finished_and_kept(workspace):
    """Hours of a dear step would be lost otherwise, and begun anew by the next run."""
    chosen = Chosen.of(read_settings(workspace.root))
    (step,) = (step for step in plan_of(chosen).cheap if step.name == "sound-print")
    items = item_sources(workspace.engine, workspace.derived)
    looks = iter([True, False])  # before the first batch, and before the second
    with Cores(2) as engine:
        loop = Steps(workspace.engine, OnEngine(engine, chosen))
        ran = loop.run(step, items, in_time=lambda: next(looks))
    assert (ran.done, ran.left, ran.failed) == (BATCH, N_ITEMS - BATCH, {})
    assert len(done(workspace)) == BATCH


@pytest.mark.slow
def test_on_dask_a_worker_is_killed_then_the_scheduler_and_then_it_goes_on(
    tmp_path, workspace, held
):
    from engine.test_dask import cluster  # noqa: PLC0415 - needs the extra
    from segue.engine.dask import Dask  # noqa: PLC0415

    ticks: list[str] = []
    killed: list[str] = []
    with cluster(tmp_path, ("--no-nanny",), ("--no-nanny",)) as running:
        with Dask(running.address) as engine:
            wait_until(lambda: engine.n_workers == 2)

        def kill_worker() -> None:
            wait_until(lambda: len(slow_look.in_hand(held)) == 2)
            ((name, pid),) = [
                (name, pid) for name, pid in slow_look.in_hand(held).items()
                if psutil.Process(pid).ppid() == running.workers[0].pid
            ]  # fmt: skip
            running.workers[0].kill()
            killed.append(name)
            wait_until(lambda: not alive(pid))
            (held / slow_look.HOLD).unlink()

        def kill_scheduler(step: str, _: int, __: int) -> None:
            ticks.append(step)
            if len(ticks) == N_ITEMS + 3:  # in the middle of the second step
                running.scheduler.kill()

        with (  # noqa: PT012 - what is killed beside it belongs to it
            ThreadPoolExecutor(1) as pool,
            pytest.raises(EngineLost, match="the same command goes on from there"),
        ):
            killing = pool.submit(kill_worker)
            understand_workspace(
                workspace, engine="dask", address=running.address, progress=kill_scheduler
            )
        killing.result()
    first = done(workspace)
    assert Counter(step for step, _ in first) == Counter(ticks), "told is kept, kept is told"
    assert N_ITEMS + 3 <= len(first) < 2 * N_ITEMS
    begun = slow_look.tries(held)
    assert [name for name, count in begun.items() if count > 1] == killed
    assert killed[0].startswith("sound-print:")

    (tmp_path / "second").mkdir()
    with cluster(tmp_path / "second", ("--no-nanny",), ("--no-nanny",)) as running:
        report = understand_workspace(workspace, engine="dask", address=running.address)
    last = done(workspace)
    assert {f"{step}:{num}" for step, num in last} == set(every())
    assert {key: last[key] for key in first} == first, "what was done is not done again"
    assert report.steps == {"sound-print": 0, "language": 2 * N_ITEMS - len(first)}
    assert failures(workspace.engine) == []
    twice = {name for name, count in slow_look.tries(held).items() if count > 1}
    # Beside the killed worker's item, only what the other had when the scheduler went: a job in
    # hand, and one that it was sent while the first still counted as there.
    lost = twice - set(killed)
    assert len(lost) <= 2
    assert all(name.startswith("language:") for name in lost)
    assert prints(workspace) == dict.fromkeys(range(1, N_ITEMS + 1), 1)
