"""Text models with their own pooling and normalising, through sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from segue.core.errors import BadPackage
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.encoders.folder import Files, located
from segue.understand.encoders.huggingface import BATCH

OWN = "sentence_transformers."


class SentenceTexts:
    """``spec`` is a folder, or a hub's id with or without ``@revision``."""

    kind = "text"

    def __init__(self, spec: str, *, prefix: str = "") -> None:
        self._spec = spec
        self._prefix = prefix

    @cached_property
    def files(self) -> Files:
        return located(self._spec)

    @cached_property
    def name(self) -> str:
        return f"st-{self.files.label}{'+' if self._prefix else ''}{self._prefix.strip()[:12]}"

    @cached_property
    def dim(self) -> int:
        """Width of the last module."""
        # renamed in sentence-transformers 6
        names = ("get_embedding_dimension", "get_sentence_embedding_dimension")
        found = next(getattr(self._model, name) for name in names if hasattr(self._model, name))
        return int(found())

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows."""
        if not len(clips):
            return np.zeros((0, self.dim), dtype=np.float32)
        texts = [f"{self._prefix}{clip}" for clip in clips]
        rows = self._model.encode(
            texts, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return unit(np.asarray(rows, dtype=np.float32))

    @cached_property
    def _model(self) -> Any:
        self._refuse_foreign_modules()
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra, slow

        try:
            return SentenceTransformer(
                str(self.files.folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            ).eval()
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            why = " ".join(str(error).split())[:300]
            raise BadPackage(f"{self.files.folder}: cannot be loaded: {why}") from error

    def _refuse_foreign_modules(self) -> None:
        """``modules.json`` names the classes to build: only the library's own are built."""
        path = self.files.folder / "modules.json"
        if not path.is_file():
            return
        try:
            kinds = [str(entry["type"]) for entry in json.loads(path.read_text("utf-8"))]
        except (ValueError, KeyError, TypeError) as error:
            raise BadPackage(f"{path} is no list of modules: {error}") from error
        for kind in kinds:
            if not kind.startswith(OWN):
                raise BadPackage(f"{path}: {kind!r} is not a module of sentence-transformers")
