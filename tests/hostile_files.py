"""Files that try to crash, stall, read what is not theirs or call home.

``{canary}`` is a file outside the folder whose content must never come back; ``{port}`` is a
loopback server that must never be called.
"""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

import media_makers
from hostile_bytes import atom, mov_reference, pdf_reference, png_header

CANARY_TEXT = "canary-4f1c-must-never-be-read"
Builder = Callable[[Path], object]

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n{target}\n#EXT-X-ENDLIST\n"
HLS_KEY = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n'
    "#EXTINF:4.0,\nlocal.ts\n#EXT-X-ENDLIST\n"
)
CONCAT = "ffconcat version 1.0\nfile '{target}'\n"
SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    "<AdaptationSet><Representation id='1' bandwidth='1'><BaseURL>{target}</BaseURL>"
    "</Representation></AdaptationSet></Period></MPD>"
)
ASX = '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>'
CUE = 'FILE "{target}" WAVE\n TRACK 01 AUDIO\n INDEX 01 00:00:00\n'
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><package>&j;</package>"
)
XXE = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY x SYSTEM "file://{canary}">]>'
    + media_makers.OPF.split("?>", 1)[1].replace("The Glass Lake", "&x;")
)
XXE_HTTP = XXE.replace("file://{canary}", "http://127.0.0.1:{port}/x.dtd")


def write_text(text: str) -> Builder:
    return lambda path: path.write_text(text)


def write_bytes(data: bytes) -> Builder:
    return lambda path: path.write_bytes(data)


def references(canary: Path, port: int) -> dict[str, Builder]:
    """Playlists, session descriptions and documents that point at something else."""
    out: dict[str, Builder] = {}
    targets = {"file": str(canary), "url": f"file://{canary}", "up": f"../{canary.name}",
               "http": f"http://127.0.0.1:{port}/a.ts", "tcp": f"tcp://127.0.0.1:{port}",
               "concat": f"concat:{canary}|{canary}", "crypto": f"crypto:{canary}",
               "data": f"subfile,,start,0,end,20,,:{canary}"}  # fmt: skip
    templates = {"hls": HLS, "key": HLS_KEY, "concat": CONCAT, "dash": DASH, "asx": ASX,
                 "svg": SVG, "cue": CUE}  # fmt: skip
    suffixes = {"hls": ("m3u8", "mp4", "ts"), "concat": ("ffconcat", "mkv"), "dash": ("mpd", "mp4"),
                "key": ("mp3",), "asx": ("wmv",), "svg": ("png",), "cue": ("wav",)}  # fmt: skip
    for kind, template in templates.items():
        for name, target in targets.items():
            suffix = suffixes[kind][len(out) % len(suffixes[kind])]
            out[f"{kind}-{name}.{suffix}"] = write_text(template.format(target=target))
    for suffix in ("sdp", "mp4", "mpg"):
        out[f"session.{suffix}"] = write_text(SDP.format(port=port))
    fill = {"canary": str(canary), "port": str(port)}
    for name, opf in (("xxe-file", XXE), ("xxe-http", XXE_HTTP)):
        for key, value in fill.items():
            opf = opf.replace(f"{{{key}}}", value)
        out[f"{name}.epub"] = lambda path, opf=opf: media_makers.epub(path, opf=opf)
    out["climb.epub"] = lambda path: media_makers.epub(
        path, opf=media_makers.OPF.replace("one%20page.xhtml", f"../../..{canary}")
    )
    out["elsewhere.mov"] = write_bytes(mov_reference(canary))
    out["elsewhere.pdf"] = write_bytes(pdf_reference(canary))
    out["vobsub.srt"] = write_text(f"# VobSub index file, v7\nlangidx: 0\nfile: {canary}\n")
    return out


def _zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)


def zip_bomb(path: Path) -> None:
    """An e-book whose only page is 60 MB of one letter."""
    _zip(path, {"mimetype": b"x", "META-INF/container.xml": media_makers.CONTAINER.encode(),
                "OPS/book.opf": media_makers.OPF.encode(),
                "OPS/one page.xhtml": b"a" * 60_000_000})  # fmt: skip


def lying_zip(path: Path) -> None:
    """A bomb whose directory says that its page is 10 bytes long."""
    zip_bomb(path)
    data = path.read_bytes().replace(struct.pack("<I", 60_000_000), struct.pack("<I", 10))
    path.write_bytes(data)


def crowded_zip(path: Path) -> None:
    _zip(path, {f"{i}": b"" for i in range(8000)} | {"mimetype": b"x"})


def big_zip(path: Path) -> None:
    """Claims 4 GB in its directory."""
    zip_bomb(path)
    data = path.read_bytes().replace(struct.pack("<I", 60_000_000), struct.pack("<I", 0xFFFFFFF0))
    path.write_bytes(data)


