"""The pictures of a video, coarse to fine. Runs in the sandboxed child.

Keyframes are decoded first. The packets between two of them wait, still compressed, and are
decoded only when something changes there: then without B-frames and without the loop filter, as
the frames are looked at in 32 x 18 blocks. Nothing is read twice and nothing is sought, so a file
with a damaged index or none gives as much as a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from segue.ingest.glance import sharpness, small
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Budget
from segue.ingest.pictures import frame_jpeg, reduced
from segue.ingest.shots import LUMA_DIM, Boundary, Small, Stretch, boundaries, difference

HELD_BYTES = 64 << 20  # compressed packets that may wait for a decision
HELD_PACKETS = 1500
COARSE_STEP_S = 0.4  # keyframes closer together than this are looked at like any other frame
CHANGED = 9.0  # difference of two keyframes, mean levels, from which on something happened
CUT = 25.0  # and from which on a keyframe that breaks the rhythm may begin another shot
SPIKE = 0.45, 5.0  # a packet so large beside its keyframe, and beside the usual packet
QUIET = 1.6  # largest over usual size of packets where nothing happens before the next keyframe
QUIET_PACKETS = 24  # fewer tell nothing, and are cheap to decode
FIRST_PACKETS = 9  # looked at before a keyframe is trusted to be a cut
LAST_PACKETS = 4  # none of them a B-frame, among others that are: the encoder met a change
REST_S = 2.0  # so long a rest may be left out: in a longer one a fade there and back has room
SETTLED_S = 0.5  # decoding stops when the picture has looked like the next keyframe for so long
RHYTHM = 0.95  # a shorter stretch than this share of the longest was ended by the encoder
MOST_FRAMES = 400_000  # small frames kept, 864 bytes each
MOST_CANDIDATES, CANDIDATE_BYTES = 1500, 96 << 20
FRESH_S, FRESH = 2.0, 20.0  # another candidate after this time, or so much change


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that may become a keyframe: a packet to decode again, or a frame kept as it is."""

    time_s: float
    merit: float  # sharpness; 0 for a nearly uniform picture
    payload: Any  # av.Packet | av.VideoFrame, reduced


@dataclass
class Samples:
    """Small frames in order of time; ``gaps`` are positions before which frames were left out."""

    times_s: list[float] = field(default_factory=list)
    frames: list[Small] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    given: list[Boundary] = field(default_factory=list)  # found without decoding

    def add(self, time_s: float, frame: Small) -> None:
        if not self.times_s or time_s > self.times_s[-1]:
            self.times_s.append(time_s)
            self.frames.append(frame)

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        return np.array(self.times_s), np.stack(self.frames)

    def boundaries(self) -> list[Boundary]:
        """Of all stretches, and those that were given."""
        times, frames = self.arrays()
        edges = [0, *self.gaps, len(times)]
        found = list(self.given)
        for first, end in pairwise(edges):
            found += boundaries(Stretch(times[first:end], frames[first:end]))
        return sorted(found, key=lambda boundary: boundary.time_s)


