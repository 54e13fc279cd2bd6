"""Streams become a poster, keyframes and 16 kHz sound. Runs in the sandboxed child.

Packets are decoded one by one, each in its own ``try``: a damaged file gives what it can
(``container.decode()`` would stop at the first bad packet).
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from PIL import Image, ImageStat

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Blob, Budget, Examined
from segue.ingest.pictures import cover, to_jpeg
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

SOUND_RATE_HZ = 16_000
MAX_BAD_READS = 50
PACKETS_A_LOOK = 16  # packets between two looks at the clock


@dataclass
class Keyframes:
    """Collects frames near evenly spaced times, as JPEG."""

    limits: MediaLimits
    duration_s: float
    pictures: list[tuple[float, bytes, float]] = field(default_factory=list)
    _spare: tuple[float, Any] | None = None
    last_s: float = 0.0

    def __post_init__(self) -> None:
        wanted = int(self.duration_s / self.limits.keyframe_every_s)
        count = min(self.limits.max_keyframes, max(1, wanted))
        self.targets = [(i + 0.5) / count * self.duration_s for i in range(count)]

    def full(self) -> bool:
        return len(self.pictures) >= len(self.targets)

    def offer(self, frame: Any, time_s: float) -> None:
        """Keep the first frame at or after each target time."""
        self.last_s = max(self.last_s, time_s)
        if self.full():
            return
        if time_s < self.targets[len(self.pictures)]:
            self._spare = (time_s, frame)
            return
        self._keep(frame, time_s)

    def finish(self) -> None:
        """The last frame stands in when the file ended before the first target."""
        if not self.pictures and self._spare is not None:
            self._keep(self._spare[1], self._spare[0])
        self._spare = None

    def _keep(self, frame: Any, time_s: float) -> None:
        picture = _picture(frame, self.limits)
        contrast = float(ImageStat.Stat(picture.convert("L")).stddev[0])
        self.pictures.append((time_s, to_jpeg(picture, self.limits), contrast))
        self._spare = None

    def assets(self) -> list[Asset]:
        """A poster (the picture with most contrast, so not a fade to black), then keyframes."""
        if not self.pictures:
            return []
        best = max(self.pictures, key=lambda picture: picture[2])
        frames = [Asset("keyframe", "jpg", data, time_s) for time_s, data, _ in self.pictures]
        return [Asset("poster", "jpg", best[1], best[0]), *frames]


def _picture(frame: Any, limits: MediaLimits) -> Image.Image:
    scale = min(1.0, limits.picture_side_px / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture: Image.Image = frame.to_image(width=width, height=height)
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


class Sound:
    """Collects 16 kHz mono 16-bit samples, at most ``max_audio_s`` of them."""

    def __init__(self, limits: MediaLimits) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)
        self._room = int(limits.max_audio_s * SOUND_RATE_HZ)
        self._samples = bytearray()

    @property
    def seconds(self) -> float:
        return len(self._samples) / 2 / SOUND_RATE_HZ

    def full(self) -> bool:
        return len(self._samples) >= 2 * self._room

    def offer(self, frame: Any) -> None:
        frame.pts = None  # the resampler would fill gaps of a damaged clock with silence
        for part in self._resampler.resample(frame):
            left = 2 * self._room - len(self._samples)
            self._samples += bytes(part.planes[0])[: min(left, 2 * part.samples)]

    def wav(self) -> bytes:
        """A RIFF file: readable by the standard library, so no decoder is needed later."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SOUND_RATE_HZ)
            file.writeframes(bytes(self._samples))
        return out.getvalue()


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
    """Video or audio: tags, streams, poster, keyframes and sound."""
    with open_container(blob, limits) as container:
        claimed = duration_s(container)
        if claimed is not None and claimed > limits.max_duration_s:
            raise UnreadableMedia(
                "media", f"says it lasts {claimed:,.0f} s, limit {limits.max_duration_s:,.0f} s"
            )
        pictures = [s for s in container.streams.video if not is_cover(s)]
        sounds = list(container.streams.audio)
        if not pictures and not sounds:
            raise UnreadableMedia("media", f"no video or sound in this {container.format.name}")
        video = pictures[0] if pictures else None
        keyframes = Keyframes(limits, claimed or 0.0) if video else None
        sound = Sound(limits) if sounds else None
        if video is not None:
            video.thread_count = 1
            if (claimed or 0.0) > limits.full_decode_s:
                video.codec_context.skip_frame = "NONKEY"
        read = _read(container, video, keyframes, sounds[:1], sound, Budget(limits, blob.size))
        if keyframes is not None:
            keyframes.finish()
        if not (keyframes and keyframes.pictures) and not (sound and sound.seconds):
            why = "time limit reached" if read.out_of_time else "damaged"
            raise UnreadableMedia("media", f"nothing in it could be decoded ({why})")
        return _result(container, claimed, keyframes, sound, read, limits)


