"""``segue-media.toml``: what a folder's owner says of its files, over what the files say.

[defaults]
licence = "CC-BY-4.0"

[[file]]
name = "talks/*.ogg"      # a file name, a relative path or a glob of either
title = "Opening talk"
kind = "speech"

[item]                      # all files of this folder together are one item
kind = "game"
cover = "box.jpg"
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
COVER = "cover"


@dataclass(frozen=True)
class Sidecar:
    """The statements of one folder. ``entries`` are (pattern, fields); later ones win.

    ``item`` is what is said of the item that the folder's own files make together; None where
    each file is an item.
    """

    defaults: Mapping[str, Any]
    entries: tuple[tuple[str, Mapping[str, Any]], ...]
    item: Mapping[str, Any] | None = None

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
        file = Path(path)
        said: dict[str, Any] = {}
        for folder in _down_to(file.parent, root):
            said.update(self._sidecar(folder).of(file.relative_to(folder)))
        return said

    def item(self, folder: str, root: str) -> dict[str, Any] | None:
        """Fields and ``cover`` of the one item that the files of ``folder`` make; None where they
        are items each. Defaults of the folders above hold for it too."""
        item = self._sidecar(Path(folder)).item
        if item is None:
            return None
        said: dict[str, Any] = {}
        for above in _down_to(Path(folder), root):
            said.update(self._sidecar(above).defaults)
        return {**said, **item}

    def _sidecar(self, folder: Path) -> Sidecar:
        if folder not in self._read:
            self._read[folder] = read_sidecar(folder / SIDECAR_NAME)
        return self._read[folder]


def _down_to(folder: Path, root: str) -> list[Path]:
    """The folders from ``root`` to ``folder``."""
    top = Path(root)
    return [one for one in reversed((folder, *folder.parents)) if one.is_relative_to(top)]


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
    _known(table, ("defaults", "file", "item"), path, "top level")
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
    item = _item(table["item"], path) if "item" in table else None
    return Sidecar(_fields(defaults, path, "[defaults]"), tuple(entries), item)


def _item(table: Any, path: Path) -> dict[str, Any]:
    """The table ``[item]``: the fields of a file, ``cover``, and a kind, which nothing else tells
    of several files together."""
    if not isinstance(table, dict):
        raise BadSettings(f"{path}: 'item' must be a table; write [item]")
    fields = dict(table)
    cover = fields.pop(COVER, "")
    if not isinstance(cover, str):
        raise BadSettings(f"{path}: [item]: cover must be a file name, got {cover!r}")
    _known(fields, (*KEYS, COVER), path, "[item]")
    said = _fields(fields, path, "[item]")
    if "kind" not in said:
        raise BadSettings(f"{path}: [item] needs a kind: one of {', '.join(ITEM_KINDS)}")
    return said | ({COVER: cover} if cover else {})


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
