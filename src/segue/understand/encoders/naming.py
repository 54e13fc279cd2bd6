"""A joint encoder of pictures and words as a classifier: which of many names fits a picture.

So CLIP or SigLIP takes the place of an ImageNet classifier without another space: its answers go
through the names into the text encoder's space, as any classifier's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from segue.core.types import Floats
from segue.understand.annotate import Placing
from segue.understand.image import TEMPERATURE, TOP_LABELS, EfficientNetLite2

PROMPT = "a photo of a {}"
# What ImageNet has no class for, and pictures of media are full of.
MORE = (
    "man", "woman", "child", "crowd of people", "face", "city street", "skyline at night", "forest",
    "meadow", "mountain landscape", "ocean", "beach", "sky with clouds", "outer space", "planet",
    "living room", "kitchen", "office", "stage with musicians", "stadium", "classroom",
    "laboratory", "battlefield", "explosion", "sunset", "snow", "rain", "cartoon character",
    "drawing", "black and white photograph", "title screen with text", "map", "chart", "book page",
    "computer screen", "video game scene", "flowers", "food on a plate", "dancing couple",
)  # fmt: skip


class Joint(Protocol):
    """The part of a joint encoder that is needed."""

    @property
    def name(self) -> str: ...

    def zero_shot(self, pictures: Sequence[Any], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities."""


class NamedPictures:
    """Clips are paths of pictures, or pictures. ``names``: else ImageNet's and :data:`MORE`."""

    kind = "picture"
    placing = Placing(TOP_LABELS, TEMPERATURE)

    def __init__(self, joint: Joint, names: Sequence[str] | None = None) -> None:
        self.joint = joint
        self._names = names

    @cached_property
    def name(self) -> str:
        return f"{self.joint.name}:names-1"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(n_labels,) English names."""
        if self._names is not None:
            return tuple(self._names)
        # Two classes may share a name, as crane does: here they are one.
        return tuple(dict.fromkeys((*EfficientNetLite2().labels, *MORE)))

    @property
    def glosses(self) -> tuple[str, ...]:
        """(n_labels,) nothing: the model was taught with names alone."""
        return ("",) * len(self.labels)

    def classify(self, clips: Sequence[Any]) -> Floats:
        """(n, n_labels) float32 in [0, 1]; rows sum to one."""
        prompts = [PROMPT.format(label) for label in self.labels]
        found = self.joint.zero_shot(clips, prompts)
        # SigLIP judges each name by itself; the space of labels wants shares.
        total = found.sum(axis=1, keepdims=True)
        return np.asarray(found / np.maximum(total, 1e-12), dtype=np.float32)
