"""CLAP: sounds and texts in one space, by transformers (Wu et al. 2023). Needs ``segue[deep]``.

No package carries its weights. Name a folder or a model of the Hugging Face hub, such as
``laion/clap-htsat-unfused``, and it takes over from YAMNet.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadInput, BadPackage, MissingExtra
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.sound.recording import RATE_HZ, Recording

INSTALL = "pip install 'segue[deep]'"
TEXT_BATCH = 32


class Clap:
    """Clips are 16 kHz mono float32 in [-1, 1], or paths of 16 bit wav files of that rate.

    Of a long clip, ``max_windows`` windows of the model's length (10 s) spread over all of it
    are heard, and their vectors averaged. ``model`` is a folder, or a hub id with an optional
    revision.
    """

    kind = "sound"

    def __init__(self, model: str, revision: str | None = None, max_windows: int = 6) -> None:
        if not model:
            raise BadInput("clap: no model named; give a folder or a hub id")
        if max_windows < 1:
            raise BadInput(f"clap: max_windows must be >= 1, got {max_windows}")
        self._model, self._revision, self._max_windows = model, revision, max_windows
        self.name = f"clap:{Path(model).name}@{revision or 'main'}"

    @property
    def dim(self) -> int:
        return int(self._loaded[0].config.projection_dim)

    def encode(self, clips: Sequence[Path | Floats]) -> Floats:
        """(n, dim) float32, unit rows."""
        rows = [self._hear(clip) for clip in clips]
        return unit(np.stack(rows)) if rows else np.zeros((0, self.dim), dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows in the space of the sounds."""
        import torch  # noqa: PLC0415 - an extra

        model, processor = self._loaded
        out = np.zeros((len(texts), self.dim), dtype=np.float32)
        for at in range(0, len(texts), TEXT_BATCH):
            batch = list(texts[at : at + TEXT_BATCH])
            given = processor.tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                out[at : at + len(batch)] = _vectors(model.get_text_features(**given))
        return unit(out)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Model and processor. Only safetensors are read: a pickle could run anything."""
        try:
            transformers = importlib.import_module("transformers")
            importlib.import_module("torch")
        except ImportError as error:
            raise MissingExtra(f"CLAP needs torch and transformers; get them: {INSTALL}") from error
        where = {"revision": self._revision} if self._revision else {}
        try:
            processor = transformers.ClapProcessor.from_pretrained(self._model, **where)
            model = transformers.ClapModel.from_pretrained(
                self._model, use_safetensors=True, **where
            )
        except (OSError, ValueError, KeyError) as error:
            raise BadPackage(
                f"clap: {self._model!r} cannot be loaded ({error}); give a folder with a model in "
                f"safetensors form, or a hub id that this machine can reach"
            ) from error
        return model.eval(), processor

    def _hear(self, clip: Path | Floats) -> Floats:
        import torch  # noqa: PLC0415 - an extra

        model, processor = self._loaded
        hear = processor.feature_extractor
        vectors = []
        for window in self._windows(clip, int(hear.nb_max_samples), int(hear.sampling_rate)):
            given = hear(window, sampling_rate=hear.sampling_rate, return_tensors="pt")
            with torch.inference_mode():
                vectors.append(_vectors(model.get_audio_features(**given))[0])
        return np.asarray(unit(np.stack(vectors)).mean(axis=0), dtype=np.float32)

    def _windows(self, clip: Path | Floats, samples: int, rate_hz: int) -> Iterator[Floats]:
        """Windows at the model's rate: never longer than it takes, or it would cut at random."""
        from scipy.signal import resample_poly  # noqa: PLC0415 - 0.2 s, only when a model runs

        size = samples * RATE_HZ // rate_hz
        common = int(np.gcd(rate_hz, RATE_HZ))
        for window in self._cut(clip, size):
            made = resample_poly(window, rate_hz // common, RATE_HZ // common)
            yield np.asarray(made[:samples], dtype=np.float32)

    def _cut(self, clip: Path | Floats, size: int) -> Iterator[Floats]:
        if isinstance(clip, Path):
            with Recording(clip) as recording:
                for at in self._starts(len(recording), size):
                    yield _never_empty(recording.read(at, size))
            return
        for at in self._starts(len(clip), size):
            yield _never_empty(clip[at : at + size])

    def _starts(self, length: int, size: int) -> list[int]:
        count = int(np.clip(length // size, 1, self._max_windows))
        return [int(at) for at in np.linspace(0, max(0, length - size), count)]


def _never_empty(samples: Floats) -> Floats:
    return samples if len(samples) else np.zeros(RATE_HZ // 10, dtype=np.float32)


def _vectors(answer: Any) -> Floats:
    """(n, dim); transformers 5 wraps the tensor."""
    tensor = getattr(answer, "pooler_output", answer)
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
