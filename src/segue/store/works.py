"""Works: the catalogue with one row that speaks for each, and where each can be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa

from segue.core.types import Bools, Catalogue, Item, Rows, Vectors
from segue.store import schema
from segue.store.catalogue import StoredCatalogue, load_catalogue
from segue.store.links import pointers, stands_for

FILES = "files"  # the platform of media files that this workspace has itself
HERE = "here"  # of items that no source with ids of its own brought
_FILLED = ("description", "creators", "tags", "year", "language", "duration_s", "released_at")


def load_works(engine: sa.Engine) -> StoredCatalogue:
    """All items in row order, those of one work read as one.

    The row that stands for a work is filled from its others where it says nothing itself; rows
    stay where they are, so a model that was fitted before a merge keeps its rows.
    """
    stored = load_catalogue(engine)
    with engine.connect() as connection:
        into = pointers(connection, "item")
    speaks = stands_for(stored.nums, into)
    if speaks is None:
        return stored
    items, told_by = list(stored.catalogue.items), np.arange(len(stored.nums), dtype=np.intp)
    for root, rows in groups(speaks).items():
        one, others = items[root], [items[row] for row in rows]
        if not one.description:
            longest = max(
                (root, *rows), key=lambda row: len(stored.catalogue.items[row].description)
            )
            told_by[root] = longest
        items[root] = filled(one, others)
    withdrawn = stored.catalogue.withdrawn
    if withdrawn is not None:  # a work is, where all its rows are
        there = np.bincount(speaks, ~withdrawn, minlength=len(items)) > 0
        withdrawn = ~there[speaks]
    made = Catalogue(tuple(items), speaks, withdrawn)
    return replace(stored, catalogue=made, told_by=told_by)


def groups(speaks: Rows) -> dict[int, list[int]]:
    """Representative's row -> rows of the others of its work."""
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(speaks != np.arange(len(speaks))).tolist():
        found.setdefault(int(speaks[row]), []).append(row)
    return found


def filled(item: Item, others: Sequence[Item]) -> Item:
    """An item with what it lacks taken from the first other that has it."""
    changes = {}
    for name in _FILLED:
        if getattr(item, name) in ("", (), None):
            told = (getattr(other, name) for other in others)
            changes[name] = next((v for v in told if v not in ("", (), None)), getattr(item, name))
    return replace(item, **changes)


def content_of_works(content: Vectors | None, stored: StoredCatalogue) -> Vectors | None:
    """Content vectors in which a work has that of the row that describes it."""
    if content is None or stored.told_by is None or stored.catalogue.stands_for is None:
        return content
    told_by = stored.told_by.copy()
    for root, rows in groups(stored.catalogue.stands_for).items():
        if not content.present[told_by[root]]:
            told_by[root] = next((row for row in (root, *rows) if content.present[row]), root)
    moved = np.flatnonzero(told_by != np.arange(len(told_by)))
    values, present = np.array(content.values), content.present.copy()
    values[moved], present[moved] = content.values[told_by[moved]], content.present[told_by[moved]]
    return replace(content, values=values, present=present)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a work can be had, and under which id there; ``item_id`` is its row of ours."""

    platform: str
    external_id: str
    item_id: str


class Availability:
    """Where each work of a catalogue can be had."""

    def __init__(self, stored: StoredCatalogue, places: Mapping[int, Sequence[Place]]) -> None:
        """``places`` by row; those of rows of one work come together."""
        speaks, n = stored.catalogue.stands_for, len(stored.nums)
        self._speaks = np.arange(n, dtype=np.intp) if speaks is None else speaks
        self._of: dict[int, list[Place]] = {}
        self._has: dict[str, set[int]] = {}
        for row in sorted(places):
            work = int(self._speaks[row])
            self._of.setdefault(work, []).extend(places[row])
            for place in places[row]:
                self._has.setdefault(place.platform, set()).add(work)

    @property
    def platforms(self) -> tuple[str, ...]:
        return tuple(sorted(self._has))

    def of(self, row: int) -> tuple[Place, ...]:
        """Places of the whole work that a row belongs to."""
        return tuple(self._of.get(int(self._speaks[row]), ()))

    def mask(self, platform: str) -> Bools:
        """(n_items,) True for works that a platform has."""
        out = np.zeros(len(self._speaks), dtype=np.bool_)
        out[sorted(self._has.get(platform, ()))] = True
        return out


def load_availability(engine: sa.Engine, stored: StoredCatalogue) -> Availability:
    """Where each item can be had: ids of platforms, or the workspace's own files."""
    t, items = schema.identities.c, stored.catalogue.items
    query = (
        sa.select(t.num, t.platform, t.external_id)
        .where(t.entity == "item")
        .order_by(t.num, t.platform, t.external_id)
    )
    places: dict[int, list[Place]] = {}
    with engine.connect() as connection:
        for num, platform, external_id in connection.execute(query):
            row = int(np.searchsorted(stored.nums, num))
            if row < len(items) and stored.nums[row] == num:
                found = places.setdefault(row, [])
                found.append(Place(platform, external_id, items[row].id))
    for row, item in enumerate(items):
        if item.content_hash is not None:
            places.setdefault(row, []).append(Place(FILES, item.id, item.id))
    return Availability(stored, places)
