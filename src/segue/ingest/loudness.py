"""Loudness of the original sound by FFmpeg's own EBU R 128 meter. Runs in the sandboxed child.

A collector like the others of :mod:`segue.ingest.decode`: it is offered decoded frames, in all
their channels and at their own rate.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from typing import Any

import av
import av.filter

SILENT_LUFS = -70.0  # what the meter says before it has heard anything
PREFIX = "lavfi.r128."


class LoudnessMeter:
    """Integrated loudness, loudness range and true peak of all frames offered.

    A stream that changes its form is measured up to there; so is one on which the meter fails.
    True peak means four times as many samples, which is most of the cost: ``true_peak=False``
    leaves it out.
    """

    def __init__(self, *, true_peak: bool = False) -> None:
        self._true_peak = true_peak
        self._graph: av.filter.Graph | None = None
        # Frames of 20 ms, one by one, cost three times as much as half seconds.
        self._waiting = av.AudioFifo()
        self._said: dict[str, float] = {}
        self._over = False

    def full(self) -> bool:
        """Whether nothing more will be taken in."""
        return self._over

    def offer(self, frame: Any) -> None:
        if self._over:
            return
        pts = frame.pts
        try:
            frame.pts = None  # a damaged clock would be refused
            self._waiting.write(frame)
            half = max(1, frame.sample_rate // 2)
            while self._waiting.samples >= half:
                self._hear(self._waiting.read(half))
        except (av.FFmpegError, ValueError, OSError):
            self._over = True
        finally:
            frame.pts = pts

    def _hear(self, frame: Any) -> None:
        if self._graph is None:
            self._graph = self._opened((frame.format.name, frame.layout.name, frame.sample_rate))
        self._graph.push(frame)
        self._drain()

    def _opened(self, form: tuple[str, str, int]) -> av.filter.Graph:
        name, layout, rate = form
        graph = av.filter.Graph()
        source = graph.add_abuffer(format=name, sample_rate=rate, layout=layout)
        peak = ":peak=true" if self._true_peak else ""
        meter = graph.add("ebur128", f"metadata=1:framelog=quiet{peak}")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        return graph

    def _drain(self) -> None:
        frames: deque[Any] = deque(maxlen=1)  # each says all that was so far: the last one counts
        while self._graph is not None:
            try:
                frames.append(self._graph.pull())
            except (av.BlockingIOError, av.EOFError):
                break
        for frame in frames:
            for key, value in dict(frame.metadata).items():
                if key.startswith(PREFIX):
                    self._said[key.removeprefix(PREFIX)] = float(value)

    def _finish(self) -> None:
        """What still waits is heard; after that nothing more is taken in."""
        if not self._over and self._waiting.samples:
            # Half a second at the end changes little.
            with suppress(av.FFmpegError, ValueError, OSError):
                self._hear(self._waiting.read())
        self._over = True

    def measures(self) -> dict[str, float]:
        """By name, with its unit: ``loudness_lufs``, ``loudness_range_lu``, ``true_peak_dbtp``.
        Empty where nothing was heard: the meter's first word needs 0.4 s of sound."""
        self._finish()
        told = {"loudness_lufs": self._said.get("I"), "loudness_range_lu": self._said.get("LRA")}
        loud = told["loudness_lufs"]
        if loud is None or not math.isfinite(loud) or loud <= SILENT_LUFS:
            return {}
        peaks = [v for k, v in self._said.items() if k.startswith("true_peak")]
        if peaks and max(peaks) > 0:
            told["true_peak_dbtp"] = 20 * math.log10(max(peaks))
        return {k: v for k, v in told.items() if v is not None and math.isfinite(v)}
