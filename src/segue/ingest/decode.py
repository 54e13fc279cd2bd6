"""Streams become shots, scenes, a poster, keyframes and 16 kHz sound. Runs in the sandboxed child.

Packets are decoded one by one, each in its own ``try``: a damaged file gives what it can
(``container.decode()`` would stop at the first bad packet).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from segue.core.errors import UnreadableMedia
from segue.ingest.film import Film
from segue.ingest.keyframes import pictures
from segue.ingest.limits import MediaLimits
from segue.ingest.loudness import LoudnessMeter
from segue.ingest.lyrics import id3_lyrics, lyric_assets, lyrics_in
from segue.ingest.media import Asset, Blob, Budget, Examined, Scene, Shot
from segue.ingest.pictures import cover
from segue.ingest.probe import (
    all_tags,
    describe_stream,
    duration_s,
    first,
    language,
    open_container,
    parts,
    year,
)
from segue.ingest.scenes import SceneSettings, look_of, scenes, spans

SOUND_RATE_HZ = 16_000
# The meter hears 500 times as fast as one listens, which is a third of what a decoder of sound
# needs and more: songs are measured whole, and of longer works the beginning.
LOUDNESS_S = 300.0
MAX_BAD_READS = 50
PACKETS_A_LOOK = 16  # packets between two looks at the clock
GOES_ON_S = 15.0  # a file may go on so long after the last decoded frame


class Sound:
    """Collects 16 kHz mono 16-bit samples, at most ``max_audio_s`` of them; measures loudness."""

    def __init__(self, limits: MediaLimits) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)
        self._room = int(limits.max_audio_s * SOUND_RATE_HZ)
        self._samples = bytearray()
        self._meter = LoudnessMeter()
        self._measured_s: float | None = None  # where the meter stopped before the end

    @property
    def seconds(self) -> float:
        return len(self._samples) / 2 / SOUND_RATE_HZ

    def full(self) -> bool:
        return len(self._samples) >= 2 * self._room

    def offer(self, frame: Any) -> None:
        if self.seconds < LOUDNESS_S:
            self._meter.offer(frame)
        elif self._measured_s is None:
            self._measured_s = self.seconds
        frame.pts = None  # the resampler would fill gaps of a damaged clock with silence
        for part in self._resampler.resample(frame):
            left = 2 * self._room - len(self._samples)
            self._samples += bytes(part.planes[0])[: min(left, 2 * part.samples)]

    def loudness(self) -> dict[str, float]:
        """EBU R 128 of the original sound: ``integrated_lufs`` and ``range_lu``; ``first_s`` where
        it is that of the first seconds only. Empty for silence and less than 0.4 s."""
        measures = self._meter.measures()
        if "loudness_lufs" not in measures:
            return {}
        said = {"integrated_lufs": round(measures["loudness_lufs"], 2)}
        if "loudness_range_lu" in measures:
            said["range_lu"] = round(measures["loudness_range_lu"], 2)
        return said | ({"first_s": round(self._measured_s, 1)} if self._measured_s else {})

    def wav(self) -> bytes:
        """A RIFF file: readable by the standard library, so no decoder is needed later.

        The samples are given away: two hours are 230 MB, and here they exist twice for a moment.
        """
        size = len(self._samples)
        head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, 1,
                           SOUND_RATE_HZ, 2 * SOUND_RATE_HZ, 2, 16, b"data", size)  # fmt: skip
        samples, self._samples = self._samples, bytearray()
        return b"".join((head, samples))


@dataclass
class Pass:
    """One reading of the streams: what it collected and what went wrong."""

    packets: int = 0
    bad: int = 0
    cover: bytes | None = None
    ended: bool = False  # the end of the file was reached
    out_of_time: bool = False


def is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def examine_stream(blob: Blob, limits: MediaLimits) -> Examined:
    """Video or audio: tags, streams, shots, scenes, poster, keyframes and sound."""
    with open_container(blob, limits) as container, contextlib.ExitStack() as stack:
        claimed = duration_s(container)
        if claimed is not None and claimed > limits.max_duration_s:
            raise UnreadableMedia(
                "media", f"says it lasts {claimed:,.0f} s, limit {limits.max_duration_s:,.0f} s"
            )
        videos = [s for s in container.streams.video if not is_cover(s)]
        sounds = list(container.streams.audio)
        if not videos and not sounds:
            raise UnreadableMedia("media", f"no video or sound in this {container.format.name}")
        sound = Sound(limits) if sounds else None
        budget = Budget(limits, blob.size)
        film = None
        if videos:
            videos[0].thread_count = 1
            fine = _second_decoder(blob, limits, videos[0].index, stack)
            start_s = (container.start_time or 0) / av.time_base
            film = Film(videos[0].codec_context, fine, limits, budget, start_s)
        read = _read(container, videos[:1], film, sounds[:1], sound, (blob, budget))
        seen = _seen(film, claimed, limits)
        if not seen.assets and not (sound and sound.seconds):
            why = "time limit reached" if read.out_of_time else "damaged"
            raise UnreadableMedia("media", f"nothing in it could be decoded ({why})")
        told = _result(container, claimed, seen, sound, read, limits)
        metadata = [container.metadata, *(s.metadata for s in container.streams)]
        words = lyrics_in([*metadata, {"lyrics": id3_lyrics(blob)}])
        return replace(told, assets=(*told.assets, *lyric_assets(words, limits)))


@dataclass(frozen=True)
class Seen:
    """What the pictures of a file gave. ``last_s`` is the time of the last decoded frame."""

    is_video: bool = False
    last_s: float = 0.0
    bad: int = 0
    assets: tuple[Asset, ...] = ()
    shots: tuple[Shot, ...] = ()
    scenes: tuple[Scene, ...] = ()


def _second_decoder(
    blob: Blob, limits: MediaLimits, index: int, stack: contextlib.ExitStack
) -> Any | None:
    """A decoder of the same stream that leaves out what small frames do not show."""
    container = open_container(stack.enter_context(blob.again()), limits)
    stack.enter_context(container)
    stream = next((s for s in container.streams.video if s.index == index), None)
    if stream is None:
        return None
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(limits.max_pixels), "skip_loop_filter": "all"}
    context.skip_frame = "BIDIR"
    return context


def _seen(film: Film | None, claimed: float | None, limits: MediaLimits) -> Seen:
    """Boundaries become shots, shots scenes, and each scene gets its picture."""
    if film is None:
        return Seen()
    film.finish()
    if not film.samples.times_s:
        return Seen(True, film.last_s, film.bad)
    times, frames = film.samples.arrays()
    # A damaged or truncated file has scenes as far as it was read.
    known_s = claimed if claimed is not None and claimed - film.last_s < GOES_ON_S else None
    end_s = max(film.last_s + 1e-3, known_s or 0.0)
    parts = list(spans(film.samples.boundaries(), end_s, SceneSettings().min_shot_s))
    shots = [look_of(times, frames, first_s, last_s) for first_s, last_s, _ in parts]
    found = scenes(shots, [kind for _, _, kind in parts], times, frames)
    assets, shots, found = pictures(shots, found, film.candidates, film.picture_of, limits)
    return Seen(True, film.last_s, film.bad, tuple(assets), tuple(shots), tuple(found))


def _read(
    container: InputContainer,
    video: list[Any],
    film: Film | None,
    audio: list[Any],
    sound: Sound | None,
    source: tuple[Blob, Budget],
) -> Pass:
    blob, budget = source
    covers = [s for s in container.streams.video if is_cover(s)][:1]
    cover_indexes = {s.index for s in covers}
    video_indexes = {s.index for s in video}
    read = Pass()
    for packet in _packets(container, [*video, *audio, *covers], read):
        if read.packets % PACKETS_A_LOOK == 0 and budget.spent():
            read.out_of_time = True
            break
        if packet.size == 0 and packet.stream.index in video_indexes:
            continue  # the demuxer's sign of the end
        if packet.stream.index in cover_indexes:
            read.cover = read.cover or (bytes(packet) if packet.size else None)
        elif film is not None and packet.stream.index in video_indexes:
            film.offer(packet, blob.tell() / max(1, blob.size))
        elif sound is not None and not sound.full():
            _hear(packet, sound, read)
        elif film is None:
            break
    else:
        read.ended = True
    return read


def _packets(container: InputContainer, streams: list[Any], read: Pass) -> Iterator[Any]:
    """Packets, going on after a read error while the file still gives something."""
    for _ in range(MAX_BAD_READS):
        before = read.packets
        try:
            for packet in container.demux(streams):
                read.packets += 1
                yield packet
            return
        except (av.FFmpegError, ValueError, UnicodeDecodeError):
            read.bad += 1
            if read.packets == before:
                return


def _hear(packet: Any, sound: Sound, read: Pass) -> None:
    try:
        for frame in packet.decode():
            sound.offer(frame)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes
        read.bad += 1


def _result(
    container: InputContainer,
    claimed: float | None,
    seen: Seen,
    sound: Sound | None,
    read: Pass,
    limits: MediaLimits,
) -> Examined:
    tags = all_tags(container)
    assets = list(seen.assets)
    art = cover(read.cover, limits) if read.cover else None
    if art is not None:
        assets = [a for a in assets if a.kind != "poster"]
        assets.insert(0, Asset("poster", "jpg", art))
    seen_s = max(seen.last_s, sound.seconds if sound else 0.0)
    if sound is not None and sound.seconds:
        assets.append(Asset("audio16k", "wav", sound.wav()))
    streams = tuple(describe_stream(s) for s in container.streams if not is_cover(s))
    genre = parts(first(tags, "genre"))
    keywords = parts(first(tags, "keywords").replace(",", ";"))
    spoken = (stream["language"] for stream in streams if stream["type"] == "audio")
    return Examined(
        media="video" if seen.is_video else "audio",
        format=container.format.name,
        title=first(tags, "title")[:300],
        description=first(tags, "description", "synopsis", "comment")[:5000],
        tags=tuple(dict.fromkeys(genre + keywords))[:30],
        creators=parts(first(tags, "artist", "album_artist", "author", "composer"))[:20],
        # Not creation_time: that is when the file was encoded.
        year=year(first(tags, "date", "year", "tyer")),
        language=language(first(tags, "language")) or next(filter(None, spoken), None),
        duration_s=round(claimed if claimed is not None else seen_s, 3) or None,
        streams=streams,
        assets=tuple(assets),
        note=_note(claimed, seen_s, seen, read),
        raw_tags=dict(list(tags.items())[:60]),
        shots=seen.shots,
        scenes=seen.scenes,
        loudness=sound.loudness() if sound is not None else {},
    )


def _note(claimed: float | None, seen_s: float, seen: Seen, read: Pass) -> str:
    said = []
    if bad := read.bad + seen.bad:
        said.append(f"damaged: {bad} of {read.packets} packets unreadable")
    if read.out_of_time:
        said.append(f"time limit reached after {seen_s:.1f} s")
    # Where time was short, the last frame that was looked at is a keyframe, seconds before the end.
    slack = 1.0 + 0.1 * (claimed or 0.0) + (12.0 if seen.is_video else 0.0) * (seen_s > 30.0)
    if read.ended and claimed is not None and seen_s + slack < claimed:
        said.append(f"truncated: ends after {seen_s:.1f} s of {claimed:.1f} s")
    return "; ".join(said)
