"""Pictures and sounds in the text space, through the names of their classes (ConSE).

Norouzi et al. 2014: a clip stands where its most probable labels stand, weighted by probability.
So words of any language that the text encoder knows find pictures and sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.errors import BadSettings
from segue.core.protocols import Encoder
from segue.core.types import Floats


@dataclass(frozen=True)
class LabelSpace:
    """The names of one classifier's labels in the space of one text encoder."""

    labels: tuple[str, ...]
    encoder: Encoder
    glosses: tuple[str, ...] = ()  # a few words on each label; may be empty
    top: int = 10
    temperature: float = 1.0  # above 1 the less probable labels count more

    def __post_init__(self) -> None:
        if self.top < 1 or not self.temperature > 0:
            raise BadSettings(
                f"top must be >= 1 and temperature > 0, got {self.top}, {self.temperature}"
            )

    @cached_property
    def _encoded(self) -> Floats:
        """(n_labels, dim): where there is a gloss, the name counts half and name with gloss the
        other half: the name alone is nearer to itself, the gloss brings the wider word."""
        encoded = self.encoder.encode(self.labels)
        glossed = [row for row, gloss in enumerate(self.glosses) if gloss]
        texts = [f"{self.labels[row]}. {self.glosses[row]}" for row in glossed]
        if texts:
            encoded[glossed] = (encoded[glossed] + self.encoder.encode(texts)) / 2
        return encoded

    @cached_property
    def centre(self) -> Floats:
        """(dim,) float32: the mean of the encoded labels, which says nothing of any label."""
        return np.asarray(self._encoded.mean(axis=0), dtype=np.float32)

    @cached_property
    def vectors(self) -> Floats:
        """(n_labels, dim): the encoded names and glosses less their mean."""
        return np.asarray(self._encoded - self.centre, dtype=np.float32)

    def place(self, probabilities: Floats) -> Floats:
        """(n, dim) float32; the longer a row, the surer the classifier was. Not unit rows."""
        probabilities = tempered(probabilities, self.temperature)
        top = min(self.top, probabilities.shape[1])
        best = np.argpartition(-probabilities, top - 1, axis=1)[:, :top]
        kept = np.zeros_like(probabilities)
        np.put_along_axis(kept, best, np.take_along_axis(probabilities, best, axis=1), axis=1)
        return np.asarray(kept @ self.vectors, dtype=np.float32)


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """(n, n_labels) as a softmax at this temperature would have given them; 1 changes nothing."""
    if temperature == 1.0:
        return probabilities
    powers = np.power(probabilities, 1 / temperature, dtype=np.float32)
    return np.asarray(powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-12), np.float32)


def unit(rows: Floats) -> Floats:
    """Rows of length one; zero rows stay zero."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def best_labels(
    labels: Sequence[str], probabilities: Floats, most: int, least: float
) -> list[tuple[str, float]]:
    """Up to ``most`` labels of one clip with probability >= ``least``, most probable first."""
    order = np.argsort(-probabilities, kind="stable")[:most]
    return [(labels[i], float(probabilities[i])) for i in order if probabilities[i] >= least]
