"""``segue-media.toml``: what a folder's owner says of its files, over what the files say.

[defaults]
licence = "CC-BY-4.0"

[[file]]
name = "talks/*.ogg"      # a file name, a relative path or a glob of either
title = "Opening talk"
kind = "speech"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from segue.core.errors import BadSettings
from segue.core.types import ITEM_KINDS

SIDECAR_NAME = "segue-media.toml"
MAX_SIDECAR_BYTES = 1 << 20
TEXTS = ("title", "description", "kind", "source", "licence", "language")
LISTS = ("tags", "creators")
KEYS = (*TEXTS, *LISTS, "year")


@dataclass(frozen=True)
class Sidecar:
    """The statements of one folder. ``entries`` are (pattern, fields); later ones win."""

    defaults: Mapping[str, Any]
    entries: tuple[tuple[str, Mapping[str, Any]], ...]

    def of(self, relative: PurePath) -> dict[str, Any]:
        """Fields for a file, by its path relative to the sidecar's folder."""
        said = dict(self.defaults)
        for pattern, fields in self.entries:
            if fnmatchcase(relative.as_posix(), pattern) or fnmatchcase(relative.name, pattern):
                said.update(fields)
        return said


EMPTY = Sidecar({}, ())


class Sidecars:
    """Sidecars of a tree, each read once; a nearer folder wins over one above it."""

    def __init__(self) -> None:
        self._read: dict[Path, Sidecar] = {}

    def of(self, path: str, root: str) -> dict[str, Any]:
        """Fields for a file: those of ``root``'s sidecar first, those of its own folder last."""
        file, top = Path(path), Path(root)
        said: dict[str, Any] = {}
        above = [folder for folder in file.parents if folder.is_relative_to(top)]
        for folder in reversed(above):
            if folder not in self._read:
                self._read[folder] = read_sidecar(folder / SIDECAR_NAME)
            said.update(self._read[folder].of(file.relative_to(folder)))
        return said


def read_sidecar(path: Path) -> Sidecar:
    """A sidecar, checked; an empty one where there is no such file."""
    if path.is_symlink() or not path.is_file():
        return EMPTY
    if path.stat().st_size > MAX_SIDECAR_BYTES:
        raise BadSettings(f"{path}: larger than {MAX_SIDECAR_BYTES} bytes; split the folder")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: not valid TOML in UTF-8: {error}") from error
    _known(table, ("defaults", "file"), path, "top level")
    files = table.get("file", [])
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        raise BadSettings(f"{path}: 'file' must be a list of tables; write [[file]]")
    defaults = table.get("defaults", {})
    entries = []
    for number, entry in enumerate(files, start=1):
        fields = dict(entry)
        pattern = fields.pop("name", None) or fields.pop("glob", None)
        if not isinstance(pattern, str):
            raise BadSettings(f'{path}: [[file]] {number} needs a name, as in name = "a.mp4"')
        entries.append((pattern, _fields(fields, path, f"[[file]] {number}")))
    return Sidecar(_fields(defaults, path, "[defaults]"), tuple(entries))


def _known(table: Mapping[str, Any], keys: tuple[str, ...], path: Path, where: str) -> None:
    for key in table:
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(keys)}"
            raise BadSettings(f"{path}: {where}: unknown key {key!r}; {hint}")


def _fields(fields: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    _known(fields, KEYS, path, where)
    for key, value in fields.items():
        if key in TEXTS and not isinstance(value, str):
            raise BadSettings(f"{path}: {where}: {key} must be a text, got {value!r}")
        is_texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
        if key in LISTS and not is_texts:
            raise BadSettings(f"{path}: {where}: {key} must be a list of texts, got {value!r}")
        if key == "year" and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadSettings(f"{path}: {where}: year must be a whole number, got {value!r}")
    if "kind" in fields and fields["kind"] not in ITEM_KINDS:
        raise BadSettings(
            f"{path}: {where}: kind {fields['kind']!r} is not one of {', '.join(ITEM_KINDS)}"
        )
    return dict(fields)
