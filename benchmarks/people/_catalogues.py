"""The four public catalogues as works, for learning and measuring."""

from __future__ import annotations

from dataclasses import dataclass

from segue import datasets
from segue.catalogues import CATALOGUES
from segue.core.types import Item
from segue.match.blocking import Work
from segue.match.works import work_of


@dataclass(frozen=True)
class Loaded:
    """Items and works in one order, and the position of each item id."""

    items: tuple[Item, ...]
    works: tuple[Work, ...]
    platforms: tuple[str, ...]
    at: dict[str, int]


def key(platform: str, item: Item) -> str:
    """How the pairs' file names an item: MovieLens' own ids are bare numbers."""
    return item.id if ":" in item.id else f"{platform}:{item.id}"


def load(kinds: tuple[str, ...] = ("movie",)) -> Loaded:
    items, works, platforms, at = [], [], [], {}
    for public in CATALOGUES.values():
        folder = datasets.get(public.package)
        for _, item in public.read(folder):
            if item.kind not in kinds or key(public.platform, item) in at:
                continue
            at[key(public.platform, item)] = len(items)
            works.append(work_of(item, len(items), (public.platform,)))
            items.append(item)
            platforms.append(public.platform)
    return Loaded(tuple(items), tuple(works), tuple(platforms), at)
