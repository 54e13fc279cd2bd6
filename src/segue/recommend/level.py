"""What all items of a kind share is taken from their content, so that kinds can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from segue.core.types import Vectors

LEAST_OF_KIND = 50  # items with content; the middle of fewer says more of them than of the kind


def level(content: Vectors, kinds: npt.NDArray[np.str_]) -> Vectors:
    """Content vectors with the middle of each kind taken away, unit rows again.

    What all books share (titles alone, say, where films have plots) is no taste, and hides what a
    book and a film have in common. Kinds of few items keep the vectors they have, and all do where
    less than two kinds are large: then there is nothing to bring together.
    """
    large = [k for k in np.unique(kinds) if (content.present & (kinds == k)).sum() >= LEAST_OF_KIND]
    if len(large) < 2:
        return content
    values = np.array(content.values, dtype=np.float32)
    for kind in large:
        own = content.present & (kinds == kind)
        values[own] -= values[own].mean(axis=0, dtype=np.float64).astype(np.float32)
        lengths = np.linalg.norm(values[own], axis=1, keepdims=True)
        values[own] /= np.maximum(lengths, 1e-6)
    return replace(content, values=values)
