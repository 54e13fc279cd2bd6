"""Loudness as people hear it, of the 16 kHz mono sound: ITU-R BS.1770-4 and EBU Tech 3342.

Not the R 128 value of the original: its channels were mixed into one and what lay above 8 kHz is
gone. :mod:`segue.ingest.loudness` measures the original while it is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache as once
from typing import Any

import numpy as np

from segue.core.types import Doubles
from segue.understand.sound.recording import RATE_HZ, Recording

CELL = RATE_HZ // 10  # samples: loudness is measured every 0.1 s
MOMENT, SHORT = 4, 30  # cells: 0.4 s and 3 s windows
SILENT_LUFS, GATE_LU, RANGE_GATE_LU = -70.0, -10.0, -20.0
RANGE = (10.0, 95.0)  # percentiles of the short-term loudness
# The analogue filters behind BS.1770's table of coefficients, which holds for 48 kHz only
# (De Man 2018, "Evaluation of implementations of the EBU R128 loudness measurement").
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773


@dataclass(frozen=True)
class Loudness:
    """``integrated_lufs`` is -70 for silence; ``short_lufs``: (n,) by 0.1 s."""

    integrated_lufs: float
    range_lu: float
    short_lufs: Doubles


def loudness(recording: Recording) -> Loudness:
    """Of a whole recording, read in blocks."""
    from scipy.signal import sosfilt  # noqa: PLC0415 - 0.2 s, only when sound is measured

    sections = k_weighting()
    state = np.zeros((len(sections), 2))
    powers, rest = [], np.zeros(0)
    for block in recording.blocks():
        weighted, state = sosfilt(sections, block.samples, zi=state)
        rest = np.concatenate([rest, weighted])
        whole = len(rest) // CELL * CELL
        powers.append((rest[:whole].reshape(-1, CELL) ** 2).mean(axis=1))
        rest = rest[whole:]
    cells = np.concatenate([*powers, np.zeros(0)])
    short = _lufs(_means(cells, SHORT))
    return Loudness(_integrated(_means(cells, MOMENT)), _range(short), short)


@once
def k_weighting(rate_hz: int = RATE_HZ) -> Any:
    """(2, 6) second-order sections: a shelf for the head, then a high pass."""
    k = np.tan(np.pi * SHELF_HZ / rate_hz)
    high, band = 10 ** (SHELF_DB / 20), 10 ** (SHELF_DB / 20 * 0.4996667741545416)
    norm = 1 + k / SHELF_Q + k * k
    shelf = [
        (high + band * k / SHELF_Q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / SHELF_Q + k * k) / norm,
        1,
        2 * (k * k - 1) / norm,
        (1 - k / SHELF_Q + k * k) / norm,
    ]
    k = np.tan(np.pi * PASS_HZ / rate_hz)
    norm = 1 + k / PASS_Q + k * k
    high_pass = [1, -2, 1, 1, 2 * (k * k - 1) / norm, (1 - k / PASS_Q + k * k) / norm]
    return np.array([shelf, high_pass])


def _means(cells: Doubles, width: int) -> Doubles:
    """Of every ``width`` cells in a row; of all of them where there are fewer."""
    if not len(cells):
        return np.zeros(0)
    sums = np.concatenate([[0.0], np.cumsum(cells)])
    width = min(width, len(cells))
    return np.asarray((sums[width:] - sums[:-width]).clip(0) / width)


def _lufs(power: Doubles) -> Doubles:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 1e-12)))


def _integrated(power: Doubles) -> float:
    """Mean of what is louder than -70 LUFS and than 10 LU under the mean of that."""
    heard = power[_lufs(power) > SILENT_LUFS]
    if not len(heard):
        return SILENT_LUFS
    gate = float(_lufs(heard.mean(keepdims=True))[0]) + GATE_LU
    return float(_lufs(heard[_lufs(heard) > gate].mean(keepdims=True))[0])


def _range(short: Doubles) -> float:
    """How far apart quiet and loud passages lie, in LU."""
    heard = short[short > SILENT_LUFS]
    if not len(heard):
        return 0.0
    mean = 10 * np.log10((10 ** (heard / 10)).mean())
    low, high = np.percentile(heard[heard > mean + RANGE_GATE_LU], RANGE)
    return float(high - low)
