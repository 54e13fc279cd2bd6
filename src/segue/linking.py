"""Find which items of a workspace are one work: merge what is sure, ask a person of the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from segue import config
from segue.assembly import load_content
from segue.core.errors import NotFound
from segue.core.types import Floats
from segue.match.assign import Outcome, assign
from segue.match.blocking import Blocking, Work, pairs
from segue.match.works import Model, Rarity, Scored, score, work_of
from segue.store import copies, links, schema
from segue.store.catalogue import StoredCatalogue, load_catalogue
from segue.store.links import Links, Match
from segue.store.works import HERE, load_availability, load_works
from segue.store.workspace import Workspace

Progress = Callable[[str, int, int], None]
STEP = 2000  # pairs between two words of progress
MOST_FOR_NEIGHBOURS = 50_000  # items; beyond it comparing all vectors takes minutes


@dataclass(frozen=True)
class Matched:
    """What a run found. ``by_platforms``: merged links by the two platforms."""

    items: int
    candidates: int
    merged: int
    proposed: int
    by_platforms: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def match_works(
    workspace: Workspace, platforms: Collection[str] = (), progress: Progress | None = None
) -> Matched:
    """Merge what is surely one work, propose what may be; what a person decided stays.

    ``platforms`` narrows to items of those; all when empty.
    """
    tell = progress or (lambda *_: None)
    rule = config.read_settings(workspace.root).works
    stored = load_catalogue(workspace.engine)
    works = _works(workspace, stored, platforms)
    tell("candidates", 0, 1)
    found = pairs(works, Blocking(), _vectors(workspace, stored, works))
    tell("candidates", 1, 1)
    model, rarity, scored = Model.shipped(), Rarity(works), list[Scored]()
    for start in range(0, len(found), STEP):
        some = found[start : start + STEP]
        scored += score(works, some, model, rarity, use_ids=rule.by_id)
        tell("pairs", start + len(some), len(found))
    nums = [int(stored.nums[work.row]) for work in works]
    outcome = assign(works, scored, rule, **_known(workspace, nums))
    _write(workspace, nums, outcome)
    by: dict[str, int] = {}
    for pair in outcome.merged:
        sides = sorted("+".join(sorted(works[n].platforms)) for n in (pair.first, pair.second))
        by[" = ".join(sides)] = by.get(" = ".join(sides), 0) + 1
    return Matched(len(works), len(found), len(outcome.merged), len(outcome.proposed), by)


def _works(workspace: Workspace, stored: StoredCatalogue, platforms: Collection[str]) -> list[Work]:
    places = load_availability(workspace.engine, stored)
    for platform in platforms:
        if platform not in places.platforms:
            known = ", ".join(places.platforms) or "none"
            raise NotFound(f"no item is of a platform {platform!r}; known: {known}")
    out = []
    for row, item in enumerate(stored.catalogue.items):
        names = [p.platform for p in places.of(row)] or [item.source or HERE]
        if not platforms or set(names) & set(platforms):
            out.append(work_of(item, row, names))
    return out


def _vectors(workspace: Workspace, stored: StoredCatalogue, works: Sequence[Work]) -> Floats | None:
    """Content vectors of the works, zero where one has none; None where there are none."""
    content = load_content(workspace, stored.nums)
    if content is None or len(works) > MOST_FOR_NEIGHBOURS:
        return None
    rows = np.array([work.row for work in works], dtype=np.intp)
    present = content.present[rows]
    values = np.where(present[:, None], np.asarray(content.values[rows], dtype=np.float32), 0)
    return values.astype(np.float32)


def _known(workspace: Workspace, nums: Sequence[int]) -> dict[str, Any]:
    """Pairs of positions that are linked already, and those that a person called different."""
    at = {num: n for n, num in enumerate(nums)}
    c = schema.copies.c
    different = sa.select(c.item_num, c.other_num).where(c.status == "different")
    with workspace.engine.connect() as connection:
        into = links.pointers(connection, "item")
        apart = [tuple(row) for row in connection.execute(different)]
    return {
        "linked": [(at[a], at[b]) for a, b in into.items() if a in at and b in at],
        "apart": [(at[a], at[b]) for a, b in apart if a in at and b in at],
    }


def _write(workspace: Workspace, nums: Sequence[int], outcome: Outcome) -> None:
    matches = [
        Match(nums[p.first], nums[p.second], "learned", p.probability, {"id": p.by_id})
        for p in outcome.merged
    ]
    links.merge(workspace.engine, "item", matches)
    with workspace.engine.begin() as connection:
        into = Links.load(connection, "item")
        proposals: list[copies.Proposal] = []
        for pair in outcome.proposed:
            a, b = sorted((nums[pair.first], nums[pair.second]))
            if into.root(a) != into.root(b):
                proposals.append((a, b, pair.probability, {"rival": pair.rival}))
        copies.propose(connection, proposals, copies.MATCHER)


def decide(engine: sa.Engine, first: str, second: str, *, same: bool) -> None:
    """Keep what a person says: "same" merges the two, "different" parts them for good."""
    nums = links.pair_of(engine, "item", first, second)
    copies.decide(engine, first, second, "same" if same else "different")
    if same:
        links.merge(engine, "item", [Match(*nums, method="decided", score=1.0)])
    else:
        links.keep_apart(engine, "item", *nums)


def merge_works(engine: sa.Engine, first: str, second: str) -> bool:
    """Make two items one work; False where they were. :func:`unmerge_work` restores all."""
    nums = links.pair_of(engine, "item", first, second)
    return bool(links.merge(engine, "item", [Match(*nums, method="decided", score=1.0)]))


def unmerge_work(engine: sa.Engine, item_id: str) -> list[tuple[str, str]]:
    """Take an item out of its work; returns the (item, from which) ids that parted."""
    ended = links.unmerge(engine, "item", links.num_of(engine, "item", item_id))
    names = links.ids_of(engine, "item", [n for link in ended for n in (link.num, link.into_num)])
    return [(names[link.num], names[link.into_num]) for link in ended]


def describe_work(engine: sa.Engine, item_id: str) -> dict[str, Any]:
    """The items of one work, how each came to it, and where it can be had."""
    stored = load_works(engine)
    num = links.num_of(engine, "item", item_id)
    with engine.connect() as connection:
        found = Links.load(connection, "item")
    rows = []
    for one in found.group(num):
        item = stored.catalogue.items[int(np.searchsorted(stored.nums, one))]
        link = found.link(one)
        rows.append({
            "item_id": item.id, "title": item.title, "year": item.year, "kind": item.kind,
            "method": None if link is None else link.method,
            "score": None if link is None else link.score,
        })  # fmt: skip
    places = load_availability(engine, stored).of(stored.catalogue.row(item_id))
    return {"items": rows, "available_on": [asdict(place) for place in places]}
