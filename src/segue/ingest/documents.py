"""E-books and texts: title, creators, language, text and cover. Runs in the child."""

from __future__ import annotations

import io
import posixpath
import zipfile
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pypdf
from defusedxml import ElementTree

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Asset, Blob, Budget, Examined
from segue.ingest.pictures import cover
from segue.ingest.probe import clean, language, parts, year

DC = "{http://purl.org/dc/elements/1.1/}"
OPF = "{http://www.idpf.org/2007/opf}"
CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
ENCODINGS = ("utf-8-sig", "utf-16", "gb18030", "cp1252")


class Archive:
    """A zip whose members are unpacked only within the limits, whatever its headers claim."""

    def __init__(self, blob: Blob, limits: MediaLimits) -> None:
        self._zip = zipfile.ZipFile(io.BufferedReader(blob))
        self._limits = limits
        self._left = limits.max_zip_bytes
        members = self._zip.infolist()
        if len(members) > limits.max_zip_members:
            raise UnreadableMedia(
                "archive", f"{len(members)} members, limit {limits.max_zip_members}"
            )
        total = sum(member.file_size for member in members)
        if total > limits.max_zip_bytes:
            raise UnreadableMedia("archive", f"unpacks to {total:,} bytes: a zip bomb?")
        self.names = frozenset(member.filename for member in members)

    def read(self, name: str) -> bytes:
        """One member, bounded by ratio and by what is left of ``max_zip_bytes``."""
        member = self._zip.getinfo(name)
        # Small members may be of any ratio: a page of spaces is no bomb.
        room = max(1 << 20, int(member.compress_size * self._limits.max_zip_ratio))
        bound = min(self._left, room)
        with self._zip.open(member) as file:
            data = file.read(bound + 1)
        if len(data) > bound:
            raise UnreadableMedia("archive", f"member {name[:80]!r} unpacks too far: a zip bomb?")
        self._left -= len(data)
        return data


class _Text(HTMLParser):
    """Words of an XHTML page. The standard parser expands no entity but the named characters."""

    SILENT = ("script", "style", "head", "svg")
    BLOCKS = ("p", "div", "br", "h1", "h2", "h3", "h4", "li", "tr", "blockquote")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self.SILENT))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def html_text(page: str) -> str:
    """Plain text of a page, one line a block."""
    parser = _Text()
    parser.feed(page)
    lines = ("".join(parser.pieces)).split("\n")
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def examine_epub(blob: Blob, limits: MediaLimits) -> Examined:
    """An e-book: Dublin Core, spine text and cover."""
    archive = Archive(blob, limits)
    if "mimetype" not in archive.names and "META-INF/container.xml" not in archive.names:
        raise UnreadableMedia("archive", "a zip archive that is no e-book; unpack it to ingest it")
    top = _xml(archive.read("META-INF/container.xml"))
    rootfile = top.find(f".//{CONTAINER}rootfile")
    if rootfile is None:
        raise UnreadableMedia("epub", "META-INF/container.xml names no package document")
    opf_name = str(rootfile.get("full-path"))
    package = _xml(archive.read(opf_name))
    hrefs = {str(item.get("id")): item for item in package.iterfind(f".//{OPF}manifest/{OPF}item")}
    folder = posixpath.dirname(opf_name)
    text = _spine_text(archive, package, hrefs, folder, limits)
    art = _cover_bytes(archive, package, hrefs, folder)
    picture = cover(art, limits) if art else None

    def said(name: str) -> list[str]:
        found = (clean(node.text or "") for node in package.iterfind(f".//{DC}{name}"))
        return [value for value in found if value]

    description = " ".join(html_text(value) for value in said("description"))
    return Examined(
        media="book",
        format="epub",
        title=next(iter(said("title")), "")[:300],
        description=description[:5000],
        tags=tuple(dict.fromkeys(t for s in said("subject") for t in parts(s)))[:30],
        creators=tuple(dict.fromkeys(said("creator")))[:20],
        year=year(next(iter(said("date")), "")),
        language=language(next(iter(said("language")), None)),
        assets=_assets(text, picture),
    )


def _xml(data: bytes) -> Any:
    return ElementTree.fromstring(data, forbid_entities=True, forbid_external=True)


def _member(archive: Archive, item: Any, folder: str) -> bytes | None:
    href = unquote(str(item.get("href") or "")).split("#")[0]
    name = posixpath.normpath(posixpath.join(folder, href))
    return archive.read(name) if name in archive.names else None


