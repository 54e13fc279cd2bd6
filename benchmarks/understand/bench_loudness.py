"""What the loudness meter costs beside decoding, file by file.

Usage: python benchmarks/understand/bench_loudness.py [FOLDER]

Without a folder: three minutes of the same two voices and noise in each codec of sound. CPU
seconds of the whole examination of a file, the best of three, with the meter and without.
"""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from segue.core.errors import UnreadableMedia
from segue.ingest import decode
from segue.ingest.examine import examine
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Found
from segue.ingest.scan import scan

CODECS = {"a.flac": "flac", "a.mp3": "libmp3lame", "a.m4a": "aac", "a.wav": "pcm_s16le"}
SECONDS, RATE_HZ, REPEAT = 180, 44_100, 3


class NoMeter:
    """In the meter's place: takes frames and measures nothing."""

    def offer(self, frame: Any) -> None:
        pass

    def measures(self) -> dict[str, float]:
        return {}


METERS = {"without": NoMeter, "with": decode.LoudnessMeter}


def make(folder: Path) -> None:
    t = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    noise = np.random.default_rng(0).normal(0, 0.03, (2, len(t)))
    tones = 0.3 * np.sin(2 * np.pi * 220 * t), 0.2 * np.sin(2 * np.pi * 330 * t)
    samples = (np.stack(tones) + noise).astype(np.float32)
    for name, codec in CODECS.items():
        with av.open(str(folder / name), "w") as out:
            stream: Any = out.add_stream(codec, rate=RATE_HZ, layout="stereo")
            for at in range(0, len(t), RATE_HZ):
                part = np.ascontiguousarray(samples[:, at : at + RATE_HZ])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))


def measure(found: Found) -> str | None:
    best: dict[str, float] = {}
    for name in [*METERS] * REPEAT:
        vars(decode)["LoudnessMeter"] = METERS[name]
        began = time.process_time()
        seen = examine(found, MediaLimits())
        best[name] = min(best.get(name, float("inf")), time.process_time() - began)
    if seen.media not in ("audio", "video"):
        return None
    seconds, more = seen.duration_s or 0.0, best["with"] / best["without"] - 1
    speeds = " -> ".join(f"{seconds / best[name]:.0f}x" for name in METERS)
    return f"{Path(found.path).name}: {seconds:.0f} s, {speeds} real time, {more:+.0%} CPU; " + str(
        seen.loudness
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        if len(sys.argv) < 2:
            make(Path(made))
        for found in scan(sys.argv[1:] or [made]):
            if isinstance(found, Found):
                try:
                    line = measure(found)
                except UnreadableMedia as error:
                    line = str(error)
                if line:
                    print(line, flush=True)


if __name__ == "__main__":
    main()
