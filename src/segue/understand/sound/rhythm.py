"""Tempo, how clear the beat is and how often something begins, from the onsets of the sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.core.types import Doubles, Floats
from segue.understand.sound.musicnn import FFT, HOP, log_mel
from segue.understand.sound.recording import RATE_HZ

FRAME_HZ = RATE_HZ / HOP  # 62.5
SLOWEST_BPM, FASTEST_BPM, STEP_BPM = 45.0, 210.0, 0.25
USUAL_BPM, OCTAVES = 120.0, 0.9  # people tap near here: mean and deviation of the prior
BEATS = 4  # multiples of a beat that a tempo should recur at
SMOOTH_S = 0.5  # slower changes of loudness than this are no onsets
LEAST_S = 4.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """``clarity`` in [0, 1]: how much of the onsets' strength comes back a beat later."""

    tempo_bpm: float
    clarity: float
    onsets_hz: float


def rhythm(stretches: Sequence[Floats]) -> Rhythm | None:
    """Of stretches of one piece of music; None where nothing begins or it is too short.

    The strength of onsets is the summed rise of 96 mel bands; its autocorrelation at a beat and
    its multiples, under a log-normal prior (Ellis 2007), elects the tempo.
    """
    envelopes = [onset_strength(s) for s in stretches if len(s) >= LEAST_S * RATE_HZ]
    sure = [e for e in envelopes if e.std() > 0]
    if not sure:
        return None
    longest = int(np.ceil(BEATS * 60 / SLOWEST_BPM * FRAME_HZ)) + 2
    rows = [autocorrelation(e, longest) for e in sure]
    recurrence = np.mean([row for row in rows if len(row) == max(map(len, rows))], axis=0)
    tempi = np.arange(SLOWEST_BPM, FASTEST_BPM, STEP_BPM)
    lags = 60.0 / tempi * FRAME_HZ
    multiples = np.arange(1, BEATS + 1)[:, None] * lags
    known = multiples <= len(recurrence) - 1  # a short stretch holds fewer beats
    at_beats = np.interp(multiples, np.arange(len(recurrence)), recurrence) * known
    mean = at_beats.sum(axis=0).clip(0) / known.sum(axis=0).clip(1)
    prior = np.exp(-0.5 * (np.log2(tempi / USUAL_BPM) / OCTAVES) ** 2)
    best = int((mean * prior).argmax())
    onsets = sum(_count(e) for e in sure) / (sum(map(len, sure)) / FRAME_HZ)
    return Rhythm(float(tempi[best]), float(np.clip(at_beats[0][best], 0, 1)), onsets)


def onset_strength(samples: Floats) -> Floats:
    """(n_frames,) float32 at 62.5 Hz: the rise of the log mel spectrum, less its local mean."""
    mels = log_mel(np.pad(samples, (FFT // 2, FFT // 2))[None])[0]
    rise = np.diff(mels, axis=0, prepend=mels[:1]).clip(0).mean(axis=1)
    width = int(SMOOTH_S * FRAME_HZ) | 1
    local = np.convolve(np.pad(rise, width // 2, mode="edge"), np.ones(width) / width, "valid")
    return np.asarray((rise - local).clip(0), dtype=np.float32)


def autocorrelation(values: Floats, lags: int) -> Doubles:
    """(<= lags,) from 1 at lag 0, for lags of up to three quarters of the stretch; of values
    less their mean, unbiased by the end of the stretch."""
    centred = values - values.mean(dtype=np.float64)
    size = 1 << int(np.ceil(np.log2(2 * len(centred))))
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    sums = np.fft.irfft(power, size)[: min(lags, 3 * len(centred) // 4)]
    sums /= np.arange(len(centred), len(centred) - len(sums), -1)
    return np.asarray(sums / sums[0])


def _count(envelope: Floats) -> int:
    """Onsets: peaks that stand out of the stretch by a standard deviation."""
    middle = envelope[1:-1]
    peaks = (middle >= envelope[:-2]) & (middle > envelope[2:])
    return int((peaks & (middle > envelope.mean() + envelope.std())).sum())
