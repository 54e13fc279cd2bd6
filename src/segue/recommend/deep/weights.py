"""Weights of a net as plain arrays and as safetensors files; nothing is ever pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from segue.core.errors import BadPackage
from segue.core.protocols import Arrays

STRINGS = "strings"  # metadata key: safetensors holds no text


def state_arrays(net: nn.Module, prefix: str = "net.") -> dict[str, np.ndarray[Any, Any]]:
    """Parameters and buffers of a net as copies, each name led by ``prefix``."""
    return {prefix + name: array_of(tensor) for name, tensor in net.state_dict().items()}


def load_arrays(net: nn.Module, arrays: Arrays, prefix: str = "net.") -> None:
    """Take over what :func:`state_arrays` gave; raises BadPackage when names or shapes differ."""
    found = {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    try:
        net.load_state_dict(found)
    except RuntimeError as error:
        raise BadPackage(f"these weights belong to a net of other settings: {error}") from error


def array_of(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A contiguous copy in main memory."""
    copied: np.ndarray[Any, Any] = np.array(tensor.detach().cpu().numpy(), order="C")
    return copied


def write(path: Path, arrays: Arrays, metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays (numbers or text) as one safetensors file, whole or not at all."""
    numbers = {k: np.ascontiguousarray(a) for k, a in arrays.items() if a.dtype.kind != "U"}
    texts = {k: a.tolist() for k, a in arrays.items() if a.dtype.kind == "U"}
    data = save(numbers, {**(metadata or {}), STRINGS: json.dumps(texts)})
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # a reader, or a restart after a kill, sees the old or the new file
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Arrays and metadata of a file that :func:`write` made."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise BadPackage(f"{path}: no readable safetensors file ({error})") from error
    for name, text in json.loads(metadata.pop(STRINGS, "{}")).items():
        arrays[name] = np.array(text, dtype=np.str_)
    return arrays, metadata
