"""Labels of pictures and sounds, kept as annotations of their items."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.store import schema
from segue.understand.align import LabelSpace

NAME_CHARS = 100  # of an encoder, in the store


class Classifier(Protocol):
    """Says how probable each of its labels is."""

    name: str
    kind: str  # picture | sound

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def glosses(self) -> tuple[str, ...]:
        """A few words on each label, empty where the name says enough."""

    def classify(self, clips: Sequence[Any]) -> Floats:
        """(n, n_labels) float32 in [0, 1]."""


@dataclass(frozen=True)
class Placing:
    """How a classifier's labels place a clip: the ``top`` of them, at a ``temperature``."""

    top: int = 10
    temperature: float = 1.0

    @property
    def mark(self) -> str:
        """Part of the vectors' name: another placing makes other vectors."""
        return "" if self == Placing() else f"~{self.top},{self.temperature:g}"


def placing_of(classifier: Classifier) -> Placing:
    """A classifier may say how it is best placed."""
    said: Placing = getattr(classifier, "placing", Placing())
    return said


def fitted(name: str) -> str:
    """A name as the store can keep it: a long one ends in a digest, so that no two become one."""
    if len(name) <= NAME_CHARS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: NAME_CHARS - len(digest) - 1]}#{digest}"


def space_of(classifier: Classifier, texts: Encoder) -> LabelSpace:
    """A classifier's labels in the space of a text encoder."""
    placing = placing_of(classifier)
    return LabelSpace(
        classifier.labels, texts, classifier.glosses, placing.top, placing.temperature
    )


@dataclass(frozen=True)
class Labelling:
    """Which labels are worth writing down."""

    most: int = 5
    least_picture: float = 0.15
    least_sound: float = 0.2

    def least(self, kind: str) -> float:
        return self.least_picture if kind == "picture" else self.least_sound


def put_labels(
    connection: sa.Connection,
    item_num: int,
    classifier: Classifier,
    labels: Sequence[tuple[str, float]],
) -> None:
    """Replace what this classifier said of an item, within the caller's transaction."""
    table = schema.annotations
    kind = f"{classifier.kind}-label"
    connection.execute(
        sa.delete(table).where(
            table.c.item_num == item_num, table.c.kind == kind, table.c.model == classifier.name
        )
    )
    best: dict[str, float] = {}
    for label, score in labels:  # two classes may share a name, as missile does
        best.setdefault(label, score)
    rows = [
        {"item_num": item_num, "kind": kind, "label": label, "score": s, "model": classifier.name}
        for label, s in best.items()
    ]
    if rows:
        connection.execute(sa.insert(table), rows)
