"""Pictures of any allowed format become small JPEGs. Runs in the sandboxed child."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image, ImageOps

from segue.core.errors import UnreadableMedia
from segue.ingest.limits import MediaLimits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class Still:
    """A decoded picture and what its file said of it (``image`` may be reduced)."""

    image: Image.Image
    format: str
    width_px: int
    height_px: int


def open_picture(source: IO[bytes], limits: MediaLimits) -> Still:
    """The picture, decoded and upright; pixels are counted before any is decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bomb warning: max_pixels decides
        picture = Image.open(source, formats=FORMATS)
    width, height, kind = picture.width, picture.height, (picture.format or "").lower()
    if width * height > limits.max_pixels:
        raise UnreadableMedia("picture", f"{width} x {height} pixels, limit {limits.max_pixels:,}")
    # JPEG decodes at a reduced size, which saves most of the work on photographs.
    picture.draft("RGB", (limits.picture_side_px, limits.picture_side_px))
    picture.load()
    return Still(ImageOps.exif_transpose(picture), kind, width, height)


def to_jpeg(picture: Image.Image, limits: MediaLimits) -> bytes:
    """JPEG, at most ``picture_side_px`` on its longer side; transparency becomes white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        flat = Image.new("RGB", layer.size, "white")
        flat.paste(layer, mask=layer.getchannel("A"))
    else:
        flat = picture.convert("RGB")
    flat.thumbnail((limits.picture_side_px, limits.picture_side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=85)
    return out.getvalue()


def cover(data: bytes, limits: MediaLimits) -> bytes | None:
    """A cover picture as JPEG; None when it cannot be read, as a missing cover is no error."""
    try:
        return to_jpeg(open_picture(io.BytesIO(data), limits).image, limits)
    except Exception:  # noqa: BLE001  Pillow's decoders raise anything on hostile bytes
        return None


def reduced(frame: Any, limits: MediaLimits) -> Any:
    """A decoded video frame, at most ``picture_side_px`` on its longer side."""
    scale = min(1.0, limits.picture_side_px / max(frame.width, frame.height))
    if scale == 1.0:
        return frame
    width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    return frame.reformat(width=width, height=height, interpolation="FAST_BILINEAR")


def frame_jpeg(frame: Any, limits: MediaLimits) -> bytes:
    """A decoded video frame as JPEG, upright, at most ``picture_side_px`` on its longer side."""
    # PyAV's to_image copies row by row, ten times slower.
    picture = Image.fromarray(reduced(frame, limits).to_ndarray(format="rgb24"))
    upright = picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
    return to_jpeg(upright, limits)
