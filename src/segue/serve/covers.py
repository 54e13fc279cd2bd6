"""Covers drawn from title, genres and year: an SVG poster, the same one every time.

Each genre has a palette and a motif; the title's hash moves the motif, so that neighbours on a
shelf are kin and not twins.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from math import cos, pi, sin

from segue.core.types import Item

_VERSION = "2"  # part of the ETag: raise it when the drawing changes


@dataclass(frozen=True)
class Palette:
    """Ground at the top and bottom, motif, accent."""

    top: str
    bottom: str
    motif: str
    accent: str
    ink: str = "#fbf7ef"


_PALETTES = {
    "action": Palette("#3a1212", "#120708", "#c8452f", "#f2a65a"),
    "adventure": Palette("#1f3d2b", "#0b1710", "#c98a3c", "#f0d9a0"),
    "animation": Palette("#3b2a6b", "#1a1236", "#f08a5d", "#f9d56e"),
    "children": Palette("#1f5d6b", "#0d2b33", "#f4b860", "#fbe3a8"),
    "comedy": Palette("#8a4b12", "#3a1e07", "#f0a93b", "#ffe1a1"),
    "crime": Palette("#23262e", "#0c0d11", "#9c2f2f", "#d9d2c3"),
    "documentary": Palette("#39434a", "#161b1f", "#9fb3b8", "#e6ddc6"),
    "drama": Palette("#153a4a", "#081820", "#3f8695", "#e9c38f"),
    "fantasy": Palette("#2c2358", "#100c26", "#8a63c9", "#f0cf7a"),
    "film-noir": Palette("#1c1c1e", "#060607", "#6d6d72", "#e8e3d6"),
    "horror": Palette("#260a10", "#090304", "#7f1526", "#d8c7b8"),
    "musical": Palette("#5a1440", "#24081a", "#d5508a", "#f7c8a0"),
    "music": Palette("#3d1750", "#170820", "#b3579e", "#f3c46b"),
    "mystery": Palette("#1b2446", "#090c1c", "#52629f", "#dcc79a"),
    "romance": Palette("#6a1f35", "#2a0b16", "#d9667b", "#f8cdb5"),
    "sci-fi": Palette("#0e2a4f", "#050d1d", "#2fa3b8", "#bfe9e4"),
    "thriller": Palette("#2b2f1c", "#0e100a", "#8f9a3b", "#e9e3b4"),
    "war": Palette("#3c3a26", "#161509", "#8b7d4a", "#e2d6b0"),
    "western": Palette("#71371a", "#2b1308", "#d4843e", "#f6d7a0"),
    "speech": Palette("#2a3b4f", "#0f1822", "#6d93b8", "#efe0c2"),
    "book": Palette("#4a3626", "#1d140d", "#a5794b", "#f1e3c4"),
    "image": Palette("#2c4a45", "#0f1d1a", "#69a598", "#f0e5c9"),
    "video": Palette("#27304f", "#0d1120", "#6e7fc4", "#f3d9a6"),
}
_ALIASES = {
    "science fiction": "sci-fi", "scifi": "sci-fi", "children's": "children", "family": "children",
    "noir": "film-noir", "history": "war", "track": "music", "album": "music",
    "podcast": "speech", "short": "video",
}  # fmt: skip
_FALLBACK = ("drama", "mystery", "documentary", "adventure", "romance", "sci-fi")
_NAMED_LAST = ("drama", "comedy")  # the commonest genres say least


@dataclass(frozen=True)
class _Canvas:
    width: int
    height: int
    seed: bytes  # 32 bytes

    def pick(self, position: int, low: float, high: float) -> float:
        """A number in [low, high) that depends on the title alone."""
        return low + (high - low) * self.seed[position % 32] / 256


def _genres(item: Item) -> list[str]:
    """Palette names, the most telling tag first, then the kind; by hash when nothing is known."""
    names = [tag.casefold().strip() for tag in item.tags]
    known = [_ALIASES.get(name, name) for name in names]
    known = [name for name in known if name in _PALETTES]
    telling = [name for name in known if name not in _NAMED_LAST]
    named = [*telling, *known, _ALIASES.get(item.kind, item.kind)]
    found = [name for name in dict.fromkeys(named) if name in _PALETTES]
    return found or [_FALLBACK[hashlib.sha256(item.title.encode()).digest()[0] % len(_FALLBACK)]]


def _rings(c: _Canvas, p: Palette) -> str:
    x, y = c.pick(0, 0.25, 0.8) * c.width, c.pick(1, 0.22, 0.42) * c.height
    step = c.pick(2, 15, 24)
    return "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{step * n:.0f}" fill="none" stroke="{p.motif}" '
        f'stroke-width="{7 - n * 0.5:.1f}" opacity="{1 - n * 0.085:.2f}"/>'
        for n in range(1, 11)
    ) + f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{step * 0.5:.0f}" fill="{p.accent}"/>'  # fmt: skip


def _sun(c: _Canvas, p: Palette) -> str:
    x, r = c.pick(0, 0.3, 0.7) * c.width, c.pick(1, 52, 78)
    y = 0.40 * c.height
    hills = ""
    for n in range(3):
        base = y + 8 + n * 34
        bend = c.pick(4 + n, -46, 46)
        hills += (
            f'<path d="M0 {base:.0f} Q{c.width * 0.3:.0f} {base - 40 + bend:.0f} '
            f"{c.width * 0.6:.0f} {base:.0f} T{c.width} {base - bend * 0.5:.0f} "
            f'V{c.height} H0Z" fill="{(p.motif, p.bottom, p.bottom)[n]}" '
            f'opacity="{(0.75, 0.55, 0.9)[n]}"/>'
        )
    return f'<circle cx="{x:.0f}" cy="{y - 30:.0f}" r="{r:.0f}" fill="{p.accent}"/>{hills}'


def _blades(c: _Canvas, p: Palette) -> str:
    out = ""
    for n in range(7):
        x = (n / 6) * c.width * 1.3 - c.pick(n, 10, 60)
        w = c.pick(n + 8, 8, 34)
        fill = p.accent if n == c.seed[3] % 7 else p.motif
        out += (
            f'<path d="M{x:.0f} -10 h{w:.0f} L{x + w - 120:.0f} {c.height * 0.72:.0f} '
            f'h-{w * 0.4:.0f}Z" fill="{fill}" opacity="{0.35 + 0.09 * n:.2f}"/>'
        )
    return out


def _rays(c: _Canvas, p: Palette) -> str:
    x, y = c.pick(0, 0.3, 0.7) * c.width, 0.46 * c.height
    n, reach = 11 + c.seed[1] % 8, c.width * 1.4
    turn = c.pick(2, 0, pi)
    out = ""
    for ray in range(n):
        a, b = turn + ray * 2 * pi / n, turn + (ray + 0.5) * 2 * pi / n
        out += (
            f'<path d="M{x:.0f} {y:.0f} L{x + reach * cos(a):.0f} {y + reach * sin(a):.0f} '
            f'L{x + reach * cos(b):.0f} {y + reach * sin(b):.0f}Z" fill="{p.motif}" opacity=".42"/>'
        )
    return (
        out + f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{c.pick(3, 30, 50):.0f}" fill="{p.accent}"/>'
    )


def _waves(c: _Canvas, p: Palette) -> str:
    out = ""
    for n in range(9):
        y = c.height * 0.14 + n * 24
        lift = c.pick(n, 6, 30)
        q = c.width / 4
        out += (
            f'<path d="M-10 {y:.0f} Q{q:.0f} {y - lift:.0f} {2 * q:.0f} {y:.0f} '
            f'T{4 * q + 10:.0f} {y:.0f}" fill="none" stroke="{p.accent if n == 4 else p.motif}" '
            f'stroke-width="{3 + (n % 3)}" opacity="{0.45 + n * 0.06:.2f}"/>'
        )
    return out


def _bars(c: _Canvas, p: Palette) -> str:
    """A sound's outline."""
    n = 25
    w = c.width * 0.84 / n
    out = ""
    for bar in range(n):
        size = (0.25 + 0.75 * sin(pi * (bar + 0.5) / n)) * c.pick(bar, 18, c.height * 0.34)
        fill = p.accent if bar == c.seed[5] % n else p.motif
        out += (
            f'<rect x="{c.width * 0.08 + bar * w:.1f}" y="{c.height * 0.36 - size / 2:.1f}" '
            f'width="{w * 0.55:.1f}" height="{size:.1f}" rx="{w * 0.27:.1f}" fill="{fill}"/>'
        )
    return out


