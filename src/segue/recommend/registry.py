"""Strategies by name. A new one costs its file, one line here and a 3-line test class."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from segue.core.errors import NotFound
from segue.core.protocols import Strategy

STRATEGIES: Mapping[str, str] = {
    "popular": "segue.recommend.popular:Popular",
    "recent popular": "segue.recommend.popular:RecentPopular",
    "position popular": "segue.recommend.popular:PositionPopular",
    "neighbours": "segue.recommend.neighbours:Neighbours",
    "linear": "segue.recommend.linear:Linear",
    "successors": "segue.recommend.sequence:Successors",
    "content": "segue.recommend.content:Content",
    "bridge": "segue.recommend.bridge:Bridge",
}


def make(name: str) -> Strategy:
    """A new strategy with its default settings."""
    if name not in STRATEGIES:
        raise NotFound(f"strategy {name!r} is not known; known: {', '.join(STRATEGIES)}")
    module, _, attribute = STRATEGIES[name].partition(":")
    made: Strategy = getattr(importlib.import_module(module), attribute)()
    return made
