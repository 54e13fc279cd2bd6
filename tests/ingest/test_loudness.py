"""The meter of the original sound, frame by frame."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from segue.ingest import decode
from segue.ingest.examine import examine
from segue.ingest.limits import MediaLimits
from segue.ingest.loudness import LoudnessMeter
from segue.ingest.media import Examined, Found
from segue.ingest.naming import item_row
from segue.ingest.scan import scan

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


def sounding(path: Path, *levels_db: float) -> Examined:
    """A stereo WAV of 1 kHz, 4 s at each level, as ingest reads it."""
    samples = np.hstack([sine(4, level) for level in levels_db])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples.T * 32767).astype("<i2").tobytes())
    (found,) = scan([path.parent])
    assert isinstance(found, Found)
    return examine(found, MediaLimits())


def test_a_file_has_the_loudness_of_its_original_sound(tmp_path: Path, monkeypatch) -> None:
    whole = sounding(tmp_path / "a.wav", -23, -23)
    assert whole.loudness["integrated_lufs"] == pytest.approx(-23, abs=0.1)
    assert set(whole.loudness) == {"integrated_lufs", "range_lu"}
    row = item_row(
        Found(str(tmp_path / "a.wav"), str(tmp_path), 1, 0, 0, 0), whole, {}, "0" * 64, 0
    )
    assert row["extra"]["loudness"] == whole.loudness
    # Of longer works only the beginning counts, and the item says so.
    monkeypatch.setattr(decode, "LOUDNESS_S", 3.0)
    begun = sounding(tmp_path / "a.wav", -30, -10)
    assert begun.loudness["integrated_lufs"] == pytest.approx(-30, abs=0.2)
    assert begun.loudness["first_s"] == pytest.approx(3.0, abs=0.3)
    silent = sounding(tmp_path / "a.wav", -200)
    assert silent.loudness == {}
    row = item_row(
        Found(str(tmp_path / "a.wav"), str(tmp_path), 1, 0, 0, 0), silent, {}, "0" * 64, 0
    )
    assert "loudness" not in row["extra"]
