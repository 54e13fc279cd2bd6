"""Vectors in the store and their memory-mapped snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadPackage, NotFound
from segue.core.types import Floats, Item
from segue.store.catalogue import load_catalogue, put_items
from segue.store.vectors import (
    VectorRow,
    drop_vectors,
    load_vectors,
    open_snapshot,
    put_vectors,
    snapshot,
    stored_sources,
)
from segue.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "w")
    put_items(made.engine, [Item(id=f"i{n}", kind="movie", title=f"Film {n}") for n in range(4)])
    return made


def row(
    num: int, vector: Sequence[float], encoder: str = "e@1", modality: str = "content"
) -> VectorRow:
    return VectorRow(num, modality, encoder, f"source {num}", np.asarray(vector, dtype=np.float32))


def put(workspace: Workspace, *rows: VectorRow) -> None:
    with workspace.engine.begin() as connection:
        put_vectors(connection, rows)


def unit(rng: np.random.Generator, dim: int = 512) -> Floats:
    vector = rng.normal(size=dim)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def test_vectors_come_back_in_the_order_asked_for_and_missing_is_absent(
    workspace: Workspace,
) -> None:
    nums = load_catalogue(workspace.engine).nums
    rng = np.random.default_rng(0)
    a, b = unit(rng), unit(rng)
    put(workspace, row(int(nums[0]), a), row(int(nums[2]), b))
    loaded = load_vectors(workspace.engine, [int(nums[2]), int(nums[1]), int(nums[0])])
    assert loaded.present.tolist() == [True, False, True]
    assert loaded.encoder == "e@1"
    assert loaded.dim == 512
    assert loaded.values.dtype == np.float32
    np.testing.assert_allclose(loaded.values[0], b, atol=2e-4)  # float16
    np.testing.assert_allclose(loaded.values[2], a, atol=2e-4)
    assert load_vectors(workspace.engine, nums, "picture").present.tolist() == [False] * 4


def test_a_vector_is_replaced_and_dropped(workspace: Workspace) -> None:
    nums = [int(n) for n in load_catalogue(workspace.engine).nums]
    put(workspace, row(nums[0], [1, 0]), row(nums[0], [0, 1], modality="text"))
    put(workspace, row(nums[0], [0.6, 0.8]))
    assert load_vectors(workspace.engine, nums).values[0].tolist() == pytest.approx(
        [0.6, 0.8], abs=1e-3
    )
    assert stored_sources(workspace.engine, "content") == {nums[0]: ("e@1", f"source {nums[0]}")}
    with workspace.engine.begin() as connection:
        drop_vectors(connection, nums, "content")
    assert not load_vectors(workspace.engine, nums).present.any()
    assert load_vectors(workspace.engine, nums, "text").present.sum() == 1


def test_vectors_of_two_encoders_are_never_mixed(workspace: Workspace) -> None:
    nums = [int(n) for n in load_catalogue(workspace.engine).nums]
    put(workspace, *(row(n, [1, 0], "new@2") for n in nums[:3]), row(nums[3], [1, 0, 0], "old@1"))
    loaded = load_vectors(workspace.engine, nums)
    assert (loaded.encoder, loaded.dim) == ("new@2", 2)
    assert loaded.present.tolist() == [True, True, True, False]


def test_snapshot_is_mapped_and_replaced_whole(workspace: Workspace) -> None:
    nums = [int(n) for n in load_catalogue(workspace.engine).nums]
    with pytest.raises(NotFound, match="segue understand"):
        open_snapshot(workspace)
    put(workspace, row(nums[1], [1, 0]))
    snapshot(workspace)
    first = open_snapshot(workspace)
    assert isinstance(first.vectors.values, np.memmap)
    assert first.nums.tolist() == nums
    assert first.vectors.present.tolist() == [False, True, False, False]
    put(workspace, row(nums[0], [0, 1]))
    snapshot(workspace)
    snapshot(workspace)  # nothing changed: the same files
    second = open_snapshot(workspace)
    assert second.vectors.values[0].tolist() == [0, 1]
    assert first.vectors.values[0].tolist() == [0, 0]  # a reader keeps what it opened
    assert len(list(workspace.snapshots.glob("content-*.npy"))) == 2
    assert not list(workspace.snapshots.glob(".*"))


def test_a_half_written_snapshot_is_never_seen(workspace: Workspace) -> None:
    nums = [int(n) for n in load_catalogue(workspace.engine).nums]
    put(workspace, row(nums[1], [1, 0]))
    pointer = snapshot(workspace)
    # As after kill -9 in the middle of the next one: parts and unnamed files lie about.
    (workspace.snapshots / ".content-ffff.npy.1.part").write_bytes(b"\x93NUM")
    (workspace.snapshots / "content-ffff.npy").write_bytes(b"")
    assert open_snapshot(workspace).vectors.values[1].tolist() == [1, 0]
    pointer.write_text('{"format": 9}')
    with pytest.raises(BadPackage, match="format 9"):
        open_snapshot(workspace)
