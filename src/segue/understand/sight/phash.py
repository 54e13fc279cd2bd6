"""Perceptual hashes of keyframes, which stay near each other through re-encoding and scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.fft import dctn

from segue.core.errors import BadInput
from segue.core.types import Floats
from segue.understand.findings import Findings, Print
from segue.understand.sight.frames import Frame, frames, frames_hash, opened, some
from segue.understand.sources import ItemSource

BITS = 64
SIDE_PX = 32  # of the reduced picture; its 8 x 8 lowest frequencies are hashed
BORDER_LEVEL = 20.0  # of 255: darker rows at an edge are a letterbox
BORDER_SHARE = 0.02  # of a row, that noise may make lighter
MOST_BORDER = 0.3  # of a side, that may be cut off at each edge
LEAST_DEVIATION = 6.0  # of 255: flatter pictures (fades, blanks) hash to noise and are left out
LAYOUT = np.dtype([("time_ms", "<u4"), ("hash", "<u8")])
UNKNOWN_MS = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class HashTrack:
    """Hashes of an item's frames in order. ``times_s``: (n,) float64, nan where unknown."""

    times_s: Floats
    hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]

    def to_bytes(self) -> bytes:
        """12 bytes a frame, little-endian: uint32 milliseconds and uint64 hash."""
        rows = np.empty(len(self.hashes), dtype=LAYOUT)
        known = np.isfinite(self.times_s)
        rows["time_ms"] = UNKNOWN_MS
        rows["time_ms"][known] = np.round(1000 * self.times_s[known]).astype(np.uint32)
        rows["hash"] = self.hashes
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> HashTrack:
        if len(data) % LAYOUT.itemsize:
            raise BadInput(f"a picture print has {LAYOUT.itemsize} bytes a frame, got {len(data)}")
        rows = np.frombuffer(data, dtype=LAYOUT)
        times = rows["time_ms"] / 1000.0
        return cls(np.where(rows["time_ms"] == UNKNOWN_MS, np.nan, times), rows["hash"].copy())


def without_border(levels: Floats) -> Floats:
    """(h, w) without a letterbox: dark rows and columns at the edges."""
    kept = levels
    for axis in (0, 1):
        dark = (kept >= BORDER_LEVEL).mean(axis=1 - axis) < BORDER_SHARE
        most = int(MOST_BORDER * len(dark))
        low = _run_of(dark[:most])
        high = len(dark) - _run_of(dark[::-1][:most])
        kept = kept[low:high] if axis == 0 else kept[:, low:high]
    return kept


def _run_of(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How many are set before the first that is not."""
    return len(flags) if flags.all() else int(np.argmin(flags))


def picture_hash(picture: Image.Image) -> int | None:
    """64 bits of the lowest frequencies against their median (pHash, Zauner 2010).

    None for a picture without structure, such as a fade to black.
    """
    levels = without_border(np.asarray(picture.convert("L"), dtype=np.float32))
    if min(levels.shape) < 8 or levels.std() < LEAST_DEVIATION:
        return None
    small = Image.fromarray(levels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    waves = dctn(np.asarray(small, dtype=np.float32), norm="ortho")[:8, :8].ravel()
    bits = waves > np.median(waves[1:])  # the first is the mean brightness: not a part of the shape
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def track(pictures: Sequence[tuple[float | None, Image.Image]]) -> HashTrack:
    """Of pictures with their times in seconds; those without structure are left out."""
    pairs = [(time_s, picture_hash(picture)) for time_s, picture in pictures]
    kept = [(np.nan if t is None else t, h) for t, h in pairs if h is not None]
    return HashTrack(
        np.array([t for t, _ in kept], dtype=np.float64),
        np.array([h for _, h in kept], dtype=np.uint64),
    )


@dataclass(frozen=True)
class PicturePrint:
    """The step: one fingerprint of all keyframes, with the times at which they are shown.

    Scenes alone would not do: those of a copy that was cut have other middles.
    """

    most_frames: int = 200

    name = "picture-print"
    model = "phash64@1"

    def source(self, item: ItemSource) -> str:
        return frames_hash(self._frames(item))

    def _frames(self, item: ItemSource) -> tuple[Frame, ...]:
        found = tuple(Frame(still.clip, still.time_s, still.time_s) for still in item.stills)
        return some(found or frames(item, self.most_frames), self.most_frames)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._item(item) for item in items]

    def _item(self, item: ItemSource) -> Findings:
        seen = opened(self._frames(item), 256)
        times = [frame.middle_s for frame in seen.frames]
        found = track(list(zip(times, seen.pictures, strict=True)))
        prints = (Print("picture", found.to_bytes()),) if len(found.hashes) else ()
        return Findings(prints=prints, said=seen.said)
