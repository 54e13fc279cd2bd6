"""The hand-labelled pictures: stills of packages, and frames of videos at a time."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

import av
from PIL import Image

from segue.datasets.fetch import get

SIDE_PX = 640
TABLE = Path(__file__).with_name("pictures.tsv")


@dataclass(frozen=True)
class Truth:
    """One row of ``pictures.tsv``. An attribute of which nobody could be sure is "-"."""

    package: str
    file: str
    time_s: float | None
    place: str
    medium: str
    light: str
    setting: str
    subject: str
    text: str
    caption_en: str
    caption_zh: str

    def picture(self) -> Image.Image:
        """RGB, at most 640 px as ingest keeps keyframes."""
        path = get(self.package) / self.file
        found = Image.open(path) if self.time_s is None else frame_at(path, self.time_s)
        if found.mode in ("RGBA", "LA", "P"):
            layer = found.convert("RGBA")
            flat = Image.new("RGB", layer.size, "white")
            flat.paste(layer, mask=layer.getchannel("A"))
            found = flat
        found = found.convert("RGB")
        found.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        return found


def truths() -> Sequence[Truth]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Truth(**(row | {"time_s": float(row["time_s"]) if row["time_s"] else None})) for row in rows
    ]


@once
def frame_at(path: Path, time_s: float) -> Image.Image:
    """The first frame at or after a time."""
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            if (frame.time or 0.0) >= time_s - 1e-3:
                return frame.to_image()
    raise ValueError(f"{path.name} ends before {time_s} s")
