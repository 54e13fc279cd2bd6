"""The one loop that runs steps: item by item, what they found is kept, what is done is remembered.

A step's findings of an item, and the note that it is done, are one transaction: a killed run
repeats at most the items that were in its hands. What fails is noted with its reason and tried
again by later runs, :data:`TRIES` times in all.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from segue.core.errors import SegueError
from segue.datasets.fetch import Unavailable
from segue.store import schema
from segue.understand.findings import Findings, Step
from segue.understand.sources import ItemSource

TRIES = 3
BATCH = 4  # items a call: enough for a model that likes batches, little to repeat
Progress = Callable[[str, int, int], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Task:
    """One item for one step."""

    step: Step
    items: tuple[ItemSource, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one item: findings, or the reason why there are none.

    ``missing``: a model is not to be had, which says nothing of the item.
    """

    item: ItemSource
    findings: Findings | None
    reason: str
    seconds: float
    missing: bool = False


@dataclass
class Ran:
    """What one step did."""

    done: int = 0
    failed: dict[int, str] = field(default_factory=dict)  # by item number
    left: int = 0  # not begun when the time was used up
    said: dict[str, int] = field(default_factory=dict)  # remarks, and of how many items
    seconds: float = 0.0


def work(task: Task) -> list[Tried]:
    """Run a step over a few items; a failure of one is not a failure of the others."""
    began = time.perf_counter()
    try:
        found = task.step.run(task.items)
    except Unavailable as error:
        return [Tried(item, None, _reason(error), 0.0, missing=True) for item in task.items]
    except Exception as error:  # noqa: BLE001  a model may raise anything on odd matter
        if len(task.items) > 1:
            return [tried for item in task.items for tried in work(Task(task.step, (item,)))]
        return [Tried(task.items[0], None, _reason(error), time.perf_counter() - began)]
    share = (time.perf_counter() - began) / len(task.items)
    return [Tried(item, f, "", share) for item, f in zip(task.items, found, strict=True)]


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split())[:300]
    known = isinstance(error, SegueError)
    return words if known and words else f"{type(error).__name__}: {words}".rstrip(": ")


def here(tasks: Iterable[Task]) -> Iterator[list[Tried]]:
    """The simplest engine: one after the other, in this process."""
    for task in tasks:
        yield work(task)


# Tasks are read only as fast as they begin, and all that began are answered.
Run = Callable[[Iterable[Task]], Iterator[list[Tried]]]


class Steps:
    """Runs steps over the items of one workspace."""

    def __init__(self, engine: sa.Engine, run: Run = here, clock: Clock = time.time) -> None:
        self._engine = engine
        self._run = run
        self._clock = clock

    def todo(self, step: Step, items: Sequence[ItemSource]) -> list[tuple[ItemSource, str]]:
        """Items with matter that this model has not dealt with, and the hash of that matter."""
        stood = self._stood(step.name)
        wanted = []
        for item in items:
            source = step.source(item)
            model, old, status, tries = stood.get(item.num, ("", "", "", 0))
            same = (model, old) == (step.model, source)
            if same and (status == "done" or tries >= TRIES):
                continue
            if source:
                wanted.append((item, source))
            elif item.num in stood:
                self._forget(step.name, item.num)
        return wanted

    def run(
        self,
        step: Step,
        items: Sequence[ItemSource],
        progress: Progress | None = None,
        in_time: Callable[[], bool] = lambda: True,
    ) -> Ran:
        """Bring one step up to date. No new batch begins once ``in_time`` says no; those that
        workers have by then are finished and kept."""
        wanted = self.todo(step, items)
        sources = {item.num: source for item, source in wanted}
        ran, began, dealt = Ran(), time.perf_counter(), 0
        batches = (
            Task(step, tuple(item for item, _ in wanted[at : at + BATCH]))
            for at in range(0, len(wanted), BATCH)
        )
        for outcome in self._run(itertools.takewhile(lambda _: in_time(), batches)):
            for tried in outcome:
                if not tried.missing:
                    self._keep(step, tried, sources[tried.item.num])
                _count(ran, tried)
            dealt += len(outcome)
            if progress is not None:
                progress(step.name, dealt, len(wanted))
        ran.left = len(wanted) - dealt
        ran.seconds = time.perf_counter() - began
        return ran

    def _stood(self, step: str) -> dict[int, tuple[str, str, str, int]]:
        d = schema.done.c
        query = sa.select(d.item_num, d.model, d.source_hash, d.status, d.tries)
        with self._engine.connect() as connection:
            return {
                row[0]: (row[1], row[2], row[3], row[4])
                for row in connection.execute(query.where(d.step == step))
            }

    def _forget(self, step: str, num: int) -> None:
        """The matter is gone: what was said of it goes too."""
        d = schema.done
        mine = (d.c.item_num == num) & (d.c.step == step)
        with self._engine.begin() as connection:
            for model in connection.scalars(sa.select(d.c.model).where(mine)):
                drop(connection, num, model)
            connection.execute(sa.delete(d).where(mine))

    def _keep(self, step: Step, tried: Tried, source: str) -> None:
        d = schema.done
        num = tried.item.num
        mine = (d.c.item_num == num) & (d.c.step == step.name)
        with self._engine.begin() as connection:
            old = connection.execute(sa.select(d).where(mine)).one_or_none()
            again = old is not None and (old.model, old.source_hash) == (step.model, source)
            if old is not None:
                drop(connection, num, old.model)
                connection.execute(sa.delete(d).where(mine))
            if tried.findings is not None:
                put(connection, num, step.model, tried.findings)
            connection.execute(
                sa.insert(d).values(
                    item_num=num,
                    step=step.name,
                    model=step.model,
                    # What stands in for better findings is never up to date.
                    source_hash="" if tried.findings and tried.findings.again else source,
                    status="failed" if tried.findings is None else "done",
                    tries=old.tries + 1 if again and old is not None else 1,
                    reason=tried.reason or (tried.findings.said if tried.findings else ""),
                    seconds=tried.seconds,
                    at=self._clock(),
                )
            )


