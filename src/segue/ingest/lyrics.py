"""Lyrics, in a sound's tags or in an LRC file beside it. Runs in the sandboxed child.

Tags that have them: ID3 ``USLT`` (FFmpeg names it ``lyrics-eng``), Vorbis ``LYRICS`` and MP4
``©lyr``. Many hold LRC, whose lines begin with times: ``[01:02.50]``. Those become subtitles, as
does ID3 ``SYLT``, which FFmpeg leaves out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping

import pysubs2
from tinytag import TinyTag

from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Blob
from segue.ingest.probe import clean

TAG = re.compile(r"((un)?syn(c|chroni[sz])ed ?)?lyrics([-_ :].*)?", re.I)
STAMP = re.compile(r"\[(\d{1,3}):([0-5]?\d)(?:[.:](\d{1,3}))?\]\s*")
OF_A_WORD = re.compile(r"<\d{1,3}:[0-5]?\d(?:[.:]\d{1,3})?>\s*")
ABOUT = re.compile(r"\[(?!\d)[\w#]+:.*\]\s*")  # [ar:…], [ti:…], [offset:…]
OFFSET = re.compile(r"\[offset:\s*([+-]?\d{1,6})\s*\]", re.I)
LEAST_TIMED = 2  # lines with a time, or it is a text that happens to begin with one
LONGEST_MS, LAST_MS = 10_000, 5_000  # a line is shown until the next, but no longer than this
LEAST_CHARS = 20  # "instrumental" is no lyric


def lyrics_in(tags: Iterable[Mapping[str, str]]) -> str:
    """The lyrics among tags; where there are several, timed ones, then the longest."""
    found = [value for some in tags for key, value in some.items() if TAG.fullmatch(key.strip())]
    return max(found, key=lambda text: (is_timed(text), len(text)), default="")


def id3_lyrics(blob: Blob) -> str:
    """Lyrics of an ID3v2 tag at the beginning of a file, ``SYLT`` as LRC; "" where it has none.

    Damaged tags have none: the sound behind them is still good.
    """
    blob.seek(0)
    if blob.read(3) != b"ID3":
        return ""
    blob.seek(0)
    try:
        told = TinyTag.get(file_obj=io.BufferedReader(blob.again()), duration=False)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  parsers raise anything on hostile bytes
        return ""
    return lyrics_in({"lyrics": text} for text in told.other.get("lyrics") or ())


def is_timed(written: str) -> bool:
    """Whether a text is LRC."""
    lines = written[: 1 << 16].splitlines()
    return sum(STAMP.match(line.strip()) is not None for line in lines) >= LEAST_TIMED


def lyric_assets(written: str, limits: MediaLimits) -> tuple[Asset, ...]:
    """The text, and subtitles where its lines have times; nothing for a text of a few words."""
    written = written.replace("\r\n", "\n").replace("\r", "\n")[: 4 * limits.max_text_chars]
    cues = timed_cues(written, limits.max_cues) if is_timed(written) else pysubs2.SSAFile()
    lines = [clean(c.plaintext) for c in cues] if cues else clean(_plain(written)).splitlines()
    text = "\n".join(line.strip() for line in lines).strip()[: limits.max_text_chars]
    if len(text) < LEAST_CHARS:
        return ()
    words = Asset("text", "txt", text.encode("utf-8", "replace"))
    if not cues:
        return (words,)
    return Asset("subtitle", "vtt", cues.to_string("vtt").encode("utf-8", "replace")), words


def timed_cues(written: str, most: int) -> pysubs2.SSAFile:
    """Cues of LRC in order of time. A line with several times is sung as often."""
    offset = OFFSET.search(written)
    earlier_ms = int(offset[1]) if offset else 0
    lines: list[tuple[int, str]] = []
    for line in written.splitlines():
        rest, times = line.strip(), []
        while stamp := STAMP.match(rest):
            times.append(_ms(stamp) - earlier_ms)
            rest = rest[stamp.end() :]
        words = clean(OF_A_WORD.sub("", rest))
        lines += [(max(time_ms, 0), words) for time_ms in times]
    lines = sorted(lines[:most], key=lambda line: line[0])
    ends = [*(start for start, _ in lines[1:]), (lines[-1][0] + LAST_MS if lines else 0)]
    return _file(
        pysubs2.SSAEvent(start, min(end, start + LONGEST_MS), text=words)
        for (start, words), end in zip(lines, ends, strict=True)
        if words and end > start
    )


def _file(events: Iterable[pysubs2.SSAEvent]) -> pysubs2.SSAFile:
    file = pysubs2.SSAFile()
    file.events = list(events)
    return file


def _ms(stamp: re.Match[str]) -> int:
    fraction = (stamp[3] or "0").ljust(3, "0")[:3]
    return (int(stamp[1]) * 60 + int(stamp[2])) * 1000 + int(fraction)


def _plain(written: str) -> str:
    """Without the lines that say what a lyric is of."""
    return "\n".join(line for line in written.splitlines() if not ABOUT.fullmatch(line.strip()))
