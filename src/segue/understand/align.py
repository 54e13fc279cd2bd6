"""Pictures and sounds in the text space, through the names of their classes (ConSE).

Norouzi et al. 2014: a clip stands where its most probable labels stand, weighted by probability.
So words of any language that the text encoder knows find pictures and sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.protocols import Encoder
from segue.core.types import Floats


@dataclass(frozen=True)
class LabelSpace:
    """The names of one classifier's labels in the space of one text encoder."""

    labels: tuple[str, ...]
    encoder: Encoder
    glosses: tuple[str, ...] = ()  # a few words on each label; may be empty
    top: int = 10

    @cached_property
    def vectors(self) -> Floats:
        """(n_labels, dim): the encoded names less their mean, which says nothing of any label.

        Where there is a gloss, the name counts half and name with gloss the other half: the
        name alone is nearer to itself, the gloss brings the wider word.
        """
        encoded = self.encoder.encode(self.labels)
        glossed = [row for row, gloss in enumerate(self.glosses) if gloss]
        texts = [f"{self.labels[row]}. {self.glosses[row]}" for row in glossed]
        if texts:
            encoded[glossed] = (encoded[glossed] + self.encoder.encode(texts)) / 2
        return np.asarray(encoded - encoded.mean(axis=0), dtype=np.float32)

    def place(self, probabilities: Floats) -> Floats:
        """(n, dim) float32; the longer a row, the surer the classifier was. Not unit rows."""
        top = min(self.top, probabilities.shape[1])
        best = np.argpartition(-probabilities, top - 1, axis=1)[:, :top]
        kept = np.zeros_like(probabilities)
        np.put_along_axis(kept, best, np.take_along_axis(probabilities, best, axis=1), axis=1)
        return np.asarray(kept @ self.vectors, dtype=np.float32)


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
