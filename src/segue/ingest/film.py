"""The pictures of a video, coarse to fine. Runs in the sandboxed child.

Keyframes are decoded first. The packets between two of them wait, still compressed. Where the
keyframes are alike and no packet is large, nothing happened. Where they differ and the sizes of
packets tell of one cut and of nothing else, a few frames are decoded to make sure of it. Else all
are decoded as far as the change goes: without B-frames and without the loop filter, as the frames
are looked at in 32 x 18 blocks. Nothing is read twice and nothing is sought, so a file with a
damaged index or none gives as much as a whole one.
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
from segue.ingest.shots import (
    LUMA_DIM,
    Boundary,
    ShotSettings,
    Small,
    Stretch,
    boundaries,
    cut_between,
    difference,
    structure,
)
from segue.ingest.sizes import Moves, empties, large, level, moves, spikes

HELD_BYTES = 64 << 20  # compressed packets that may wait for a decision
HELD_PACKETS = 1500
COARSE_STEP_S = 0.4  # keyframes closer together than this are looked at like any other frame
CHANGED = 9.0  # difference of two keyframes, mean levels, from which on something happened
CUT = 25.0  # and from which on a keyframe that breaks the rhythm may begin another shot
FIRST_PACKETS = 9  # looked at before sizes are trusted: keyframes stand a little before a cut too
GROUP_PACKETS = 24  # smaller groups tell little, and are cheap to decode
FADED = 45.0, 10.0  # mean and standard deviation of brightness: less may be part of a fade
SAME = 0.35  # two pictures of one shot differ less than this share of the change between shots
REST_S = 2.0  # so long a rest may be left out: in a longer one a fade there and back has room
SETTLED_S = 0.5  # decoding stops when the picture has looked like the next keyframe for so long
RHYTHM = 0.95  # a shorter group than this share of the longest was ended by the encoder
ROUND = 10, 12, 15, 16, 25  # a longer one too, unless its length is what one sets an encoder to
MOST_FRAMES = 400_000  # small frames kept, 864 bytes each
MOST_CANDIDATES, CANDIDATE_BYTES = 1500, 96 << 20
FRESH_S, FRESH = 2.0, 20.0  # another candidate after this time, or so much change
SOON_S = 0.5  # but never after less: a dissolve would keep all its frames


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

    ``fine`` (or None) decodes what is looked at, ``look`` pictures in full quality.
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
        self._unit: float | None = None  # of the stream's clock, in seconds

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
        return None if stamp is None else self._seconds(stamp, packet)

    def _seconds(self, stamp: int, packet: Any) -> float | None:
        if self._unit is None:  # a stream has one clock, and fractions are slow
            if packet.time_base is None:
                return None
            self._unit = float(packet.time_base)
        return max(0.0, round(stamp * self._unit - self._start_s, 6))

    def _keyframe(self, packet: Any, read_share: float) -> None:
        contexts = [context for context in (self._fine, self._look) if context is not None]
        tries = (next(iter(_decoded(context, [packet], self)), None) for context in contexts)
        frame = next((frame for frame in tries if frame is not None), None)
        if frame is None:
            self._held.append(packet)  # with the packets before it, it may still make something
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
        known_s = self._time(packet) if frame.pts is None else self._seconds(frame.pts, packet)
        return self.last_s if known_s is None else known_s

    def _close(self, now: Small, time_s: float, packet: Any, read_share: float) -> None:
        """A group of pictures is over: decode it, or say why not."""
        longest, self._longest = self._longest, max(self._longest, len(self._held))
        apart = difference(self._key[1], now) if self._key is not None else 255.0
        count = len(self._held)
        told = count > longest and all(count % some for some in ROUND)
        own_rhythm = told or count < RHYTHM * longest
        whole = not self._running and not any(p.is_keyframe for p in self._held[1:])
        nothing = apart < CHANGED and not self._running and self._calm(time_s, packet)
        if nothing or (
            apart >= CUT and whole and self._told_by_sizes(now, time_s, packet, own_rhythm)
        ):
            self._skip()
        elif not self._decode_held((time_s, now), read_share):
            self._skip()
            if apart >= CUT:
                self._cut(time_s, time_s)

    def _calm(self, time_s: float, packet: Any) -> bool:
        """True where sizes tell of no change there and back between two like keyframes.

        A long group has room for other shots, or for a fade: its packets must stay level too.
        """
        sizes = _sizes(self._held[1:])
        if large(sizes, self._held[0].size):
            return False
        if self._key is None or time_s - self._key[0] <= REST_S + COARSE_STEP_S:
            return True
        key_size = min(packet.size, self._held[0].size)
        told = moves(
            [p.dts if p.pts is None else p.pts for p in self._held], [p.size for p in self._held]
        )
        return level(sizes, key_size) and (told is None or not empties(told.sizes, key_size))

    def _cut(self, before_s: float, after_s: float) -> None:
        self.samples.given.append(cut_between(before_s, after_s, ShotSettings()))

    def _told_by_sizes(self, now: Small, time_s: float, packet: Any, own_rhythm: bool) -> bool:
        """True where sizes, and a few frames, tell of one cut and nothing else; it is noted."""
        if self._fine is None or self._key is None or len(self._held) < GROUP_PACKETS:
            return False
        stamps = [p.dts if p.pts is None else p.pts for p in self._held]
        told = moves(stamps, [p.size for p in self._held])
        if told is None or _faded(self._key[1]) or _faded(now):
            return False
        found = spikes(told.sizes, packet.size)
        key_size = min(packet.size, self._held[0].size)
        if len(found) == 1:
            return self._cut_at_spike(told, int(found[0]), now, key_size)
        if len(found) or not own_rhythm or told.restless() or empties(told.sizes, key_size):
            return False
        if not level(_sizes(self._held[1:]), key_size):
            return False
        begins_level = self._glimpse(self._held[:FIRST_PACKETS]) is not None
        if begins_level:
            self._cut(time_s, time_s)
        return begins_level

    def _cut_at_spike(self, told: Moves, spike: int, now: Small, key_size: int) -> bool:
        """Decode a few frames at the beginning, and the large packet without those before it.

        After a cut nearly nothing of it refers to them, so the picture is good enough to be seen
        to be that of the next keyframe; where it is not, the group is decoded.
        """
        at = int(told.at[spike])
        parts = self._held[1:at], self._held[at + 1 :]
        if not all(level(_sizes(part), key_size) for part in parts):
            return False
        if any(empties(some, key_size) for some in (told.sizes[:spike], told.sizes[spike + 1 :])):
            return False
        first = self._held[: min(FIRST_PACKETS, at)]
        begin = self._key
        shown = self._glimpse(first, self._held[at])
        if shown is None or begin is None:
            return False
        change = difference(begin[1], shown)
        again = difference(shown, now)
        use = ShotSettings()
        if change < CUT or again > max(CHANGED, SAME * change):
            return False
        if structure(begin[1], shown) > use.same_structure:
            return False
        before = self._held[int(told.at[spike - 1])] if spike else self._held[0]
        self._cut(self._time(before) or 0.0, self._time(self._held[at]) or 0.0)
        return True

    def _glimpse(self, first: list[Any], then: Any = None) -> Small | None:
        """The last frame of these packets; None where those of ``first`` leave its keyframe."""
        worst, ends_s = 0.0, self._time(then) if then is not None else None
        shown: Small | None = None
        context, begin = self._fine, self._key
        if context is None or begin is None:
            return None
        for frame in _decoded(context, first if then is None else [*first, then], self):
            self.refined += 1
            time_s, now = self._frame_time(frame, first[0]), small(frame)
            if ends_s is not None and time_s >= ends_s - 1e-6:
                return now if worst < CHANGED else None
            self.samples.add(time_s, now)
            worst, shown = max(worst, difference(begin[1], now)), now
        return shown if ends_s is None and worst < CHANGED else None

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
        later = [p for p in packets[1:] if (self._time(p) or 0.0) > time_s]
        return not large(_sizes(later), packets[0].size)

    def _consider(self, frame: Any, now: Small, time_s: float, packet: Any) -> None:
        """Keep a picture for later where it shows something that the last one does not."""
        if self._last is not None and packet is None:
            then_s, then = self._last
            since_s = time_s - then_s
            if since_s < SOON_S or (since_s < FRESH_S and difference(then, now) < FRESH):
                return
        bright = _contrast(now) > 8 and now[:LUMA_DIM].mean() > 24
        merit = sharpness(frame) if bright else 0.0
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


def _sizes(packets: list[Any]) -> NDArray[np.float64]:
    return np.array([packet.size for packet in packets], dtype=np.float64)


def _contrast(picture: Small) -> float:
    """Standard deviation of its brightness."""
    return float(picture[:LUMA_DIM].std())


def _faded(picture: Small) -> bool:
    return bool(picture[:LUMA_DIM].mean() < FADED[0] and _contrast(picture) < FADED[1])


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
