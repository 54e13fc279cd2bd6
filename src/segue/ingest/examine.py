"""The child's one task: look at one file and return plain values."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import PurePath

from segue.core.errors import UnreadableMedia
from segue.ingest.decode import examine_stream
from segue.ingest.documents import examine_epub, examine_pdf, examine_text
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Blob, Examined, Found, open_blob
from segue.ingest.nfo import examine_nfo
from segue.ingest.pictures import open_picture, to_jpeg
from segue.ingest.probe import HEAD_BYTES, sort_of
from segue.ingest.subtitles import examine_subtitle


def examine(found: Found, limits: MediaLimits) -> Examined:
    """Everything that one file gives. Raises :class:`UnreadableMedia` and nothing else."""
    try:
        with open_blob(found) as blob:
            return _by_sort(blob, PurePath(found.path).suffix.lower(), limits)
    except UnreadableMedia as error:
        raise UnreadableMedia(found.path, error.reason) from None
    except MemoryError:
        reason = f"needs more than the {limits.memory_bytes >> 20} MiB of memory it may take"
        raise UnreadableMedia(found.path, reason) from None
    except Exception as error:  # noqa: BLE001  parsers raise anything on hostile bytes
        raise UnreadableMedia(found.path, f"damaged: {_words(error)}") from None


def _words(error: Exception) -> str:
    """An error's text on one line, without addresses of objects and error numbers."""
    text = re.sub(r"<[^<>]*>|\[Errno -?\d+\]", "", str(error))
    plain = " ".join(text.split()).strip(" :'\"")[:200]
    return plain.encode("utf-8", "replace").decode() or type(error).__name__


def _by_sort(blob: Blob, suffix: str, limits: MediaLimits) -> Examined:
    if blob.size == 0:
        raise UnreadableMedia("file", "empty")
    sort = sort_of(blob.read(HEAD_BYTES), suffix)
    blob.seek(0)
    if not sort:
        raise UnreadableMedia("file", "not a media file (no known signature)")
    if sort != "stream" and blob.size > limits.max_document_bytes:
        raise UnreadableMedia("file", f"{blob.size:,} bytes, limit {limits.max_document_bytes:,}")
    return READERS[sort](blob, limits)


def examine_picture(blob: Blob, limits: MediaLimits) -> Examined:
    """A still picture: itself as poster and only keyframe."""
    still = open_picture(io.BufferedReader(blob), limits)
    size: dict[str, str | int | float | None] = {
        "type": "picture",
        "width_px": still.width_px,
        "height_px": still.height_px,
    }
    data = to_jpeg(still.image, limits)
    return Examined(
        media="image",
        format=still.format,
        streams=(size,),
        assets=(Asset("poster", "jpg", data), Asset("keyframe", "jpg", data, 0.0)),
    )


READERS: dict[str, Callable[[Blob, MediaLimits], Examined]] = {
    "picture": examine_picture,
    "pdf": examine_pdf,
    "zip": examine_epub,
    "text": examine_text,
    "subtitle": examine_subtitle,
    "nfo": examine_nfo,
    "stream": examine_stream,
}
