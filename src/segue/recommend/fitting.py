"""How the nets of a plan are fitted: who watches, and what survives a kill."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from segue.core.protocols import Arrays, Net, Strategy, Watcher
from segue.core.types import Training


@runtime_checkable
class Continuing(Protocol):
    """A strategy that goes on from its present state when more becomes known."""

    def refit(self, training: Training) -> None: ...


@dataclass(frozen=True)
class Fitting:
    """``folder`` keeps each finished net and the last epoch of an unfinished one.

    A training that was killed finds them there when it is started again with the same data and
    settings. Whoever finishes a training removes the folder.
    """

    watcher: Watcher | None = None
    folder: Path | None = None

    def fit(
        self,
        strategy: Strategy,
        settings: Mapping[str, Any],
        training: Training,
        earlier: Strategy | None = None,
    ) -> None:
        """Fit on ``training``; from the state of ``earlier`` where the strategy can go on."""
        if not isinstance(strategy, Net):
            strategy.fit(training)
            return
        strategy.watcher = self.watcher
        kept = (
            None if self.folder is None else self.folder / _key(strategy.name, settings, training)
        )
        if kept is not None and kept.with_suffix(".npz").exists():
            strategy.restore(_read(kept.with_suffix(".npz")))
            return
        strategy.checkpoint = None if kept is None else kept.with_suffix(".safetensors")
        if isinstance(strategy, Continuing) and earlier is not None:
            strategy.restore({key: value.copy() for key, value in earlier.state().items()})
            strategy.refit(training)
        else:
            strategy.fit(training)
        if kept is not None:
            _write(kept.with_suffix(".npz"), strategy.state())


def _key(name: str, settings: Mapping[str, Any], training: Training) -> str:
    told = json.dumps([name, dict(settings), training.hash], default=str)
    return f"{name.replace(' ', '-')}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _write(path: Path, state: Arrays) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **state)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}
