"""Attributes of pictures by prompts, without training: place, setting, subject and, with a model
that was trained on pictures and words together, also light, medium, mood and genre.

Radford et al. 2021 (CLIP): a picture has the attribute whose description lies nearest to it. The
offline model is no CLIP. What it is good at was measured on hand-labelled pictures
(``benchmarks/understand/bench_pictures.py``); where it was not clearly better than always saying
the commonest class, it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from segue.core.errors import BadSettings
from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.understand.align import LabelSpace, unit
from segue.understand.annotate import Classifier
from segue.understand.findings import Findings, Label
from segue.understand.image import TEMPERATURE, TOP_LABELS, EfficientNetLite2
from segue.understand.sight.frames import Opened, frames, frames_hash, opened
from segue.understand.sources import ItemSource
from segue.understand.text import UseMultilingual


@dataclass(frozen=True, eq=False)  # by identity: its prompts are a dict
class Attribute:
    """One question with its possible answers, and those that the offline model may give."""

    name: str
    prompts: dict[str, tuple[str, ...]]  # class -> descriptions
    offline: frozenset[str] = frozenset()


ATTRIBUTES = (
    Attribute("place", {
        "indoors": ("indoors, inside a room with furniture",
                    "a kitchen, office, library or living room",
                    "the inside of a house or shop"),
        "outdoors": ("outdoors, a landscape under the open sky",
                     "a street with buildings", "wild animals and plants in nature"),
    }, offline=frozenset({"outdoors"})),
    Attribute("setting", {
        "nature": ("wild animals, plants and flowers in nature", "forest, meadow and mountains"),
        "city": ("a street in a city with buildings", "houses, traffic, shops and signs"),
        "room": ("indoors, inside a room with furniture",
                 "a library, office, kitchen or workshop"),
        "water": ("the sea, a beach or a lake", "swimming and fish in water"),
        "space": ("planets and stars in space", "astronomy, the universe"),
    }, offline=frozenset({"nature", "city", "room", "water"})),
    Attribute("subject", {
        "person": ("a person, a man or a woman", "clothing, hair and make-up of people"),
        "animal": ("an animal, a mammal or a bird", "an insect or a fish"),
        "plant": ("a plant with leaves", "a flower in a garden"),
        "food": ("food and drink", "fruit and vegetables"),
        "vehicle": ("a vehicle, a car, a motorcycle", "a train, ship, aircraft or rocket"),
        "building": ("a building, a house", "a tower, castle, church or palace"),
        "landscape": ("a landscape", "sea, lake, beach, mountain or valley"),
        "graphic": ("a website or a computer screen", "a comic book, a poster, a drawing"),
        "object": ("a thing, a tool or a device", "household goods and electronics"),
    }, offline=frozenset({
        "person", "animal", "plant", "food", "vehicle", "building", "landscape", "graphic",
    })),
    Attribute("medium", {
        "live action": ("a photograph of real people, animals or things",),
        "animation": ("a frame of an animated cartoon", "a drawing or computer graphics"),
    }),
    Attribute("time-of-day", {
        "day": ("a scene in daylight",),
        "night": ("a scene at night in the dark",),
        "dusk or dawn": ("a scene at sunset or sunrise",),
    }),
    Attribute("mood", {
        "cheerful": ("a cheerful, funny scene",), "tense": ("a tense, frightening scene",),
        "sad": ("a sad, lonely scene",), "calm": ("a calm, peaceful scene",),
        "romantic": ("a romantic scene",), "exciting": ("an exciting scene full of action",),
    }),
    Attribute("content-genre", {
        "documentary": ("a frame of a nature documentary", "a frame of a science film"),
        "drama": ("a frame of a drama film",), "comedy": ("a frame of a comedy film",),
        "horror": ("a frame of a horror film",), "action": ("a frame of an action film",),
        "talk": ("a person who talks to the camera", "an interview"),
        "tutorial": ("a recording of a computer screen",), "sport": ("a sports broadcast",),
        "news": ("a news broadcast",), "music": ("a concert or a music video",),
    }),
)  # fmt: skip


class ZeroShot(Protocol):
    """Says how well descriptions fit pictures."""

    @property
    def name(self) -> str: ...

    def zero_shot(self, pictures: Sequence[Any], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities among the prompts; rows sum to one."""
        ...


