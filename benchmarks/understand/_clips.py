"""Real clips of the packages, and copies of them in another encoding, size, cut or soundtrack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from PIL import Image

from segue.datasets.demo import demo_media
from segue.datasets.fetch import cache_folder, get

MOST_WIDTH_PX = 480  # copies are small, so that making them does not take all day
RATE_HZ = 48_000  # what Opus wants


@dataclass(frozen=True)
class Edit:
    """How a copy is made: codec, scale, bars, which share of the time is kept, whose sound."""

    codec: str = "libx264"
    suffix: str = ".mp4"
    scale: float = 1.0
    bit_rate: int = 600_000
    bars: float = 0.0  # black rows above and below, as a share of the height
    start: float = 0.0
    end: float = 1.0
    other_sound: bool = False


EDITS = {
    "half size, mpeg4": Edit("mpeg4", ".avi", scale=0.5, bit_rate=250_000),
    "three quarters, vp8": Edit("libvpx", ".webm", scale=0.75, bit_rate=400_000),
    "low bit rate": Edit(bit_rate=90_000),
    "letterbox": Edit(bars=0.14),
    "first 20 % cut": Edit(start=0.2),
    "10 % cut at both ends": Edit("mpeg4", ".mp4", start=0.1, end=0.9),
    "other soundtrack": Edit(other_sound=True),
}


def videos() -> dict[str, Path]:
    """Every video of the demo and of the picture packages, by name."""
    found = {p.stem: p for p in sorted((demo_media().folder / "video").iterdir())}
    return found | {p.stem: p for p in sorted(get("pictures-opencv").glob("*.avi"))}


def even(length: float) -> int:
    return max(2, 2 * round(length / 2))


def copy(source: Path, edit: Edit, sound: Path | None) -> Path:
    """The edited clip, made once and kept in the cache; ``sound`` replaces its soundtrack."""
    folder = cache_folder() / "bench" / "copies"
    folder.mkdir(parents=True, exist_ok=True)
    other = "" if sound is None else f"-{sound.stem}"
    name = f"{source.stem}-{hash_of(edit)}{other}{edit.suffix}"
    target = folder / name
    if not target.is_file():
        part = folder / f"part-{name}"
        _write(source, edit, sound, part)
        part.replace(target)
    return target


def hash_of(edit: Edit) -> str:
    values = (edit.codec, edit.scale, edit.bit_rate, edit.bars, edit.start, edit.end)
    return "-".join(f"{v}" for v in (*values, int(edit.other_sound)))


def length_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return float(container.duration or 0) / av.time_base


def _write(source: Path, edit: Edit, sound: Path | None, target: Path) -> None:
    whole = length_s(source)
    start_s, end_s = edit.start * whole, edit.end * whole
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = reading.streams.video[0]
        rate = Fraction(stream.average_rate or 25).limit_denominator(1000) / 2
        scale = edit.scale * min(1.0, MOST_WIDTH_PX / stream.width)
        width, height = even(stream.width * scale), even(stream.height * scale)
        bar = even(edit.bars * height) if edit.bars else 0
        out = writing.add_stream(edit.codec, rate=rate)
        out.width, out.height, out.pix_fmt = width, height + 2 * bar, "yuv420p"
        out.bit_rate = edit.bit_rate
        out.options = (
            {"preset": "ultrafast"}
            if edit.codec == "libx264"
            else {"deadline": "realtime", "cpu-used": "8"}
            if edit.codec == "libvpx"
            else {}
        )
        heard = source if sound is None else sound
        track = samples(heard, start_s if sound is None else 0.0, end_s - start_s)
        codec = "libopus" if edit.suffix == ".webm" else "mp3" if edit.suffix == ".avi" else "aac"
        audio = (
            writing.add_stream(codec, rate=RATE_HZ, layout="stereo") if track is not None else None
        )
        for number, picture in enumerate(_pictures(reading, start_s, end_s, (width, height), bar)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            writing.mux(out.encode(frame))
        writing.mux(out.encode())
        if audio is not None and track is not None:
            _sound(writing, audio, track)


def _pictures(
    reading: av.container.InputContainer,
    start_s: float,
    end_s: float,
    size: tuple[int, int],
    bar: int,
) -> Iterator[np.ndarray]:
    first: float | None = None
    for number, frame in enumerate(reading.decode(reading.streams.video[0])):
        first = float(frame.time or 0) if first is None else first
        at = float(frame.time or 0) - first
        if at >= end_s:
            return
        if at < start_s or number % 2:  # half the frame rate
            continue
        picture = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
        yield np.pad(picture, ((bar, bar), (0, 0), (0, 0))) if bar else picture


def samples(path: Path, start_s: float, seconds: float) -> np.ndarray | None:
    """(2, n) float32 at ``RATE_HZ``; None where there is no sound."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        parts, count = [], 0
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                parts.append(part.to_ndarray())
                count += part.samples
            if count > (start_s + seconds) * RATE_HZ:
                break
    whole = np.concatenate(parts, axis=1)
    return whole[:, int(start_s * RATE_HZ) : int((start_s + seconds) * RATE_HZ)]


def _sound(
    writing: av.container.OutputContainer, stream: av.AudioStream, track: np.ndarray
) -> None:
    step = 1024
    for at in range(0, track.shape[1] - step, step):
        block = np.ascontiguousarray(track[:, at : at + step])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        writing.mux(stream.encode(frame))
    writing.mux(stream.encode())


def picture_edits() -> dict[str, Callable[[Image.Image], Image.Image]]:
    """What is done to still pictures: stronger compression, another size, bars, less light."""
    return {
        "a third of the size": lambda p: p.resize((max(8, p.width // 3), max(8, p.height // 3))),
        "wider by 8 %": lambda p: p.resize((round(p.width * 1.08), p.height)),
        "letterbox": _barred,
        "darker": lambda p: p.point(lambda level: round(level * 0.75)),
        "2 % cropped": lambda p: p.crop(
            (p.width // 50, p.height // 50, p.width - p.width // 50, p.height - p.height // 50)
        ),
    }


def _barred(picture: Image.Image) -> Image.Image:
    out = Image.new("RGB", (picture.width, round(picture.height * 1.3)))
    out.paste(picture, (0, round(picture.height * 0.15)))
    return out
