"""The media of the demo: what is listed, and how it is laid out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from segue.core.types import ITEM_KINDS
from segue.datasets import demo
from segue.datasets.demo import SIDECAR, demo_media, listing
from segue.datasets.fetch import Unavailable, packages
from segue.ingest.sidecar import read_sidecar


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Stands for the registries; names put into the set cannot be had."""
    missing: set[str] = set()

    def get(name: str, *, cache: Path, progress: object) -> Path:
        if name in missing:
            raise Unavailable(f"{name}: no network")
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        for entry in listing():
            if entry["package"] == name:
                (folder / PurePosixPath(entry["path"]).name).write_text(entry["title"])
        return folder

    monkeypatch.setattr(demo, "get", get)
    return missing


def test_enough_media_of_every_kind_even_without_apt() -> None:
    kinds = Counter(entry["kind"] for entry in listing())
    assert set(kinds) <= set(ITEM_KINDS)
    assert min(kinds[kind] for kind in ("video", "track", "speech", "book", "image")) >= 5
    by_pip_or_npm = [e for e in listing() if packages()[e["package"]].kind != "debian"]
    assert len(by_pip_or_npm) >= 40


def test_every_file_is_described_and_comes_from_its_package() -> None:
    paths = [entry["path"] for entry in listing()]
    assert len(paths) == len(set(paths))
    for entry in listing():
        names = {PurePosixPath(glob).name for glob in packages()[entry["package"]].files}
        assert PurePosixPath(entry["path"]).name in names
        for field in ("title", "description", "licence", "source"):
            assert entry[field], entry["path"]
        assert entry["tags"], entry["path"]


def test_all_is_laid_out_with_a_sidecar_that_ingest_reads(
    tmp_path: Path, registry: set[str]
) -> None:
    made = demo_media(tmp_path / "cache")
    assert made.files == len(listing())
    assert made.skipped == ()
    read = read_sidecar(made.folder / SIDECAR)
    for entry in listing():
        assert (made.folder / entry["path"]).read_text() == entry["title"]
        said = read.of(PurePosixPath(entry["path"]))
        assert said["title"] == entry["title"]
        assert said["licence"] == entry["licence"]
        assert said["source"] == entry["source"]


def test_what_cannot_be_had_is_named_and_fetched_later(tmp_path: Path, registry: set[str]) -> None:
    registry.add("media-singularity")
    first = demo_media(tmp_path / "cache")
    assert first.files == len(listing()) - 16
    assert first.skipped == ("16 files: media-singularity: no network",)
    assert "Nebula" not in (first.folder / SIDECAR).read_text()
    registry.clear()
    second = demo_media(tmp_path / "cache")
    assert second.files == len(listing())
    assert second.folder == first.folder
    assert "Nebula" in (second.folder / SIDECAR).read_text()
