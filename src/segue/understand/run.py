"""Understand a workspace: encode what is new or changed, place it in one space, label it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from segue.understand.align import best_labels, unit
from segue.understand.annotate import (
    Classifier,
    Labelling,
    fitted,
    placing_of,
    put_labels,
    space_of,
)
from segue.understand.audio import YamNet
from segue.understand.cache import CachedTexts, EncodingCache, text_hash
from segue.understand.findings import Step
from segue.understand.fuse import FuseWeights, fuse
from segue.understand.image import EfficientNetLite2
from segue.understand.scene_vectors import SceneEncoder, encode_scenes
from segue.understand.sources import Clip, ItemSource, item_sources
from segue.understand.steps import Run, Steps, here
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

    def names(self) -> dict[str, str]:
        """The names under which the vectors of each modality are kept."""
        text = self.text.name
        return {
            "text": text,
            "picture": _placed(self.picture, text),
            "sound": _placed(self.sound, text),
            "content": f"{self.weights.name}>{text}",
        }


def _placed(classifier: Classifier | None, text: str) -> str:
    if classifier is None:
        return ""
    return fitted(f"{classifier.name}{placing_of(classifier).mark}>{text}")


@dataclass(frozen=True)
class StepPlan:
    """The steps beside the encoders, in the order in which they pay.

    ``words`` read what ``dear`` steps find (a transcript), but tell something without it too: they
    run after the cheap pass, and again for the items about which the dear one found something.
    """

    cheap: tuple[Step, ...] = ()
    words: tuple[Step, ...] = ()
    dear: tuple[Step, ...] = ()


NO_STEPS = StepPlan()


@dataclass(frozen=True)
class UnderstandReport:
    """Items that got a new vector, by modality; clips that went through a model or were in the
    cache; seconds by step; what was left out, and why. ``steps``: items by step; ``failed``: why,
    by step and how many items; ``left``: items whose dear steps the time did not reach."""

    texts: int = 0
    pictures: int = 0
    sounds: int = 0
    contents: int = 0
    encoded: int = 0
    reused: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    scenes: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    left: int = 0

    def __str__(self) -> str:
        times = ", ".join(f"{name} {s:.1f} s" for name, s in self.seconds.items())
        said = (
            f"{self.texts} texts, {self.pictures} items with pictures, {self.sounds} with sound; "
            f"{self.contents} content vectors; {self.encoded} clips encoded, {self.reused} from "
            f"the cache ({times})"
        )
        if self.scenes:
            said += f"; scenes of {self.scenes} items"
        ran = ", ".join(f"{name} {n}" for name, n in self.steps.items() if n)
        parts = [said, f"steps: {ran}" if ran else "", *self.skipped]
        parts += [f"{name} failed for {n} items: segue failures" for name, n in self.failed.items()]
        if self.left:
            parts.append(f"time is up: {self.left} items left for the next run")
        return "; ".join(part for part in parts if part)


def understand(
    workspace: Workspace,
    *,
    progress: Progress | None = None,
    encoders: Encoders | None = None,
    steps: StepPlan = NO_STEPS,
    run: Run = here,
    budget_s: float | None = None,
) -> UnderstandReport:
    """Bring vectors, labels and findings of all items up to date, then write a snapshot.

    First the cheap pass over everything, so that all can be searched and recommended; then the dear
    steps, no new one of which begins once ``budget_s`` seconds are used up. ``run`` is where steps
    run: here, on all cores or on a cluster. Idempotent: an item whose matter and models are the
    same as before is not touched. Each batch is one transaction, so a killed run loses at most the
    batch it was in.
    """
    used = Encoders() if encoders is None else encoders
    ends = None if budget_s is None else time.monotonic() + budget_s
    # Small matrices: BLAS threads that wait for each other made text six times slower and sound
    # three times on a busy machine.
    with threadpool_limits(limits=1, user_api="blas"):
        whole = _Run(workspace, used, progress, steps, run)
        return whole.run(lambda: ends is None or time.monotonic() < ends)


class _Run:
    def __init__(
        self,
        workspace: Workspace,
        encoders: Encoders,
        progress: Progress | None,
        plan: StepPlan,
        where: Run,
    ) -> None:
        self.workspace = workspace
        self.engine = workspace.engine
        self.encoders = encoders
        self.progress = progress
        self.plan = plan
        self.cache = EncodingCache(self.engine)
        self.texts = CachedTexts(encoders.text, self.cache)
        self.steps = Steps(self.engine, where)
        self.counts = dict.fromkeys((*MODALITIES, "content", "scenes"), 0)
        self.ran: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.left = 0
        self.seconds: dict[str, float] = {}
        self.skipped: list[str] = []

    def run(self, in_time: Callable[[], bool]) -> UnderstandReport:
        self.cheap_pass((*self.plan.cheap, *self.plan.words))
        begun = sum(self.ran.values())
        items = self.items()
        for step in self.plan.dear:
            self.step(step, items, in_time)
        if sum(self.ran.values()) > begun:
            self.cheap_pass(self.plan.words)
        snapshot(self.workspace, "content", self.names["content"])
        return UnderstandReport(
            texts=self.counts["text"],
            pictures=self.counts["picture"],
            sounds=self.counts["sound"],
            contents=self.counts["content"],
            encoded=self.cache.encoded,
            reused=self.cache.reused,
            seconds={name: round(s, 2) for name, s in self.seconds.items()},
            skipped=tuple(dict.fromkeys(self.skipped)),
            scenes=self.counts["scenes"],
            steps=self.ran,
            failed=self.failed,
            left=self.left,
        )

    @cached_property
    def names(self) -> dict[str, str]:
        """Which encoder makes the vectors of each modality."""
        return self.encoders.names()

    def items(self) -> list[ItemSource]:
        return item_sources(self.engine, self.workspace.derived)

    def cheap_pass(self, steps: Sequence[Step]) -> None:
        """Everything that is quick, up to date with what is known now."""
        items = self.items()
        for step in steps:
            self.step(step, items, lambda: True)
        encoding: tuple[tuple[str, Callable[[Sequence[ItemSource]], None]], ...] = (
            ("text", self.encode_texts),
            ("picture", lambda all_: self.encode_clips(all_, self.encoders.picture)),
            ("sound", lambda all_: self.encode_clips(all_, self.encoders.sound)),
            ("scenes", self.encode_scenes),
            ("content", self.fuse_all),
        )
        items = self.items()
        for name, work in encoding:
            began = time.perf_counter()
            work(items)
            self._took(name, began)

    def _took(self, name: str, began: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def step(self, step: Step, items: Sequence[ItemSource], in_time: Callable[[], bool]) -> None:
        began = time.perf_counter()
        ran = self.steps.run(step, items, self.progress, in_time)
        self._took(step.name, began)
        self.ran[step.name] = self.ran.get(step.name, 0) + ran.done
        if ran.failed:
            self.failed[step.name] = self.failed.get(step.name, 0) + len(ran.failed)
        self.left = max(self.left, ran.left)
        self.skipped += [f"{step.name}: {said} ({n} items)" for said, n in ran.said.items()]

    def encode_scenes(self, items: Sequence[ItemSource]) -> None:
        encoder = SceneEncoder(
            self.texts, self.cache, self.encoders.weights, self.encoders.picture,
            self.encoders.sound,
        )  # fmt: skip
        try:
            self.counts["scenes"] += encode_scenes(self.engine, encoder, items, self.progress)
        except Unavailable as error:
            self.skipped.append(f"scenes left out: {error}")

    def batches(self, step: str, todo: Sequence[T]) -> Iterator[Sequence[T]]:
        """Batches of ``todo``; reports and counts each when it is done."""
        for start in range(0, len(todo), BATCHES[step]):
            batch = todo[start : start + BATCHES[step]]
            yield batch
            if self.progress is not None:
                self.progress(step, start + len(batch), len(todo))

    def encode_texts(self, items: Sequence[ItemSource]) -> None:
        stored = stored_sources(self.engine, "text", self.texts.name)
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
        name = self.names[kind]
        stored = stored_sources(self.engine, kind, name)
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
            space = space_of(classifier, self.texts)
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
        own = getattr(classifier, "base", classifier)  # a step names what a detector sees
        known = mean[: len(own.labels)]
        best = best_labels(own.labels, known, rule.most, rule.least(classifier.kind))
        put_labels(connection, num, own, best)

    def fuse_all(self, items: Sequence[ItemSource]) -> None:
        name = self.names["content"]
        stored = stored_sources(self.engine, "content", name)
        parts = {m: stored_sources(self.engine, m, self.names[m]) for m in MODALITIES}
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
            table.c.item_num.in_(nums),
            table.c.modality.in_(MODALITIES),
            table.c.encoder.in_(list(self.names.values())),
        )
        found: dict[int, dict[str, Floats]] = {num: {} for num in nums}
        with self.engine.connect() as connection:
            for num, modality, data in connection.execute(query):
                found[num][modality] = from_blob(data)
        return found


def _joint_hash(clips: Sequence[Clip]) -> str:
    return hashlib.sha256("".join(clip.content_hash for clip in clips).encode()).hexdigest()