def _spine_text(
    archive: Archive, package: Any, hrefs: dict[str, Any], folder: str, limits: MediaLimits
) -> str:
    pieces: list[str] = []
    left = limits.max_text_chars
    for ref in package.iterfind(f".//{OPF}spine/{OPF}itemref"):
        item = hrefs.get(str(ref.get("idref")))
        page = _member(archive, item, folder) if item is not None and left > 0 else None
        if page is not None:
            # Markup is at most a few times the text; the rest of a longer page is not parsed.
            piece = html_text(page[: 8 * left].decode("utf-8", "replace"))
            pieces.append(piece)
            left -= len(piece)
    return clean("\n".join(pieces))[: limits.max_text_chars]


def _cover_bytes(
    archive: Archive, package: Any, hrefs: dict[str, Any], folder: str
) -> bytes | None:
    named = [str(m.get("content")) for m in package.iter(f"{OPF}meta") if m.get("name") == "cover"]
    images = [i for i in hrefs.values() if str(i.get("media-type")).startswith("image/")]
    marked = [i for i in images if "cover-image" in str(i.get("properties"))]
    by_id = [hrefs[name] for name in named if name in hrefs]
    by_name = [i for i in images if "cover" in PurePosixPath(str(i.get("href"))).name.lower()]
    for item in [*marked, *by_id, *by_name]:
        if item in images:
            return _member(archive, item, folder)
    return None


def examine_pdf(blob: Blob, limits: MediaLimits) -> Examined:
    """A PDF: its information dictionary, text of the first pages, first page's picture."""
    budget = Budget(limits, blob.size)
    reader = pypdf.PdfReader(io.BufferedReader(blob))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableMedia("pdf", "protected by a password")
    pieces: list[str] = []
    left, note = limits.max_text_chars, ""
    for number, page in enumerate(reader.pages):
        if number >= limits.max_pages or left <= 0:
            break
        if budget.spent():
            note = f"time limit reached after {number} pages"
            break
        try:
            piece = page.extract_text()
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  pypdf raises anything on damaged pages
            note = f"damaged: page {number + 1} unreadable"
            continue
        pieces.append(piece)
        left -= len(piece)
    text = clean("\n".join(pieces))[: limits.max_text_chars]
    about: Any = reader.metadata
    fields: dict[str, Any] = dict(about or {})
    picture = None if budget.spent() else _pdf_cover(reader, limits)
    return Examined(
        media="book",
        format="pdf",
        title=clean((about.title if about else "") or "")[:300],
        description=clean((about.subject if about else "") or "")[:5000],
        tags=parts(clean(str(fields.get("/Keywords") or "")).replace(",", ";"))[:30],
        creators=parts(clean((about.author if about else "") or ""))[:20],
        year=year(str(fields.get("/CreationDate") or "").removeprefix("D:")[:4]),
        assets=_assets(text, picture),
        note=note,
    )


def _pdf_cover(reader: pypdf.PdfReader, limits: MediaLimits) -> bytes | None:
    try:
        images = reader.pages[0].images
        return cover(images[0].data, limits) if len(images) else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a missing cover is no error
        return None


def examine_text(blob: Blob, limits: MediaLimits) -> Examined:
    """A plain text in UTF-8, UTF-16 with a mark, GB 18030 or Windows-1252."""
    data = blob.read(4 * limits.max_text_chars)
    text = decode_text(data)
    if not text.strip():
        raise UnreadableMedia("text", "no text in it")
    odd = sum(not (c.isprintable() or c in "\n\r\t\f") for c in text[:20_000])
    if odd > 0.02 * len(text[:20_000]):
        raise UnreadableMedia("text", "not text: too many control characters")
    return Examined(
        media="book",
        format="text",
        title=_gutenberg(text, "Title"),
        creators=parts(_gutenberg(text, "Author")),
        assets=_assets(clean(text.replace("\r\n", "\n"))[: limits.max_text_chars], None),
    )


def decode_text(data: bytes) -> str:
    """Text by the first encoding that fits; a cut last character is forgiven."""
    marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ENCODINGS:
        if (encoding == "utf-16") is not marked:
            continue
        for cut in range(4):
            try:
                return data[: len(data) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
    raise UnreadableMedia("text", "in no known encoding; save it as UTF-8")


def _gutenberg(text: str, name: str) -> str:
    """A heading line such as "Title: Alice" of Project Gutenberg's files."""
    for line in text[:4000].splitlines():
        if line.startswith(f"{name}: "):
            return clean(line.removeprefix(f"{name}: "))[:300]
    return ""


def _assets(text: str, picture: bytes | None) -> tuple[Asset, ...]:
    out = [Asset("poster", "jpg", picture)] if picture else []
    if text.strip():
        out.append(Asset("text", "txt", text.encode("utf-8", "replace")))
    return tuple(out)
