"""Things and people in pictures: as labels with scores, and as words that find the pictures.

ImageNet's classes name animals, plants and things but hardly any people, and one thing a picture.
A detector says what else is there, where, and how many.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from segue.core.errors import BadSettings, MissingExtra, UnreadableMedia
from segue.core.types import Bools, Floats, Rows
from segue.datasets.fetch import Unavailable
from segue.understand.annotate import Classifier, placing_of
from segue.understand.encoders import registry
from segue.understand.findings import Findings, Label, Measure
from segue.understand.sight.frames import UNREADABLE, Frame, frames, frames_hash, opened
from segue.understand.sources import ItemSource

PERSON = "person"
# What people are called in words that look for them; things are called by their names.
GLOSSES = {PERSON: "man, woman, boy, girl, face, people"}
SIDE_PX = 416  # pictures are opened no larger than a detector needs
REMEMBERED = 4096  # pictures: the step and the words look at the same ones

DETECTORS: Mapping[str, str] = {
    "nanodet-g": "segue.understand.sight.objects_nanodet:NanoDet",
    "nanodet-m": "segue.understand.sight.objects_nanodet:NanoDet",
}
HUB = "segue.understand.sight.objects_hub:HubDetector"
HUB_FORM = "hf:ID-OR-FOLDER[@REVISION]"

COCO = (  # Lin et al. 2014, in the order in which detectors number them
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A thing in a picture. ``score`` in [0, 1]; ``box``: left, top, right and bottom as shares of
    the picture, in [0, 1]."""

    label: str
    score: float
    box: tuple[float, ...]


class Detector(Protocol):
    """Finds things in pictures. ``least``: what is less sure is not told at all; ``sure``: from
    here on a thing is named; people are named from ``least`` on."""

    least: float
    sure: float

    @property
    def name(self) -> str:
        """``"nanodet-g@1.5.1"``"""

    @property
    def labels(self) -> tuple[str, ...]:
        """English names of all classes that it knows."""

    def ready(self) -> None:
        """Raises :class:`~segue.datasets.fetch.Unavailable` where its weights cannot be had."""

    def detect(self, pictures: Sequence[Image.Image]) -> list[tuple[Found, ...]]:
        """What is seen in each picture, surest first."""


@functools.cache
def detector(name: str) -> Detector:
    """The detector of a name in the settings, loaded once a process when it first looks."""
    scheme, colon, spec = name.partition(":")
    if name not in DETECTORS and not (scheme == "hf" and spec):
        near = difflib.get_close_matches(name, [*DETECTORS, "none"], n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadSettings(
            f"[understand] objects = {name!r} is not known; {hint}known: none, "
            f"{', '.join(DETECTORS)}, {HUB_FORM}"
        )
    install = registry.missing(name)
    if colon and install is not None:
        raise MissingExtra(
            f"[understand] objects = {name!r} needs packages that are missing: {install}"
        )
    module, _, attribute = (HUB if colon else DETECTORS[name]).partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    return Remembering(kind(spec if colon else name))


class Remembering:
    """A detector that looks at a picture once, as more than one part asks about it."""

    def __init__(self, asked: Detector, most: int = REMEMBERED) -> None:
        self.asked = asked
        self.least, self.sure = asked.least, asked.sure
        self._most = most
        self._lacking: Unavailable | None = None
        self._known: OrderedDict[bytes, tuple[Found, ...]] = OrderedDict()

    @property
    def name(self) -> str:
        return self.asked.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.asked.labels

    def ready(self) -> None:
        """Asks once: where weights cannot be had, trying takes its time."""
        if self._lacking is not None:
            raise self._lacking
        try:
            self.asked.ready()
        except Unavailable as error:
            self._lacking = error
            raise

    def detect(self, pictures: Sequence[Image.Image]) -> list[tuple[Found, ...]]:
        """What is seen in each picture, surest first."""
        keys = [_key(picture) for picture in pictures]
        new = {k: p for k, p in zip(keys, pictures, strict=True) if k not in self._known}
        found = {key: self._known[key] for key in keys if key in self._known}
        found |= zip(new, self.asked.detect(list(new.values())), strict=True)
        for key in found:
            self._known[key] = found[key]
            self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return [found[key] for key in keys]


def _key(picture: Image.Image) -> bytes:
    said = f"{picture.mode} {picture.size} ".encode()
    return hashlib.blake2b(said + picture.tobytes(), digest_size=16).digest()


def suppressed(boxes: Floats, scores: Floats, classes: Rows, most_overlap: float) -> Rows:
    """Rows of the boxes that stand, surest first: of boxes of one class whose overlap (intersection
    over union) is above ``most_overlap`` the surest alone. Greedy, as everywhere since Viola and
    Jones 2001. ``boxes`` is (n, 4): left, top, right, bottom."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        rivals = _overlaps(boxes[best], boxes[order]) > most_overlap
        order = order[~(rivals & _same(classes, best, order))]
    return np.array(kept, dtype=np.intp)


def _same(classes: Rows, best: np.intp, others: Rows) -> Bools:
    return np.asarray(classes[others] == classes[best])


def _overlaps(box: Floats, others: Floats) -> Floats:
    """(n,) intersection over union of one box with each."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    own = (box[2:] - box[:2]).prod()
    sizes = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / np.maximum(own + sizes - shared, 1e-12), dtype=np.float32)


