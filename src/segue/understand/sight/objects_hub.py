"""Things and people by any detector of Hugging Face: DETR, RT-DETR, YOLOS and their like."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from segue.core.errors import BadPackage
from segue.understand.encoders.folder import Files, located
from segue.understand.encoders.huggingface import part, pretrained
from segue.understand.sight.objects import Found

BATCH = 4
MOST_BOXES = 100


class HubDetector:
    """``spec`` is a folder, or a hub's id with or without ``@revision``.

    These nets give each thing once by themselves (Carion et al. 2020, DETR), so nothing is
    suppressed. They are surer of themselves than NanoDet: things are told from ``sure`` on.
    """

    least = 0.5
    sure = 0.7

    def __init__(self, spec: str) -> None:
        self._spec = spec

    @cached_property
    def files(self) -> Files:
        return located(self._spec)

    @cached_property
    def name(self) -> str:
        return f"detect-{self.files.label}"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """English names of the classes, each once."""
        names = self._loaded[0].config.id2label.values()
        return tuple(dict.fromkeys(name for name in names if name and name != "N/A"))

    def ready(self) -> None:
        """Raises :class:`~segue.datasets.fetch.Unavailable` where the hub cannot be had."""
        assert self.files

    def detect(self, pictures: Sequence[Image.Image]) -> list[tuple[Found, ...]]:
        """What is seen in each picture, surest first."""
        found: list[tuple[Found, ...]] = []
        for at in range(0, len(pictures), BATCH):
            batch = [picture.convert("RGB") for picture in pictures[at : at + BATCH]]
            found += [
                self._found(told, picture.size)
                for told, picture in zip(self._told(batch), batch, strict=True)
            ]
        return found

    def _told(self, batch: list[Image.Image]) -> list[dict[str, Any]]:
        import torch  # noqa: PLC0415 - an extra, only when it runs

        model, processor = self._loaded
        sizes = [(picture.height, picture.width) for picture in batch]
        pixels = processor(images=batch, return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**pixels)
            told: list[dict[str, Any]] = processor.post_process_object_detection(
                outputs, threshold=self.least, target_sizes=sizes
            )
        return told

    def _found(self, told: dict[str, Any], size: tuple[int, int]) -> tuple[Found, ...]:
        names = self._loaded[0].config.id2label
        rows = [
            Found(names[int(label)], float(score), _shares(box.tolist(), size))
            for label, score, box in zip(told["labels"], told["scores"], told["boxes"], strict=True)
            if names[int(label)] in self.labels
        ]
        return tuple(sorted(rows, key=lambda each: -each.score)[:MOST_BOXES])

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model, transformers = pretrained(self.files, "AutoModelForObjectDetection")
        processor = part(self.files, transformers.AutoImageProcessor)
        if not hasattr(processor, "post_process_object_detection"):
            raise BadPackage(
                f"{self.files.folder}: {type(processor).__name__} does not read boxes out of a "
                f"detector's answer; give a model with the processor that it was trained with"
            )
        return model, processor


def _shares(box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in [0, 1], of pixels."""
    wide, high = size
    left, top, right, bottom = (
        min(max(value / side, 0.0), 1.0)
        for value, side in zip(box, (wide, high, wide, high), strict=True)
    )
    return left, top, right, bottom
