"""Understand a workspace: encode what is new or changed, place it in one space, label it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from threadpoolctl import threadpool_limits

from segue.core.errors import UnreadableMedia
from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.datasets.fetch import Unavailable
from segue.store import schema
from segue.store.vectors import (
    VectorRow,
    drop_vectors,
    from_blob,
    put_vectors,
    snapshot,
    stored_sources,
)
from segue.store.workspace import Workspace
from segue.understand.align import LabelSpace, best_labels, unit
from segue.understand.annotate import Classifier, Labelling, put_labels
from segue.understand.audio import YamNet
from segue.understand.cache import CachedTexts, EncodingCache, text_hash
from segue.understand.fuse import FuseWeights, fuse
from segue.understand.image import EfficientNetLite2
from segue.understand.sources import Clip, ItemSource, item_sources
from segue.understand.text import UseMultilingual

Progress = Callable[[str, int, int], None]
T = TypeVar("T")
MODALITIES = ("text", "picture", "sound")
BATCHES = {"text": 64, "picture": 8, "sound": 4, "content": 500}  # items a commit


@dataclass(frozen=True)
class Encoders:
    """The models in use, and how their answers are joined. A model is loaded when it is needed."""

    text: Encoder = field(default_factory=UseMultilingual)
    picture: Classifier | None = field(default_factory=EfficientNetLite2)
    sound: Classifier | None = field(default_factory=YamNet)
    weights: FuseWeights = field(default_factory=FuseWeights)
    labelling: Labelling = field(default_factory=Labelling)


@dataclass(frozen=True)
class UnderstandReport:
    """Items that got a new vector, by modality; clips that went through a model or were in the
    cache; seconds by step; what was left out, and why."""

    texts: int = 0
    pictures: int = 0
    sounds: int = 0
    contents: int = 0
    encoded: int = 0
    reused: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        times = ", ".join(f"{name} {s:.1f} s" for name, s in self.seconds.items())
        said = (
            f"{self.texts} texts, {self.pictures} items with pictures, {self.sounds} with sound; "
            f"{self.contents} content vectors; {self.encoded} clips encoded, {self.reused} from "
            f"the cache ({times})"
        )
        return "; ".join((said, *self.skipped))


def understand(
    workspace: Workspace, *, progress: Progress | None = None, encoders: Encoders | None = None
) -> UnderstandReport:
    """Bring vectors and labels of all items up to date, then write a snapshot of the content.

    Idempotent: an item whose matter and models are the same as before is not touched. Each batch
    is one transaction, so a killed run loses at most the batch it was in.
    """
    used = Encoders() if encoders is None else encoders
    # Small matrices: BLAS threads that wait for each other made text six times slower and sound
    # three times on a busy machine.
    with threadpool_limits(limits=1, user_api="blas"):
        return _Run(workspace, used, progress).run()


class _Run:
    def __init__(self, workspace: Workspace, encoders: Encoders, progress: Progress | None) -> None:
        self.workspace = workspace
        self.engine = workspace.engine
        self.encoders = encoders
        self.progress = progress
        self.cache = EncodingCache(self.engine)
        self.texts = CachedTexts(encoders.text, self.cache)
        self.counts = dict.fromkeys((*MODALITIES, "content"), 0)
        self.skipped: list[str] = []

    def run(self) -> UnderstandReport:
        items = item_sources(self.engine, self.workspace.derived)
        seconds = {}
        for name, step in (
            ("text", self.encode_texts),
            ("picture", lambda all_: self.encode_clips(all_, self.encoders.picture)),
            ("sound", lambda all_: self.encode_clips(all_, self.encoders.sound)),
            ("content", self.fuse_all),
        ):
            start = time.perf_counter()
            step(items)
            seconds[name] = round(time.perf_counter() - start, 2)
        snapshot(self.workspace, "content")
        return UnderstandReport(
            texts=self.counts["text"],
            pictures=self.counts["picture"],
            sounds=self.counts["sound"],
            contents=self.counts["content"],
            encoded=self.cache.encoded,
            reused=self.cache.reused,
            seconds=seconds,
            skipped=tuple(self.skipped),
        )

    def batches(self, step: str, todo: Sequence[T]) -> Iterator[Sequence[T]]:
        """Batches of ``todo``; reports and counts each when it is done."""
        for start in range(0, len(todo), BATCHES[step]):
            batch = todo[start : start + BATCHES[step]]
            yield batch
            if self.progress is not None:
                self.progress(step, start + len(batch), len(todo))

    def encode_texts(self, items: Sequence[ItemSource]) -> None:
        stored = stored_sources(self.engine, "text")
        hashes = {item.num: text_hash(item.text) for item in items}
        todo = [i for i in items if stored.get(i.num) != (self.texts.name, hashes[i.num])]
        for batch in self.batches("text", todo):
            encoded = self.texts.encode([item.text for item in batch])
            rows = [
                VectorRow(item.num, "text", self.texts.name, hashes[item.num], vector)
                for item, vector in zip(batch, encoded, strict=True)
            ]
            with self.engine.begin() as connection:
                put_vectors(connection, rows)
            self.counts["text"] += len(rows)

    def encode_clips(self, items: Sequence[ItemSource], classifier: Classifier | None) -> None:
        """Pictures or sounds: probabilities of labels, and through them the text space."""
        if classifier is None:
            return
        kind = classifier.kind
        name = f"{classifier.name}>{self.texts.name}"
        stored = stored_sources(self.engine, kind)
        sources = {i.num: _joint_hash(i.clips(kind)) for i in items if i.clips(kind)}
        gone = [num for num in stored if num not in sources]
        with self.engine.begin() as connection:
            drop_vectors(connection, gone, kind)
        todo = [
            item for item in items
            if item.num in sources and stored.get(item.num) != (name, sources[item.num])
        ]  # fmt: skip
        if not todo:
            return
        try:
            space = LabelSpace(classifier.labels, self.texts, classifier.glosses)
            for batch in self.batches(kind, todo):
                found = self.probabilities(batch, classifier)
                with self.engine.begin() as connection:
                    for num, rows in found.items():
                        vector = unit(space.place(rows).sum(axis=0))
                        put_vectors(connection, [VectorRow(num, kind, name, sources[num], vector)])
                        self.label(connection, num, classifier, rows.mean(axis=0))
                self.counts[kind] += len(found)
        except Unavailable as error:
            self.skipped.append(f"{kind}s of {len(todo)} items left out: {error}")

    def probabilities(
        self, batch: Sequence[ItemSource], classifier: Classifier
    ) -> dict[int, Floats]:
        """(n_clips, n_labels) by item; unreadable clips and items without any other are left
        out."""
        clips = {c.content_hash: c for item in batch for c in item.clips(classifier.kind)}
        try:
            known = self.classified(list(clips.values()), classifier)
        except UnreadableMedia:
            known = {}
            for clip in clips.values():
                try:
                    known |= self.classified([clip], classifier)
                except UnreadableMedia as error:
                    self.skipped.append(f"{clip.path.parent.name}/{error}")
        found = {}
        for item in batch:
            hashes = [c.content_hash for c in item.clips(classifier.kind)]
            rows = [known[content_hash] for content_hash in hashes if content_hash in known]
            if rows:
                found[item.num] = np.stack(rows)
        return found

    def classified(self, clips: Sequence[Clip], classifier: Classifier) -> dict[str, Floats]:
        hashes = [clip.content_hash for clip in clips]
        paths = [clip.path for clip in clips]
        rows = self.cache.through(classifier.name, hashes, paths, classifier.classify)
        return dict(zip(hashes, rows, strict=True))

    def label(
        self, connection: sa.Connection, num: int, classifier: Classifier, mean: Floats
    ) -> None:
        rule = self.encoders.labelling
        best = best_labels(classifier.labels, mean, rule.most, rule.least(classifier.kind))
        put_labels(connection, num, classifier, best)

    def fuse_all(self, items: Sequence[ItemSource]) -> None:
        name = f"{self.encoders.weights.name}>{self.texts.name}"
        stored = stored_sources(self.engine, "content")
        parts = {modality: stored_sources(self.engine, modality) for modality in MODALITIES}
        sources = {}
        for item in items:
            made_of = [(m, *parts[m][item.num]) for m in MODALITIES if item.num in parts[m]]
            if made_of:
                sources[item.num] = text_hash(repr(made_of))
        with self.engine.begin() as connection:
            drop_vectors(connection, [num for num in stored if num not in sources], "content")
        todo = [num for num, source in sources.items() if stored.get(num) != (name, source)]
        for batch in self.batches("content", todo):
            rows = []
            for num, vectors in self.parts(batch).items():
                vector = fuse(vectors, self.encoders.weights)
                if vector is not None:
                    rows.append(VectorRow(num, "content", name, sources[num], vector))
            with self.engine.begin() as connection:
                put_vectors(connection, rows)
            self.counts["content"] += len(rows)

    def parts(self, nums: Sequence[int]) -> dict[int, dict[str, Floats]]:
        """Stored vectors of some items, by item and modality."""
        table = schema.vectors
        query = sa.select(table.c.item_num, table.c.modality, table.c.data).where(
            table.c.item_num.in_(nums), table.c.modality.in_(MODALITIES)
        )
        found: dict[int, dict[str, Floats]] = {num: {} for num in nums}
        with self.engine.connect() as connection:
            for num, modality, data in connection.execute(query):
                found[num][modality] = from_blob(data)
        return found


def _joint_hash(clips: Sequence[Clip]) -> str:
    return hashlib.sha256("".join(clip.content_hash for clip in clips).encode()).hexdigest()
