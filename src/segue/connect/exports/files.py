"""The files of an export: found in folders and archives, read as rows, bad rows kept apart."""

from __future__ import annotations

import csv
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from segue.connect.works import Act, Work
from segue.core.errors import BadInput

UNPACKING = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
MAX_BYTES = 300_000_000  # of one file; Spotify's are 12 MB each
MAX_PARTS = 5_000  # of one archive or folder


@dataclass(frozen=True)
class Part:
    """A file, of a folder or inside an archive. ``name`` is its path there, with slashes."""

    name: str
    load: Callable[[], bytes]

    def text(self) -> str:
        """The whole file; refuses what is no UTF-8."""
        try:
            return self.load().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{self.name}: not UTF-8 ({error}); take the file as the service gave it, "
                "not as a spreadsheet saved it"
            ) from error


@dataclass(frozen=True)
class Told:
    """A good row: a work, and what the person did with it."""

    work: Work
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A row that cannot be used. ``row`` 1 is the file's first."""

    part: str
    row: int
    field: str
    reason: str
    value: str = ""


@dataclass(frozen=True)
class Ignored:
    """A row that is sound but says nothing that is wanted."""

    reason: str


Row = Told | Refused | Ignored
Reader = Callable[[Sequence[Part], tzinfo], Iterator[Row]]
"""(files, zone of days and times that name none) -> rows."""


@dataclass(frozen=True)
class Service:
    """One service: which files of its export are known, and how they are read."""

    name: str
    title: str
    patterns: tuple[str, ...]  # globs over the end of a part's path
    read: Reader

    def knows(self, name: str) -> bool:
        path = name.replace("\\", "/").lower()
        return any(fnmatch(path, p) or fnmatch(path, f"*/{p}") for p in self.patterns)


def parts(service: Service, paths: Sequence[Path]) -> list[Part]:
    """The known files among ``paths``: files, folders and zip archives."""
    found: list[Part] = []
    for path in paths:
        if path.is_dir():
            inside = [_file(p, p.relative_to(path.parent)) for p in _below(path)]
        elif not path.is_file():
            raise BadInput(f"{path}: no such file or folder")
        elif zipfile.is_zipfile(path):
            inside = _archive(path)
        else:
            inside = [_file(path, Path(*path.parts[-2:]))]  # "likes/films.csv" tells by its folder
        known = [part for part in inside if service.knows(part.name)]
        if not known:
            raise BadInput(
                f"{path}: nothing that an export of {service.title} has; known files: "
                f"{', '.join(service.patterns)}"
            )
        found += known
    return sorted(found, key=lambda part: part.name)


def _below(folder: Path) -> list[Path]:
    """Regular files of a folder tree; links are not followed out of it."""
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()]
    if len(found) > MAX_PARTS:
        raise BadInput(f"{folder}: more than {MAX_PARTS:,} files; name the export's own folder")
    return found


def _file(path: Path, name: Path) -> Part:
    def load() -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error}") from error
        return _bounded(data, str(path))

    return Part(name.as_posix(), load)


def _archive(path: Path) -> list[Part]:
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(names) > MAX_PARTS:
        raise BadInput(f"{path}: more than {MAX_PARTS:,} files inside")

    def member(name: str) -> Part:
        def load() -> bytes:
            try:
                with zipfile.ZipFile(path) as archive, archive.open(name) as file:
                    # Its own word on its size is not trusted: no more than this is unpacked.
                    data = file.read(MAX_BYTES + 1)
            # zipfile raises RuntimeError for a password or an unknown way of packing, and lets
            # the unpacker's own errors through.
            except UNPACKING as error:
                raise BadInput(f"{path}, {name}: cannot be unpacked: {error}") from error
            return _bounded(data, f"{path}, {name}")

        return Part(f"{path.stem}/{name}", load)

    return [member(name) for name in names]


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name}: larger than {MAX_BYTES:,} bytes; no export has such a file")
    return data


def table(part: Part, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]] | Refused]:
    """(row, fields) of a CSV with a header; the header is row 1.

    Refuses the file where a ``wanted`` column is missing.
    """
    reader = csv.reader(io.StringIO(part.text(), newline=""))
    header: list[str] = []
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Refused(part.name, number, "", f"cannot be read: {error}")
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            missing = [name for name in wanted if name not in header]
            if missing:
                raise BadInput(
                    f"{part.name}: no column {missing[0]!r}; it has {', '.join(header)[:300]}"
                )
        elif any(cells):
            fields = dict(zip(header, (c.strip() for c in cells), strict=False))
            if len(cells) < len(header):
                yield Refused(part.name, number, "", "fewer fields than the header has", str(cells))
                continue
            yield number, fields


def entries(part: Part) -> list[Any]:
    """The rows of a JSON file: its list, or itself where it is one object."""
    try:
        found = json.loads(part.text())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{part.name}: not JSON: {str(error)[:200]}") from error
    return found if isinstance(found, list) else [found]


def objects(part: Part) -> Iterator[tuple[int, Mapping[str, Any]] | Refused]:
    """(row, object) of a JSON list; what is no object is refused."""
    for number, row in enumerate(entries(part), start=1):
        if isinstance(row, Mapping):
            yield number, row
        else:
            yield Refused(part.name, number, "", "not an object", str(row)[:200])
