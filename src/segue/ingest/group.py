"""Several files that are one item: a game and its screenshots, a post, an album of pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from segue.core.errors import BadSettings
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Examined, Found
from segue.ingest.naming import title_of_name
from segue.ingest.scan import Skipped
from segue.ingest.shelf import GROUP
from segue.ingest.sidecar import COVER, SIDECAR_NAME, Sidecars

DESCRIPTION_CHARS = 600
TIMED = ("video", "audio")
Part = tuple[Found, Examined]


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one folder, in name order, and what its sidecar says of them together."""

    folder: str
    root: str  # the folder that was asked for
    files: tuple[Found, ...]
    said: Mapping[str, Any]
    cover: str = ""  # name of the file that is the poster

    @property
    def path(self) -> str:
        return self.folder

    def as_found(self) -> Found:
        """The folder, where the row of an item is made of a file."""
        return Found(self.folder, self.root, sum(file.size for file in self.files), 0, 0, 0)


Entry = Found | Skipped | Group


def gather(entries: Sequence[Found | Skipped], sidecars: Sidecars) -> list[Entry]:
    """Files of a folder whose sidecar has a table ``[item]`` come together, where its first was."""
    files: dict[str, list[Found]] = {}
    out: list[Entry | str] = []
    for entry in entries:
        folder = os.path.dirname(entry.path)
        if isinstance(entry, Skipped) or sidecars.item(folder, entry.folder) is None:
            out.append(entry)
            continue
        if folder not in files:
            out.append(folder)
        files.setdefault(folder, []).append(entry)
    return [_group(e, files[e], sidecars) if isinstance(e, str) else e for e in out]


def _group(folder: str, files: Sequence[Found], sidecars: Sidecars) -> Group:
    said = dict(sidecars.item(folder, files[0].folder) or {})
    cover = said.pop(COVER, "")
    names = [os.path.basename(file.path) for file in files]
    if cover and cover not in names:
        near = get_close_matches(cover, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "name one of its files"
        raise BadSettings(
            f"{os.path.join(folder, SIDECAR_NAME)}: [item]: cover {cover!r} is not in this "
            f"folder; {hint}"
        )
    return Group(folder, files[0].folder, tuple(files), said, cover)


def group_hash(hashes: Mapping[str, str]) -> str:
    """Sha256 over the names and hashes of a group's files, by name."""
    lines = (f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def joined(group: Group, parts: Sequence[Part], limits: MediaLimits) -> Examined:
    """What the files of a group give together.

    Keyframes are its pictures in name order, then those of its first video, which also gives
    shots, scenes and sound; without one the first sound file gives the sound.
    """
    timed = [e for media in TIMED for _, e in parts if e.media == media]
    main = timed[0] if timed else Examined(GROUP, "")
    pictures = _assets([e for _, e in parts if e.media == "image"], "keyframe")
    frames = [replace(a, time_s=None) for a in pictures[: limits.max_keyframes]]
    first = len(frames)
    text = _text([e for _, e in parts if e.media == "book"], limits)
    lyrics = _text([e for e in timed if e.media == "audio"], limits)
    sounds = _assets(timed, "audio16k")[:1]
    # Times of lyrics are those of the sound that is kept.
    subtitles = [a for _, e in parts if e.media == "subtitle" for a in e.assets]
    subtitles += _assets([main], "subtitle")
    words = [Asset("text", "txt", t.encode()) for t in (text, lyrics) if t]
    every = [examined for _, examined in sorted(parts, key=lambda part: part[1].media != "nfo")]
    nfo = next((e for e in every if e.media == "nfo"), Examined("nfo", ""))
    return replace(
        main,
        media=GROUP,
        format="folder",
        title=nfo.title or title_of_name(os.path.basename(group.folder)),
        description=nfo.description or main.description or _beginning(text),
        tags=tuple(dict.fromkeys(tag for e in every for tag in e.tags))[:30],
        creators=tuple(dict.fromkeys(name for e in every for name in e.creators))[:20],
        year=next((e.year for e in every if e.year is not None), None),
        language=next((e.language for e in every if e.language), None),
        assets=(
            *_poster(group, parts), *frames, *_assets([main], "keyframe"), *sounds, *words,
            *subtitles,
        ),
        note=_note(parts, len(pictures), first),
        shots=tuple(_shifted(shot, first) for shot in main.shots),
        scenes=tuple(_shifted(scene, first) for scene in main.scenes),
    )  # fmt: skip


def _assets(some: Sequence[Examined], kind: str) -> list[Asset]:
    return [asset for examined in some for asset in examined.assets if asset.kind == kind]


def _poster(group: Group, parts: Sequence[Part]) -> list[Asset]:
    """That of the cover, else of the first picture, else of the first file that has one."""

    def rank(part: Part) -> tuple[bool, bool]:
        named = os.path.basename(part[0].path) == group.cover
        return not named, part[1].media != "image"

    return _assets([examined for _, examined in sorted(parts, key=rank)], "poster")[:1]


def _text(books: Sequence[Examined], limits: MediaLimits) -> str:
    texts = (asset.data.decode("utf-8", "replace") for asset in _assets(books, "text"))
    return "\n\n".join(text.strip() for text in texts)[: limits.max_text_chars]


def _beginning(text: str) -> str:
    """The first words of a text, at most ``DESCRIPTION_CHARS``."""
    plain = " ".join(text[: 4 * DESCRIPTION_CHARS].split())
    if len(plain) <= DESCRIPTION_CHARS:
        return plain
    cut = plain[:DESCRIPTION_CHARS]
    return (cut.rpartition(" ")[0] or cut) + " …"


def _shifted(span: Any, by: int) -> Any:
    """A shot or scene whose keyframe comes after ``by`` pictures."""
    return span if span.keyframe is None else replace(span, keyframe=span.keyframe + by)


def _note(parts: Sequence[Part], n_pictures: int, n_kept: int) -> str:
    said = [f"{os.path.basename(found.path)}: {e.note}" for found, e in parts if e.note]
    if n_kept < n_pictures:
        said.append(f"the first {n_kept} of {n_pictures} pictures are kept")
    return "; ".join(said)
