"""Hand-made bytes of containers that point elsewhere or promise too much."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path


def atom(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def mov_reference(canary: Path) -> bytes:
    """A QuickTime movie whose samples lie in another file ("alis" data reference)."""
    name = str(canary).encode()
    alias = (
        struct.pack(">IHH", 0, 150 + len(name), 2)
        + bytes(142)
        + struct.pack(">hh", 2, len(name))
        + name
    )
    dref = atom(
        b"dref", bytes(4), struct.pack(">I", 1), atom(b"alis", bytes(4), alias, b"\xff\xff")
    )
    sample = struct.pack(">6xH", 1) + bytes(8) + struct.pack(">HHIIH", 1, 16, 0, 8000 << 16, 0)[:12]
    stbl = atom(
        b"stbl",
        atom(b"stsd", bytes(4), struct.pack(">I", 1), atom(b"sowt", sample)),
        atom(b"stts", bytes(4), struct.pack(">III", 1, 20, 1)),
        atom(b"stsc", bytes(4), struct.pack(">IIII", 1, 1, 20, 1)),
        atom(b"stsz", bytes(4), struct.pack(">II", 2, 20)),
        atom(b"stco", bytes(4), struct.pack(">II", 1, 0)),
    )
    mdhd = atom(b"mdhd", bytes(12), struct.pack(">II", 8000, 20), bytes(4))
    hdlr = atom(b"hdlr", bytes(4), b"mhlrsoun", bytes(13))
    minf = atom(b"minf", atom(b"smhd", bytes(8)), atom(b"dinf", dref), stbl)
    tkhd = atom(b"tkhd", struct.pack(">I", 7), bytes(8), struct.pack(">I", 1), bytes(68))
    mvhd = atom(b"mvhd", bytes(12), struct.pack(">II", 8000, 20), bytes(80))
    trak = atom(b"trak", tkhd, atom(b"mdia", mdhd, hdlr, minf))
    return atom(b"ftyp", b"qt  ", bytes(4), b"qt  ") + atom(b"moov", mvhd, trak)


def pdf_reference(canary: Path) -> bytes:
    """A PDF whose page content is an external file stream."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/Launch/F("
        + str(canary).encode()
        + b")>>>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Length 0/F(" + str(canary).encode() + b")>>stream\n\nendstream endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF"
    )


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(min(width * 4, 1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