def _frame(c: _Canvas, p: Palette) -> str:
    """A bound book: spine, border, ornament."""
    m = 16
    x, y = c.width / 2, c.height * 0.33
    leaves = 5 + c.seed[0] % 4
    leaf = "".join(
        f'<ellipse cx="{x:.0f}" cy="{y - 26:.0f}" rx="{c.pick(1, 7, 13):.0f}" ry="27" '
        f'fill="{p.motif}" transform="rotate({n * 360 / leaves:.0f} {x:.0f} {y:.0f})"/>'
        for n in range(leaves)
    )
    return (
        f'<rect width="12" height="{c.height}" fill="{p.bottom}" opacity=".6"/>'
        f'<rect x="{m + 8}" y="{m}" width="{c.width - 2 * m - 8}" height="{c.height - 2 * m}" '
        f'fill="none" stroke="{p.accent}" stroke-width="1.5" opacity=".7"/>{leaf}'
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8" fill="{p.accent}"/>'
    )


def _moon(c: _Canvas, p: Palette) -> str:
    x, y, r = c.pick(0, 0.35, 0.7) * c.width, 0.3 * c.height, c.pick(1, 50, 72)
    dx, dy = c.pick(2, -34, 34), c.pick(3, -18, 18)
    stars = "".join(
        f'<circle cx="{c.pick(n, 0, c.width):.0f}" cy="{c.pick(31 - n, 0, c.height * 0.6):.0f}" '
        f'r="{c.pick(n + 5, 0.6, 1.9):.1f}" fill="{p.accent}" opacity=".8"/>'
        for n in range(16)
    )
    return (
        f'{stars}<circle cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}" fill="{p.motif}"/>'
        f'<circle cx="{x + dx:.0f}" cy="{y + dy:.0f}" r="{r * 0.93:.0f}" fill="{p.top}"/>'
    )


