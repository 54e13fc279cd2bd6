"""Works for the API: where each can be had, pairs that wait for a person, and what they decide."""

from __future__ import annotations

import numpy as np

from segue import linking
from segue.recommend.pipeline import Pipeline
from segue.serve.service import Service
from segue.store import copies
from segue.store.copies import CopyRow
from segue.store.works import Place, load_works

PROPOSED = "proposed"


def places(service: Service, item_id: str) -> tuple[Place, ...]:
    """Where the work of an item can be had."""
    return service.availability.of(service.catalogue.catalogue.row(item_id))


def proposals(service: Service) -> list[CopyRow]:
    """Pairs that nobody has decided yet, the surest first."""
    return [row for row in copies.list_copies(service.engine) if row.status == PROPOSED]


def decide(service: Service, first: str, second: str, *, same: bool) -> str:
    """Keep what a person says of two items and let lists follow at once.

    Returns the id of the item that stands for the first one's work afterwards.
    """
    linking.decide(service.engine, first, second, same=same)
    reread(service)
    return service.work_of(first).id


def reread(service: Service) -> None:
    """Let a running service see what is linked now; the model stays."""
    stored = load_works(service.engine)
    if not np.array_equal(stored.nums, service.catalogue.nums):
        return  # the catalogue itself has changed: that takes a new start, as always
    service.catalogue = stored
    for name in ("availability", "_titles"):
        service.__dict__.pop(name, None)
    model: object = service.recommender
    if isinstance(model, Pipeline):
        model.catalogue = stored.catalogue
