"""CLIP and SigLIP through transformers: pictures and words in one space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from segue.core.errors import BadPackage, UnreadableMedia
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.encoders.folder import Files, config, located
from segue.understand.encoders.huggingface import part, pretrained

BATCH = 8
CONTRASTIVE = ("clip", "chinese_clip", "altclip", "metaclip_2")  # softmax over the prompts
PAIRWISE = ("siglip", "siglip2")  # each prompt by itself, yes or no
Picture = Path | Image.Image


class JointEncoder(Protocol):
    """Pictures and words in one space."""

    kind: str

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, clips: Sequence[Picture]) -> Floats:
        """(n, dim) float32, unit rows."""

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows, in the space of the pictures."""

    def zero_shot(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities."""


class JointTexts:
    """The words' side of a joint encoder, as a text encoder."""

    kind = "text"

    def __init__(self, joint: JointEncoder) -> None:
        self._joint = joint
        self.name = f"{joint.name}.text"
        self.dim = joint.dim

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows."""
        return self._joint.encode_texts(clips)


class ClipPictures:
    """``spec`` is a folder, or a hub's id with or without ``@revision``.

    CLIP (Radford et al. 2021) shares probability out over the prompts; SigLIP (Zhai et al. 2023)
    judges each prompt by itself, so its rows do not sum to one.
    """

    kind = "picture"

    def __init__(self, spec: str) -> None:
        self._spec = spec

    @cached_property
    def files(self) -> Files:
        return located(self._spec)

    @cached_property
    def name(self) -> str:
        return f"clip-{self.files.label}"

    @cached_property
    def dim(self) -> int:
        """Width of the common space."""
        return int(self.encode_texts(["a"]).shape[1])

    def encode(self, clips: Sequence[Picture]) -> Floats:
        """(n, dim) float32, unit rows."""
        import torch  # noqa: PLC0415 - an extra, only when it runs

        model, _, processor = self._loaded
        rows = []
        for batch in opened(clips):
            pixels = processor(images=batch, return_tensors="pt")
            with torch.inference_mode():
                rows.append(_features(model.get_image_features(**pixels)))
        return joined(rows, self)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows, in the space of the pictures."""
        import torch  # noqa: PLC0415 - an extra, only when it runs

        model, tokenizer, _ = self._loaded
        rows = []
        for start in range(0, len(texts), BATCH):
            tokens = self._tokens(tokenizer, list(texts[start : start + BATCH]))
            with torch.inference_mode():
                rows.append(_features(model.get_text_features(**tokens)))
        return joined(rows, self)

    def zero_shot(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities."""
        cosines = self.encode(pictures) @ self._asked(tuple(prompts)).T
        model = self._loaded[0]
        scale = float(model.logit_scale.exp())
        if self._pairwise:
            return sigmoid(scale * cosines + float(model.logit_bias))
        return softmax(scale * cosines)

    @cached_property
    def _asked(self) -> Callable[[tuple[str, ...]], Floats]:
        """Texts that are asked about batch after batch are encoded once."""
        return lru_cache(maxsize=4)(self.encode_texts)

    @property
    def _pairwise(self) -> bool:
        return self._loaded[0].config.model_type in PAIRWISE

    def _tokens(self, tokenizer: Any, texts: list[str]) -> dict[str, Any]:
        most = int(self._loaded[0].config.text_config.max_position_embeddings)
        # SigLIP was trained on texts of one length without a mask, and is wrong otherwise.
        padding = "max_length" if self._pairwise else True
        tokens = tokenizer(
            texts, padding=padding, truncation=True, max_length=most, return_tensors="pt"
        )
        wanted = ("input_ids",) if self._pairwise else ("input_ids", "attention_mask")
        return {key: tokens[key] for key in wanted}

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        kind = config(self.files.folder).get("model_type")
        if kind not in (*CONTRASTIVE, *PAIRWISE):
            raise BadPackage(
                f"{self.files.folder}: model_type {kind!r} has no space of pictures and words; "
                f"known: {', '.join((*CONTRASTIVE, *PAIRWISE))}"
            )
        model, transformers = pretrained(self.files, "AutoModel")
        return (
            model,
            part(self.files, transformers.AutoTokenizer),
            part(self.files, transformers.AutoImageProcessor),
        )


def _features(found: Any) -> Floats:
    """(n, dim): transformers 5 wraps what 4 gave as it is."""
    rows = getattr(found, "pooler_output", found)
    return np.asarray(rows.numpy(), dtype=np.float32)


def joined(rows: list[Floats], encoder: JointEncoder) -> Floats:
    """(n, dim) float32, unit rows; also of nothing."""
    return unit(np.concatenate(rows)) if rows else np.zeros((0, encoder.dim), dtype=np.float32)


def opened(clips: Sequence[Picture]) -> Iterator[list[Image.Image]]:
    """Batches of RGB pictures."""
    for start in range(0, len(clips), BATCH):
        yield [_rgb(clip) for clip in clips[start : start + BATCH]]


def _rgb(clip: Picture) -> Image.Image:
    if isinstance(clip, Image.Image):
        return clip.convert("RGB")
    try:
        with Image.open(clip) as picture:
            picture.draft("RGB", (512, 512))  # a JPEG is decoded smaller
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableMedia(clip.name, f"not a readable picture: {error}") from error


def softmax(logits: Floats) -> Floats:
    """(n, m) float32; rows sum to one."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def sigmoid(logits: Floats) -> Floats:
    """(n, m) float32, each in (0, 1)."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
