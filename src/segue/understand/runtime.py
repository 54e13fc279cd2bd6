"""ONNX models: converted once from the packages' own formats, kept in the cache, run on the CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.datasets.fetch import cache_folder, get, packages


def converted(package: str, convert: Callable[[Path], bytes], *, version: int) -> Path:
    """The ONNX file made from a package by ``convert``; made on first use.

    Its name holds the package's pin and ``version`` of the conversion: either one changed is
    another file.
    """
    folder = cache_folder() / "models"
    path = folder / f"{packages()[package].folder}-{version}.onnx"
    if not path.is_file():
        data = convert(get(package))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
        Path(part.name).replace(path)
    return path


def session(path: Path, threads: int = 1) -> Any:
    """An onnxruntime session on ``threads`` CPU threads."""
    import onnxruntime  # noqa: PLC0415 - 0.2 s, only when a model runs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A waiting thread sleeps: spinning ones slow everything else on a small machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
