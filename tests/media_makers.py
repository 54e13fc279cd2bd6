"""Small real media files, made on the spot: each function writes one and returns its path."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pypdf import PdfWriter

OPF = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="2.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The Glass Lake</dc:title><dc:creator>Ada Winter</dc:creator>
<dc:language>en</dc:language><dc:subject>Fantasy</dc:subject><dc:date>1912</dc:date>
<meta name="cover" content="art"/></metadata>
<manifest><item id="c1" href="one%20page.xhtml" media-type="application/xhtml+xml"/>
<item id="art" href="art.jpg" media-type="image/jpeg"/></manifest>
<spine><itemref idref="c1"/></spine></package>"""
CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>"""
PAGE = """<!DOCTYPE html><html><head><title>x</title><style>p {}</style></head><body>
<h1>One</h1><p>The lake was&nbsp;glass, and nobody skated.</p></body></html>"""
CUES = (
    "1\n00:00:00,500 --> 00:00:01,500\nHello there\n\n2\n00:00:02,000 --> 00:00:03,000\nGoodbye\n"
)

NFO = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<movie>
  <title>Low Tide</title>
  <originaltitle>Ebbe</originaltitle>
  <ratings><rating name="imdb" max="10" default="true"><value>7.1</value></rating></ratings>
  <userrating>8</userrating>
  <plot>A ferry runs aground &amp; nobody minds.</plot>
  <runtime>96</runtime>
  <mpaa>PG</mpaa>
  <playcount>2</playcount>
  <lastplayed>2024-05-03 21:14:00</lastplayed>
  <uniqueid type="tmdb">1234</uniqueid>
  <uniqueid type="imdb" default="true">tt0012345</uniqueid>
  <genre>Drama</genre>
  <genre>Sea / Comedy</genre>
  <tag>ferry</tag>
  <credits>Ada Pen</credits>
  <director>Bo Strand</director>
  <premiered>2009-02-11</premiered>
  <actor><name>Cy Rock</name><role>Mate</role><order>0</order></actor>
  <actor><name>Di Vale</name><role>Cook</role><order>1</order></actor>
  <resume><position>600.0</position><total>5760.0</total></resume>
</movie>
https://example.org/title/tt0012345?a=1&b=2
"""


def picture(path: Path, width: int = 320, height: int = 240, hue: int = 90) -> Path:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.full((height, width, 3), hue, dtype=np.uint8)
    pixels[:, :, 0] = ramp
    Image.fromarray(pixels).save(path)
    return path


def tone(rate_hz: int, seconds: float, pitch_hz: float = 440.0) -> np.ndarray:
    """(1, n) int16."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    return (8000 * np.sin(2 * math.pi * pitch_hz * t)).astype(np.int16)[None, :]


def _add_sound(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    samples = tone(stream.rate, seconds)
    for start in range(0, samples.shape[1], 1024):
        part = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate = stream.rate
        frame.pts = start
        frame.time_base = Fraction(1, stream.rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def sound(
    path: Path, seconds: float = 3.0, codec: str = "flac", tags: Mapping[str, str] | None = None
) -> Path:
    with av.open(str(path), "w") as out:
        out.metadata.update(dict(tags or {}))
        stream = out.add_stream(codec, rate=44100, layout="mono")
        _add_sound(out, stream, seconds)
    return path


def sound_with_lyrics(path: Path, lines: Sequence[tuple[int, str]]) -> Path:
    """A real ID3v2.3 frame of synchronised lyrics: UTF-16, times in milliseconds."""
    sound(path, 1.0, "libmp3lame")
    body = b"\x01eng\x02\x01\xff\xfe\0\0"
    for time_ms, words in lines:
        body += words.encode("utf-16") + b"\0\0" + time_ms.to_bytes(4, "big")
    frame = b"SYLT" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())
    return path


def video(
    path: Path,
    seconds: float = 3.0,
    codec: str = "mpeg4",
    sound_codec: str | None = "aac",
    tags: Mapping[str, str] | None = None,
    gop: int = 12,
) -> Path:
    rate = 12
    with av.open(str(path), "w") as out:
        out.metadata.update(dict(tags or {}))
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = 160, 120
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        audio = out.add_stream(sound_codec, rate=44100, layout="mono") if sound_codec else None
        for number in range(int(rate * seconds)):
            pixels = np.full((120, 160, 3), 30, dtype=np.uint8)
            pixels[:, : 10 + number * 4 % 150] = (200, 40 + number % 200, 60)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if audio is not None:
            _add_sound(out, audio, seconds)
    return path


def scenery(name: str, number: int, width: int = 160, height: int = 120) -> np.ndarray:
    """(height, width, 3) uint8: frame ``number`` of a picture of that name that sways a little."""
    rng = np.random.default_rng(sum(map(ord, name)) * 7919)
    coarse = rng.integers(20, 236, (6, 8, 3)).astype(np.uint8)
    wide = Image.fromarray(coarse).resize((width + 40, height), Image.Resampling.BICUBIC)
    at = abs(number // 4 % 24 - 12)
    return np.asarray(wide)[:, at : at + width]


def shots(
    path: Path,
    parts: Sequence[tuple[str, float, float]],
    codec: str = "mpeg4",
    gop: int = 12,
    rate: int = 25,
    options: Mapping[str, str] | None = None,
) -> Path:
    """A film of (picture name, seconds, seconds of dissolve into the next) parts, end to end.

    The name "black" is a black picture.
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.options = dict(options or {})
        number = 0
        for index, (name, seconds, blend_s) in enumerate(parts):
            count, blend = round(seconds * rate), round(blend_s * rate)
            after = parts[index + 1][0] if index + 1 < len(parts) else name
            for own in range(count):
                share = max(0.0, (own - count + blend + 1) / (blend + 1)) if blend else 0.0
                now, then = (
                    np.zeros((120, 160, 3)) if n == "black" else scenery(n, number)
                    for n in (name, after)
                )
                pixels = np.asarray((1 - share) * now + share * then, np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, number = number, number + 1
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def epub(path: Path, opf: str = OPF, page: str = PAGE) -> Path:
    art = io.BytesIO()
    Image.new("RGB", (60, 90), "purple").save(art, "JPEG")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", CONTAINER)
        book.writestr("OPS/book.opf", opf)
        book.writestr("OPS/one page.xhtml", page)
        book.writestr("OPS/art.jpg", art.getvalue())
    return path


def pdf(path: Path) -> Path:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    writer.add_metadata({"/Title": "Tide tables", "/Author": "Bo Marsh"})
    writer.write(path)
    return path


def text(path: Path) -> Path:
    path.write_text("Title: Northern Roads\nAuthor: Cy Fell\n\n" + "It rained all day. " * 20)
    return path


def golden(folder: Path) -> Path:
    """One file of each sort."""
    folder.mkdir(parents=True, exist_ok=True)
    video(folder / "harbour.mp4", tags={"title": "Harbour at dawn", "genre": "Documentary"})
    (folder / "harbour.en.srt").write_text(CUES)
    sound(folder / "03_night-train.flac", tags={"artist": "Mo; Zia", "date": "1999-02-01",
                                                 "genre": "Jazz"})  # fmt: skip
    (folder / "speech").mkdir(exist_ok=True)
    sound(folder / "speech" / "hello.wav", codec="pcm_s16le", seconds=1.0)
    picture(folder / "hills.png", 900, 500)
    epub(folder / "lake.epub")
    pdf(folder / "tides.pdf")
    text(folder / "roads.txt")
    return folder
