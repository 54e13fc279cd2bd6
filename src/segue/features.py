"""What ranking would have seen of a person at any time: the view of a feature store."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from segue.config import read_settings
from segue.core.errors import NotFound
from segue.core.types import DAY_S, Profile
from segue.recommend.moments import PERSON, WORDS, Words, person
from segue.store import events, tastes
from segue.store.catalogue import load_user
from segue.store.works import load_works
from segue.store.workspace import Workspace

TOLD = ("age", *WORDS)  # of the features: what the profile says, not what was done


@dataclass(frozen=True)
class Entry:
    """One item of a history; ``weight`` in [-1, 1], > 0 wanted, < 0 rejected."""

    item_id: str
    title: str
    weight: float
    days_ago: float


@dataclass(frozen=True)
class Features:
    """A person as of ``at`` (Unix seconds): nothing that happened then or later is in it.

    ``behaviour`` is by name, None where there is nothing to tell. ``profile`` is as it stands now
    (its changes are not kept), with the fields that ``[profile] use`` lets ranking see.
    """

    user_id: str
    at: float
    profile: dict[str, Any]
    behaviour: dict[str, float | None]
    history: tuple[Entry, ...]  # newest first
    more: bool  # older events than are read of a person

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def features(workspace: Workspace, user_id: str, at: float) -> Features:
    """The features of one person; :class:`NotFound` for somebody unknown."""
    settings, engine = read_settings(workspace.root), workspace.engine
    user = load_user(engine, user_id)
    if user is None:
        raise NotFound(f"person {user_id!r} is not known")
    stored = load_works(engine)
    said = [e for e in tastes.edits(engine, user_id) if e.at < at]
    lent = [(e.start, e.end) for e in said if e.start is not None and e.end is not None]
    read = events.history(
        engine, user_id, stored.nums, settings.behaviour,
        limit=settings.history_limit, without=lent, before=at,
    )  # fmt: skip
    profile = user.profile.only(settings.profile.use)
    row = person(read.history, np.array([at]), Words.of((profile,)).codes((profile,)))[0]
    behaviour = {
        name: None if math.isnan(value) else float(value)
        for name, value in zip(PERSON, row.tolist(), strict=True)
        if name not in TOLD
    }
    items, history = stored.catalogue.items, read.history
    entries = [
        Entry(items[row].id, items[row].title, float(weight), float((at - time) / DAY_S))
        for row, weight, time in zip(
            history.items.tolist(), history.weights.tolist(), history.times.tolist(), strict=True
        )
    ]
    return Features(user_id, at, _told(profile), behaviour, tuple(entries[::-1]), read.cut)


def _told(profile: Profile) -> dict[str, Any]:
    return {name: value for name, value in asdict(profile).items() if value not in (None, ())}
