"""Asking a newcomer about the few items that tell most of their taste.

An answer is an event of the platform ``onboarding``: a like, a dislike, or an impression for what
the person does not know. So it acts as every event does, is taken back as every event is, and an
item is not asked of twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segue.core.protocols import Asking
from segue.core.types import Event, Item
from segue.store import events

if TYPE_CHECKING:
    from segue.serve.service import Service

PLATFORM = "onboarding"
KINDS = {"like": "like", "dislike": "dislike", "unknown": "impression"}
ENOUGH = 5  # items that a person knows, after which the page asks no more
ASKED_AT_MOST = 25
HEARD = 60  # newest entries of a history that count as answers


@dataclass(frozen=True)
class Answered:
    """An answer as it was stored; deleting the event takes it back."""

    item_id: str
    answer: str
    event_id: str


@dataclass(frozen=True)
class Onboarding:
    """What to ask next, and how far the asking has come."""

    questions: tuple[Item, ...]
    known: int  # items of the person's history
    unknown: int  # items that they did not know

    @property
    def enough(self) -> bool:
        """Whether further answers would tell little."""
        return self.known >= ENOUGH or self.known + self.unknown >= ASKED_AT_MOST


def onboarding(service: Service, user_id: str, k: int) -> Onboarding:
    """The next ``k`` questions of a person; none where the model cannot ask."""
    model: object = service.model()
    query = service.query(user_id)
    ids = service.catalogue.catalogue.ids
    history = query.history
    said = [
        (ids[row], "like" if weight > 0 else "dislike")
        for row, weight in zip(history.items[-HEARD:], history.weights[-HEARD:], strict=True)
        if weight
    ]
    met = {ids[row] for row in history.items}
    unknown = [i for i in events.shown_on(service.engine, user_id, PLATFORM) if i not in met]
    asked: tuple[str, ...] = ()
    if isinstance(model, Asking):
        asked = model.ask(query, [*((i, "unknown") for i in unknown), *said], k)
    return Onboarding(tuple(service.item(i) for i in asked), len(met), len(unknown))


def event_id(user_id: str, item_id: str) -> str:
    """The id of a person's answer about an item: a second answer takes the place of the first."""
    digest = hashlib.sha256(f"{user_id}\0{item_id}".encode()).hexdigest()
    return f"onboarding-{digest[:32]}"


def answer_onboarding(
    service: Service, user_id: str, answers: Sequence[tuple[str, str]]
) -> tuple[Answered, ...]:
    """Store answers (item id, like | dislike | unknown); they act on the next list."""
    at = service.clock()
    for item, _ in answers:
        service.item(item)
    batch = [
        Event(event_id(user_id, item), user_id, item, KINDS[said], at, platform=PLATFORM)
        for item, said in dict(answers).items()
    ]
    for event in batch:
        service.take_back(event.event_id)
    service.record(batch)
    return tuple(Answered(i, said, event_id(user_id, i)) for i, said in dict(answers).items())
