"""The meter of the original sound, frame by frame."""

from __future__ import annotations

import av
import numpy as np
import pytest

from segue.ingest.loudness import LoudnessMeter

RATE_HZ = 48_000


def frames(samples: np.ndarray, rate_hz: int = RATE_HZ, size: int = 1024) -> list[av.AudioFrame]:
    """Stereo frames as a decoder gives them, with a clock that stands still."""
    layout = "stereo" if len(samples) == 2 else "mono"
    made = []
    for at in range(0, samples.shape[1], size):
        part = np.ascontiguousarray(samples[:, at : at + size], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        frame.pts = 7
        made.append(frame)
    return made


def sine(seconds: float, decibels: float, channels: int = 2) -> np.ndarray:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.tile(np.sin(2 * np.pi * 1000 * t) * 10 ** (decibels / 20), (channels, 1))


def measured(*parts: list[av.AudioFrame], true_peak: bool = False) -> dict[str, float]:
    meter = LoudnessMeter(true_peak=true_peak)
    for frame in (frame for part in parts for frame in part):
        meter.offer(frame)
        assert frame.pts == 7  # another collector is offered the same frame
    return meter.measures()


def test_the_sine_of_the_standard_measures_as_the_standard_says() -> None:
    # EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS measures -23 LUFS.
    found = measured(frames(sine(20, -23)), true_peak=True)
    assert found["loudness_lufs"] == pytest.approx(-23, abs=0.1)
    assert found["true_peak_dbtp"] == pytest.approx(-23, abs=0.2)
    # One channel of it is 3 LU less.
    assert measured(frames(sine(20, -23, 1)))["loudness_lufs"] == pytest.approx(-26, abs=0.1)


def test_the_range_of_two_levels_is_their_distance() -> None:
    # EBU Tech 3342, case 1.
    found = measured(frames(sine(20, -20)), frames(sine(20, -30)))
    assert found["loudness_range_lu"] == pytest.approx(10, abs=1)


def test_silence_and_nothing_have_no_loudness() -> None:
    assert measured(frames(np.zeros((2, RATE_HZ)))) == {}
    assert LoudnessMeter().measures() == {}


def test_a_stream_that_changes_its_form_is_measured_up_to_there() -> None:
    whole = frames(sine(10, -23))
    assert measured(whole, frames(sine(5, 0, 1), rate_hz=22_050)) == measured(frames(sine(10, -23)))
