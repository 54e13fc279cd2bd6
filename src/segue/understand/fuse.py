"""One content vector an item, from those of its modalities that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Floats
from segue.understand.align import unit


@dataclass(frozen=True)
class FuseWeights:
    """How much each modality counts where it is present.

    Words say most. Pictures and sound arrive through a thousand labels and are coarser, but
    place an item for which nobody wrote more than a file name.
    """

    text: float = 1.0
    picture: float = 0.4
    sound: float = 0.4

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 10.0:
                raise BadInput(f"weight of {field.name} must be in [0, 10], got {value}")

    @property
    def name(self) -> str:
        """Part of the encoder's name: other weights make other vectors."""
        return f"fuse-1:{self.text:g},{self.picture:g},{self.sound:g}"


def fuse(parts: Mapping[str, Floats], weights: FuseWeights) -> Floats | None:
    """(dim,) float32, unit; None where nothing is present. What is missing is not zero: the
    present parts make the vector alone."""
    present = [(getattr(weights, name), vector) for name, vector in parts.items()]
    present = [(w, v) for w, v in present if w > 0 and float(np.abs(v).max(initial=0.0)) > 0]
    if not present:
        return None
    total = np.sum([w * unit(v) for w, v in present], axis=0)
    return np.asarray(unit(total), dtype=np.float32)
