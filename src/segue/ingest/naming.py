"""From what a file and its sidecar say to the row of an item."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import Any

from segue.ingest.media import Examined, Found

SPOKEN_GENRES = {
    "speech": "speech", "spoken": "speech", "spoken word": "speech", "audiobook": "speech",
    "audiobooks": "speech", "audio book": "speech", "voice": "speech", "lecture": "speech",
    "podcast": "podcast", "podcasts": "podcast",
}  # fmt: skip
SPOKEN_FOLDERS = ("sounds", "speech", "voice", "spoken", "audiobook", "prompts")
NOT_WORKS = (
    "readme", "license", "licence", "copying", "copyright", "notice", "changelog", "changes",
    "authors", "credits", "requirements", "todo", "install", "manifest", "top_level",
    "entry_points",
)  # fmt: skip
NO_TITLES = ("untitled", "unknown", "title", "track", "microsoft word")
SUBTITLE_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".lrc")
NFO_SUFFIX = ".nfo"
ID = "id:"  # before the name of whose id it is, among the raw tags of an NFO
SIDE_SUFFIXES = (*SUBTITLE_SUFFIXES, NFO_SUFFIX)  # of files that speak of the one beside them
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".tbn")
POSTERS = ("poster", "folder", "cover", "front", "albumart", "movie")
ARTWORK = (
    *POSTERS,
    "fanart",
    "backdrop",
    "background",
    "banner",
    "thumb",
    "landscape",
    "clearlogo",
    "clearart",
    "logo",
    "disc",
    "cdart",
    "keyart",
    "characterart",
)  # fmt: skip  names that media servers give to pictures of what lies beside them
OF_A_SEASON = re.compile(r"season(\d+|-specials|-all)")
TWO_PARTS = re.compile(r"^(?P<stem>.+)\.[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?$")
FILE_NAME = re.compile(r"^\S+\.[A-Za-z][A-Za-z0-9]{2,3}$")
KINDS = {"video": "video", "image": "image", "book": "book"}


def is_side_text(path: str) -> bool:
    """A read-me, licence or the like: text, but no work that anyone would be recommended."""
    plain = PurePath(path)
    stem = plain.stem.lower().replace("-", "_").split("_")[0].split(".")[0]
    return plain.suffix.lower() in (".txt", ".text") and (
        stem in NOT_WORKS or plain.stem.lower() in NOT_WORKS
    )


def artwork_of(path: str) -> str:
    """Which artwork a picture is by its name: ``poster.jpg`` is a "poster", ``film-fanart.jpg`` a
    "fanart", ``season02-poster.jpg`` that of a "season"; "" for any other file."""
    plain = PurePath(path)
    if plain.suffix.lower() not in PICTURE_SUFFIXES:
        return ""
    name = plain.stem.lower()
    before, _, last = name.rpartition("-")
    if OF_A_SEASON.match(name) and last in ARTWORK:
        return "season"
    word = (last if before else name).rstrip("0123456789")
    return word if word in ARTWORK else ""


def title_of(path: str) -> str:
    """A file name as a title: "07_night-train.flac" becomes "Night train"."""
    return title_of_name(PurePath(path).stem)


def title_of_name(name: str) -> str:
    """The name of a folder, or of a file without its suffix, as a title."""
    words = " ".join(re.split(r"[\s_.+-]+", name)).strip()
    plain = re.sub(r"^\d{1,3} (?=\D)", "", words) or words or name
    return plain[0].upper() + plain[1:]


def kind_of(examined: Examined, found: Found) -> str:
    """An item kind; sound is music unless its genre or folder says that it is speech."""
    if examined.media in KINDS:
        return KINDS[examined.media]
    for tag in examined.tags:
        if tag.lower() in SPOKEN_GENRES:
            return SPOKEN_GENRES[tag.lower()]
    root = PurePath(found.folder)
    folders = (root.name, *PurePath(found.path).relative_to(root).parent.parts)
    spoken = any(word in folder.lower() for folder in folders for word in SPOKEN_FOLDERS)
    return "speech" if spoken else "track"


def own_title(examined: Examined, found: Found) -> str:
    """The title tag; the file name where the tag is missing, a filler or itself a file name."""
    title = examined.title
    if not title or title.lower().startswith(NO_TITLES):
        return title_of(found.path)
    return title_of(title) if FILE_NAME.search(title) else title


def item_row(
    found: Found, examined: Examined, said: dict[str, Any], content_hash: str, now: float
) -> dict[str, Any]:
    """A row of ``items``; ``said`` (sidecar) wins over the file's own tags.

    ``item_row`` leaves source and licence empty where neither says anything.
    """
    tags = examined.raw_tags
    extra = {
        "media": examined.media,
        "format": examined.format,
        "streams": list(examined.streams),
        "container_tags": tags,
        "size_bytes": found.size,
    }
    if examined.loudness:
        extra["loudness"] = examined.loudness
    row = {
        "id": f"media:{content_hash[:16]}",
        "kind": kind_of(examined, found),
        "title": own_title(examined, found),
        "description": examined.description,
        "tags": list(examined.tags),
        "creators": list(examined.creators),
        "year": examined.year,
        "language": examined.language,
        "duration_s": examined.duration_s,
        "added_at": now,
        "source": "",
        "licence": tags.get("license") or tags.get("licence") or "",
        "content_hash": content_hash,
        "extra": extra | _look(examined) | ({"note": examined.note} if examined.note else {}),
    }
    return row | said


def _look(examined: Examined) -> dict[str, Any]:
    """Brightness, motion and colours of each shot, where there are shots."""
    shots = [
        {
            "start_s": shot.start_s,
            "end_s": shot.end_s,
            "brightness": shot.brightness,
            "motion": shot.motion,
            "colours": [list(colour) for colour in shot.colours],
        }
        for shot in examined.shots
    ]
    return {"look": shots} if shots else {}


def media_beside(path: str) -> list[str]:
    """Files that a subtitle, an NFO or artwork may belong to: ``film.en.srt`` to ``film.en.*``,
    else ``film.*``, ``film-poster.jpg`` too; never pictures."""
    plain = PurePath(path)
    match = TWO_PARTS.match(plain.stem)
    stems = [plain.stem, *([match["stem"]] if match else [])]
    if artwork_of(path):
        stems.append(plain.stem.rpartition("-")[0])
    names = sorted(os.listdir(plain.parent))
    return [
        str(plain.parent / name)
        for stem in stems
        for name in names
        if PurePath(name).stem == stem
        and PurePath(name).suffix.lower() not in (*SIDE_SUFFIXES, *PICTURE_SUFFIXES)
    ]
