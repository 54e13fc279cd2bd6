"""Subtitles: cues as WebVTT and as plain text. Runs in the sandboxed child."""

from __future__ import annotations

import pysubs2

from segue.core.errors import UnreadableMedia
from segue.ingest.documents import decode_text
from segue.ingest.limits import MediaLimits
from segue.ingest.lyrics import is_timed, timed_cues
from segue.ingest.media import Asset, Blob, Examined
from segue.ingest.probe import clean


def examine_subtitle(blob: Blob, limits: MediaLimits) -> Examined:
    """Cues in time order; text of all of them, one line a cue."""
    written = decode_text(blob.read(4 * limits.max_text_chars))
    # Counted before they are parsed, as parsing is what takes the time.
    count = max(written.count("-->"), written.count("Dialogue:"))
    if count > limits.max_cues:
        raise UnreadableMedia("subtitle", f"{count:,} cues, limit {limits.max_cues:,}")
    lyrics = not count and is_timed(written)
    cues = timed_cues(written, limits.max_cues) if lyrics else pysubs2.SSAFile.from_string(written)
    spoken = [cue for cue in cues if not cue.is_comment and cue.plaintext.strip()]
    if not spoken:
        raise UnreadableMedia("subtitle", "holds no cue")
    cues.events = sorted(spoken, key=lambda cue: cue.start)
    lines = dict.fromkeys(clean(cue.plaintext.replace("\n", " ")) for cue in cues)
    text = "\n".join(line for line in lines if line)[: limits.max_text_chars]
    return Examined(
        media="subtitle",
        format="vtt",
        duration_s=max(cue.end for cue in cues) / 1000,
        assets=(
            Asset("subtitle", "vtt", cues.to_string("vtt").encode("utf-8", "replace")),
            Asset("text", "txt", text.encode("utf-8", "replace")),
        ),
    )