class Film:
    """Takes the packets of one video stream in their order; ``finish`` when there are no more.

    ``look`` decodes keyframes in full quality; ``fine`` (a decoder of its own, or None) the rest.
    """

    def __init__(
        self, look: Any, fine: Any | None, limits: MediaLimits, budget: Budget, start_s: float
    ) -> None:
        self._look, self._fine = look, fine
        self._limits, self._budget, self._start_s = limits, budget, start_s
        self.samples = Samples()
        self.candidates: list[Candidate] = []
        self.bad = 0
        self.last_s = 0.0
        self.refined = 0  # packets that were decoded beside keyframes
        self._held: list[Any] = []
        self._held_bytes = 0
        self._running = False  # the fine decoder is in the middle of this group already
        self._longest = 0
        self._key: tuple[float, Small] | None = None
        self._last: tuple[float, Small] | None = None  # the last candidate
        self._picture_bytes = 0

    def offer(self, packet: Any, read_share: float) -> None:
        """One packet; ``read_share`` of the file has been read so far, 0-1."""
        time_s = self._time(packet)
        early = self._key is not None and (time_s is None or time_s - self._key[0] < COARSE_STEP_S)
        if packet.is_keyframe and not early:
            self._keyframe(packet, read_share)
            return
        self._held.append(packet)
        self._held_bytes += packet.size
        if self._held_bytes > HELD_BYTES or len(self._held) > HELD_PACKETS:
            self._decode_held(None, read_share, ends=False)
            self._running = True

    def finish(self) -> None:
        """What followed the last keyframe: no other tells whether something happened there."""
        if self._held:
            self._decode_held(None, 1.0)
        self._held = []

    def _time(self, packet: Any) -> float | None:
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.time_base is None:
            return None
        return max(0.0, float(stamp * packet.time_base) - self._start_s)

    def _keyframe(self, packet: Any, read_share: float) -> None:
        frame = next(iter(_decoded(self._look, [packet], self)), None)
        if frame is None:
            self._held.append(packet)  # the other decoder may make something of it
            return
        time_s = self._frame_time(frame, packet)
        now = small(frame)
        if self._held:
            self._close(now, time_s, packet, read_share)
        self._key = time_s, now
        self.samples.add(time_s, now)
        self.last_s = max(self.last_s, time_s)
        self._held, self._held_bytes, self._running = [packet], packet.size, False
        self._consider(frame, now, time_s, packet)

    def _frame_time(self, frame: Any, packet: Any) -> float:
        if frame.pts is None or packet.time_base is None:
            return self._time(packet) or self.last_s
        return max(0.0, float(frame.pts * packet.time_base) - self._start_s)

    def _close(self, now: Small, time_s: float, packet: Any, read_share: float) -> None:
        """A group of pictures is over: decode it, or say why not."""
        longest, self._longest = self._longest, max(self._longest, len(self._held))
        apart = difference(self._key[1], now) if self._key is not None else 255.0
        sizes = np.array([p.size for p in self._held[1:]], dtype=np.float64)
        own_rhythm = len(self._held) < RHYTHM * longest
        keys_inside = sum(p.is_keyframe for p in self._held[1:])
        if apart < CHANGED and not _spike(sizes, self._held[0].size) and not self._running:
            self._skip()
        elif apart >= CUT and own_rhythm and not keys_inside and self._quiet(sizes, packet):
            self._skip()
            self.samples.given.append(Boundary(time_s, time_s, time_s, "cut"))
        elif not self._decode_held((time_s, now), read_share):
            self._skip()
            if apart >= CUT:
                self.samples.given.append(Boundary(time_s, time_s, time_s, "cut"))

    def _quiet(self, sizes: NDArray[np.float64], packet: Any) -> bool:
        """True where all speaks for a change at the very end of the group, the next keyframe."""
        level = quiet(self._held) and not _spike(sizes, packet.size)
        return level and self._begins_level()

    def _begins_level(self) -> bool:
        """Decode a few frames: encoders put a keyframe some frames before a cut, now and then."""
        if self._fine is None or self._key is None:
            return True
        worst = 0.0
        for frame in _decoded(self._fine, self._held[:FIRST_PACKETS], self):
            time_s, now = self._frame_time(frame, self._held[0]), small(frame)
            self.samples.add(time_s, now)
            worst = max(worst, difference(self._key[1], now))
            self.refined += 1
        return worst < CHANGED

    def _skip(self) -> None:
        if self.samples.times_s:
            self.samples.gaps.append(len(self.samples.times_s))

    def _decode_held(
        self, until: tuple[float, Small] | None, read_share: float, ends: bool = True
    ) -> bool:
        """Decode what waits; False where there is no time or room for it."""
        packets, self._held, self._held_bytes = self._held, [], 0
        behind = self._budget.share() > 0.1 + 0.9 * read_share
        if self._fine is None or behind or len(self.samples.frames) > MOST_FRAMES:
            return False
        count, alike_s = 0, None
        for frame in _decoded(self._fine, packets, self, not self._running, ends):
            count += 1
            time_s = self._frame_time(frame, packets[0])
            now = small(frame)
            if until is not None and time_s > until[0] - 1e-6:
                continue
            self.samples.add(time_s, now)
            self.last_s = max(self.last_s, time_s)
            self._consider(frame, now, time_s, None)
            if until is None or difference(now, until[1]) >= CHANGED:
                alike_s = None
            elif alike_s is None:
                alike_s = time_s
            elif (
                time_s - alike_s > SETTLED_S
                and until[0] - time_s < REST_S
                and self._level_after(packets, time_s)
            ):
                self._skip()
                break
        self.refined += count
        if 0 < count * 12 < len(packets):
            # A codec whose frames are all bidirectional: leave out only what nothing refers to.
            self._fine.skip_frame = "NONREF"
        return True

    def _level_after(self, packets: list[Any], time_s: float) -> bool:
        """True where no packet after this time hides a cut there and back."""
        later = [p.size for p in packets[1:] if (self._time(p) or 0.0) > time_s]
        return not _spike(np.array(later, dtype=np.float64), packets[0].size)

    def _consider(self, frame: Any, now: Small, time_s: float, packet: Any) -> None:
        """Keep a picture for later where it shows something that the last one does not."""
        if self._last is not None and packet is None:
            then_s, then = self._last
            if time_s - then_s < FRESH_S and difference(then, now) < FRESH:
                return
        luma = now[:LUMA_DIM]
        merit = sharpness(frame) if luma.std() > 8 and luma.mean() > 24 else 0.0
        payload = packet if packet is not None else reduced(frame, self._limits)
        self.candidates.append(Candidate(time_s, merit, payload))
        self._last = time_s, now
        self._picture_bytes += (
            packet.size if packet is not None else 3 * payload.width * payload.height // 2
        )
        if len(self.candidates) > MOST_CANDIDATES or self._picture_bytes > CANDIDATE_BYTES:
            self.candidates = self.candidates[::2]
            self._picture_bytes //= 2

    def picture_of(self, candidate: Candidate) -> bytes | None:
        """The candidate as JPEG; None when it no longer decodes."""
        if isinstance(candidate.payload, av.VideoFrame):
            return frame_jpeg(candidate.payload, self._limits)
        frame = next(iter(_decoded(self._look, [candidate.payload], self)), None)
        return None if frame is None else frame_jpeg(frame, self._limits)


