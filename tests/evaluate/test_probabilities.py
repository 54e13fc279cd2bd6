"""Scores of probabilities whose values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segue.core.errors import BadInput
from segue.evaluate.probabilities import Bin, brier, calibration_error, log_loss, reliability


def test_by_hand() -> None:
    said, happened = [0.25, 0.5, 1.0], [0, 1, 1]
    assert brier(said, happened) == pytest.approx((0.0625 + 0.25) / 3)
    assert log_loss(said, happened) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 3)
    rows = [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]
    assert brier(rows, [2, 1]) == pytest.approx((0.04 + 0.09 + 0.25 + 0.01 + 0.04 + 0.01) / 2)
    assert log_loss(rows, [2, 1]) == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    assert math.isfinite(log_loss([0.0], [1]))


def test_true_probabilities_are_calibrated_and_bold_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    happened = rng.random(20_000) < p
    bold = np.where(p > 0.5, 0.99, 0.01)
    assert calibration_error(p, happened) < 0.015
    assert calibration_error(bold, happened) == pytest.approx(0.24, abs=0.02)
    assert brier(p, happened) == pytest.approx(1 / 6, abs=0.005)  # mean of p (1 - p)
    assert log_loss(p, happened) < log_loss(bold, happened)


def test_the_table_has_groups_of_equal_size() -> None:
    table = reliability([0.4, 0.1, 0.2, 0.3], [1, 0, 0, 1], bins=2)
    assert table == (Bin(2, pytest.approx(0.15), 0.0), Bin(2, pytest.approx(0.35), 1.0))
    assert len(reliability([0.5], [1])) == 1
    with pytest.raises(BadInput, match="one outcome"):
        reliability([[0.5, 0.5]], [1])
    with pytest.raises(BadInput, match="got 2 for 1"):
        brier([0.5], [1, 0])
