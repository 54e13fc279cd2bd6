"""The key of a piece, from how strong each of the twelve pitch classes is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segue.core.types import Doubles, Floats
from segue.understand.sound.recording import RATE_HZ

FFT, HOP = 8_192, 4_096  # samples: 0.5 s windows, 2 Hz bins
LOWEST_HZ, HIGHEST_HZ = 65.0, 2_100.0  # C2 to C7
A4_HZ, A4 = 440.0, 69
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# How well each degree of the scale fits a key, as listeners rate it (Krumhansl and Kessler 1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
PEAKS = 30  # partials of a window that count
LEAST_PEAKS = 50  # fewer in all say nothing of a key


@dataclass(frozen=True, slots=True)
class Key:
    """``strength`` in [0, 1]: the correlation of the pitches with the key's profile."""

    name: str  # "A minor"
    strength: float


def key(stretches: Sequence[Floats]) -> Key | None:
    """The key whose profile fits best; None where there are no pitches."""
    pitches = pitch_classes(stretches)
    if pitches is None:
        return None
    fits = {
        f"{NAMES[tonic]} {mode}": float(np.corrcoef(np.roll(profile, tonic), pitches)[0, 1])
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    best = max(fits, key=lambda name: fits[name])
    return Key(best, float(np.clip(fits[best], 0.0, 1.0)))


def pitch_classes(stretches: Sequence[Floats]) -> Doubles | None:
    """(12,) from C: the summed strength of spectral peaks, tuned to the piece's own pitch."""
    found = [peaks for stretch in stretches for peaks in _peaks(stretch)]
    if sum(len(hertz) for hertz, _ in found) < LEAST_PEAKS:
        return None
    hertz = np.concatenate([h for h, _ in found])
    weights = np.concatenate([w for _, w in found])
    semitones = A4 + 12 * np.log2(hertz / A4_HZ)
    # The mean direction of the fractions is how far the piece lies from A = 440 Hz.
    off = np.angle((weights * np.exp(2j * np.pi * semitones)).sum()) / (2 * np.pi)
    tuned = semitones - off
    nearest = np.round(tuned)
    weights = weights * np.cos(np.pi * (tuned - nearest)) ** 2  # between two pitches is neither
    total = np.bincount(nearest.astype(int) % 12, weights, minlength=12)
    return None if np.ptp(total) == 0 else np.asarray(total, dtype=np.float64)


def _peaks(samples: Floats) -> Iterator[tuple[Doubles, Doubles]]:
    """Frequencies and weights of the strongest partials of each window. A window counts as much
    as any other, however loud it is."""
    window = np.hanning(FFT)
    low, high = (int(hertz * FFT / RATE_HZ) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    for at in range(0, len(samples) - FFT + 1, HOP):
        spectrum = np.abs(np.fft.rfft(samples[at : at + FFT] * window))
        logs = np.log(spectrum[low - 1 : high + 1] + 1e-9)
        left, middle, right = logs[:-2], logs[1:-1], logs[2:]
        places = np.flatnonzero((middle > left) & (middle >= right))
        places = places[np.argsort(-middle[places])[:PEAKS]]
        if not len(places) or spectrum.max() < 1e-3:
            continue
        # A parabola through three points of the log spectrum finds the peak between the bins.
        bend = left[places] - 2 * middle[places] + right[places]
        shift = 0.5 * (left[places] - right[places]) / np.where(bend == 0, 1, bend)
        strength = np.sqrt(spectrum[low + places])
        yield (low + places + shift) * RATE_HZ / FFT, strength / strength.sum()
