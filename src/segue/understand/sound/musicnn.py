"""Music by MusiCNN: 200 features and the probabilities of 50 + 50 tags, on stretches of 3 s."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadInput, BadPackage
from segue.core.types import Doubles, Floats
from segue.understand.align import unit
from segue.understand.runtime import converted, session
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sound.tags import MSD_TAGS, MTT_TAGS

HOP, FFT = 256, 512  # samples
FRAMES, MELS, FEATURES = 187, 96, 200  # a patch is 187 frames of 16 ms: 3 s
PATCH = (FRAMES - 1) * HOP + FFT  # samples that the frames of a patch touch
BATCH = 4
HEADS = ("musicnn-msd", "musicnn-mtt")


class MusiCnn:
    """Clips are 16 kHz mono float32 in [-1, 1], or paths of 16 bit wav files of that rate.

    Of a long clip, ``max_patches`` patches spread over all of it are heard.
    """

    name = "musicnn@0.1.0"
    dim = FEATURES
    kind = "music"
    labels = tuple(f"msd:{t}" for t in MSD_TAGS) + tuple(f"mtt:{t}" for t in MTT_TAGS)

    def __init__(self, threads: int = 1, max_patches: int = 12) -> None:
        if max_patches < 1:
            raise BadInput(f"max_patches must be >= 1, got {max_patches}")
        self._threads = threads
        self._max_patches = max_patches

    def encode(self, clips: Sequence[Path | Floats]) -> Floats:
        """(n, 200) float32, unit rows: the mean over patches of the MSD net's features."""
        means = np.zeros((len(clips), self.dim), dtype=np.float32)
        for row, clip in enumerate(clips):
            means[row] = self._run(HEADS[0], "features", self.patches(clip)).mean(axis=0)
        return unit(means)

    def classify(self, clips: Sequence[Path | Floats]) -> Floats:
        """(n, 100) float32: the mean over patches of each tag's probability, in [0, 1]."""
        out = np.zeros((len(clips), len(self.labels)), dtype=np.float32)
        for row, clip in enumerate(clips):
            out[row] = self.tags(self.patches(clip)).mean(axis=0)
        return out

    def tags(self, patches: Floats) -> Floats:
        """(n, 100) probabilities of patches, (n, PATCH) samples."""
        return np.concatenate([self._run(head, "tags", patches) for head in HEADS], axis=1)

    def patches(
        self,
        clip: Path | Floats | Recording,
        spans: Sequence[tuple[int, int]] = (),
        most: int | None = None,
    ) -> Floats:
        """(n, PATCH) samples of patches spread over a clip, or over ``spans`` of its samples."""
        if isinstance(clip, Path):
            with Recording(clip) as recording:
                return self.patches(recording, spans, most)
        whole = [(0, len(clip))]
        starts = spread(spans or whole, self._max_patches if most is None else most)
        if isinstance(clip, Recording):
            return np.stack([_repeated(clip.read(at, PATCH)) for at in starts])
        return np.stack([_repeated(clip[at : at + PATCH]) for at in starts])

    @cached_property
    def _sessions(self) -> dict[str, Any]:
        return {head: session(converted(head, convert, version=1), self._threads) for head in HEADS}

    def _run(self, head: str, output: str, patches: Floats) -> Floats:
        found = [
            self._sessions[head].run([output], {"mel": log_mel(patches[at : at + BATCH])})[0]
            for at in range(0, len(patches), BATCH)
        ]
        return np.asarray(np.concatenate(found), dtype=np.float32)


def spread(spans: Sequence[tuple[int, int]], most: int) -> list[int]:
    """First samples of patches that do not overlap: all that fit, or ``most`` spread evenly."""
    starts = [at for a, b in spans for at in range(a, b - PATCH + 1, PATCH)]
    if not starts:  # every span is shorter than a patch: the longest one, from its start
        starts = [max(spans, key=lambda span: span[1] - span[0])[0]]
    if len(starts) <= most:
        return starts
    middle = (np.arange(most) + 0.5) / most * len(starts)
    return [starts[int(at)] for at in middle]


def _repeated(samples: Floats) -> Floats:
    """(PATCH,): a sound that is too short is played again; silence would be heard as slow."""
    if not len(samples):
        return np.zeros(PATCH, dtype=np.float32)
    return np.resize(samples, PATCH)


def _mel_matrix() -> Floats:
    """(257, 96): triangles of unit area on Slaney's mel scale (linear to 1 kHz, then
    logarithmic), from 0 to 8 kHz: librosa's default, with which the nets were trained."""
    hertz = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)
    edges = _slaney_hertz(np.linspace(0, _slaney_mel(RATE_HZ / 2), MELS + 2))
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2])), dtype=np.float32)


MEL_HZ, LOG_FROM_HZ = 200.0 / 3.0, 1000.0  # a mel below the bend; the bend
LOG_STEP = np.log(6.4) / 27.0  # 27 mels from 1 kHz to 6.4 kHz


def _slaney_mel(hertz: float) -> float:
    if hertz < LOG_FROM_HZ:
        return hertz / MEL_HZ
    return float(LOG_FROM_HZ / MEL_HZ + np.log(hertz / LOG_FROM_HZ) / LOG_STEP)


def _slaney_hertz(mels: Doubles) -> Doubles:
    bend = LOG_FROM_HZ / MEL_HZ
    return np.where(
        mels < bend, mels * MEL_HZ, LOG_FROM_HZ * np.exp(LOG_STEP * (np.maximum(mels, bend) - bend))
    )


MEL_MATRIX = _mel_matrix()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)


def log_mel(patches: Floats) -> Floats:
    """(n, 187, 96) float32 of (n, PATCH) samples: log10(1 + 10^4 power), as in training."""
    frames = np.lib.stride_tricks.sliding_window_view(patches, FFT, axis=1)[:, ::HOP]
    spectrum = np.fft.rfft(frames * HANN, FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    # Half precision, because the nets were trained on numbers that had been through it.
    mels = np.minimum(power @ MEL_MATRIX, 65_000.0).astype(np.float16).astype(np.float32)
    return np.asarray(np.log10(10_000.0 * mels + 1.0), dtype=np.float32)


def convert(package: Path) -> bytes:
    """The package's checkpoint as ONNX."""
    from segue.understand.sound import (  # noqa: PLC0415 - needs onnx, once in a lifetime
        checkpoint,
        musicnn_net,
    )

    (data,) = package.glob(".data-*")
    weights = checkpoint.read_checkpoint(package / ".index", data)
    try:
        model = musicnn_net.build(weights)
    except KeyError as error:
        raise BadPackage(f"musicnn: the checkpoint has no {error}") from error
    return bytes(model.SerializeToString())
