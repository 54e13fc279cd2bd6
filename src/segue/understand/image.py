"""Pictures by EfficientNet-lite2: 1280 features and the probabilities of 1000 ImageNet classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segue.core.errors import UnreadableMedia
from segue.core.types import Floats
from segue.datasets.fetch import get
from segue.understand.align import unit
from segue.understand.annotate import Placing
from segue.understand.runtime import converted, session

SIDE_PX = 260
CROP = SIDE_PX / (SIDE_PX + 32)  # the share of the shorter side that the net was trained to see
GLOSS_WORDS = 12
# How many labels place a picture among words, and how flat their probabilities are made for it:
# halves of benchmarks/understand/pictures.tsv chose about this for each other (bench_pictures.py).
TOP_LABELS, TEMPERATURE = 20, 2.5
BATCH = 8  # larger ones do not fit the cache of the CPU, and are slower


class EfficientNetLite2:
    """Clips are paths of pictures, or pictures."""

    name = "efficientnet-lite2@0.1.0"
    dim = 1280
    kind = "picture"
    placing = Placing(TOP_LABELS, TEMPERATURE)

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(1000,) readable English class names."""
        path = get("imagenet-labels") / "imagenet1k_clean_names.json"
        return tuple(json.loads(path.read_text("utf-8")))

    @cached_property
    def glosses(self) -> tuple[str, ...]:
        """(1000,) a few words on each class: that an Egyptian Mau is a cat is not in its name."""
        path = get("imagenet-labels") / "imagenet1k_gpt_names_descriptions.json"
        known = json.loads(path.read_text("utf-8"))
        texts = (known.get(str(i), {}).get("description", "") for i in range(len(self.labels)))
        return tuple(" ".join(text.split()[:GLOSS_WORDS]) for text in texts)

    def encode(self, clips: Sequence[Path | Image.Image]) -> Floats:
        """(n, 1280) float32, unit rows."""
        return unit(self._run("features", clips, self.dim))

    def classify(self, clips: Sequence[Path | Image.Image]) -> Floats:
        """(n, 1000) float32 probabilities; rows sum to one."""
        logits = self._run("logits", clips, len(self.labels))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    @cached_property
    def _session(self) -> Any:
        return session(converted("efficientnet-lite2", convert, version=1), self._threads)

    def _run(self, output: str, clips: Sequence[Path | Image.Image], width: int) -> Floats:
        out = np.zeros((len(clips), width), dtype=np.float32)
        for start in range(0, len(clips), BATCH):
            batch = np.stack([pixels(clip) for clip in clips[start : start + BATCH]])
            out[start : start + BATCH] = self._session.run([output], {"pixels": batch})[0]
        return out


def convert(package: Path) -> bytes:
    """The package's checkpoint as ONNX."""
    from segue.understand import lite2, weights  # noqa: PLC0415 - needs onnx, once in a lifetime

    (checkpoint,) = package.glob("*.pth")
    return bytes(lite2.build(weights.read_checkpoint(checkpoint)).SerializeToString())


def pixels(clip: Path | Image.Image) -> Floats:
    """(3, 260, 260) float32 in about [-1, 1]: the square in the middle, as in training."""
    if isinstance(clip, Image.Image):
        return _pixels(clip)
    try:
        with Image.open(clip) as picture:
            picture.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))  # a JPEG is decoded smaller
            return _pixels(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableMedia(clip.name, f"not a readable picture: {error}") from error


def _pixels(picture: Image.Image) -> Floats:
    side = CROP * min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    square = picture.convert("RGB").resize(
        (SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    values = (np.asarray(square, dtype=np.float32) - 127.0) / 128.0
    return np.ascontiguousarray(values.transpose(2, 0, 1))