def _read(
    container: InputContainer,
    video: Any,
    keyframes: Keyframes | None,
    audio: list[Any],
    sound: Sound | None,
    budget: Budget,
) -> Pass:
    covers = [s for s in container.streams.video if is_cover(s)][:1]
    wanted = [*([video] if video is not None else []), *audio, *covers]
    cover_indexes = {s.index for s in covers}
    read = Pass()
    start_s = (container.start_time or 0) / av.time_base
    for packet in _packets(container, wanted, read):
        if read.packets % PACKETS_A_LOOK == 0 and budget.spent():
            read.out_of_time = True
            break
        if packet.stream.index in cover_indexes:
            read.cover = read.cover or (bytes(packet) if packet.size else None)
            continue
        is_video = video is not None and packet.stream.index == video.index
        collector = keyframes if is_video else sound
        if collector is not None and not collector.full():
            _decode(packet, keyframes if is_video else None, sound, start_s, read)
        elif (keyframes is None or keyframes.full()) and (sound is None or sound.full()):
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


def _decode(
    packet: Any, keyframes: Keyframes | None, sound: Sound | None, start_s: float, read: Pass
) -> None:
    try:
        for frame in packet.decode():
            if keyframes is not None:
                keyframes.offer(frame, max(0.0, (frame.time or 0.0) - start_s))
            elif sound is not None:
                sound.offer(frame)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes
        read.bad += 1


def _result(
    container: InputContainer,
    claimed: float | None,
    keyframes: Keyframes | None,
    sound: Sound | None,
    read: Pass,
    limits: MediaLimits,
) -> Examined:
    tags = all_tags(container)
    assets = keyframes.assets() if keyframes else []
    art = cover(read.cover, limits) if read.cover else None
    if art is not None:
        assets = [a for a in assets if a.kind != "poster"]
        assets.insert(0, Asset("poster", "jpg", art))
    if sound is not None and sound.seconds:
        assets.append(Asset("audio16k", "wav", sound.wav()))
    seen_s = max(keyframes.last_s if keyframes else 0.0, sound.seconds if sound else 0.0)
    streams = tuple(describe_stream(s) for s in container.streams if not is_cover(s))
    genre = parts(first(tags, "genre"))
    keywords = parts(first(tags, "keywords").replace(",", ";"))
    spoken = (stream["language"] for stream in streams if stream["type"] == "audio")
    return Examined(
        media="video" if keyframes is not None else "audio",
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
        note=_note(claimed, seen_s, keyframes, read),
        raw_tags=dict(list(tags.items())[:60]),
    )


def _note(claimed: float | None, seen_s: float, keyframes: Keyframes | None, read: Pass) -> str:
    said = []
    if read.bad:
        said.append(f"damaged: {read.bad} of {read.packets} packets unreadable")
    if read.out_of_time:
        said.append(f"time limit reached after {seen_s:.1f} s")
    # A video read at keyframes only ends at its last keyframe, up to a few seconds early.
    slack = 1.0 + 0.1 * (claimed or 0.0) + (12.0 if keyframes else 0.0) * (seen_s > 30.0)
    if read.ended and claimed is not None and seen_s + slack < claimed:
        said.append(f"truncated: ends after {seen_s:.1f} s of {claimed:.1f} s")
    return "; ".join(said)
