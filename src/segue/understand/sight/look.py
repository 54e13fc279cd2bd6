"""How a picture looks: its main colours by name, brightness, contrast, colourfulness, sharpness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as once

import numpy as np
from PIL import Image, ImageColor

from segue.core.types import Floats
from segue.understand.findings import Findings, Label, Measure
from segue.understand.sight.frames import frames, frames_hash, opened
from segue.understand.sources import ItemSource

SIDE_PX = 128
PALETTE_PX = 64
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
# The eleven basic colour terms (Berlin and Kay 1969) with the CSS colours that belong to each.
# Each term has light and dark members, so that nearest-of-all follows the term's real extent.
TERMS = {
    "black": "black",
    "white": "white snow ghostwhite whitesmoke ivory floralwhite seashell",
    "grey": "gray silver darkgray dimgray lightgray gainsboro",
    "red": "red darkred firebrick crimson indianred maroon",
    "orange": "orange darkorange coral tomato orangered sandybrown",
    "yellow": "yellow gold khaki lightyellow palegoldenrod",
    "brown": "brown saddlebrown sienna peru tan chocolate burlywood",
    "green": "green lime forestgreen darkgreen limegreen palegreen olive olivedrab seagreen"
    " yellowgreen lightgreen darkolivegreen",
    "blue": "blue navy royalblue steelblue skyblue lightblue deepskyblue midnightblue teal"
    " dodgerblue cadetblue darkcyan turquoise aqua powderblue slategray",
    "purple": "purple indigo violet mediumpurple darkviolet plum thistle darkmagenta",
    "pink": "pink hotpink deeppink lightpink palevioletred mediumvioletred",
}


@dataclass(frozen=True, slots=True)
class Appearance:
    """Of one picture. ``palette``: (name, hex, share), largest share first, shares sum to 1."""

    palette: tuple[tuple[str, str, float], ...]
    brightness: float  # mean lightness L*, in [0, 1]
    contrast: float  # standard deviation of the lightness, in [0, 0.5]
    colourfulness: float  # >= 0; 15 is slightly, 45 quite, 82 extremely colourful
    sharpness: float  # >= 0; variance of the Laplacian of luma in [0, 255]; under ~50 is blurred


def appearance(picture: Image.Image, colours: int = 6) -> Appearance:
    """Measured on the picture reduced to ``SIDE_PX``, sharpness at twice that."""
    fine = _reduced(picture, 2 * SIDE_PX)
    small = _reduced(fine, SIDE_PX)
    pixels = np.asarray(small, dtype=np.float32)
    lightness = lab(pixels)[..., 0] / 100
    return Appearance(
        palette=palette(_reduced(small, PALETTE_PX), colours),
        brightness=float(lightness.mean()),
        contrast=float(lightness.std()),
        colourfulness=colourfulness(pixels),
        sharpness=sharpness(fine),
    )


def _reduced(picture: Image.Image, side_px: int) -> Image.Image:
    small = picture.convert("RGB")
    small.thumbnail((side_px, side_px), Image.Resampling.BOX)
    return small


def palette(picture: Image.Image, colours: int) -> tuple[tuple[str, str, float], ...]:
    """Main colours by median cut, each with the nearest basic colour term in CIELAB."""
    reduced = picture.quantize(colours, Image.Quantize.MEDIANCUT)
    values = np.array(reduced.getpalette(), dtype=np.uint8).reshape(-1, 3)
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=len(values))
    found = []
    for index in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        r, g, b = (int(value) for value in values[index])
        name = colour_name(np.array([r, g, b], dtype=np.float32))
        found.append((name, f"#{r:02x}{g:02x}{b:02x}", float(counts[index] / counts.sum())))
    return tuple(found)


@once
def _anchors() -> tuple[tuple[str, ...], Floats]:
    """Names of the terms' members and (n, 3) their CIELAB values."""
    pairs = [(term, css) for term, members in TERMS.items() for css in members.split()]
    rgb = np.array([ImageColor.getrgb(css)[:3] for _, css in pairs], dtype=np.float32)
    return tuple(term for term, _ in pairs), lab(rgb)


def colour_name(rgb: Floats) -> str:
    """The basic colour term of one colour, (3,) in [0, 255]."""
    names, values = _anchors()
    at = lab(rgb)
    if float(np.hypot(at[1], at[2])) < 8:  # hardly any hue: the eye sees black, grey or white
        return "black" if at[0] < 18 else "white" if at[0] > 90 else "grey"
    return names[int(np.argmin(np.linalg.norm(values - at, axis=1)))]


def lab(rgb: Floats) -> Floats:
    """(..., 3) CIELAB (D65) of sRGB values in [0, 255]; L* in [0, 100]. IEC 61966-2-1, CIE 1976."""
    share = rgb / np.float32(255)
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def colourfulness(pixels: Floats) -> float:
    """M3 of Hasler and Süsstrunk 2003, of (h, w, 3) in [0, 255]."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def sharpness(picture: Image.Image) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000)."""
    luma = np.asarray(picture, dtype=np.float32) @ LUMA
    if min(luma.shape) < 3:
        return 0.0
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * luma[1:-1, 1:-1]).var())


@dataclass(frozen=True)
class Look:
    """The step: colours of the whole item as labels, the course of brightness as measures."""

    most_frames: int = 24
    colours: int = 6
    least_share: float = 0.08  # of an item's pixels, for a colour to be named

    name = "look"
    model = "look@1"

    def source(self, item: ItemSource) -> str:
        return frames_hash(frames(item, self.most_frames))

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._item(item) for item in items]

    def _item(self, item: ItemSource) -> Findings:
        seen = opened(frames(item, self.most_frames), 2 * SIDE_PX)
        if not seen.pictures:
            return Findings()
        looks = [appearance(picture, self.colours) for picture in seen.pictures]
        measures = [
            Measure(name, float(np.mean([getattr(look, name) for look in looks])))
            for name in ("brightness", "contrast", "colourfulness", "sharpness")
        ]
        measures += [
            Measure("brightness", look.brightness, frame.start_s)
            for frame, look in zip(seen.frames, looks, strict=True)
            if frame.start_s is not None
        ]
        return Findings(tuple(self._colours(looks)), tuple(measures), said=seen.said)

    def _colours(self, looks: Sequence[Appearance]) -> list[Label]:
        """Shares by name, and the largest colour of each name as hex."""
        share: dict[str, float] = defaultdict(float)
        largest: dict[str, tuple[float, str]] = {}
        for look in looks:
            for name, code, part in look.palette:
                share[name] += part / len(looks)
                largest[name] = max(largest.get(name, (0.0, "")), (part, code))
        kept = sorted((n for n in share if share[n] >= self.least_share), key=lambda n: -share[n])
        named = [Label("colour", name, min(1.0, share[name])) for name in kept]
        return named + [Label("palette", largest[n][1], min(1.0, share[n])) for n in kept]
