"""Audiences of a running server. One is made at a time: it reads everybody's history."""

from __future__ import annotations

import threading

from segue.audience import Addressing, Ask, Audience, find_audience, peace
from segue.core.errors import NotFound
from segue.serve.service import Service
from segue.store import tastes
from segue.store.contacts import Reached, record
from segue.store.crowd import Crowd

_TURN = threading.RLock()


def ask(
    service: Service,
    item_id: str,
    *,
    k: int,
    at: float | None = None,
    takers: bool = False,
    kept: Reached | None = None,
) -> Audience:
    """The people whom an item suits."""
    service.item(item_id)
    model = service.model()
    if not isinstance(model, Addressing):
        raise NotFound("the model that serves does not say who takes an item; train again")
    crowd = Crowd(
        service.engine,
        service.catalogue.nums,
        service.behaviour,
        service.history_limit,
        tastes.lent(service.engine),
        service.profile_use,
    )
    with _TURN:
        return find_audience(model, crowd, Ask(item_id, k, at, takers), peace=kept)


def contact(service: Service, item_id: str, *, k: int, campaign: str) -> tuple[Audience, int]:
    """The same among those who may be addressed now; they are recorded as addressed."""
    service.item(item_id)
    num = int(service.catalogue.nums[service.catalogue.catalogue.row(item_id)])
    now = service.clock()
    with _TURN:  # two campaigns at once would both take the same people
        kept = peace(service.engine, num, service.contact, now)
        found = ask(service, item_id, k=k, kept=kept)
        return found, record(service.engine, found.nums, num, campaign, now)
