"""A fingerprint by which a recording is found in another encoding, or in a part of another one.

After Haitsma and Kalker 2002: of 33 bands between 300 and 2000 Hz, one bit for each neighbouring
pair says whether their difference in energy grew since the frame before; 32 bits a frame. What
coding does to sound leaves most of these signs as they are. Frames here are 0.512 s long and come
every 64 ms, which is 5 times fewer than in the paper: whole works are compared, not 3 s samples,
and two hours take 450 kB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segue.core.errors import BadInput
from segue.core.types import Doubles, Floats, Rows
from segue.understand.findings import Findings, Print
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sources import ItemSource

Words = npt.NDArray[np.uint32]

FRAME, HOP = 8_192, 1_024  # samples
HOP_S = HOP / RATE_HZ
BANDS, LOW_HZ, HIGH_HZ = 33, 300.0, 2_000.0
SILENT_RMS = 10 ** (-60 / 20)  # a quieter frame is noise: its word is 0, which stands for nothing
HEADER = struct.Struct("<4sI")  # magic, number of words
MAGIC = b"SEG1"
LEAST_FRAMES = 32  # 2 s in common, or nothing is said
BLOCK_FRAMES = 512


def fingerprint(recording: Recording) -> bytes:
    """Of a whole recording, read in blocks."""
    words = list(_words(recording))
    joined = np.concatenate(words) if words else np.zeros(0, dtype=np.uint32)
    return HEADER.pack(MAGIC, len(joined)) + joined.astype("<u4").tobytes()


def _words(recording: Recording) -> Iterator[Words]:
    before: tuple[Doubles, Floats] | None = None  # band differences, level of the last frame
    for block in recording.blocks(BLOCK_FRAMES * HOP, overlap=FRAME - HOP):
        if len(block.samples) < FRAME:
            return
        frames = np.lib.stride_tricks.sliding_window_view(block.samples, FRAME)[::HOP]
        steps, level = _steps(frames)
        if before is not None:
            steps = np.concatenate([before[0], steps])
            level = np.concatenate([before[1], level])
        bits = np.diff(steps, axis=0) > 0
        words = np.packbits(bits, axis=1, bitorder="little").copy().view("<u4")[:, 0]
        words[(level[1:] < SILENT_RMS) | (level[:-1] < SILENT_RMS)] = 0
        yield words
        before = steps[-1:], level[-1:]


def _edges() -> npt.NDArray[np.intp]:
    """(34,) bins between which the bands lie, evenly on a logarithmic scale."""
    hertz = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    return np.round(hertz * FRAME / RATE_HZ).astype(np.intp)


EDGES = _edges()
HANN = np.hanning(FRAME).astype(np.float32)


def _steps(frames: Floats) -> tuple[Doubles, Floats]:
    """(n, 32) differences of energy between neighbouring bands, and (n,) root mean squares."""
    spectrum = np.fft.rfft(frames * HANN, axis=1)[:, EDGES[0] : EDGES[-1]]
    power = spectrum.real**2 + spectrum.imag**2
    energy = np.add.reduceat(power, EDGES[:-1] - EDGES[0], axis=1, dtype=np.float64)
    level = np.sqrt(np.mean(frames**2, axis=1, dtype=np.float64)).astype(np.float32)
    return energy[:, :-1] - energy[:, 1:], level


@dataclass(frozen=True, slots=True)
class Match:
    """``score`` in [0, 1]: 0 is chance, 1 is bit by bit the same in all of the shorter one.
    ``offset_s``: where the second begins on the clock of the first."""

    score: float
    offset_s: float


def likeness(a: bytes, b: bytes) -> Match:
    """How much of the shorter recording is in the longer one, and where.

    All offsets are tried: the agreement of signs at each is a correlation, made by FFT.
    """
    first, second = _signs(a), _signs(b)
    if min(len(first), len(second)) < LEAST_FRAMES:
        return Match(0.0, 0.0)
    agree = _correlate(first, second)
    heard_a, heard_b = ((np.abs(x[:, :1]) > 0).astype(np.float32) for x in (first, second))
    both = _correlate(heard_a, heard_b).round()  # frames in which both sound
    shorter = min(heard_a.sum(), heard_b.sum())
    enough = both >= max(LEAST_FRAMES, 0.5 * shorter)
    if not enough.any():
        return Match(0.0, 0.0)
    # Agreement of the frames in common, less where the shorter one has none in common.
    scores = np.where(enough, agree / (32 * np.maximum(both, 1)), 0.0)
    scores *= np.sqrt(np.minimum(1.0, both / max(1.0, float(shorter))))
    best = int(scores.argmax())
    offset = best - (len(second) - 1)
    return Match(float(np.clip(scores[best], 0.0, 1.0)), round(offset * HOP_S, 3))


def _correlate(a: Floats, b: Floats) -> Doubles:
    """(len(a) + len(b) - 1,) sums over frames and columns of the products, by offset; at
    ``len(b) - 1`` both begin together."""
    size = len(a) + len(b) - 1
    padded = 1 << int(np.ceil(np.log2(size)))
    total = np.zeros(padded // 2 + 1, dtype=np.complex128)
    for column in range(a.shape[1]):
        total += np.fft.rfft(a[:, column], padded) * np.fft.rfft(b[::-1, column], padded)
    return np.asarray(np.fft.irfft(total, padded)[:size])


def _signs(data: bytes) -> Floats:
    """(n, 32) float32: +1 and -1 for the bits of a frame, 0 for a silent one."""
    words = words_of(data)
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    signs = bits.astype(np.float32) * 2 - 1
    signs[words == 0] = 0
    return signs


def words_of(data: bytes) -> Words:
    """(n,) the frames of a fingerprint."""
    if len(data) < HEADER.size:
        raise BadInput(f"a sound fingerprint of {len(data)} bytes is too short")
    magic, count = HEADER.unpack_from(data)
    if magic != MAGIC or len(data) != HEADER.size + 4 * count:
        raise BadInput(f"not a sound fingerprint: {data[:8]!r}; make it anew")
    return np.frombuffer(data, dtype="<u4", offset=HEADER.size).astype(np.uint32)


@dataclass(frozen=True)
class Candidates:
    """Which fingerprints of many are worth comparing: those that share words at one offset."""

    least_votes: int = 4  # words in common at one offset, give or take a frame
    most_common: int = 20  # a word that stands more often than this in all says little

    def pairs(self, prints: Mapping[int, bytes]) -> list[tuple[int, int]]:
        """(smaller number, larger number), in order."""
        keys = sorted(prints)
        words = [words_of(prints[key]) for key in keys]
        joined = np.concatenate([*words, np.zeros(0, dtype=np.uint32)])
        owner = np.repeat(np.arange(len(keys)), [len(w) for w in words])
        place = np.concatenate([*(np.arange(len(w)) for w in words), np.zeros(0, dtype=np.intp)])
        order = np.argsort(joined, kind="stable")
        order = order[joined[order] > 0]  # silence
        joined, owner, place = joined[order], owner[order], place[order]
        votes = [
            self._votes(owner[:-away], owner[away:], place[:-away] - place[away:])[
                joined[:-away] == joined[away:]
            ]
            for away in range(1, min(self.most_common, len(joined)))
        ]
        if not votes:
            return []
        ballots, counts = np.unique(
            np.concatenate(votes).reshape(-1, 4), axis=0, return_counts=True
        )
        elected = ballots[(counts >= self.least_votes) & (ballots[:, 0] != ballots[:, 1])]
        return sorted({(keys[a], keys[b]) for a, b in elected[:, :2].tolist()})

    @staticmethod
    def _votes(first: Rows, second: Rows, offset: Rows) -> Rows:
        """(n, 2, 4) ballots (first, second, offset / 2, how it was rounded): two frames that lie
        next to each other share one of the two roundings."""
        ballots = [
            np.stack([first, second, (offset + up) // 2, np.full_like(offset, up)], axis=1)
            for up in (0, 1)
        ]
        return np.stack(ballots, axis=1)


@dataclass(frozen=True)
class SoundPrint:
    """The step: one fingerprint of an item's sound."""

    name: str = "sound-print"
    model: str = "haitsma-kalker-1"

    def source(self, item: ItemSource) -> str:
        return item.sounds[0].content_hash if item.sounds else ""

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._one(item) for item in items]

    def _one(self, item: ItemSource) -> Findings:
        if not item.sounds:
            return Findings()
        with Recording(item.sounds[0].path) as recording:
            data = fingerprint(recording)
        if not words_of(data).any():
            return Findings(said="too short or silent for a fingerprint")
        return Findings(prints=(Print("sound", data),))
