"""Which strategies a blend is made of, and what it sees of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from segue.core.errors import BadSettings
from segue.core.types import Rows
from segue.recommend.matrix import OverMatrix
from segue.recommend.registry import STRATEGIES, kind_of

# Columns of every blend, whatever its parts: of the item, of the person's groups, of the person.
POPULARITY = {"popular 3d": 3.0, "popular 10d": 10.0, "popular 30d": 30.0, "popular 100d": 100.0,
              "popular 365d": 365.0, "popular": None}  # fmt: skip
ITEM = (*POPULARITY, "trend", "trend 3d", "mean opinion", "item age", "year")
PROFILE = ("gender", "age group", "occupation")
PERSON = ("history length", "days away", "tenure", "mean weight", "last day")
PROPOSING = ("popular 3d", "popular 10d", "popular 30d")
CONTENT = "content"  # the part that every plan has: cold items are placed by it
REASONS = ("history", "content", "popularity", "freshness", "profile", "activity", "social")
GROUPS = ("history", "content", "popularity", "social", "profile")  # that a part may give
RISING = ("history", "content", "social")


@dataclass(frozen=True)
class View:
    """One column of the blend: what a part says.

    Parts over an item matrix can be seen with several memories: ``half_life`` in history entries,
    None remembers all alike. A net with several heads can be seen a ``head`` at a time. Other
    parts have one view.
    """

    name: str
    half_life: float | None = None
    proposes: bool = False  # its best items become candidates
    head: str = ""


@dataclass(frozen=True)
class Part:
    """One fitted strategy of the blend. ``group`` is the kind of reason that it gives."""

    strategy: str
    views: tuple[View, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    group: str = "history"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise BadSettings(f"strategy {self.strategy!r} is not known; see segue strategies")
        if not self.views:
            raise BadSettings(f"part of {self.strategy!r} has no view; give it one at least")
        if self.group not in GROUPS:
            raise BadSettings(f"group {self.group!r} is not one of {GROUPS}")


@dataclass(frozen=True)
class Plan:
    """The parts by name, in column order."""

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if CONTENT not in self.parts:
            raise BadSettings("a plan needs the part 'content': cold items are placed by it")
        names = [view.name for part in self.parts.values() for view in part.views]
        taken = {*ITEM, *PROFILE, *PERSON}
        twice = {name for name in names if names.count(name) > 1 or name in taken}
        if twice:
            raise BadSettings(f"columns of a plan need names of their own; twice: {sorted(twice)}")

    @cached_property
    def views(self) -> dict[str, tuple[str, View]]:
        """view name -> (part name, view), in column order."""
        return {view.name: (name, view) for name, p in self.parts.items() for view in p.views}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All columns of the blend."""
        return (*self.views, *ITEM, *PROFILE, *PERSON)

    @cached_property
    def group_of(self) -> dict[str, str]:
        """column -> kind of reason."""
        return {
            **{view: self.parts[part].group for view, (part, _) in self.views.items()},
            **dict.fromkeys(ITEM, "popularity"),
            "item age": "freshness",
            "year": "freshness",
            **dict.fromkeys(PROFILE, "profile"),
            **dict.fromkeys(PERSON, "activity"),
        }

    @cached_property
    def columns_of(self) -> dict[str, Rows]:
        """kind of reason -> its columns."""
        groups = np.array([self.group_of[name] for name in self.names])
        return {reason: np.flatnonzero(groups == reason) for reason in REASONS}

    @cached_property
    def rising(self) -> tuple[int, ...]:
        """+1 where the blend's score must never fall when the column rises."""
        return tuple(int(self.group_of[n] in RISING) for n in self.names)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Columns whose best items become candidates."""
        return (*(n for n, (_, view) in self.views.items() if view.proposes), *PROPOSING)

    @cached_property
    def proposing(self) -> frozenset[str]:
        """Views that propose: theirs are the scores that are needed of every item."""
        return frozenset(name for name, (_, view) in self.views.items() if view.proposes)

    @cached_property
    def teaching(self) -> tuple[str, ...]:
        """Columns whose best items a blend learns from: one of every part at least.

        Wider than what it will rank, so that it sees what every part puts forward wrongly.
        """
        firsts = (p.views[0].name for name, p in self.parts.items() if name != CONTENT)
        return tuple(dict.fromkeys([*firsts, *self.sources]))

    def only(self, parts: Iterable[str]) -> Plan:
        """The plan with these parts alone, and content."""
        kept = {*parts, CONTENT}
        return Plan({name: part for name, part in self.parts.items() if name in kept})

    def with_parts(self, more: Mapping[str, Part]) -> Plan:
        return Plan({**self.parts, **more})

    def as_dict(self) -> dict[str, Any]:
        return {name: dataclasses.asdict(part) for name, part in self.parts.items()}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`as_dict`, also after a round trip through JSON."""
        parts = {}
        for name, given in data.items():
            views = tuple(View(**view) for view in given["views"])
            parts[name] = Part(**{**given, "views": views})
        return Plan(parts)


def part_of(strategy: str, settings: Mapping[str, Any], name: str, *, proposes: bool) -> Part:
    """A part with one view, its memory as the strategy's own ``half_life`` has it.

    A net with several heads (a class attribute ``HEADS``) gets a view for each; a strategy whose
    reason is not the history says so (``GROUP``).
    """
    given = dict(settings)
    kind = kind_of(strategy)
    heads: tuple[str, ...] = getattr(kind, "HEADS", ())
    group = getattr(kind, "GROUP", "history")
    if heads:
        views = tuple(View(f"{name} {h}", None, proposes and h == heads[0], h) for h in heads)
        return Part(strategy, views, given, group)
    half_life = None
    if OverMatrix in kind.__mro__:
        default = {f.name: f.default for f in dataclasses.fields(kind)}["half_life"]
        half_life = given.pop("half_life", default)
        given["half_life"] = None  # the view remembers, not the strategy
    return Part(strategy, (View(name, half_life, proposes),), given, group)


# Few propose: what the others would add is never among a person's first ten on validation (see
# benchmarks/results.md), and whoever proposes has to score every item.
DEFAULT = Plan(
    {
        "linear": Part(
            "linear",
            (
                View("linear", None, proposes=True),
                View("linear 5", 5.0, proposes=True),
                View("linear 20", 20.0, proposes=True),
                View("linear 60", 60.0),
            ),
            {"half_life": None},
        ),
        "linear recent": Part(
            "linear",
            (View("linear recent", None), View("linear recent 20", 20.0)),
            {"ridge": 150.0, "half_life": None, "window_days": 120.0, "name": "linear recent"},
        ),
        "neighbours": Part(
            "neighbours",
            (View("neighbours", None), View("neighbours 20", 20.0)),
            {"half_life": None},
        ),
        "successors": Part(
            "successors",
            (View("successors", 3.0, proposes=True), View("successors 20", 20.0)),
        ),
        "successors recent": Part(
            "successors",
            (View("successors recent", 3.0),),
            {"window_days": 120.0, "name": "successors recent"},
        ),
        "walk": Part("walk", (View("walk", 20.0),), {"half_life": None}),
        "bpr": Part("bpr", (View("bpr"),)),
        CONTENT: Part(CONTENT, (View(CONTENT),), group="content"),
        "position popular": Part(
            "position popular", (View("position popular"),), group="popularity"
        ),
        "position popular recent": Part(
            "position popular",
            (View("position popular recent"),),
            {"window_days": 90.0, "name": "position popular recent"},
            group="popularity",
        ),
    }
)