@dataclass(frozen=True)
class Objects:
    """The step: things and people of a whole item and of each scene, and how many people.

    ``people`` is the most that one picture shows, and of each scene; crowds are counted too low.
    ``people_share`` is the share of the pictures that show anybody, in [0, 1].
    """

    looked: Detector
    most_frames: int = 24
    most_labels: int = 12

    name = "objects"

    def __post_init__(self) -> None:
        if self.most_frames < 1 or self.most_labels < 1:
            raise BadSettings(
                f"objects: most_frames and most_labels must be >= 1, got {self.most_frames}, "
                f"{self.most_labels}"
            )

    @property
    def model(self) -> str:
        return f"{self.looked.name}:objects-1"

    def source(self, item: ItemSource) -> str:
        return frames_hash(frames(item, self.most_frames))

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._item(item) for item in items]

    def _item(self, item: ItemSource) -> Findings:
        seen = opened(frames(item, self.most_frames), SIDE_PX)
        if not seen.pictures:
            return Findings()
        found = self.looked.detect(seen.pictures)
        every = [each for one in found for each in one]
        labels = self._labels(every, None)
        for frame, one in zip(seen.frames, found, strict=True):
            if frame.start_s is not None:
                labels += self._labels(one, frame)
        return Findings(tuple(labels), tuple(_people(seen.frames, found)), said=seen.said)

    def _labels(self, found: Sequence[Found], frame: Frame | None) -> list[Label]:
        """Each class once with its best score, surest first."""
        best: dict[str, float] = {}
        for each in found:
            if each.score >= (self.looked.least if each.label == PERSON else self.looked.sure):
                best[each.label] = max(each.score, best.get(each.label, 0.0))
        kept = sorted(best, key=lambda label: -best[label])[: self.most_labels]
        start_s, end_s = (None, None) if frame is None else (frame.start_s, frame.end_s)
        return [Label("object", label, best[label], start_s, end_s) for label in kept]


def _people(seen: Sequence[Frame], found: Sequence[Sequence[Found]]) -> list[Measure]:
    """How many people one picture shows at most, the share of pictures with any, by scene."""
    counts = [sum(each.label == PERSON for each in one) for one in found]
    whole = [
        Measure("people", float(max(counts))),
        Measure("people_share", sum(count > 0 for count in counts) / len(counts)),
    ]
    return whole + [
        Measure("people", float(count), frame.start_s)
        for frame, count in zip(seen, counts, strict=True)
        if frame.start_s is not None
    ]


class WithObjects:
    """A classifier of pictures to whose classes those of a detector come, as probable as seen.

    ``base`` stays the classifier that labels items; its classes come first. So what is detected has
    a part in where words find a picture or a scene (ConSE, Norouzi et al.
    2014), and in its attributes. A thing of score s counts as a class of probability s does after
    tempering: that halves of hand-labelled pictures do not get worse by it is measured in
    ``benchmarks/understand/bench_objects.py``.
    """

    kind = "picture"

    def __init__(self, base: Classifier, looked: Detector) -> None:
        self.base = base
        self.looked = looked
        self.placing = placing_of(base)
        name = looked.name  # where it is too long for the store beside the others, a digest
        short = name if len(name) <= 30 else hashlib.sha256(name.encode()).hexdigest()[:12]
        self.name = f"{base.name}+{short}"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return (*self.base.labels, *self.looked.labels)

    @cached_property
    def glosses(self) -> tuple[str, ...]:
        return (*self.base.glosses, *(GLOSSES.get(each, "") for each in self.looked.labels))

    def classify(self, clips: Sequence[Any]) -> Floats:
        """(n, n_labels) float32 in [0, 1]: probabilities, then what was detected."""
        rows = self.base.classify(clips)
        columns = {label: at for at, label in enumerate(self.looked.labels)}
        seen = np.zeros((len(clips), len(columns)), dtype=np.float32)
        for row, found in enumerate(self.looked.detect([_opened(clip) for clip in clips])):
            for each in found:
                at = columns[each.label]
                seen[row, at] = max(seen[row, at], each.score)
        return np.hstack([rows, seen**self.placing.temperature], dtype=np.float32)


def _opened(clip: Path | Image.Image) -> Image.Image:
    if isinstance(clip, Image.Image):
        return clip.convert("RGB")
    try:
        with Image.open(clip) as picture:
            picture.draft("RGB", (SIDE_PX, SIDE_PX))  # as the step opens it
            return picture.convert("RGB")
    except UNREADABLE as error:
        raise UnreadableMedia(clip.name, f"not a readable picture: {error}") from error


def with_objects(base: Classifier, looked: Detector) -> Classifier:
    """The classifier with a detector's classes; without them where its weights cannot be had, so
    that pictures are not left out for it. The step says that they are missing."""
    try:
        looked.ready()
    except Unavailable:
        return base
    return WithObjects(base, looked)
