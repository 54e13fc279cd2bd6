"""A package scores bitwise as before, notices any change and never unpickles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadPackage
from segue.core.types import Catalogue, Query, Training, Vectors
from segue.recommend import package
from segue.recommend.pipeline import Pipeline


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.save(pipeline, tmp_path_factory.mktemp("models") / "one", {"NDCG@10": 0.25})


def test_reloaded_scores_are_bitwise_equal(
    folder: Path, pipeline: Pipeline, before_test: Training
) -> None:
    loaded = package.load(folder, before_test.catalogue, before_test.content)
    items = np.arange(len(before_test.catalogue))
    for user in np.unique(before_test.interactions.users)[:10].tolist():
        history = before_test.interactions.histories(np.array([user]))
        profile = before_test.profiles[user]
        query = Query(str(user), history, before_test.at, profile=profile)
        np.testing.assert_array_equal(
            loaded.score(history, profile, before_test.at, items),
            pipeline.score(history, profile, before_test.at, items),
        )
        assert loaded.recommend(query) == pipeline.recommend(query)
    assert loaded.version == pipeline.version
    assert loaded.cold is not None
    assert (loaded.likeness_line, loaded.promise_line) == (
        pipeline.likeness_line,
        pipeline.promise_line,
    )
    assert loaded.similar("1", 5) == pipeline.similar("1", 5)


def test_the_manifest_names_what_it_was_made_of(folder: Path, pipeline: Pipeline) -> None:
    manifest = package.read_manifest(folder)
    assert manifest["metrics"] == {"NDCG@10": 0.25}
    assert manifest["data_hash"] == pipeline.data_hash
    assert set(manifest["files"]) == {p.name for p in folder.iterdir()} - {package.MANIFEST}


def test_any_changed_byte_is_refused(folder: Path, before_test: Training, tmp_path: Path) -> None:
    for name in package.read_manifest(folder)["files"]:
        copy = tmp_path / name
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(bytes(data))
        with pytest.raises(BadPackage, match="does not match its manifest"):
            package.load(copy, before_test.catalogue, before_test.content)


def test_other_items_formats_and_paths_are_refused(
    folder: Path, before_test: Training, tmp_path: Path
) -> None:
    fewer = Catalogue(before_test.catalogue.items[:-1])
    with pytest.raises(BadPackage, match="other items"):
        package.load(folder, fewer, None)
    manifest = json.loads((folder / package.MANIFEST).read_text())
    for change, words in (
        ({"format": 99}, "format 99"),
        ({"plan": {}, "files": {}}, "another version"),
        ({"files": {"../one/side.npz": "0"}}, "leaves the package"),
        ({"files": {"none.npz": "0"}}, "cannot be read"),
    ):
        (tmp_path / package.MANIFEST).write_text(json.dumps({**manifest, **change}))
        with pytest.raises(BadPackage, match=words):
            package.load(tmp_path, before_test.catalogue, None)
    with pytest.raises(BadPackage, match=r"manifest\.json cannot be read"):
        package.load(tmp_path / "none", before_test.catalogue, None)


@pytest.mark.parametrize(
    "change",
    [{"settings": {"nope": 1}}, {"blend": "none"}, {"plan": {"content": {"strategy": "gone"}}}],
)
def test_what_another_version_made_is_refused_with_the_remedy(
    folder: Path, before_test: Training, tmp_path: Path, change: dict[str, object]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    manifest = json.loads((other / package.MANIFEST).read_text())
    (other / package.MANIFEST).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(BadPackage, match="train again"):
        package.load(other, before_test.catalogue, None)


def test_vectors_of_another_encoder_are_left_alone(
    pipeline: Pipeline, before_test: Training, tmp_path: Path
) -> None:
    """The same length does not make two spaces one."""
    content = before_test.content
    assert content is not None
    saved = package.save(pipeline, tmp_path / "m", {}, content_encoder="a@1")
    other = Vectors(np.roll(content.values, 1, axis=0), content.present, "b@1")
    kept = package.load(saved, before_test.catalogue, other).side.content.vectors
    np.testing.assert_array_equal(kept, pipeline.side.content.vectors)
    same = Vectors(other.values, content.present, "a@1")
    placed = package.load(saved, before_test.catalogue, same).side.content.vectors
    assert not np.array_equal(placed, kept)