@dataclass(frozen=True)
class ConseZeroShot:
    """The offline model: a classifier's labels and the prompts meet in the text space."""

    pictures: Classifier = field(default_factory=EfficientNetLite2)
    texts: Encoder = field(default_factory=UseMultilingual)
    top: int = TOP_LABELS
    temperature: float = TEMPERATURE  # of the classifier's probabilities
    sharpness: float = 0.08  # cosines are divided by it; chosen so that sureness is about accuracy

    @property
    def name(self) -> str:
        return f"conse-{self.pictures.name}>{self.texts.name}"

    @cached_property
    def _space(self) -> LabelSpace:
        glosses = self.pictures.glosses
        return LabelSpace(self.pictures.labels, self.texts, glosses, self.top, self.temperature)

    def zero_shot(self, pictures: Sequence[Any], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities among the prompts; rows sum to one."""
        placed = unit(self._space.place(self.pictures.classify(pictures)))
        asked = unit(self.texts.encode(prompts) - self._space.centre)
        return softmax(placed @ asked.T / self.sharpness)


def softmax(logits: Floats) -> Floats:
    """Rows sum to one."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def answers(
    model: ZeroShot, pictures: Sequence[Any], attributes: Sequence[Attribute]
) -> dict[Attribute, Floats]:
    """(n, n_classes) probabilities by attribute, from one look at each picture.

    A class is as probable as the best of its prompts; rows of one attribute sum to one.
    """
    groups = [(a, prompts) for a in attributes for prompts in a.prompts.values()]
    fits = model.zero_shot(pictures, [prompt for _, prompts in groups for prompt in prompts])
    ends = np.cumsum([len(prompts) for _, prompts in groups])
    best = [part.max(axis=1) for part in np.split(fits, ends[:-1], axis=1)]
    found = {}
    for attribute in attributes:
        mine = [row for row, (of, _) in zip(best, groups, strict=True) if of is attribute]
        total = np.maximum(np.sum(mine, axis=0), 1e-12)
        found[attribute] = np.asarray(np.stack(mine, axis=1) / total[:, None], np.float32)
    return found


@dataclass(frozen=True)
class Attributes:
    """The step. ``every``: ask all attributes, for a model that was trained for it (CLIP)."""

    model_of: ZeroShot = field(default_factory=ConseZeroShot)
    every: bool = False
    most_frames: int = 12
    least: float = 0.6  # probability from which on an answer is written down

    name = "attributes"

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise BadSettings(f"attributes: least must be in (0, 1], got {self.least}")

    @property
    def model(self) -> str:
        return f"{self.model_of.name}:attributes-1"

    @property
    def asked(self) -> tuple[Attribute, ...]:
        return tuple(a for a in ATTRIBUTES if self.every or a.offline)

    def source(self, item: ItemSource) -> str:
        return frames_hash(frames(item, self.most_frames))

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._item(opened(frames(item, self.most_frames), 2 * 260)) for item in items]

    def _item(self, seen: Opened) -> Findings:
        if not seen.pictures:
            return Findings()
        labels: list[Label] = []
        for attribute, rows in answers(self.model_of, seen.pictures, self.asked).items():
            labels += self._answers(attribute, rows, seen)
        left = [a.name for a in ATTRIBUTES if a not in self.asked]
        remark = f"{', '.join(left)} of pictures need a CLIP model" if left else ""
        return Findings(labels=tuple(labels), said="; ".join(filter(None, (remark, seen.said))))

    def _answers(self, attribute: Attribute, rows: Floats, seen: Opened) -> list[Label]:
        """The answer for the whole item, and for each scene whose answer is sure."""
        classes = tuple(attribute.prompts)
        found = []
        for row, frame in [(rows.mean(axis=0), None), *zip(rows, seen.frames, strict=True)]:
            best = int(row.argmax())
            timed = frame is None or frame.start_s is not None
            may = self.every or classes[best] in attribute.offline
            if row[best] >= self.least and timed and may:
                start_s, end_s = (frame.start_s, frame.end_s) if frame else (None, None)
                found.append(Label(attribute.name, classes[best], float(row[best]), start_s, end_s))
        return found