def _peaks(c: _Canvas, p: Palette) -> str:
    out = (
        f'<circle cx="{c.pick(0, 0.2, 0.8) * c.width:.0f}" cy="{c.height * 0.2:.0f}" '
        f'r="{c.pick(1, 22, 40):.0f}" fill="{p.accent}"/>'
    )
    for n in range(4):
        x, top = c.pick(n + 2, 0, 1) * c.width, c.height * (0.2 + n * 0.1) + c.pick(n + 7, 0, 30)
        half = c.width * (0.34 + n * 0.09)
        out += (
            f'<path d="M{x - half:.0f} {c.height} L{x:.0f} {top:.0f} L{x + half:.0f} {c.height}Z" '
            f'fill="{p.motif if n % 2 == 0 else p.top}" opacity="{0.5 + n * 0.12:.2f}"/>'
        )
    return out


def _towers(c: _Canvas, p: Palette) -> str:
    """A skyline with a few lit windows."""
    out, w = "", c.width / 9
    for n in range(9):
        top = c.height * 0.16 + c.pick(n, 0, c.height * 0.32)
        out += (
            f'<rect x="{n * w:.1f}" y="{top:.0f}" width="{w * 0.92:.1f}" height="{c.height}" '
            f'fill="{p.motif}" opacity="{0.3 + 0.6 * c.pick(n + 9, 0, 1):.2f}"/>'
        )
        if c.seed[n + 18] % 2:
            y = top + 14 + c.pick(n + 20, 0, 60)
            out += (
                f'<rect x="{(n + 0.3) * w:.1f}" y="{y:.0f}" width="{w * 0.3:.1f}" '
                f'height="{w * 0.42:.1f}" fill="{p.accent}"/>'
            )
    return out


