"""The mapping language: how the columns of somebody's file become ours.

A mapping is a small TOML file with a table (or an array of tables, one a file layout) for each of
``items``, ``users``, ``events`` and ``edges``. Presets are the same files, shipped with segue.
"""

from __future__ import annotations

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from segue.core.errors import BadInput, BadSettings

WHATS = ("items", "users", "events", "edges")
FORMATS = ("csv", "tsv", "jsonl", "parquet")

COLUMNS: Map[str, tuple[str, ...]] = {
    "items": (
        "id", "kind", "title", "description", "tags", "creators", "year", "language", "duration_s",
        "released_at", "added_at", "source", "licence",
    ),
    "users": (
        "id", "gender", "age", "country", "language", "occupation", "device", "interests", "shares",
    ),
    "events": (
        "event_id", "user_id", "item_id", "kind", "value", "time", "platform", "session",
        "position", "model_version",
    ),
    "edges": ("src", "dst", "kind", "weight", "time"),
}  # fmt: skip
REQUIRED: Map[str, tuple[str, ...]] = {
    "items": ("id", "kind", "title"),
    "users": ("id",),
    "events": ("user_id", "item_id", "kind", "time"),
    "edges": ("src", "dst", "kind"),
}
# What people call these columns; used only where no mapping says otherwise.
ALIASES: Map[str, Map[str, str]] = {
    "items": {"item_id": "id", "genres": "tags", "license": "licence", "duration": "duration_s"},
    "users": {"user_id": "id", "sex": "gender", "job": "occupation"},
    "events": {"rating": "value", "timestamp": "time", "user": "user_id", "item": "item_id"},
    "edges": {"follower": "src", "followee": "dst", "source": "src", "target": "dst"},
}


@dataclass(frozen=True)
class Layout:
    """One kind of file: how it is written and which of its columns are ours."""

    files: tuple[str, ...] = ("*",)  # globs over file names that this layout is for
    format: str = ""  # csv | tsv | jsonl | parquet; by the file's suffix when empty
    separator: str = ""  # between fields; by format when empty, may be longer than one letter
    encoding: str = "utf-8"
    header: bool = True
    names: tuple[str, ...] = ()  # column names of a file without header; else "1", "2", …
    quotes: bool = True  # whether " quotes a field
    columns: Map[str, str] = field(default_factory=dict)  # ours = theirs
    constants: Map[str, str] = field(default_factory=dict)  # ours = text, {id} stands for a column
    values: Map[str, Map[str, str]] = field(default_factory=dict)  # ours = {theirs = ours}
    flags: Map[str, tuple[str, ...]] = field(default_factory=dict)  # ours = names of 0/1 columns
    list_separator: str = "|"  # inside tags, creators and interests
    time_unit: str = "auto"  # s | ms | iso | auto (a number is seconds) | a strptime pattern
    time_shift_s: float = 0.0  # added to every event time
    rating_range: tuple[float, float] = (0.0, 5.0)  # both ends allowed
    platform: str = ""
    year_from_title: bool = False  # "Heat (1995)" is the film "Heat" of 1995
    distinct: bool = False  # ids repeat by design: take the first, reject none

    def __post_init__(self) -> None:
        if self.format not in ("", *FORMATS):
            raise BadSettings(f"format {self.format!r} is not one of {FORMATS}")
        low, high = self.rating_range
        if not low < high:
            raise BadSettings(f"rating_range must be [low, high] with low < high, got {low, high}")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise BadSettings(f"encoding {self.encoding!r} is not known to Python") from error

    def format_of(self, path: Path) -> str:
        """The format of a file, by this layout or else by its suffix."""
        if self.format:
            return self.format
        suffix = path.suffix.lower().lstrip(".")
        known = {"ndjson": "jsonl", "json": "jsonl", "txt": "tsv", "pq": "parquet", "tab": "tsv"}
        name = known.get(suffix, suffix)
        if name not in FORMATS:
            raise BadInput(
                f"{path.name}: the suffix {path.suffix!r} is not one of {FORMATS}; "
                f"name the file so, or set format in a mapping"
            )
        return name

    def with_constants(self, extra: Map[str, str]) -> Layout:
        return replace(self, constants={**self.constants, **extra})


@dataclass(frozen=True)
class Mapping:
    """A whole mapping file: the layouts for each table."""

    layouts: Map[str, tuple[Layout, ...]]
    name: str = "mapping"
    notice: str = ""  # to be shown before the data is used

    def layout(self, what: str, path: Path) -> Layout:
        """The first layout of ``what`` whose globs match the file's name."""
        known = self.layouts.get(what, ())
        for layout in known:
            if any(fnmatch.fnmatch(path.name, glob) for glob in layout.files):
                return layout
        wanted = [glob for layout in known for glob in layout.files]
        told = f"it knows {', '.join(wanted)}" if wanted else f"it has no [{what}] table"
        raise BadInput(f"{path.name}: {self.name} has no layout for {what} in this file; {told}")

    def with_constants(self, extra: Map[str, str]) -> Mapping:
        """The same with some of our columns set to one text for every row."""
        changed = {
            what: tuple(layout.with_constants(extra) for layout in layouts)
            for what, layouts in self.layouts.items()
        }
        return replace(self, layouts=changed)

    def shifted(self, time_shift_s: float) -> Mapping:
        """The same with all event times moved by so many seconds."""
        changed = {
            what: tuple(replace(layout, time_shift_s=time_shift_s) for layout in layouts)
            for what, layouts in self.layouts.items()
        }
        return replace(self, layouts=changed)


DEFAULT = Mapping({what: (Layout(),) for what in WHATS}, name="the default mapping")


def parse_mapping(document: Map[str, Any], name: str = "mapping") -> Mapping:
    """A mapping from a parsed TOML document; refuses keys and columns that do not exist."""
    _refuse_unknown(document, ("notice", "about", *WHATS), name)
    layouts = {}
    for what in WHATS:
        given = document.get(what, [])
        tables = given if isinstance(given, list) else [given]
        layouts[what] = tuple(_layout(table, what, f"{name}, [{what}]") for table in tables)
    return Mapping(layouts, name=name, notice=str(document.get("notice", "")))


def read_mapping(path: Path | str) -> Mapping:
    """A mapping from a TOML file."""
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"mapping {path} cannot be read: {error}") from error
    return parse_mapping(document, str(path.name))


def _layout(table: Map[str, Any], what: str, where: str) -> Layout:
    _refuse_unknown(table, [f.name for f in fields(Layout)], where)
    given = dict(table)
    for key in ("columns", "constants", "values", "flags"):
        _refuse_unknown(given.get(key, {}), COLUMNS[what], f"{where} {key}")
    for key in ("files", "names", "rating_range"):
        if key in given:
            given[key] = tuple(given[key])
    if "constants" in given:
        given["constants"] = {ours: str(value) for ours, value in given["constants"].items()}
    if "flags" in given:
        given["flags"] = {ours: tuple(names) for ours, names in given["flags"].items()}
    try:
        return Layout(**given)
    except (TypeError, ValueError) as error:
        raise BadSettings(f"{where}: {error}") from error
    except BadSettings as error:
        raise BadSettings(f"{where}: {error}") from error


def _refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in given:
        if key not in known:
            raise BadSettings(
                f"{where}: {key!r} is not known{near(key, known)}; known: {', '.join(known)}"
            )


def near(word: str, known: Iterable[str]) -> str:
    """A hint at the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
