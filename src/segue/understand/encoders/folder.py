"""Where a model's files are: a folder, or a snapshot of a hub's repository. Never a pickle."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import BadPackage, BadSettings, NotFound
from segue.datasets.fetch import Unavailable

WEIGHTS = "*.safetensors"
READ = (WEIGHTS, "*.json", "*.txt", "*.model")  # what a loader may look at
NOT_READ = ("onnx/*", "openvino/*", "*.onnx*")  # the same weights in other forms
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Files:
    """A model's folder, and a name of it that changes with its content."""

    folder: Path
    label: str  # "multilingual-e5-small@614241f622f5"


def located(spec: str) -> Files:
    """A folder as it stands, else the repository of a hub, fetched on first use.

    Raises :class:`NotFound` for a path that is not there, :class:`Unavailable` where the hub
    cannot be had, :class:`BadPackage` for weights that are no safetensors.
    """
    folder = Path(spec).expanduser()
    if folder.is_dir():
        _refuse_pickles(folder)
        return Files(folder, f"{folder.resolve().name[:40]}@{content_hash(folder)}")
    if spec.startswith(("/", ".", "~")) or "\\" in spec:
        raise NotFound(f"no model folder {spec!r}; give a folder that holds config.json")
    name, _, revision = spec.partition("@")
    if not HUB_ID.fullmatch(name):
        raise BadSettings(f"{spec!r} is neither a folder nor a hub's id such as org/name")
    folder = _snapshot(name, revision or None)
    _refuse_pickles(folder)
    # A snapshot's folder is named by its commit.
    return Files(folder, f"{name[-50:]}@{folder.name[:12]}")


def content_hash(folder: Path) -> str:
    """The first 12 digits of sha256 over all that a loader reads."""
    digest = hashlib.sha256()
    files = {path for pattern in READ for path in folder.rglob(pattern) if path.is_file()}
    for path in sorted(files):
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {own}\n".encode())
    return digest.hexdigest()[:12]


def config(folder: Path) -> dict[str, object]:
    """``config.json`` of a model."""
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadPackage(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadPackage(f"{path} holds no JSON object")
    return found


def _refuse_pickles(folder: Path) -> None:
    """A pickle is a program. A folder that has weights only as such is not loaded."""
    for pattern in PICKLES:
        for path in folder.rglob(pattern):
            if not any(path.parent.glob(WEIGHTS)):
                raise BadPackage(
                    f"{path}: weights must be safetensors, which can only hold numbers; convert "
                    f"the model with transformers' save_pretrained where you trust it"
                )
    if not any(folder.rglob(WEIGHTS)):
        raise BadPackage(f"{folder} holds no weights: no file that matches {WEIGHTS}")


def _snapshot(name: str, revision: str | None) -> Path:
    import huggingface_hub  # noqa: PLC0415 - half a second, only when a hub is named
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415 - same

    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, allow_patterns=list(READ), ignore_patterns=list(NOT_READ)
            )
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise Unavailable(
            f"model {name!r} cannot be had from the hub ({why}); give a folder that holds it, or "
            f"a name that this machine can reach"
        ) from error
