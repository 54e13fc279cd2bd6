"""A 16 kHz mono wav file, read in blocks: two hours of it are never in memory at once."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from segue.core.errors import UnreadableMedia
from segue.core.types import Floats

RATE_HZ = 16_000
BYTES = 2  # a sample
HEADER_BYTES = 44  # the least that a wav file holds before its samples
BLOCK_S = 30


@dataclass(frozen=True, slots=True)
class Block:
    """Samples from ``start`` on: (n,) float32 in [-1, 1]."""

    start: int
    samples: Floats


class Recording:
    """An open wav file. ``len()`` is its number of samples.

    A file that was cut off holds fewer samples than it says; what is there is what counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = wave.open(str(path), "rb")  # noqa: SIM115 - __exit__ closes it
        except (OSError, EOFError, wave.Error) as error:
            raise UnreadableMedia(path.name, f"not a readable wav file: {error}") from error
        form = (self._file.getframerate(), self._file.getnchannels(), self._file.getsampwidth())
        if form != (RATE_HZ, 1, BYTES):
            self._file.close()
            raise UnreadableMedia(path.name, f"expected 16 kHz mono 16 bit, got {form}")
        there = max(0, path.stat().st_size - HEADER_BYTES) // BYTES
        self._samples = min(self._file.getnframes(), there)

    def __len__(self) -> int:
        return self._samples

    @property
    def duration_s(self) -> float:
        return self._samples / RATE_HZ

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, start: int, count: int) -> Floats:
        """(<= count,) float32 in [-1, 1]: fewer at the end."""
        if start >= self._samples or count <= 0:
            return np.zeros(0, dtype=np.float32)
        try:
            self._file.setpos(start)
            data = self._file.readframes(min(count, self._samples - start))
        except (OSError, EOFError, wave.Error) as error:
            raise UnreadableMedia(self.path.name, f"cannot be read: {error}") from error
        levels = np.frombuffer(data[: len(data) // BYTES * BYTES], dtype="<i2")
        return levels.astype(np.float32) / np.float32(32768.0)

    def blocks(self, size: int = BLOCK_S * RATE_HZ, overlap: int = 0) -> Iterator[Block]:
        """All of it, ``size`` samples at a time, each followed by ``overlap`` samples of the
        next: what is computed over windows of ``overlap + 1`` samples misses none."""
        for start in range(0, self._samples, size):
            yield Block(start, self.read(start, size + overlap))