def _count(ran: Ran, tried: Tried) -> None:
    if tried.missing:
        ran.said[tried.reason] = ran.said.get(tried.reason, 0) + 1
        return
    if tried.findings is None:
        ran.failed[tried.item.num] = tried.reason
        return
    ran.done += 1
    if tried.findings.said:
        ran.said[tried.findings.said] = ran.said.get(tried.findings.said, 0) + 1


def drop(connection: sa.Connection, num: int, model: str) -> None:
    """Take away all that a model said of an item."""
    for table in (schema.annotations, schema.measures, schema.cues, schema.notes, schema.prints):
        connection.execute(sa.delete(table).where(table.c.item_num == num, table.c.model == model))


def put(connection: sa.Connection, num: int, model: str, found: Findings) -> None:
    """Write what a model says of an item, within the caller's transaction."""
    base = {"item_num": num, "model": model}
    spans = {(x.kind, x.label, x.start_s): x for x in found.labels}  # the last one stands
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        schema.annotations: [
            base | {"kind": x.kind, "label": x.label, "score": x.score, "start_s": x.start_s,
                    "end_s": x.end_s}
            for x in spans.values()
        ],
        schema.measures: [
            base | {"name": x.name, "value": x.value, "start_s": x.start_s}
            for x in found.measures
        ],
        schema.cues: [
            base | {"position": n, "start_s": x.start_s, "end_s": x.end_s, "text": x.text}
            for n, x in enumerate(found.cues)
        ],
        schema.notes: [
            base | {"kind": x.kind, "language": x.language, "generated": x.generated,
                    "text": x.text}
            for x in found.notes
        ],
        schema.prints: [base | {"kind": x.kind, "data": x.data} for x in found.prints],
    }  # fmt: skip
    for table, values in rows.items():
        if values:
            connection.execute(sa.insert(table), values)
    if found.language:
        unknown = schema.items.c.num == num, schema.items.c.language.is_(None)
        connection.execute(
            sa.update(schema.items).where(*unknown).values(language=found.language[:20])
        )


def failures(engine: sa.Engine) -> list[tuple[str, str, int, str]]:
    """The dead letters: (item id, step, tries, reason) of all that failed, by item."""
    d, i = schema.done.c, schema.items.c
    query = (
        sa.select(i.id, d.step, d.tries, d.reason)
        .join_from(schema.done, schema.items, d.item_num == i.num)
        .where(d.status == "failed")
        .order_by(i.num, d.step)
    )
    with engine.connect() as connection:
        return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


def forget_failures(engine: sa.Engine) -> int:
    """Let the next run try everything that failed again; returns how much that is."""
    with engine.begin() as connection:
        gone = connection.execute(sa.delete(schema.done).where(schema.done.c.status == "failed"))
        return int(gone.rowcount)
