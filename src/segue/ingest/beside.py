"""Files that speak of the one beside them: subtitles, NFO files and artwork."""

from __future__ import annotations

import os
from collections.abc import Sequence

from segue.ingest.media import Asset, Examined, Found
from segue.ingest.naming import ID, POSTERS, artwork_of, media_beside
from segue.ingest.shelf import file_row
from segue.ingest.step import NFO_ORPHAN, ORPHAN, Desk

NFO_KINDS = {"movie": "movie", "episodedetails": "video", "musicvideo": "video"}
NFO_FIELDS = ("title", "description", "tags", "creators", "year")


class Beside:
    """Gives to items what lies beside their files."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def take(self, found: Found, examined: Examined, content_hash: str) -> tuple[str, str] | None:
        """(status, reason), committed; None where the file is a work of its own."""
        if examined.media == "subtitle":
            return self._attach(found, examined.assets, content_hash)
        if examined.media == "nfo":
            return self._describe(found, examined, content_hash)
        if artwork := artwork_of(found.path):
            if nums := self._shown_by(found.path):
                return self._adorn(nums, found, examined.assets, content_hash)
            if self._desk.shelf.anything_below(os.path.dirname(found.path)):
                # Of a series or an artist, whose episodes or albums lie in folders of their own.
                row = file_row(found, "attached", artwork, content_hash, self._desk.clock())
                self._desk.shelf.record(row)
                return "attached", artwork
        return None

    def _attach(self, found: Found, assets: Sequence[Asset], content_hash: str) -> tuple[str, str]:
        desk = self._desk
        num = desk.shelf.media_at(media_beside(found.path))
        if num is None:
            return "refused", desk.refuse(found, ORPHAN, content_hash).reason
        old = desk.known.get(found.path)
        row = file_row(found, "attached", "", content_hash, desk.clock())
        desk.shelf.attach(num, assets, row, old.content_hash if old else None)
        return "attached", ""

    def _describe(self, found: Found, nfo: Examined, content_hash: str) -> tuple[str, str]:
        """Give the item beside an NFO what that says, where no sidecar says otherwise."""
        desk = self._desk
        beside = media_beside(found.path) or desk.shelf.alone_in(os.path.dirname(found.path))
        num = desk.shelf.media_at(beside)
        if nfo.format not in NFO_KINDS or num is None:
            return "refused", desk.refuse(found, _no_place(nfo), content_hash).reason
        values = {key: value for key in NFO_FIELDS if (value := getattr(nfo, key))}
        values |= {key: list(values[key]) for key in ("tags", "creators") if key in values}
        path = next(path for path in beside if path in desk.shelf.paths_of(num))
        said = values | {"kind": NFO_KINDS[nfo.format]} | desk.sidecars.of(path, found.folder)
        row = file_row(found, "attached", "", content_hash, desk.clock())
        ids = {k.removeprefix(ID): v for k, v in nfo.raw_tags.items() if k.startswith(ID)}
        desk.shelf.describe(num, said, {"nfo": nfo.raw_tags}, ids, row)
        return "attached", ""

    def _shown_by(self, path: str) -> list[int]:
        """The items that a picture with the name of artwork belongs to: the film beside it or alone
        in its folder, else the sounds of the folder; none where it is a work like any other."""
        shelf = self._desk.shelf
        num = shelf.media_at(media_beside(path) or shelf.alone_in(os.path.dirname(path)))
        return shelf.sounds_in(os.path.dirname(path)) if num is None else [num]

    def _adorn(
        self,
        nums: Sequence[int],
        found: Found,
        assets: Sequence[Asset],
        content_hash: str,
    ) -> tuple[str, str]:
        """Make a poster that of the items; other artwork is known and left alone."""
        desk, artwork = self._desk, artwork_of(found.path)
        old = desk.known.get(found.path)
        row = file_row(found, "attached", artwork, content_hash, desk.clock())
        posters = [a for a in assets if a.kind == "poster" and artwork in POSTERS]
        desk.shelf.adorn(nums, posters, row, old.content_hash if old else None)
        return "attached", artwork


def _no_place(nfo: Examined) -> str:
    """Why an NFO tells of no file."""
    if nfo.format in NFO_KINDS:
        return NFO_ORPHAN
    whole = {"tvshow": "series"}.get(nfo.format, nfo.format)
    return f"tells of a whole {whole}; segue connect nfo reads it"
