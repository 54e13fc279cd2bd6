"""Words on screen by PP-OCRv4: where lines of text stand, and what they say (Chinese, English).

Du et al. 2020 (PP-OCR); lines are found by differentiable binarisation (Liao et al. 2020) and read
by CTC. The models' own post-processing wants OpenCV, Shapely and Clipper for slanted lines; here
lines are upright boxes, as titles and subtitles are, and SciPy is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from segue.core.errors import BadSettings
from segue.core.types import Floats
from segue.datasets.fetch import get
from segue.understand.copies import plain
from segue.understand.findings import Findings, Note
from segue.understand.runtime import session
from segue.understand.sight.frames import frames, frames_hash, opened
from segue.understand.sources import ItemSource

DETECTOR, READER = "ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"
STEP_PX = 32  # the detector halves a picture five times
LINE_PX = 48  # height of a line as the reader wants it
MOST_LINE_PX = 1600
BATCH = 6


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and its box in pixels (left, top, right, bottom). ``score`` in [0, 1]."""

    text: str
    score: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Reader:
    """Finds and reads lines. Defaults are those of PP-OCRv4."""

    side_px: int = 736  # of the longer side, for finding lines
    least_pixel: float = 0.3  # probability of text
    least_box: float = 0.5  # its mean over a box
    grow: float = 1.6  # lines are found shrunken by their area over their perimeter
    least_line: float = 0.6  # mean certainty of the characters
    most_lines: int = 40
    threads: int = 1

    name = "ppocr-v4@1.4.4"

    def __post_init__(self) -> None:
        if self.side_px < STEP_PX or self.most_lines < 1:
            raise BadSettings(
                f"reader: side_px >= {STEP_PX} and most_lines >= 1, got {self.side_px}, "
                f"{self.most_lines}"
            )

    @cached_property
    def _detector(self) -> Any:
        return session(get("ppocr-v4") / DETECTOR, self.threads)

    @cached_property
    def _reader(self) -> Any:
        return session(get("ppocr-v4") / READER, self.threads)

    @cached_property
    def _characters(self) -> tuple[str, ...]:
        """By output number: nothing, the model's own list, a space."""
        listed = self._reader.get_modelmeta().custom_metadata_map["character"]
        return ("", *listed.split("\n"), " ")

    def read(self, picture: Image.Image) -> list[Line]:
        """The lines of one picture, from top to bottom."""
        boxes = self.boxes(picture)
        crops = [_upright(picture.crop(box)) for box in boxes]
        # Lines of like length go together, so that little is padded.
        order = sorted(range(len(crops)), key=lambda n: crops[n].width)
        lines = []
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            for n, (text, score) in zip(part, self._texts([crops[n] for n in part]), strict=True):
                if text.strip() and score >= self.least_line:
                    lines.append(Line(text.strip(), score, boxes[n]))
        return sorted(lines, key=lambda line: (line.box[1], line.box[0]))

    def boxes(self, picture: Image.Image) -> list[tuple[int, int, int, int]]:
        """Boxes (left, top, right, bottom) of lines, largest first."""
        scale = self.side_px / max(picture.size)
        width, height = (
            max(STEP_PX, round(side * scale / STEP_PX) * STEP_PX) for side in picture.size
        )
        reduced = picture.resize((width, height), Image.Resampling.BILINEAR)
        chances = self._detector.run(None, {"x": _values(reduced)[None]})[0][0, 0]
        regions, count = ndimage.label(chances > self.least_pixel, structure=np.ones((3, 3)))
        across, down = picture.width / width, picture.height / height
        found = []
        for rows, columns in ndimage.find_objects(regions, max_label=count):
            high, wide = rows.stop - rows.start, columns.stop - columns.start
            if min(high, wide) < 3 or chances[rows, columns].mean() < self.least_box:
                continue
            more = high * wide * self.grow / (2 * (high + wide))
            box = (columns.start - more, rows.start - more, columns.stop + more, rows.stop + more)
            found.append(_inside(box, across, down, picture.size))
        found.sort(key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
        return found[: self.most_lines]

    def _texts(self, crops: Sequence[Image.Image]) -> list[tuple[str, float]]:
        widths = [min(MOST_LINE_PX, max(1, round(LINE_PX * c.width / c.height))) for c in crops]
        batch = np.zeros((len(crops), 3, LINE_PX, max(320, *widths)), dtype=np.float32)
        for row, (crop, width) in enumerate(zip(crops, widths, strict=True)):
            resized = crop.resize((width, LINE_PX), Image.Resampling.BILINEAR)
            batch[row, :, :, :width] = _values(resized)
        chances = self._reader.run(None, {"x": batch})[0]
        return [self._decoded(rows) for rows in chances]

    def _decoded(self, chances: Floats) -> tuple[str, float]:
        """Greedy CTC (Graves et al. 2006): repeats collapse, then the blank goes."""
        best = chances.argmax(axis=1)
        kept = (best != 0) & (np.diff(best, prepend=0) != 0)
        text = "".join(self._characters[n] for n in best[kept])
        return text, float(chances.max(axis=1)[kept].mean()) if kept.any() else 0.0


def _values(picture: Image.Image) -> Floats:
    """(3, h, w) float32 in [-1, 1], blue first."""
    values = np.asarray(picture.convert("RGB"), dtype=np.float32)[..., ::-1]
    return np.ascontiguousarray((values / 127.5 - 1.0).transpose(2, 0, 1))


def _inside(
    box: tuple[float, float, float, float], across: float, down: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box in pixels of a picture of this size, at least one pixel large."""
    left, top = (max(0, int(box[n] * (across, down)[n])) for n in (0, 1))
    right, bottom = (min(size[n], int(np.ceil(box[2 + n] * (across, down)[n]))) for n in (0, 1))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _upright(crop: Image.Image) -> Image.Image:
    """A line that runs downwards is turned on its side."""
    return crop.transpose(Image.Transpose.ROTATE_90) if crop.height > 1.5 * crop.width else crop


@dataclass(frozen=True)
class ScreenText:
    """The step: what stands on a few frames of an item, each line once."""

    reader: Reader = Reader()
    most_frames: int = 6
    least_letters: int = 2

    name = "screen-text"

    @property
    def model(self) -> str:
        return self.reader.name

    def source(self, item: ItemSource) -> str:
        return frames_hash(frames(item, self.most_frames))

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._item(item) for item in items]

    def _item(self, item: ItemSource) -> Findings:
        seen = opened(frames(item, self.most_frames), self.reader.side_px)
        lines: dict[str, str] = {}
        for picture in seen.pictures:
            for line in self.reader.read(picture):
                bare = plain(line.text)
                if len(bare) >= self.least_letters:
                    lines.setdefault(bare, line.text)
        notes = (Note("on-screen", "\n".join(lines.values())),) if lines else ()
        return Findings(notes=notes, said=seen.said)
