"""Architectures of OpenCLIP with their checkpoints: pictures and words in one space."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadPackage, BadSettings, NotFound
from segue.core.types import Floats
from segue.datasets.fetch import Unavailable
from segue.understand.encoders.clip import BATCH, Picture, joined, opened, sigmoid, softmax

SUFFIX = ".safetensors"
ON_HUB = "open_clip_model.safetensors"


class OpenClipPictures:
    """``spec`` is ``ARCHITECTURE/CHECKPOINT``: a .safetensors file, or a pretrained tag.

    ``ViT-B-32/laion2b_s34b_b79k``, or ``ViT-B-32//models/mine.safetensors``.
    """

    kind = "picture"

    def __init__(self, spec: str) -> None:
        self._architecture, _, self._checkpoint = spec.partition("/")
        if not self._checkpoint:
            raise BadSettings(
                f"open_clip:{spec}: name a checkpoint behind the architecture, as in "
                f"ViT-B-32/laion2b_s34b_b79k or ViT-B-32//models/mine{SUFFIX}"
            )

    @cached_property
    def file(self) -> Path:
        """The weights; safetensors only."""
        path = Path(self._checkpoint).expanduser()
        if path.is_file():
            if path.suffix != SUFFIX:
                raise BadPackage(f"{path}: weights must be {SUFFIX}, which can only hold numbers")
            return path
        if path.suffix or "/" in self._checkpoint:
            raise NotFound(f"no checkpoint {self._checkpoint!r}; give a {SUFFIX} file or a tag")
        return self._from_hub()

    @cached_property
    def name(self) -> str:
        with self.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
        label = Path(self._checkpoint).stem[:30]
        return f"open_clip-{self._architecture[:30]}-{label}@{digest}"

    @cached_property
    def dim(self) -> int:
        """Width of the common space."""
        return int(self.encode_texts(["a"]).shape[1])

    def encode(self, clips: Sequence[Picture]) -> Floats:
        """(n, dim) float32, unit rows."""
        import torch  # noqa: PLC0415 - an extra, only when it runs

        model, prepare, _ = self._loaded
        rows = []
        for batch in opened(clips):
            with torch.inference_mode():
                found = model.encode_image(torch.stack([prepare(picture) for picture in batch]))
            rows.append(np.asarray(found.float().numpy()))
        return joined(rows, self)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows, in the space of the pictures."""
        import torch  # noqa: PLC0415 - an extra, only when it runs

        model, _, tokens = self._loaded
        rows = []
        for start in range(0, len(texts), BATCH):
            with torch.inference_mode():
                found = model.encode_text(tokens(list(texts[start : start + BATCH])))
            rows.append(np.asarray(found.float().numpy()))
        return joined(rows, self)

    def zero_shot(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> Floats:
        """(n, n_prompts) float32 probabilities."""
        model = self._loaded[0]
        logits = float(model.logit_scale.exp()) * (
            self.encode(pictures) @ self._asked(tuple(prompts)).T
        )
        bias = getattr(model, "logit_bias", None)  # there is one where SigLIP's loss was used
        return softmax(logits) if bias is None else sigmoid(logits + float(bias))

    @cached_property
    def _asked(self) -> Callable[[tuple[str, ...]], Floats]:
        """Texts that are asked about batch after batch are encoded once."""
        return lru_cache(maxsize=4)(self.encode_texts)

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        import open_clip  # noqa: PLC0415 - an extra that takes seconds to import

        self._refuse_unknown(open_clip)
        try:
            model, _, prepare = open_clip.create_model_and_transforms(
                self._architecture, pretrained=str(self.file), device="cpu"
            )
            model.eval().requires_grad_(False)
            return model, prepare, open_clip.get_tokenizer(self._architecture)
        except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
            why = " ".join(str(error).split())[:300]
            raise BadPackage(f"{self.file}: not a {self._architecture}: {why}") from error

    def _refuse_unknown(self, open_clip: Any) -> None:
        known = open_clip.list_models()
        if self._architecture not in known:
            near = difflib.get_close_matches(self._architecture, known, n=3)
            raise NotFound(
                f"architecture {self._architecture!r} is not known to open_clip; "
                f"near: {', '.join(near) or 'none'}"
            )

    def _from_hub(self) -> Path:
        import open_clip  # noqa: PLC0415 - an extra that takes seconds to import
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - same

        self._refuse_unknown(open_clip)
        entry = open_clip.get_pretrained_cfg(self._architecture, self._checkpoint)
        tags = open_clip.list_pretrained_tags_by_model(self._architecture)
        if not entry:
            raise NotFound(
                f"{self._architecture} has no checkpoint {self._checkpoint!r}; "
                f"known: {', '.join(tags) or 'none'}"
            )
        # Many tags also have a pickle at a URL; that one is never fetched.
        repository = str(entry.get("hf_hub", "")).rpartition("/")[0]
        try:
            return Path(hf_hub_download(repository, ON_HUB))
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())[:200]
            raise Unavailable(
                f"{self._architecture}/{self._checkpoint} cannot be had as {ON_HUB} ({why}); "
                f"give a {SUFFIX} file"
            ) from error
