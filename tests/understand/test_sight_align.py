"""Label probabilities as places in the text space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from segue.core.errors import BadSettings
from segue.understand.align import LabelSpace, tempered


class Axes:
    """Each known word is an axis of its own."""

    name = "axes"
    dim = 4

    def encode(self, clips: Sequence[str]) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[["abcd".index(clip[0]) for clip in clips]]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def test_tempering_is_the_softmax_at_that_temperature() -> None:
    logits = np.array([[4.0, 1.0, 0.0, -3.0], [0.0, 0.0, 2.0, 9.0]])
    flat = tempered(softmax(logits), 2.5)
    np.testing.assert_allclose(flat, softmax(logits / 2.5), rtol=1e-5)
    sure = softmax(logits)
    assert tempered(sure, 1.0) is sure


def test_a_place_is_the_mean_of_the_best_labels_less_the_centre() -> None:
    space = LabelSpace(("a", "b", "c", "d"), Axes(), top=2)
    np.testing.assert_allclose(space.centre, [0.25] * 4)
    (place,) = space.place(np.array([[0.6, 0.3, 0.1, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(place, [0.375, 0.075, -0.225, -0.225], atol=1e-6)
    flat = LabelSpace(("a", "b", "c", "d"), Axes(), top=2, temperature=4.0)
    (nearer,) = flat.place(np.array([[0.6, 0.3, 0.1, 0.0]], dtype=np.float32))
    assert nearer[1] / nearer[0] > place[1] / place[0]


@pytest.mark.parametrize("odd", [{"top": 0}, {"temperature": 0.0}])
def test_odd_settings_are_refused(odd: dict[str, float]) -> None:
    with pytest.raises(BadSettings, match="top must be >= 1 and temperature > 0"):
        LabelSpace(("a",), Axes(), **odd)  # type: ignore[arg-type]
