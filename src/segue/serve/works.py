"""Works for the API: where each can be had, pairs that wait for a person, and what they decide."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from segue.recommend.pipeline import Pipeline
from segue.serve.service import Service
from segue.store import copies, links
from segue.store.copies import CopyRow
from segue.store.works import Place, load_works

PROPOSED = "proposed"


def places(service: Service, item_id: str) -> tuple[Place, ...]:
    """Where the work of an item can be had."""
    return service.availability.of(service.catalogue.catalogue.row(item_id))


def proposals(service: Service, limit: int) -> list[CopyRow]:
    """Pairs that nobody has decided yet, the surest first."""
    found = [row for row in copies.list_copies(service.engine) if row.status == PROPOSED]
    return found[:limit]


def decide(service: Service, first: str, second: str, *, same: bool) -> str:
    """Keep what a person says of two items and let lists follow at once.

    Returns the id of the item that stands for the first one's work afterwards.
    """
    decision(service.workspace.engine, first, second, same=same)
    reread(service)
    return service.work_of(first).id


def decision(engine: sa.Engine, first: str, second: str, *, same: bool) -> None:
    """Write a decision: "same" merges, "different" takes a merge of the two back."""
    nums = links.pair_of(engine, "item", first, second)
    copies.decide(engine, first, second, "same" if same else "different")
    if same:
        links.merge(engine, "item", [links.Match(*nums, method="decided", score=1.0)])
    else:
        links.keep_apart(engine, "item", *nums)


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
