"""Mappings for well-known data sets, in the same language as anybody's own mapping."""

from __future__ import annotations

import tomllib
from importlib import resources

from segue.core.errors import NotFound
from segue.ingest.mapping import Mapping, near, parse_mapping


def presets() -> tuple[str, ...]:
    """Names of the mappings that come with segue."""
    names = (file.name for file in resources.files(__name__).iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


def preset(name: str, what: str | None = None, *, time_shift_s: float = 0.0) -> Mapping:
    """A mapping that comes with segue, for one table (``items``, …) or all.

    ``time_shift_s`` moves every event, so that "recent" means something in an old data set.
    """
    if name not in presets():
        raise NotFound(f"no preset {name!r}{near(name, presets())}; known: {', '.join(presets())}")
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text("utf-8")
    mapping = parse_mapping(tomllib.loads(text), f"preset {name}").shifted(time_shift_s)
    if what is None:
        return mapping
    return Mapping({what: mapping.layouts[what]}, mapping.name, mapping.notice)
