"""Walk folders: regular files only, nothing hidden, no link followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import BadInput
from segue.ingest.media import Found
from segue.ingest.sidecar import SIDECAR_NAME


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that is never opened, with the reason."""

    path: str
    reason: str


def scan(folders: Sequence[str | os.PathLike[str]]) -> Iterator[Found | Skipped]:
    """Everything below ``folders`` in name order; a file met twice is given once.

    A folder that is itself a link is followed, as it was asked for by name.
    """
    seen: set[tuple[int, int, str]] = set()
    for folder in folders:
        root = Path(folder).resolve()
        if not root.is_dir():
            raise BadInput(f"{folder}: not a folder; name an existing folder to ingest")
        for entry in _walk(str(root), str(root)):
            if isinstance(entry, Found):
                key = (entry.device, entry.inode, entry.path)
                if key in seen:
                    continue
                seen.add(key)
            yield entry


def _walk(folder: str, root: str) -> Iterator[Found | Skipped]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(folder, f"folder cannot be listed: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == SIDECAR_NAME:
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            yield Skipped(entry.path, f"cannot be looked at: {error.strerror}")
            continue
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(entry.path, root)
        else:
            yield _file(entry.path, root, found)


def _file(path: str, root: str, found: os.stat_result) -> Found | Skipped:
    if stat.S_ISLNK(found.st_mode):
        return Skipped(path, "symbolic link; links are not followed, ingest its target's folder")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(path, "not a regular file (FIFO, device or socket); never opened")
    try:
        path.encode()
    except UnicodeEncodeError:
        return Skipped(path, "file name is not valid Unicode; rename it")
    return Found(path, root, found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)
