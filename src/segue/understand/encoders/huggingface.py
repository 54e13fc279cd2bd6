"""Any text model that transformers can load: mean over the tokens, unit length."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from segue.core.errors import BadPackage
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.encoders.folder import Files, located

BATCH = 16
MOST_TOKENS = 256


class HuggingFaceTexts:
    """``spec`` is a folder, or a hub's id with or without ``@revision``.

    Mean pooling, as sentence encoders are trained (Reimers and Gurevych 2019). A model that pools
    otherwise brings its own way with it: load that one by ``st:``.
    """

    kind = "text"

    def __init__(self, spec: str, *, prefix: str = "", max_tokens: int = MOST_TOKENS) -> None:
        self._spec = spec
        self._prefix = prefix  # E5 wants "passage: " before each text
        self._max_tokens = max_tokens

    @cached_property
    def files(self) -> Files:
        return located(self._spec)

    @cached_property
    def name(self) -> str:
        return f"hf-{self.files.label}{settings_mark(self._prefix, self._max_tokens)}"

    @cached_property
    def dim(self) -> int:
        """Width of the last layer."""
        return int(self._loaded[0].config.hidden_size)

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows."""
        import torch  # noqa: PLC0415 - an extra, only when it runs

        out = np.zeros((len(clips), self.dim), dtype=np.float32)
        model, tokenizer = self._loaded
        # Like lengths together, so that little is padded; the mask keeps padding out of the mean.
        order = sorted(range(len(clips)), key=lambda n: len(clips[n]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            tokens = tokenizer(
                [f"{self._prefix}{clips[n]}" for n in rows],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                states = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][:, :, None].to(states.dtype)
            pooled = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            out[rows] = pooled.numpy()
        return unit(out)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model, transformers = pretrained(self.files, "AutoModel")
        return model, part(self.files, transformers.AutoTokenizer)


def settings_mark(prefix: str, max_tokens: int) -> str:
    """Settings that change the vectors belong to the name; "" for the usual ones."""
    if (prefix, max_tokens) == ("", MOST_TOKENS):
        return ""
    return "+" + hashlib.sha256(repr((prefix, max_tokens)).encode()).hexdigest()[:6]


def pretrained(files: Files, kind: str) -> tuple[Any, Any]:
    """A net in float32 on the CPU, and transformers. No code that lies in the folder is run."""
    transformers: Any = importlib.import_module("transformers")  # an extra, seconds to import
    transformers.utils.logging.disable_progress_bar()
    model = part(files, getattr(transformers, kind), use_safetensors=True, dtype="float32")
    return model.eval().requires_grad_(False), transformers


def part(files: Files, loader: Any, **settings: Any) -> Any:
    """One part of a model: net, tokenizer, picture processor."""
    try:
        return loader.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False, **settings
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        why = " ".join(str(error).split())[:300]
        raise BadPackage(f"{files.folder}: {loader.__name__} cannot load it: {why}") from error
