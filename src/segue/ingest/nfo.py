"""NFO files of Kodi, Jellyfin, Emby and tinyMediaManager: what a library says of its media.

An XML file beside the media (``film.nfo``, ``movie.nfo``), or of a whole series, album or artist.
The names are those of Kodi's wiki ("NFO files"). Runs in the sandboxed child.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from html import escape, unescape
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from segue.core.errors import UnreadableMedia
from segue.ingest.documents import decode_text
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Blob, Examined
from segue.ingest.naming import ID
from segue.ingest.probe import clean, year

MAX_NFO_BYTES = 4 << 20
ROOTS = ("movie", "tvshow", "episodedetails", "musicvideo", "album", "artist")
DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]{1,80}?encoding=[\"']([\w.-]{1,40})[\"']")
BEGINS = re.compile(rf"<({'|'.join(ROOTS)})\b", re.I)
NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z]\w{1,9};")  # of HTML, not of XML
BARE_AMPERSAND = re.compile(r"&(?!#?\w{1,10};)")
MOST_ACTORS = 5
MOST_CHARS = 5_000
MADE_BY = ("director", "credits", "albumartist", "artist", "author")
PLOTS = ("plot", "review", "biography", "outline", "tagline")
TAGS = ("genre", "tag", "style", "mood")
TOLD = (
    "originaltitle", "showtitle", "season", "episode", "mpaa", "premiered", "aired",
    "releasedate", "playcount", "watched", "lastplayed", "userrating", "album",
)  # fmt: skip
OLD_IDS = {"imdbid": "imdb", "imdb_id": "imdb", "tmdbid": "tmdb", "tvdbid": "tvdb"}
IMDB = re.compile(r"tt\d{5,10}")


def examine_nfo(blob: Blob, limits: MediaLimits) -> Examined:
    """What an NFO says. ``format`` is its kind of work; ids are ``raw_tags`` such as ``id:imdb``.

    Files that end in an address, hold several episodes or bare ampersands are read as well, as
    the programs that write and read them do. Of several episodes the first counts.
    """
    node = _root(_decoded(blob.read(MAX_NFO_BYTES)))
    title, show = _text(node, "title"), _text(node, "showtitle")
    if node.tag == "episodedetails" and show:
        title = episode_title(show, _text(node, "season"), _text(node, "episode"), title)
    made = [name for tag in MADE_BY for name in _several(node, tag)]
    cast = [_text(actor, "name") for actor in node.iterfind("actor")][:MOST_ACTORS]
    minutes = _number(_text(node, "runtime"))
    return Examined(
        media="nfo",
        format=str(node.tag),
        title=(title or _text(node, "name"))[:300],
        description=_first(node, *PLOTS)[:MOST_CHARS],
        tags=tuple(dict.fromkeys(t for tag in TAGS for t in _several(node, tag)))[:30],
        creators=tuple(dict.fromkeys(name[:300] for name in (*made, *cast) if name))[:20],
        year=year(_first(node, "year", "premiered", "aired", "releasedate")),
        duration_s=60.0 * minutes if minutes else None,
        raw_tags={name: _text(node, name)[:300] for name in TOLD if _text(node, name)}
        | _resume(node)
        | _ids(node),
    )


def episode_title(show: str, season: str, episode: str, title: str) -> str:
    """ "Show S01E02 Title", as an episode's own title says little alone."""
    place = ""
    if season.isdecimal() and episode.isdecimal():
        place = f" S{int(season):02}E{int(episode):02}"
    return f"{show}{place} {title}".strip()


def _root(written: str) -> Element:
    begins = BEGINS.search(written)
    if begins is None:
        raise UnreadableMedia("nfo", f"no NFO that media servers write: none of {', '.join(ROOTS)}")
    ends = written.lower().rfind(f"</{begins[1].lower()}>")
    if ends < 0:
        raise UnreadableMedia("nfo", f"damaged: <{begins[1]}> does not end")
    body = written[begins.start() : ends] + f"</{begins[1]}>"
    try:
        found = _parsed(body)
    except ParseError:
        try:
            found = _parsed(BARE_AMPERSAND.sub("&amp;", NAMED.sub(_letter, body)))
        except ParseError as error:
            raise UnreadableMedia("nfo", f"damaged XML: {error}") from error
    except DefusedXmlException as error:
        raise UnreadableMedia("nfo", "declares entities, which no NFO needs") from error
    found.tag = str(found.tag).lower()
    return found


def _letter(match: re.Match[str]) -> str:
    """ "&eacute;" as "é"; a "<" that it may stand for is no markup."""
    return escape(unescape(match[0]), quote=False)


def _parsed(body: str) -> Element:
    """The first work of ``body``; several stand side by side."""
    top: Any = ElementTree.fromstring(
        f"<all>{body}</all>", forbid_dtd=True, forbid_entities=True, forbid_external=True
    )
    first: Element = top[0]
    return first


def _several(node: Element, name: str) -> Iterator[str]:
    """Texts of the elements of a name; old files put several into one: "Drama / War"."""
    for one in node.iterfind(name):
        for part in (one.text or "").split(" / "):
            if word := clean(part)[:300]:
                yield word


def _decoded(data: bytes) -> str:
    declared = DECLARED.match(data)
    if declared is not None:
        with suppress(LookupError, UnicodeDecodeError):
            return data.decode(declared[1].decode())
    return decode_text(data)


def _text(node: Element, path: str) -> str:
    """The text of the first element there; "" where there is none."""
    return clean(node.findtext(path) or "")


def _first(node: Element, *names: str) -> str:
    return next((text for name in names if (text := _text(node, name))), "")


def _number(text: str) -> float | None:
    found = re.match(r"\d{1,6}(\.\d+)?", text)
    return float(found[0]) if found else None


def _resume(node: Element) -> dict[str, str]:
    """How far it was watched: position and length, seconds."""
    told = {"resume_s": _text(node, "resume/position"), "total_s": _text(node, "resume/total")}
    return {name: text[:20] for name, text in told.items() if _number(text)}


def _ids(node: Element) -> dict[str, str]:
    """Ids of the work elsewhere, the one that the file calls its own first."""
    found: dict[str, str] = {}
    nodes = sorted(node.iterfind("uniqueid"), key=lambda one: one.get("default") != "true")
    for one in nodes:
        name, value = clean(one.get("type") or "").lower()[:40], clean(one.text or "")[:100]
        if name and value:
            found.setdefault(ID + name, value)
    for old, name in OLD_IDS.items():
        value = _text(node, old)[:100]
        if value:
            found.setdefault(ID + name, value)
    own = _text(node, "id")[:100]
    if IMDB.fullmatch(own):
        found.setdefault(f"{ID}imdb", own)
    return found
