"""Understanding a workspace: idempotent, cached, resumed, and honest about what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from segue.core.errors import BadInput, UnreadableMedia
from segue.core.types import Floats, Item, Vectors
from segue.datasets.fetch import Unavailable
from segue.store import schema
from segue.store.catalogue import load_catalogue, put_items
from segue.store.vectors import coverage, load_vectors, open_snapshot, retire
from segue.store.workspace import Workspace
from segue.understand.align import LabelSpace, best_labels, unit
from segue.understand.cache import EncodingCache
from segue.understand.fuse import FuseWeights, fuse
from segue.understand.run import Encoders, UnderstandReport, understand
from segue.understand.search import SearchWeights, TextSearch, tokens

DIM = 256


class BagOfWords:
    """Adds up a fixed random direction a word; counts what it was asked."""

    name = "words@1"
    dim = DIM

    def __init__(self, fail_after: int | None = None) -> None:
        self.seen: list[str] = []
        self._fail_after = fail_after

    def encode(self, clips: Sequence[str]) -> Floats:
        if self._fail_after is not None and len(self.seen) >= self._fail_after:
            raise KeyboardInterrupt
        self.seen += clips
        return unit(np.stack([sum(map(self._word, tokens(clip))) for clip in clips]))

    def _word(self, word: str) -> Floats:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


class ByFirstByte:
    """Says 'cat' of files that start with c, 'dog' of those with d; refuses x."""

    labels = ("cat", "dog", "boat")
    glosses = ("", "", "")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = f"first-byte-{kind}@1"
        self.seen: list[Path] = []

    def classify(self, clips: Sequence[Any]) -> Floats:
        rows = []
        for path in clips:
            first = path.read_bytes()[:1]
            if first == b"x":
                raise UnreadableMedia(path.name, "not readable")
            rows.append({b"c": [0.8, 0.1, 0.1], b"d": [0.1, 0.6, 0.3]}[first])
        self.seen += clips
        return np.asarray(rows, dtype=np.float32)


class Absent:
    """A classifier whose package cannot be had."""

    name, kind, glosses = "absent@1", "sound", ()

    @property
    def labels(self) -> tuple[str, ...]:
        raise Unavailable("sead 0.2.1: no network")

    def classify(self, clips: Sequence[Any]) -> Floats:
        raise AssertionError("never reached")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "w")
    put_items(
        made.engine,
        [
            Item(id="m", kind="movie", title="Alien (1979)", tags=("space",), description="A ship"),
            Item(id="v", kind="video", title="clip 7"),
            Item(id="t", kind="track", title="song 7"),
        ],
    )
    add_asset(made, "v", "poster", 0, b"cat")
    add_asset(made, "v", "keyframe", 0, b"cat")
    add_asset(made, "v", "keyframe", 1, b"cat again")
    add_asset(made, "t", "audio16k", 0, b"dog")
    return made


def num_of(workspace: Workspace, item_id: str) -> int:
    stored = load_catalogue(workspace.engine)
    return int(stored.nums[stored.catalogue.row(item_id)])


def add_asset(workspace: Workspace, item_id: str, kind: str, position: int, data: bytes) -> None:
    content_hash = hashlib.sha256(data).hexdigest()
    path = f"{item_id}-{kind}-{position}"
    (workspace.derived / path).write_bytes(data)
    with workspace.engine.begin() as connection:
        connection.execute(
            sa.insert(schema.assets).values(
                item_num=num_of(workspace, item_id), kind=kind, position=position, path=path,
                content_hash=content_hash,
            )
        )  # fmt: skip


def fakes(text: BagOfWords | None = None) -> Encoders:
    return Encoders(
        text=BagOfWords() if text is None else text,
        picture=ByFirstByte("picture"),
        sound=ByFirstByte("sound"),
    )


def vectors(workspace: Workspace, modality: str) -> Vectors:
    return load_vectors(workspace.engine, load_catalogue(workspace.engine).nums, modality)


def labels(workspace: Workspace) -> list[tuple[int, str, str, float]]:
    a = schema.annotations.c
    query = sa.select(a.item_num, a.kind, a.label, a.score).order_by(a.num)
    with workspace.engine.connect() as connection:
        return [(n, k, label, round(s, 2)) for n, k, label, s in connection.execute(query)]


def test_every_modality_lands_in_one_space_and_what_is_missing_is_missing(
    workspace: Workspace,
) -> None:
    told: list[tuple[str, int, int]] = []
    report = understand(workspace, progress=lambda *a: told.append(a), encoders=fakes())
    assert (report.texts, report.pictures, report.sounds, report.contents) == (3, 1, 1, 3)
    assert vectors(workspace, "text").present.tolist() == [True, True, True]
    assert vectors(workspace, "picture").present.tolist() == [False, True, False]
    assert vectors(workspace, "sound").present.tolist() == [False, False, True]
    content = vectors(workspace, "content")
    assert content.present.all()
    np.testing.assert_allclose(np.linalg.norm(content.values, axis=1), 1, atol=2e-3)
    # The film has words only: its content is its text, not a text mixed with zeros.
    np.testing.assert_allclose(content.values[0], vectors(workspace, "text").values[0], atol=1e-3)
    assert ("text", 3, 3) in told
    assert ("content", 3, 3) in told
    assert open_snapshot(workspace).vectors.values.shape == (3, DIM)
    assert "3 texts, 1 items with pictures" in str(report)


def test_pictures_and_sounds_stand_where_their_labels_stand(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    cat, dog = BagOfWords().encode(["cat", "dog"])
    seen, heard = vectors(workspace, "picture").values[1], vectors(workspace, "sound").values[2]
    assert seen @ cat > seen @ dog
    assert heard @ dog > heard @ cat
    assert labels(workspace) == [
        (num_of(workspace, "v"), "picture-label", "cat", 0.8),
        (num_of(workspace, "t"), "sound-label", "dog", 0.6),
        (num_of(workspace, "t"), "sound-label", "boat", 0.3),
    ]


def test_a_second_run_encodes_nothing(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    before = labels(workspace)
    again = fakes()
    report = understand(workspace, encoders=again)
    assert report == UnderstandReport(seconds=report.seconds)
    assert again.text.seen == []  # type: ignore[attr-defined]
    assert labels(workspace) == before


def test_the_cache_saves_encoding_when_vectors_are_gone(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    kept = vectors(workspace, "content").values
    with workspace.engine.begin() as connection:
        connection.execute(sa.delete(schema.vectors))
    again = fakes()
    report = understand(workspace, encoders=again)
    assert (report.texts, report.encoded) == (3, 0)
    assert again.text.seen == []  # type: ignore[attr-defined]
    assert again.picture.seen == []  # type: ignore[union-attr]
    np.testing.assert_array_equal(vectors(workspace, "content").values, kept)


def test_only_what_changed_is_encoded(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    put_items(
        workspace.engine,
        [Item(id="m", kind="movie", title="Alien (1979)", description="A ship and a monster")],
    )
    again = fakes()
    report = understand(workspace, encoders=again)
    assert (report.texts, report.pictures, report.sounds, report.contents) == (1, 0, 0, 1)
    assert again.text.seen == ["Alien. A ship and a monster"]  # type: ignore[attr-defined]


def test_a_lost_source_takes_its_vector_along(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    with workspace.engine.begin() as connection:
        connection.execute(sa.delete(schema.assets).where(schema.assets.c.kind == "audio16k"))
    report = understand(workspace, encoders=fakes())
    assert report.contents == 1
    assert not vectors(workspace, "sound").present.any()
    np.testing.assert_allclose(
        vectors(workspace, "content").values[2], vectors(workspace, "text").values[2], atol=1e-3
    )


def test_an_interrupted_run_keeps_its_batches_and_resumes(workspace: Workspace) -> None:
    many = [Item(id=f"x{n}", kind="movie", title=f"film number{n}") for n in range(150)]
    put_items(workspace.engine, many)
    with pytest.raises(KeyboardInterrupt):
        understand(workspace, encoders=fakes(BagOfWords(fail_after=64)))
    assert vectors(workspace, "text").present.sum() == 64
    rest = BagOfWords()
    report = understand(workspace, encoders=fakes(rest))
    assert report.texts == 153 - 64
    assert not {f"film number{n}" for n in range(10)} & set(rest.seen)
    assert vectors(workspace, "content").present.all()


def test_an_unreadable_clip_is_named_and_the_rest_goes_on(workspace: Workspace) -> None:
    add_asset(workspace, "m", "poster", 0, b"x-ray")
    add_asset(workspace, "v", "keyframe", 2, b"x-ray too")
    report = understand(workspace, encoders=fakes())
    assert report.pictures == 1
    assert len(report.skipped) == 2
    assert "not readable" in report.skipped[0]
    assert vectors(workspace, "picture").present.tolist() == [False, True, False]


def test_a_model_that_cannot_be_had_leaves_its_modality_out(workspace: Workspace) -> None:
    encoders = Encoders(text=BagOfWords(), picture=None, sound=Absent())
    report = understand(workspace, encoders=encoders)
    assert report.skipped == ("sounds of 1 items left out: sead 0.2.1: no network",)
    assert vectors(workspace, "content").present.all()


def test_other_weights_make_other_content(workspace: Workspace) -> None:
    understand(workspace, encoders=fakes())
    first = vectors(workspace, "content")
    heavy = Encoders(
        text=BagOfWords(), picture=ByFirstByte("picture"), sound=ByFirstByte("sound"),
        weights=FuseWeights(picture=2.0),
    )  # fmt: skip
    report = understand(workspace, encoders=heavy)
    assert (report.texts, report.contents) == (0, 3)
    nums = load_catalogue(workspace.engine).nums
    second = load_vectors(workspace.engine, nums, "content", heavy.names()["content"])
    assert first.encoder != second.encoder
    # Both stand side by side until the old one is retired.
    assert coverage(workspace.engine) == {first.encoder: 3, second.encoder: 3}
    assert open_snapshot(workspace).vectors.encoder == second.encoder
    with workspace.engine.begin() as connection:
        retire(connection, set(heavy.names().values()))
    assert coverage(workspace.engine) == {second.encoder: 3}
    cat = BagOfWords().encode(["cat"])[0]
    assert second.values[1] @ cat > first.values[1] @ cat


def test_an_excerpt_of_a_book_is_read(workspace: Workspace) -> None:
    add_asset(workspace, "t", "text", 0, b"title page " * 20 + b"dragon " * 200)
    encoders = fakes()
    understand(workspace, encoders=encoders)
    assert any("dragon" in text for text in encoders.text.seen)  # type: ignore[attr-defined]


def test_fuse_is_a_weighted_mean_of_unit_vectors() -> None:
    x, y = np.eye(2, dtype=np.float32)
    joined = fuse({"text": 5 * x, "picture": y}, FuseWeights(text=1.0, picture=0.5))
    assert joined is not None
    np.testing.assert_allclose(joined, np.array([1.0, 0.5]) / np.sqrt(1.25), rtol=1e-6)
    alone = fuse({"picture": 3 * y}, FuseWeights())
    assert alone is not None
    assert alone.tolist() == [0, 1]
    assert fuse({}, FuseWeights()) is None
    assert fuse({"text": np.zeros(2, np.float32)}, FuseWeights()) is None
    with pytest.raises(BadInput, match="weight of sound"):
        FuseWeights(sound=-1)


def test_a_surer_frame_counts_more() -> None:
    space = LabelSpace(("cat", "dog", "boat"), BagOfWords(), top=2)
    rows = np.array([[0.9, 0.05, 0.05], [0.2, 0.4, 0.4]], dtype=np.float32)
    placed = space.place(rows)
    assert np.linalg.norm(placed[0]) > np.linalg.norm(placed[1])
    np.testing.assert_allclose(space.vectors.mean(axis=0), 0, atol=1e-6)
    assert best_labels(space.labels, rows[0], 2, 0.5) == [("cat", pytest.approx(0.9))]


def test_the_cache_encodes_each_content_once(workspace: Workspace) -> None:
    cache = EncodingCache(workspace.engine)
    words = BagOfWords()
    first = cache.through("words@1", ["h1", "h2", "h1"], ["a", "b", "a"], words.encode)
    second = cache.through("words@1", ["h2", "h1"], ["b", "a"], words.encode)
    np.testing.assert_array_equal(first[[1, 0]], second)
    assert words.seen == ["a", "b"]
    assert (cache.encoded, cache.reused) == (2, 3)
    cache.through("words@2", ["h1"], ["a"], words.encode)
    assert words.seen == ["a", "b", "a"]  # another encoder, another entry


class TestSearch:
    @pytest.fixture
    def search(self, workspace: Workspace) -> TextSearch:
        put_items(
            workspace.engine,
            [
                Item(id="s", kind="movie", title="Star Wars", tags=("space", "robot")),
                Item(id="k", kind="movie", title="Star Kid", tags=("family",)),
                Item(id="z", kind="movie", title="大话西游", tags=("喜剧",)),
            ],
        )
        understand(workspace, encoders=fakes())
        stored = load_catalogue(workspace.engine)
        content = load_vectors(workspace.engine, stored.nums)
        return TextSearch(stored.catalogue, content, BagOfWords())

    def best(self, search: TextSearch, query: str, k: int = 1) -> list[str]:
        rows, scores = search.search(query, k)
        assert len(rows) == len(scores) == min(k, 6)
        assert np.all(np.diff(scores) <= 0)
        return [search._catalogue.items[row].id for row in rows]

    def test_exact_words_and_meaning_both_count(self, search: TextSearch) -> None:
        assert self.best(search, "star wars", 2)[0] == "s"
        assert self.best(search, "STAR KID")[0] == "k"
        assert set(self.best(search, "space", 2)) == {"m", "s"}
        assert self.best(search, "cat")[0] == "v"  # only its picture says so
        assert self.best(search, "西游")[0] == "z"
        assert self.best(search, "喜剧")[0] == "z"

    def test_k_beyond_the_catalogue_gives_all_and_nothing_gives_nothing(
        self, search: TextSearch
    ) -> None:
        assert len(self.best(search, "star", 50)) == 6
        rows, scores = search.search("  ", 5)
        assert len(rows) == len(scores) == 0
        with pytest.raises(BadInput, match="k must be >= 1, got 0"):
            search.search("star", 0)

    def test_it_works_on_words_alone_and_refuses_a_foreign_space(self, search: TextSearch) -> None:
        catalogue = search._catalogue
        plain = TextSearch(catalogue, None, BagOfWords(), SearchWeights(title=1.0, tags=0.0))
        rows, scores = plain.search("star wars", 1)
        assert catalogue.items[rows[0]].id == "s"
        assert scores[0] == pytest.approx(1.0)
        foreign = Vectors(np.zeros((6, 3), np.float32), np.ones(6, np.bool_))
        with pytest.raises(BadInput, match="3 dimensions"):
            TextSearch(catalogue, foreign, BagOfWords())
