"""All that is known of one item, as the item's page and ``segue show`` tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from segue.core.errors import NotFound
from segue.store import schema
from segue.store.scenes import SceneRow, load_scenes


@dataclass(frozen=True, slots=True)
class Shown:
    """A label with the model that gave it; times where it holds for a stretch alone."""

    kind: str
    label: str
    score: float
    model: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Number:
    """A measure; ``name`` carries the unit."""

    name: str
    value: float
    model: str
    start_s: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """Words with their time, and where they come from."""

    start_s: float
    end_s: float
    text: str
    model: str


@dataclass(frozen=True, slots=True)
class Written:
    """A text about the item; ``generated`` by a language model, so perhaps wrong."""

    kind: str
    text: str
    language: str
    generated: bool
    model: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Another item that looks like the same work."""

    item_id: str
    title: str
    score: float
    evidence: Mapping[str, Any]
    status: str


@dataclass(frozen=True, slots=True)
class Stood:
    """What a step of understanding did with the item."""

    step: str
    model: str
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Insights:
    """Everything that understanding found. Times are seconds from the beginning."""

    scenes: tuple[SceneRow, ...]
    shots: tuple[tuple[float, float], ...]
    labels: tuple[Shown, ...]
    measures: tuple[Number, ...]
    cues: tuple[Line, ...]
    notes: tuple[Written, ...]
    copies: tuple[Copy, ...]
    steps: tuple[Stood, ...]

    def course(self, name: str) -> list[tuple[float, float]]:
        """(seconds, value) of a measure over time."""
        points = [m for m in self.measures if m.name == name and m.start_s is not None]
        return [(float(m.start_s or 0.0), m.value) for m in points]

    def whole(self) -> dict[str, float]:
        """Measures of the item as a whole, by name."""
        return {m.name: m.value for m in self.measures if m.start_s is None}

    def tags(self) -> dict[str, list[Shown]]:
        """Labels of the item as a whole by kind, best first."""
        found: dict[str, list[Shown]] = {}
        for label in sorted(self.labels, key=lambda x: -x.score):
            if label.start_s is None:
                found.setdefault(label.kind, []).append(label)
        return found

    def spans(self, kind: str) -> list[Shown]:
        """Labels of one kind that hold for a stretch of time, in order."""
        found = [x for x in self.labels if x.kind == kind and x.start_s is not None]
        return sorted(found, key=lambda x: x.start_s or 0.0)


def load_insights(engine: sa.Engine, item_id: str) -> Insights:
    """Everything known of an item; :class:`NotFound` names an unknown one."""
    with engine.connect() as connection:
        num = connection.scalar(sa.select(schema.items.c.num).where(schema.items.c.id == item_id))
        if num is None:
            raise NotFound(f"item {item_id!r} is not in the catalogue")
        return Insights(
            scenes=tuple(load_scenes(engine, [num]).get(num, ())),
            shots=tuple(_rows(connection, schema.scenes, num, "start_s", "end_s", level="shot")),
            labels=tuple(
                Shown(*row)
                for row in _rows(
                    connection, schema.annotations, num,
                    "kind", "label", "score", "model", "start_s", "end_s",
                )
            ),
            measures=tuple(
                Number(*row)
                for row in _rows(
                    connection, schema.measures, num, "name", "value", "model", "start_s"
                )
            ),
            cues=tuple(
                Line(*row)
                for row in _rows(
                    connection, schema.cues, num, "start_s", "end_s", "text", "model"
                )
            ),
            notes=tuple(
                Written(*row)
                for row in _rows(
                    connection, schema.notes, num,
                    "kind", "text", "language", "generated", "model",
                )
            ),
            copies=_copies(connection, num),
            steps=tuple(
                Stood(*row)
                for row in _rows(
                    connection, schema.done, num, "step", "model", "status", "reason", "seconds"
                )
            ),
        )  # fmt: skip


def _rows(
    connection: sa.Connection, table: sa.Table, num: int, *columns: str, level: str = ""
) -> list[Any]:
    query = sa.select(*(table.c[name] for name in columns)).where(table.c.item_num == num)
    if level:
        query = query.where(table.c.level == level)
    order = [
        column for column in (table.c.get("num"), table.c.get("position")) if column is not None
    ]
    return [tuple(row) for row in connection.execute(query.order_by(*order))]


def _copies(connection: sa.Connection, num: int) -> tuple[Copy, ...]:
    """Pairs are stored once, the smaller number first."""
    c, i = schema.copies.c, schema.items.c
    found = []
    for mine, theirs in ((c.item_num, c.other_num), (c.other_num, c.item_num)):
        query = (
            sa.select(i.id, i.title, c.score, c.evidence, c.status)
            .join_from(schema.copies, schema.items, theirs == i.num)
            .where(mine == num)
        )
        found += [Copy(*row) for row in connection.execute(query)]
    return tuple(sorted(found, key=lambda copy: -copy.score))
