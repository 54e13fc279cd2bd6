"""What the sizes of compressed packets tell of a group of pictures that nobody has decoded.

A cut inside a group costs its encoder nearly a whole picture: one packet towers over the others.
A dissolve costs more than usual for as long as it takes, a fade to black less. Only packets that
move on in time count: those between them (B-frames) are small at any rate. Numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGE = 0.45, 5.0  # a packet so large beside its keyframe, and beside the usual packet
WINDOW = 10  # packets whose bytes are added up: so short is a short dissolve
LEVEL = 1.6  # most over usual bytes of windows between which nothing happens
LOW = 0.5  # least over usual, but for the last: encoders give little to what is about to go
LAST = 3
STILL = 0.03  # bytes a packet beside the keyframe that are as good as none
NOTHING = 0.05  # two neighbours this small beside the usual packet show nothing: black, perhaps
FEWEST = 6  # fewer packets tell nothing, and are cheap to decode
TOWERS, NEAR = 1.6, 8  # a spike over the largest of so many packets on either side
OF_KEY = 0.3  # and over the keyframe that shows what it began
RESTLESS = 4  # none of the last a B-frame, among others that are: the encoder met a change


@dataclass(frozen=True)
class Moves:
    """Packets of a group after its keyframe that move on in time, in order.

    ``at`` (n,) positions in the group, ``stamps`` (n,) and ``sizes`` (n,) in bytes; ``count`` is
    the number of all packets of the group.
    """

    at: NDArray[np.int64]
    stamps: NDArray[np.int64]
    sizes: NDArray[np.float64]
    count: int

    def restless(self) -> bool:
        """True where the end has no B-frames although there are some: seen before a change."""
        some = len(self.at) < 0.7 * self.count
        return some and bool(self.at[-RESTLESS] >= self.count - RESTLESS)


def moves(stamps: Sequence[int | None], sizes: Sequence[int]) -> Moves | None:
    """Of a group's presentation times and sizes, keyframe first; None where they tell nothing."""
    if len(stamps) < 2 or any(stamp is None for stamp in stamps):
        return None
    shown = np.array(stamps, dtype=np.int64)
    at = np.flatnonzero(np.diff(np.maximum.accumulate(shown)) > 0) + 1
    if len(at) < FEWEST:
        return None
    return Moves(at, shown[at], np.array(sizes, dtype=np.float64)[at], len(shown))


def large(sizes: NDArray[np.float64], key_size: int) -> bool:
    """True where one packet is as large as a whole picture: the mark of a cut inside a group."""
    if not sizes.size:
        return False
    usual = float(np.median(sizes))
    return bool(sizes.max() > max(LARGE[0] * key_size, LARGE[1] * usual))


def level(sizes: NDArray[np.float64], key_size: int) -> bool:
    """True where the bytes of packets, all in their order, stay level: no dissolve, no fade."""
    if len(sizes) <= WINDOW:
        return True
    total = np.concatenate([[0.0], np.cumsum(sizes)])
    rates = (total[WINDOW:] - total[:-WINDOW])[:: WINDOW // 3] / WINDOW
    usual = float(np.median(rates))
    if rates.max() >= LEVEL * max(usual, STILL * key_size):
        return False
    earlier = rates[: len(rates) - min(LAST, len(rates) // 2)]
    return usual < STILL * key_size or bool(earlier.min() > LOW * usual)


def empties(moves: NDArray[np.float64], key_size: int) -> bool:
    """True where moving packets, among larger ones, all but vanish: the middle of a fade."""
    if len(moves) < 3:
        return False
    middle = np.median(np.stack([moves[:-2], moves[1:-1], moves[2:]]), axis=0)
    usual = float(np.median(middle))
    return usual >= STILL * key_size and bool(middle.min() <= NOTHING * usual)


def spikes(sizes: NDArray[np.float64], next_key: int) -> NDArray[np.int64]:
    """Positions of packets that tower over those around them."""
    found = []
    for at in np.flatnonzero(sizes > OF_KEY * next_key):
        around = np.concatenate([sizes[max(0, at - NEAR) : at], sizes[at + 1 : at + 1 + NEAR]])
        if around.size and sizes[at] > TOWERS * around.max():
            found.append(int(at))
    return np.array(found, dtype=np.int64)