def _tiles(c: _Canvas, p: Palette) -> str:
    """Quarter circles in a grid."""
    out, size = "", c.width / 4
    for n in range(12):
        x, y = (n % 4) * size, (n // 4) * size
        flips = ((0, 0), (1, 0), (1, 1), (0, 1))[c.seed[n] % 4]
        a, b = x + flips[0] * size, y + flips[1] * size
        ends = (
            f"{x + (1 - flips[0]) * size:.1f} {b:.1f}",
            f"{a:.1f} {y + (1 - flips[1]) * size:.1f}",
        )
        sweep = int(flips in ((0, 0), (1, 1)))
        out += (
            f'<path d="M{a:.1f} {b:.1f} L{ends[0]} A{size:.1f} {size:.1f} 0 0 {sweep} {ends[1]}Z" '
            f'fill="{p.accent if c.seed[n + 12] % 5 == 0 else p.motif}" '
            f'opacity="{0.4 + 0.5 * c.pick(n + 16, 0, 1):.2f}"/>'
        )
    return out


def _dots(c: _Canvas, p: Palette) -> str:
    """A halftone field with one bright dot."""
    out, step = "", c.width / 9
    fx, fy = c.pick(0, 0, 8), c.pick(1, 0, 8)
    for n in range(81):
        x, y = n % 9, n // 9
        near = max(0.0, 1 - ((x - fx) ** 2 + (y - fy) ** 2) ** 0.5 / 8)
        bright = n == int(fx) + 9 * int(fy)
        out += (
            f'<circle cx="{(x + 0.5) * step:.1f}" cy="{(y + 0.5) * step:.1f}" '
            f'r="{step * (0.06 + 0.4 * near):.1f}" fill="{p.accent if bright else p.motif}"/>'
        )
    return out


def _arches(c: _Canvas, p: Palette) -> str:
    """Nested doorways."""
    x, out = c.pick(0, 0.38, 0.62) * c.width, ""
    floor = c.height * 0.78
    for n in range(6):
        half, top = (130 - n * 21), c.height * (0.1 + n * 0.062)
        fill = p.accent if n == 5 else (p.motif, p.top)[n % 2]
        out += (
            f'<path d="M{x - half:.0f} {floor:.0f} V{top + half:.0f} a{half} {half} 0 0 1 '
            f'{2 * half} 0 V{floor:.0f}Z" fill="{fill}" opacity="{0.45 + n * 0.1:.2f}"/>'
        )
    return out


_MOTIFS: dict[str, tuple[Callable[[_Canvas, Palette], str], ...]] = {
    "action": (_blades, _rays, _towers), "adventure": (_sun, _peaks, _rays),
    "animation": (_rings, _tiles, _dots), "children": (_sun, _dots, _tiles),
    "comedy": (_rays, _rings, _dots, _tiles), "crime": (_blades, _towers, _moon),
    "documentary": (_waves, _peaks, _tiles), "drama": (_waves, _moon, _sun, _peaks, _arches),
    "fantasy": (_moon, _peaks, _arches), "film-noir": (_towers, _moon, _blades),
    "horror": (_moon, _arches, _blades), "musical": (_waves, _rays, _bars),
    "music": (_bars, _rings, _waves), "mystery": (_moon, _rings, _arches),
    "romance": (_rings, _waves, _sun, _arches), "sci-fi": (_rings, _moon, _dots),
    "thriller": (_blades, _towers, _waves), "war": (_peaks, _sun, _blades),
    "western": (_sun, _peaks), "speech": (_bars, _waves), "book": (_frame, _arches),
    "image": (_sun, _tiles, _dots), "video": (_waves, _tiles, _dots),
}  # fmt: skip


def _units(text: str) -> float:
    """Rough width in ems."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return wide * 1.0 + (len(text) - wide) * 0.55


def wrap(title: str, ems: float, lines: int) -> list[str]:
    """Break a title into at most ``lines`` lines of about ``ems`` ems, the last one cut."""
    words = [w for part in title.split() for w in _pieces(part, ems)]
    out: list[str] = []
    for word in words:
        joined = f"{out[-1]} {word}" if out else word
        if out and _units(joined) <= ems:
            out[-1] = joined
        else:
            out.append(word)
    if len(out) > lines:
        out = out[:lines]
        while out[-1] and _units(out[-1] + "…") > ems:
            out[-1] = out[-1][:-1]
        out[-1] = out[-1].rstrip() + "…"
    return out


def _pieces(word: str, ems: float) -> list[str]:
    """A word that is longer than a line (a Chinese title, a file name), cut."""
    pieces, current = [], ""
    for c in word:
        if current and _units(current + c) > ems:
            pieces.append(current)
            current = ""
        current += c
    return [*pieces, current] if current else pieces


def _lettering(c: _Canvas, item: Item, p: Palette, genre: str) -> str:
    title = item.title.removesuffix(f" ({item.year})")
    size = 32 if _units(title) <= 12 else 26 if _units(title) <= 26 else 21
    lines = wrap(title, (c.width - 44) / size, 4)
    serif = genre in ("drama", "romance", "book", "mystery", "war", "film-noir", "western")
    family = (
        "Georgia,'Noto Serif',serif"
        if serif
        else "'Inter','Segoe UI',Roboto,'Noto Sans',sans-serif"
    )
    foot = c.height - 26
    first = foot - 26 - (len(lines) - 1) * size * 1.12
    text = "".join(
        f'<text x="22" y="{first + n * size * 1.12:.0f}" font-size="{size}" '
        f'font-weight="{600 if serif else 700}" letter-spacing="-.3">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    genres = [tag for tag in item.tags if _ALIASES.get(tag.casefold(), tag.casefold()) in _PALETTES]
    words = [str(item.year) if item.year else "", *(genres[:2] or item.tags[:1] or [item.kind])]
    caption = escape("  ·  ".join(w for w in words if w)[:30])
    return (
        f'<g fill="{p.ink}" font-family="{family}">{text}<text x="22" y="{foot}" font-size="17" '
        f'fill="{p.accent}" letter-spacing=".6" font-family="\'Inter\',\'Segoe UI\',sans-serif">'
        f"{caption}</text></g>"
    )


def etag(item: Item, *, wide: bool = False) -> str:
    """Changes when the drawing of this item does."""
    told = f"{_VERSION}|{wide}|{item.title}|{item.year}|{item.kind}|{item.tags}"
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:16]}"'


def cover(item: Item, *, wide: bool = False) -> str:
    """An SVG document, 300 x 450 or 480 x 300 units."""
    width, height = (480, 300) if wide else (300, 450)
    seed = hashlib.sha256(f"{item.id}|{item.title}".encode()).digest()
    canvas = _Canvas(width, height, seed)
    genre, *others = _genres(item)
    p = _PALETTES[genre]
    if others:  # the second genre lends its colours to the motif or its light
        lent = _PALETTES[others[0]]
        p = replace(p, motif=lent.motif) if seed[30] % 2 else replace(p, accent=lent.accent)
    motifs = _MOTIFS[genre]
    drawn = motifs[seed[31] % len(motifs)](canvas, p)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(item.title)}</title><defs>"
        f'<linearGradient id="g" x2="0" y2="1"><stop stop-color="{p.top}"/>'
        f'<stop offset="1" stop-color="{p.bottom}"/></linearGradient>'
        f'<linearGradient id="f" x2="0" y2="1"><stop offset=".42" stop-color="{p.bottom}" '
        f'stop-opacity="0"/><stop offset=".82" stop-color="{p.bottom}" stop-opacity=".94"/>'
        f'</linearGradient></defs><rect width="{width}" height="{height}" fill="url(#g)"/>'
        f'{drawn}<rect width="{width}" height="{height}" fill="url(#f)"/>'
        f"{_lettering(canvas, item, p, genre)}</svg>"
    )