def quiet(packets: list[Any]) -> bool:
    """True where packets between two keyframes stay level: no dissolve, no cut on the way.

    Only packets that move on in time count: those between them (B-frames) are small at any rate.
    Of three neighbours the middle size counts, as one large packet is no dissolve.
    """
    if len(packets) < QUIET_PACKETS:
        return False
    stamps = [p.dts if p.pts is None else p.pts for p in packets]
    if any(stamp is None for stamp in stamps):
        return False
    ahead = np.maximum.accumulate(stamps)
    moves = np.flatnonzero(np.diff(ahead) > 0) + 1
    if len(moves) < QUIET_PACKETS // 4:
        return False
    sizes = np.array([packets[n].size for n in moves], dtype=np.float64)
    restless = (
        len(moves) < 0.7 * len(packets) and moves[-LAST_PACKETS] >= len(packets) - LAST_PACKETS
    )
    if restless:
        return False
    middle = np.median(np.stack([sizes[:-2], sizes[1:-1], sizes[2:]]), axis=0)
    return bool(middle.max() < QUIET * np.median(middle))


def _spike(sizes: NDArray[np.float64], key_size: int) -> bool:
    """True where one packet is as large as a whole picture: the mark of a cut inside a group."""
    if not sizes.size:
        return False
    usual = float(np.median(sizes))
    return bool(sizes.max() > max(SPIKE[0] * key_size, SPIKE[1] * usual))


def _decoded(
    context: Any, packets: list[Any], film: Film, begins: bool = True, ends: bool = True
) -> Iterator[Any]:
    """Frames of these packets; what a damaged one would have given is left out."""
    if begins:
        context.flush_buffers()
    for packet in [*packets, None] if ends else packets:
        try:
            yield from context.decode(packet)
        except MemoryError:
            raise
        except av.EOFError:
            pass
        except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes
            film.bad += 1