def flac_bomb(path: Path) -> None:
    """Twenty minutes of silence in a few kilobytes."""
    with av.open(str(path), "w", format="flac") as out:
        stream = out.add_stream("flac", rate=8000, layout="mono")
        for number in range(20 * 60 * 8000 // 65535):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 65535), dtype=np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, number * 65535
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def pdf_bomb(path: Path) -> None:
    body = zlib.compress(b"(x) Tj " * 6_000_000, 9)
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length "
        + str(len(body)).encode()
        + b">>stream\n"
        + body
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    )


def id3_bomb(path: Path) -> None:
    """An MP3 tag that carries a picture of 900 million pixels."""
    art = png_header(30_000, 30_000)
    frame = b"\0image/png\0\x03\0" + art
    apic = b"APIC" + struct.pack(">IH", len(frame), 0) + frame
    size = len(apic)
    syncsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + syncsafe + apic + b"\xff\xfb\x90\0" + bytes(413))


def bombs() -> dict[str, Builder]:
    """Small files that ask for a great deal of memory or time."""
    white = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.new("1", (12_000, 12_000)).save(white, "PNG")
    wav = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        0xFFFFFFF0,
        b"WAVE",
        b"fmt ",
        16,
        1,
        65535,
        0xFFFFFFFF,
        0xFFFFFFFF,
        65535,
        64,
        b"data",
        0xFFFFFF00,
    )
    deep = "<a>" * 200_000
    laughs_page = media_makers.OPF
    return {
        "bomb.epub": zip_bomb,
        "lying.epub": lying_zip,
        "crowded.epub": crowded_zip,
        "claims.epub": big_zip,
        "silence.flac": flac_bomb,
        "stream.pdf": pdf_bomb,
        "tag.mp3": id3_bomb,
        "laughs.epub": lambda p: media_makers.epub(p, opf=LAUGHS),
        "laughs-page.epub": lambda p: media_makers.epub(p, laughs_page, LAUGHS),
        "deep.epub": lambda p: media_makers.epub(p, opf=deep),
        "deep-page.epub": lambda p: media_makers.epub(p, page="<div>" * 500_000),
        "unclosed.epub": lambda p: media_makers.epub(p, page="<!--" * 100_000 + "<" * 200_000),
        "wide.png": write_bytes(png_header(60_000, 60_000)),
        "edge.png": write_bytes(png_header(0x7FFFFFFF, 1)),
        "white.png": write_bytes(white.getvalue()),
        "screen.gif": write_bytes(b"GIF89a\xff\xff\xff\xff\xf0\0\0" + bytes(700)),
        "head.bmp": write_bytes(
            b"BM" + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, 1 << 30, 1 << 30, 1, 32, 0)
        ),
        "head.tif": write_bytes(
            b"II*\0\x08\0\0\0\x02\0"
            + struct.pack("<HHII", 256, 4, 1, 99_999)
            + struct.pack("<HHII", 257, 4, 1, 99_999)
            + bytes(4)
        ),
        "loop.tif": write_bytes(b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        "head.wav": write_bytes(wav + bytes(2000)),
        "head.mkv": write_bytes(b"\x1aE\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xfe" + bytes(500)),
        "head.mp4": write_bytes(
            atom(b"ftyp", b"isom", bytes(4)) + b"\x7f\xff\xff\xffmoov" + bytes(99)
        ),
        "deep.mp4": write_bytes(atom(b"ftyp", b"isom", bytes(4)) + b"\0\0\xff\xffmoov" * 5000),
        "head.flac": write_bytes(b"fLaC\0\0\0\x22" + b"\xff" * 34 + bytes(99)),
        "head.ogg": write_bytes(b"OggS\0\2" + b"\xff" * 20 + b"\xff" * 500),
        "head.mp3": write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(600)),
        "head.au": write_bytes(b".snd" + b"\xff" * 20 + bytes(90)),
        "head.aiff": write_bytes(b"FORM\x7f\xff\xff\xffAIFFCOMM\0\0\0\x12" + b"\xff" * 60),
        "deep.pdf": write_bytes(
            b"%PDF-1.4\n1 0 obj " + b"[" * 300_000 + b"\ntrailer<</Root 1 0 R>>"
        ),
        "loop.pdf": write_bytes(
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<<"
            b"/Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>endobj\ntrailer<</Root 1 0 R>>"
        ),
        "many.srt": write_text(
            "".join(f"{i}\n00:00:01,000 --> 00:00:02,000\nx\n\n" for i in range(60_000))
        ),
        "braces.ass": write_text(
            "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:00.00,0:00:01.00," + "{" * 200_000
        ),
        "line.txt": write_bytes(b"a" * 3_000_000),
    }


def sparse(path: Path) -> None:
    """21 GiB that take no room on disk."""
    path.touch()
    os.truncate(path, 21 << 30)


