"""Strategies by name. A new one costs its file, one line here and a 3-line test class."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from segue.core.errors import MissingExtra, NotFound
from segue.core.protocols import Rater, Strategy

DEEP = "segue.recommend.deep."  # what lies there needs torch
INSTALL_DEEP = "pip install 'segue[deep]'"

STRATEGIES: Mapping[str, str] = {
    "popular": "segue.recommend.popular:Popular",
    "recent popular": "segue.recommend.popular:RecentPopular",
    "position popular": "segue.recommend.popular:PositionPopular",
    "moment popular": "segue.recommend.popular:MomentPopular",
    "newcomers": "segue.recommend.newcomers:Newcomers",
    "neighbours": "segue.recommend.neighbours:Neighbours",
    "neighbours in time": "segue.recommend.neighbours:NeighboursInTime",
    "bm25": "segue.recommend.neighbours:Bm25",
    "people": "segue.recommend.people:People",
    "social": "segue.recommend.social:Social",
    "traits": "segue.recommend.traits:Traits",
    "walk": "segue.recommend.walk:Walk",
    "slim": "segue.recommend.slim:Slim",
    "linear": "segue.recommend.linear:Linear",
    "als": "segue.recommend.als:Als",
    "bpr": "segue.recommend.bpr:Bpr",
    "successors": "segue.recommend.sequence:Successors",
    "content": "segue.recommend.content:Content",
    "bridge": "segue.recommend.bridge:Bridge",
    "attention": "segue.recommend.deep.attention:Attention",
    "cold": "segue.recommend.cold:Cold",
    "graph": "segue.recommend.deep.graph:Graph",
    "towers": "segue.recommend.deep.towers:Towers",
    "dropoutnet": "segue.recommend.deep.dropoutnet:DropoutNet",
    "multitask": "segue.recommend.deep.multitask:Multitask",
}

RATERS: Mapping[str, str] = {
    "mean ratings": "segue.recommend.ratings_mean:MeanRatings",
    "item-knn ratings": "segue.recommend.ratings_knn:KnnRatings",
    "biased mf": "segue.recommend.ratings_mf:BiasedMf",
    "svd++": "segue.recommend.ratings_mf:SvdPlusPlus",
    "stacked ratings": "segue.recommend.ratings_stack:StackedRatings",
    "deep ratings": "segue.recommend.deep.rating:DeepRatings",
    "text ratings": "segue.recommend.deep.textual:TextRatings",
}


def is_deep(name: str) -> bool:
    """Whether a strategy or rater is a net."""
    return {**STRATEGIES, **RATERS}.get(name, "").startswith(DEEP)


def missing(name: str) -> str | None:
    """The command that makes a strategy or rater available; None when it is."""
    return INSTALL_DEEP if is_deep(name) and find_spec("torch") is None else None


def kind_of(name: str) -> Any:
    """The class behind a name; refuses unknown ones and those whose libraries are missing."""
    known = {**STRATEGIES, **RATERS}
    if name not in known:
        raise NotFound(f"strategy {name!r} is not known; known: {', '.join(known)}")
    install = missing(name)
    if install is not None:
        raise MissingExtra(f"strategy {name!r} needs torch; get it with: {install}")
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def make(name: str, /, **settings: Any) -> Strategy:
    """A new strategy; settings not given keep their defaults."""
    made: Strategy = kind_of(name)(**settings)
    return made


def make_rater(name: str, /, **settings: Any) -> Rater:
    """A new rater; settings not given keep their defaults."""
    made: Rater = kind_of(name)(**settings)
    return made


def described() -> list[dict[str, str]]:
    """One row a strategy or rater: name, kind, state and the first sentence of its docstring."""
    out = []
    for kind, table in (("ranking", STRATEGIES), ("ratings", RATERS)):
        for name in table:
            install = missing(name)
            about = "a net" if install else _first_sentence(kind_of(name).__doc__ or "")
            state = "available" if install is None else f"needs torch: {install}"
            out.append({"name": name, "kind": kind, "state": state, "about": about})
    return out


def _first_sentence(text: str) -> str:
    """The first sentence of a docstring, without the marks of its markup."""
    text = re.sub(r":\w+:`([^`]*)`", r"\1", text.strip().split("\n\n")[0])
    text = " ".join(text.replace("`", "").split())
    # Abbreviations end in a full stop too: a sentence ends where a capital follows.
    return re.split(r"(?<!et al)\.(?= [A-Z])", text)[0].removesuffix(".")
