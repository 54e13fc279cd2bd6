"""A person's taste as they see and edit it; an edit acts on the very next question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from segue.core.errors import BadInput, NotFound
from segue.core.protocols import Placing
from segue.core.types import Catalogue, Floats, Item, Lean, Query, Rows
from segue.match.taste import Interest, Interests, tag_places
from segue.store import events, tastes
from segue.store.tastes import Edit

if TYPE_CHECKING:
    from segue.serve.service import Service

# In standard deviations of the candidates' scores, for an item in the midst of the interest.
# Chosen on MovieLens-100K so that an edit shows in the very next list; see
# benchmarks/people/results_taste.md.
MORE, LESS = 1.0, -2.0
SETTLES = {"more", "less"}


def stretches(edits: Sequence[Edit]) -> list[events.Stretch]:
    """When somebody else used the account."""
    return [(e.start, e.end) for e in edits if e.start is not None and e.end is not None]


def standing(edits: Sequence[Edit]) -> list[Edit]:
    """The wishes that hold: the newest of each label."""
    return list({edit.label: edit for edit in edits if edit.kind in SETTLES}.values())


def steered(query: Query, edits: Sequence[Edit], catalogue: Catalogue, model: object) -> Query:
    """The question with what the person said of their taste.

    "Not my taste" takes the weight from what they watched of it (it stays watched) and pushes away
    what is like it; "more of this" draws near what is like it, where the model is `Placing`.
    """
    wishes = standing(edits)
    if not wishes:
        return query
    history = query.history
    weights = history.weights.copy()
    for wish in wishes:
        if wish.kind == "less":
            own = np.isin(history.items, catalogue.rows(wish.items))
            weights[own & (weights > 0)] = 0
    query = replace(query, history=replace(history, weights=weights))
    if not isinstance(model, Placing):
        return query
    return replace(query, lean=_lean(wishes, catalogue, model))


def _lean(wishes: Sequence[Edit], catalogue: Catalogue, model: Placing) -> Lean | None:
    values = np.zeros(len(catalogue), dtype=np.float32)
    best = np.zeros(len(catalogue), dtype=np.float32)
    why = np.full(len(catalogue), -1, dtype=np.intp)
    for n, wish in enumerate(wishes):
        rows = catalogue.rows(wish.items)
        rows = rows[rows >= 0]
        if not len(rows):
            continue
        inside = belonging(model.near(rows), rows)
        values += (MORE if wish.kind == "more" else LESS) * inside
        if wish.kind == "more":
            stronger = inside > best
            why[stronger], best[stronger] = n, inside[stronger]
    values[(values > 0) & (why < 0)] = 0
    return Lean(values, why, tuple(wish.label for wish in wishes))


def belonging(near: Floats, rows: Rows) -> Floats:
    """(n_items,) in [0, 1]: how far each item belongs to an interest with the members ``rows``.

    0 at the likeness that half of the catalogue has, 1 at what half of the members have.
    """
    low, high = float(np.median(near)), float(np.median(near[rows]))
    if high - low < 1e-6:
        return np.zeros(len(near), dtype=np.float32)
    return np.asarray(np.clip((near - low) / (high - low), 0, 1), dtype=np.float32)


@dataclass(frozen=True)
class ShownInterest:
    """An interest with its items, and the wish that holds for it."""

    interest: Interest
    items: tuple[Item, ...]  # nearest to the middle first
    edit: Edit | None = None


@dataclass(frozen=True)
class Taste:
    """What is known of a person's taste, and what they said of it."""

    interests: tuple[ShownInterest, ...]
    edits: tuple[Edit, ...]

    def labelled(self, label: str) -> ShownInterest:
        for shown in self.interests:
            if shown.interest.label == label:
                return shown
        known = ", ".join(repr(shown.interest.label) for shown in self.interests) or "none"
        raise NotFound(f"the person has no interest {label!r}; theirs: {known}")


def taste_of(service: Service, user_id: str, cut: Interests | None = None) -> Taste:
    """The interests of a person as of now. Edits of interests change no interest, lent
    stretches do."""
    edits = tastes.edits(service.engine, user_id)
    read = events.history(
        service.engine,
        user_id,
        service.catalogue.nums,
        service.behaviour,
        limit=service.history_limit,
        without=stretches(edits),
    )
    items = service.catalogue.catalogue
    places = _places(service, read.history.items)
    cut = Interests() if cut is None else cut
    found = cut.of(read.history, places, items, service.clock())
    wishes = standing(edits)
    shown = [
        ShownInterest(
            interest,
            tuple(items.items[row] for row in interest.items),
            _wish_for({items.ids[row] for row in interest.items}, wishes),
        )
        for interest in found
    ]
    return Taste(tuple(shown), edits)


def _places(service: Service, rows: Rows) -> Floats:
    model: object = service.recommender
    if isinstance(model, Placing):
        return model.places(rows)
    return tag_places(service.catalogue.catalogue, rows)


def _wish_for(items: set[str], wishes: Sequence[Edit]) -> Edit | None:
    """The newest wish that speaks of most of an interest's items."""
    for wish in reversed(wishes):
        if 2 * len(items & set(wish.items)) >= len(items):
            return wish
    return None


@dataclass(frozen=True)
class Said:
    """What a person says of their taste, before it is checked."""

    kind: str
    label: str = ""
    items: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None


def edit_taste(service: Service, user_id: str, said: Said) -> Edit:
    """Store an edit; it acts on the next question. An interest is named by label, items or both."""
    label, items = said.label, tuple(dict.fromkeys(said.items))
    for item in items:
        service.item(item)
    if said.kind != "lent" and not items:
        if not label:
            raise BadInput(f"an edit {said.kind!r} needs the label or the items of an interest")
        items = tuple(item.id for item in taste_of(service, user_id).labelled(label).items)
    if said.kind != "lent" and not label:
        label = service.item(items[0]).title
    edit = Edit(said.kind, service.clock(), label, items, said.start, said.end)
    return replace(edit, num=tastes.add(service.engine, user_id, edit))


def take_back_edit(service: Service, user_id: str, num: int) -> bool:
    """Undo an edit: the lists are what they were before it. False when there was none."""
    return tastes.remove(service.engine, user_id, num)