def impostors() -> dict[str, Builder]:
    """Not media at all, whatever their names say."""
    out: dict[str, Builder] = {}
    noise = random.Random(5).randbytes(20_000)
    for suffix in ("mp4", "mp3", "png", "epub", "pdf", "srt", "txt", "flac"):
        out[f"empty.{suffix}"] = write_bytes(b"")
        out[f"prose.{suffix}"] = write_text("Plain words that are no media. " * 3)
        out[f"noise.{suffix}"] = write_bytes(noise)
    out["program.bin"] = write_bytes(b"\x7fELF" + noise)
    out["new\nline.mp4"] = write_bytes(noise[:99])
    out["-rf.mp4"] = write_bytes(noise[:99])
    out["%03d.jpg"] = write_bytes(noise[:99])
    out["huge.mkv"] = sparse
    return out


def specials(folder: Path, canary: Path) -> list[Path]:
    """A FIFO, a socket, links outwards and a name that is no text: none may be opened."""
    os.mkfifo(folder / "pipe.mp4")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as end:
        end.bind(f"{short}/s")
        os.rename(f"{short}/s", folder / "socket.mp4")
    (folder / "link.txt").symlink_to(canary)
    (folder / "links").symlink_to(canary.parent)
    (folder / "dangling.mp4").symlink_to(folder / "nowhere")
    odd = os.fsencode(folder) + b"/\xff\xfe.mp4"
    with open(odd, "wb") as file:
        file.write(b"x")
    names = ("pipe.mp4", "socket.mp4", "link.txt", "links", "dangling.mp4")
    return [*(folder / name for name in names), Path(os.fsdecode(odd))]


def originals(folder: Path) -> list[Path]:
    """Sound files of as many sorts as this build of FFmpeg writes, to be damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        media_makers.epub(folder / "a.epub"), media_makers.pdf(folder / "a.pdf"),
        media_makers.picture(folder / "a.png"), media_makers.picture(folder / "a.jpg"),
        media_makers.picture(folder / "a.gif"), media_makers.picture(folder / "a.tif"),
        media_makers.picture(folder / "a.webp"), media_makers.sound(folder / "a.flac", 1.0),
        media_makers.sound(folder / "a.wav", 0.5, "pcm_s16le"),
    ]  # fmt: skip
    (folder / "a.srt").write_text(media_makers.CUES)
    (folder / "a.nfo").write_text(media_makers.NFO)
    song = media_makers.sound_with_lyrics(
        folder / "a.mp3", [(1000, "The tide comes in"), (3500, "and the lamps go out")]
    )
    made += [folder / "a.srt", folder / "a.nfo", song]
    videos = (
        ("a.mp4", "mpeg4", "aac"),
        ("b.mp4", "libx264", "aac"),
        ("a.mkv", "mpeg4", "flac"),
        ("a.avi", "mpeg4", "mp2"),
        ("a.webm", "libvpx", "libopus"),
        ("a.ts", "mpeg2video", "mp2"),
        ("a.flv", "flv", None),
        ("a.mov", "mjpeg", "pcm_s16le"),
    )
    for name, codec, sound_codec in videos:
        if codec in av.codecs_available and (sound_codec or codec) in av.codecs_available:
            # VP8 and Opus want 48 kHz, which the maker does not offer: video alone then.
            sound = None if sound_codec == "libopus" else sound_codec
            made.append(media_makers.video(folder / name, 1.5, codec, sound))
    for name, codec in (("a.mp3", "libmp3lame"), ("a.ogg", "libvorbis"), ("a.m4a", "aac")):
        if codec in av.codecs_available and codec != "libvorbis":
            made.append(media_makers.sound(folder / name, 1.0, codec))
    return made


def damage(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, a block zeroed, repeated, cut out or cut off, or a size field blown up."""
    spoilt = bytearray(data)
    way = rng.randrange(6)
    at = rng.randrange(len(spoilt))
    if way == 0:
        for _ in range(rng.choice((1, 8, 64, 512))):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
    elif way == 1:
        spoilt[at : at + 256] = bytes(len(spoilt[at : at + 256]))
    elif way == 2:
        spoilt[at:at] = spoilt[at : at + rng.randrange(1, 2000)]
    elif way == 3:
        del spoilt[at : at + rng.randrange(1, 2000)]
    elif way == 4:
        del spoilt[at:]
    else:
        at = rng.randrange(min(len(spoilt), 400))
        spoilt[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(spoilt)


def make_hostile(folder: Path, canary: Path, port: int, count: int, seed: int = 7) -> int:
    """Fill ``folder`` with ``count`` hostile files (all sorts, the rest damaged media)."""
    folder.mkdir(parents=True, exist_ok=True)
    made = len(specials(folder, canary))
    crafted = references(canary, port) | bombs() | impostors()
    names = sorted(crafted)
    room = int((count - made) * 0.6)
    step = max(1, -(-len(names) // room))
    for name in names[::step]:
        crafted[name](folder / name)
        made += 1
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as whole:
        sources = originals(Path(whole))
        for number in range(count - made):
            source = sources[number % len(sources)]
            name = f"{number:03d}-{source.stem}{source.suffix}"
            (folder / name).write_bytes(damage(source.read_bytes(), rng))
    return count
