"""What a file is: by its first bytes, then by what its container says. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import av
from av.container import InputContainer

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Blob
from segue.ingest.naming import NFO_SUFFIX, SUBTITLE_SUFFIXES

# Demuxers of single self-contained files. Playlists (hls, concat, dash), SDP, image sequences
# and devices stay out: they exist to open other things.
DEMUXERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,mp3,flac,ogg,wav,w64,aac,asf,flv,aiff,au,amr,caf,"
    "wv,ape,tta,ac3,eac3,dts,h264,hevc,m4v,ivf,dv,nut,gxf,mxf,rm,voc"
)
HEAD_BYTES = 4096
MAX_ATOMS = 10_000
PICTURE_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
)  # fmt: skip
TEXT_SUFFIXES = (".txt", ".text")
STREAM_MAGIC = (
    b"\x1aE\xdf\xa3", b"OggS", b"fLaC", b"ID3", b"FLV", b"0&\xb2u", b"\0\0\x01\xba",
    b"\0\0\x01\xb3", b"FORM", b".snd", b"#!AMR", b"caff", b"wvpk", b"MAC ", b"TTA1", b".RMF",
)  # fmt: skip
STREAM_SUFFIXES = (
    ".mp4", ".m4v", ".m4a", ".m4b", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts",
    ".m2ts", ".mp3", ".mp2", ".flac", ".ogg", ".oga", ".ogv", ".opus", ".wav", ".aac", ".wma",
    ".wmv", ".asf", ".flv", ".aiff", ".aif", ".au", ".amr", ".caf", ".wv", ".ape", ".tta",
    ".ac3", ".3gp", ".mxf", ".dv", ".mka", ".rm", ".voc",
)  # fmt: skip
LANGUAGES = {
    "eng": "en", "zho": "zh", "chi": "zh", "cmn": "zh", "deu": "de", "ger": "de", "fra": "fr",
    "fre": "fr", "spa": "es", "ita": "it", "jpn": "ja", "kor": "ko", "rus": "ru", "por": "pt",
    "nld": "nl", "dut": "nl", "pol": "pl", "tur": "tr", "ara": "ar", "tha": "th", "hin": "hi",
    "swe": "sv", "dan": "da", "fin": "fi", "ces": "cs", "cze": "cs", "ell": "el", "gre": "el",
}  # fmt: skip
NO_LANGUAGE = ("und", "unk", "mul", "zxx", "mis")


def sort_of(head: bytes, suffix: str) -> str:
    """One of picture, pdf, zip, subtitle, nfo, text, stream or "" (not media).

    Bytes decide; the suffix only tells apart what has no signature (texts, raw MPEG frames).
    """
    if head.startswith(PICTURE_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if suffix in SUBTITLE_SUFFIXES:
        return "subtitle"
    if suffix == NFO_SUFFIX:
        return "nfo"
    if head[4:8] == b"ftyp" or head[:4] == b"RIFF" or head.startswith(STREAM_MAGIC):
        return "stream"
    if suffix in TEXT_SUFFIXES:
        return "text"
    return "stream" if suffix in STREAM_SUFFIXES else ""


def _never(url: str, flags: int, options: Mapping[str, str]) -> Any:
    raise UnreadableMedia("media", f"refers to another file or address ({url[:80]!r})")


def open_container(blob: Blob, limits: MediaLimits) -> InputContainer:
    """A demuxer over bytes alone: no protocol, no second file, no playlist."""
    try:
        container = av.open(
            blob,
            mode="r",
            options={"protocol_whitelist": "", "format_whitelist": DEMUXERS},
            metadata_errors="replace",
            io_open=_never,
        )
    except av.FFmpegError as error:
        if index_is_missing(blob):
            raise UnreadableMedia("media", "truncated: its index (moov) is missing") from error
        reason = (error.strerror or "no valid data").lower()
        raise UnreadableMedia("media", f"damaged, or not media: {reason}") from error
    for stream in container.streams.video:
        context = stream.codec_context
        if context.width * context.height > limits.max_pixels:
            raise UnreadableMedia(
                "media",
                f"{context.width} x {context.height} pixels, limit {limits.max_pixels:,}",
            )
        context.options = {"max_pixels": str(limits.max_pixels)}
    return container


def index_is_missing(blob: Blob) -> bool:
    """True for MP4 and QuickTime files that end before their ``moov`` atom."""
    blob.seek(4)
    if blob.read(4) != b"ftyp":
        return False
    at = 0
    for _ in range(MAX_ATOMS):
        blob.seek(at)
        head = blob.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind == b"moov":
            return False
        if size == 1:  # the real size is in the next 8 bytes
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or at + size >= blob.size:
            return True
        at += size
    return False


def duration_s(container: InputContainer) -> float | None:
    """Seconds that the container claims; None when it says nothing."""
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    spans = [
        float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base
    ]
    return max(spans, default=0.0) or None


def language(code: str | None) -> str | None:
    """A two-letter code where there is one; None for "undetermined" and its kin."""
    if not code:
        return None
    plain = code.strip().lower().replace("_", "-").split("-")[0]
    if not re.fullmatch("[a-z]{2,3}", plain) or plain in NO_LANGUAGE:
        return None
    return LANGUAGES.get(plain, plain)


def describe_stream(stream: Any) -> dict[str, Any]:
    """One stream as plain values for ``Item.extra``."""
    context = stream.codec_context
    out: dict[str, Any] = {"type": stream.type, "codec": context.name if context else None}
    if stream.type == "video" and context:
        rate = stream.average_rate
        out |= {
            "width_px": context.width,
            "height_px": context.height,
            "frames_per_s": round(float(rate), 3) if rate else None,
        }
    if stream.type == "audio" and context:
        out |= {"sample_rate_hz": context.sample_rate, "channels": context.channels}
    out["language"] = language(stream.metadata.get("language"))
    return out


def all_tags(container: InputContainer) -> dict[str, str]:
    """Container tags over stream tags (Ogg keeps them on the stream), keys in lower case."""
    out: dict[str, str] = {}
    for source in [*(s.metadata for s in container.streams), container.metadata]:
        for key, value in source.items():
            text = clean(value)
            if text:
                out[clean(key).lower()[:60]] = text[:2000]
    return out


def clean(text: str) -> str:
    """Without control characters and lone surrogates, which neither JSON nor a page takes."""
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in str(text))
    return printable.encode("utf-8", "replace").decode().strip()


def first(tags: Mapping[str, str], *names: str) -> str:
    """The first tag there is among ``names``."""
    return next((tags[name] for name in names if tags.get(name)), "")


def parts(text: str) -> tuple[str, ...]:
    """Several values in one tag: separated by ; or / or NUL, empty and repeated ones dropped."""
    found = (part.strip() for part in re.split(r"[;\x00]| / |(?<=\w)/(?=\w)", text))
    return tuple(dict.fromkeys(part for part in found if part))


def year(text: str) -> int | None:
    """The year of a date tag such as 2011-05-03."""
    match = re.search(r"(?<!\d)(1[0-9]{3}|20[0-9]{2})(?!\d)", text)
    return int(match.group()) if match else None
