"""Where there is speech: Silero's detector, in bounded memory, and windows for a recogniser.

The detector and its rule for spans are faster-whisper's (Silero VAD v6 as ONNX, 1.2 MB).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segue.core.errors import BadInput
from segue.understand.sound.recording import RATE_HZ, Recording

BLOCK = 600 * RATE_HZ  # samples in memory at a time: 40 MB
LEAST = 512  # samples: the detector's step


@dataclass(frozen=True)
class Voice:
    """What counts as speech, and how it is cut into windows for a recogniser."""

    threshold: float = 0.5  # probability from which a step of 32 ms is speech
    least_speech_s: float = 0.25  # of a span; shorter ones are noises
    pause_s: float = 0.5  # silence that ends a span
    pad_s: float = 0.2  # heard before and after a span
    window_s: float = 28.0  # the longest window; Whisper hears 30 s
    window_gap_s: float = 3.0  # a longer pause begins another window

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BadInput(f"voice: threshold must be in (0, 1), got {self.threshold}")
        if not 1 <= self.window_s <= 30:
            raise BadInput(f"voice: window_s must be in [1, 30], got {self.window_s}")
        if min(self.least_speech_s, self.pause_s, self.pad_s, self.window_gap_s) < 0:
            raise BadInput(f"voice: no time may be negative, got {self}")


@dataclass(frozen=True, slots=True)
class Span:
    """Samples from ``start`` to ``end``, the end not included."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / RATE_HZ


DEFAULT_VOICE = Voice()


def speech_spans(
    recording: Recording,
    voice: Voice = DEFAULT_VOICE,
    *,
    until: int | None = None,
    block: int = BLOCK,
) -> Iterator[Span]:
    """Spans of speech in order, none longer than a window, of the first ``until`` samples.

    Blocks are read one after the other. Speech at the end of a block is not cut there: the next
    block begins where that span began.
    """
    from faster_whisper.vad import (  # noqa: PLC0415 - 0.5 s, only when sound is heard
        VadOptions,
        get_speech_timestamps,
    )

    options = VadOptions(
        threshold=voice.threshold,
        min_speech_duration_ms=int(voice.least_speech_s * 1000),
        min_silence_duration_ms=int(voice.pause_s * 1000),
        speech_pad_ms=int(voice.pad_s * 1000),
        max_speech_duration_s=voice.window_s,
    )
    end = len(recording) if until is None else min(until, len(recording))
    edge = int((voice.pad_s + voice.pause_s) * RATE_HZ) + LEAST
    at = 0
    while end - at >= LEAST:
        samples = recording.read(at, min(block, end - at))
        if not len(samples):
            return
        found = [
            Span(at + f["start"], at + f["end"]) for f in get_speech_timestamps(samples, options)
        ]
        reached = at + len(samples)
        # A span that begins with the block cannot be put off: it is a window long already.
        if reached < end and found and found[-1].end > reached - edge and found[-1].start > at:
            reached = found.pop().start
        yield from found
        at = reached


def windows(spans: Sequence[Span], voice: Voice = DEFAULT_VOICE) -> list[Span]:
    """Neighbouring spans joined to windows: a recogniser's cost is that of its windows."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if (
            last is not None
            and span.start - last.end <= voice.window_gap_s * RATE_HZ
            and span.end - last.start <= voice.window_s * RATE_HZ
        ):
            joined[-1] = Span(last.start, span.end)
        else:
            joined.append(span)
    return joined
