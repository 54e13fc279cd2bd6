"""A model as a folder: arrays, texts of the blend, and a manifest with a hash of each file.

Nothing is ever unpickled: ``.npz`` is read with ``allow_pickle=False``, nets are safetensors.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

import segue
from segue.core.errors import BadPackage, MissingExtra, SegueError
from segue.core.protocols import Arrays
from segue.core.types import Catalogue, Vectors
from segue.recommend.blend import Blend, Blending, BlendSettings
from segue.recommend.bridge import Bridge
from segue.recommend.cold import Cold
from segue.recommend.features import Side
from segue.recommend.level import level
from segue.recommend.newcomers import Newcomers
from segue.recommend.outcomes import Outcomes
from segue.recommend.pipeline import Line, Pipeline
from segue.recommend.plain_blend import LinearBlend, LinearSettings, Single, SingleSettings
from segue.recommend.plan import Plan
from segue.recommend.registry import INSTALL_DEEP, is_deep
from segue.recommend.takers import Takers

FORMAT = 3
MANIFEST = "manifest.json"
OUTCOMES = "outcomes"
COLD = "cold"
TAKERS = "takers"
NEWCOMERS = "newcomers"
_BLENDS: Mapping[str, tuple[Any, Any]] = {
    Blend.kind: (Blend, BlendSettings),
    LinearBlend.kind: (LinearBlend, LinearSettings),
    Single.kind: (Single, SingleSettings),
}


def save(
    pipeline: Pipeline,
    folder: Path,
    metrics: Mapping[str, float],
    content_encoder: str = "",
    *,
    levelled: bool = False,
) -> Path:
    """Write the package; the folder appears whole or not at all. An older one is replaced.

    ``content_encoder`` made the content vectors that the model was taught with; ``levelled``: each
    kind's middle was taken from them, see :func:`level`.
    """
    deep = {_file(n) for n, p in pipeline.side.plan.parts.items() if is_deep(p.strategy)}
    files = {
        f"{name}.safetensors" if name in deep else f"{name}.npz": (
            _safetensors(state) if name in deep else _npz(state)
        )
        for name, state in _states(pipeline).items()
    }
    for number, text in enumerate(pipeline.blend.texts()):
        files[f"blend-{number}.txt"] = text.encode()
    manifest = {
        "format": FORMAT,
        "segue": segue.__version__,
        "version": pipeline.version,
        "strategy": pipeline.strategy,
        "data_hash": pipeline.data_hash,
        "fitted_at": pipeline.fitted_at,
        "lines": {"likeness": pipeline.likeness_line, "promise": pipeline.promise_line},
        "content": content_encoder,
        "levelled": levelled,
        "plan": pipeline.side.plan.as_dict(),
        "blend": pipeline.blend.kind,
        "item_ids": hash_ids(pipeline.catalogue, len(pipeline.catalogue)),
        "n_items": len(pipeline.catalogue),
        "settings": pipeline.blend.described(),
        "metrics": dict(metrics),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    files[MANIFEST] = json.dumps(manifest, indent=1).encode()
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    part.mkdir(parents=True)
    for name, data in files.items():
        with (part / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a package of this format."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadPackage(f"{folder.name}: {MANIFEST} cannot be read ({error})") from error
    if manifest.get("format") != FORMAT:
        raise BadPackage(
            f"{folder.name}: format {manifest.get('format')!r} is not {FORMAT}; train again"
        )
    return manifest


def load(folder: Path, catalogue: Catalogue, content: Vectors | None) -> Pipeline:
    """The packaged pipeline over a catalogue that may have grown since (new rows at the end).

    ``content`` holds the vectors of today's catalogue; None, or those of another encoder than the
    model knows, keeps those of the package.
    """
    manifest = read_manifest(folder)
    files = {name: _verified(folder, name, sha) for name, sha in manifest["files"].items()}
    n_items = int(manifest["n_items"])
    if len(catalogue) < n_items or hash_ids(catalogue, n_items) != manifest["item_ids"]:
        raise BadPackage(
            f"{folder.name}: was trained on other items than this workspace holds; train again"
        )
    states = {name.rpartition(".")[0]: _arrays(name, data) for name, data in files.items()
              if name.endswith((".npz", ".safetensors"))}  # fmt: skip
    try:
        plan = Plan.from_dict(manifest["plan"])
        side, bridge = _restored(plan, states)
        outcomes = _maybe(Outcomes(), OUTCOMES, states)
        cold = _maybe(Cold(), COLD, states)
        takers = _maybe(Takers(), TAKERS, states)
        newcomers = _maybe(Newcomers(), NEWCOMERS, states)
        lines = {name: _line(*line) for name, line in manifest["lines"].items()}
        blend = _blend(manifest, files, plan)
    except MissingExtra:
        raise
    except (SegueError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadPackage(
            f"{folder.name}: made by another version of segue ({error}); train again"
        ) from error
    taught = manifest.get("content", "")
    if content is not None:
        other = bool(taught and content.encoder and taught != content.encoder)
        if other or content.dim != len(side.content.mean):
            content = None  # of another space than the model's
    if content is not None and manifest.get("levelled", False):
        content = level(content, catalogue.kinds)
    if content is not None:
        side.content.place(content.values, content.present)
        bridge.place()
    if cold is not None:
        cold.place(catalogue, content)
    return Pipeline(
        catalogue=catalogue,
        side=side,
        bridge=bridge,
        blend=blend,
        outcomes=outcomes,
        newcomers=newcomers,
        fitted_at=float(manifest["fitted_at"]),
        data_hash=str(manifest["data_hash"]),
        version=str(manifest["version"]),
        cold=cold,
        takers=takers,
        likeness_line=lines["likeness"],
        promise_line=lines["promise"],
        strategy=str(manifest["strategy"]),
    )


def hash_ids(catalogue: Catalogue, n: int) -> str:
    """Which items, in which order, the first ``n`` rows are."""
    return hashlib.sha256("\n".join(catalogue.ids[:n]).encode()).hexdigest()[:16]


def _blend(manifest: Mapping[str, Any], files: Mapping[str, bytes], plan: Plan) -> Blending:
    kind, settings = _BLENDS[manifest["blend"]]
    numbers = range(sum(name.startswith("blend-") for name in files))
    texts = [files[f"blend-{n}.txt"].decode() for n in numbers]
    made: Blending = kind.of(texts, settings(**manifest["settings"]), plan)
    return made


class _Stateful(Protocol):
    def restore(self, state: Arrays) -> None: ...


P = TypeVar("P", bound=_Stateful)


def _maybe(part: P, name: str, states: Mapping[str, Arrays]) -> P | None:
    """A part that a package may lack."""
    if name not in states:
        return None
    part.restore(states[name])
    return part


def _line(intercept: float, slope: float) -> Line:
    return float(intercept), float(slope)


def _file(part: str) -> str:
    return f"part {part}".replace(" ", "-")


def _states(pipeline: Pipeline) -> dict[str, Arrays]:
    outcomes = pipeline.outcomes
    return {
        **{_file(name): part.state() for name, part in pipeline.side.parts.items()},
        **({} if outcomes is None else {OUTCOMES: outcomes.state()}),
        **({} if pipeline.newcomers is None else {NEWCOMERS: pipeline.newcomers.state()}),
        **({} if pipeline.cold is None else {COLD: pipeline.cold.state()}),
        **({} if pipeline.takers is None else {TAKERS: pipeline.takers.state()}),
        "side": pipeline.side.state(),
        "groups": pipeline.side.groups.state(),
        "bridge": pipeline.bridge.state(),
    }


def _restored(plan: Plan, states: Mapping[str, Arrays]) -> tuple[Side, Bridge]:
    side = Side(plan)
    for name, part in side.parts.items():
        part.restore(states[_file(name)])
    side.restore(states["side"])
    side.groups.restore(states["groups"])
    bridge = Bridge(content=side.content)
    bridge.restore(states["bridge"])
    return side, bridge


def _npz(state: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **state)
    return buffer.getvalue()


def _safetensors(state: Arrays) -> bytes:
    import safetensors.numpy  # noqa: PLC0415 in segue[deep], which a net has loaded anyway

    packed: bytes = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in state.items()})
    return packed


def _arrays(name: str, data: bytes) -> Arrays:
    if name.endswith(".safetensors"):
        try:
            import safetensors.numpy  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtra(f"{name} holds a net; read it with: {INSTALL_DEEP}") from error
        loaded_net: Arrays = safetensors.numpy.load(data)
        return loaded_net
    with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def _verified(folder: Path, name: str, sha256: str) -> bytes:
    if Path(name).name != name:
        raise BadPackage(f"{folder.name}: file name {name!r} leaves the package")
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise BadPackage(f"{folder.name}: {name} cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BadPackage(f"{folder.name}: {name} does not match its manifest; train again")
    return data
