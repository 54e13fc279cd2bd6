"""Curves of the nets in training: TensorBoard, Weights & Biases (offline), and a picture."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segue.core.errors import BadSettings, MissingExtra
from segue.core.protocols import Watcher

INSTALL = "pip install 'segue[tracking]'"


class Closing:
    """A watcher that holds files open: use it in a ``with``, or close it."""

    def close(self) -> None:
        """Write out what is held back; nothing may be watched afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass
class TensorBoardWatcher(Closing):
    """One run a net in ``folder``, to be seen with ``tensorboard --logdir folder``."""

    folder: Path
    _files: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._writer = _library("tensorboard.summary.writer.event_file_writer")
        self._event = _library("tensorboard.compat.proto.event_pb2")
        self._summary = _library("tensorboard.compat.proto.summary_pb2")

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        if name not in self._files:
            self._files[name] = self._writer.EventFileWriter(str(self.folder / run_name(name)))
        points = [
            self._summary.Summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars.items()
        ]
        summary = self._summary.Summary(value=points)
        event = self._event.Event(wall_time=time.time(), step=step, summary=summary)
        self._files[name].add_event(event)
        self._files[name].flush()  # an epoch is slow, and a killed training keeps its curve
        return True

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()


@dataclass
class WandbWatcher(Closing):
    """One Weights & Biases run a net in ``folder``.

    ``offline`` (the default) writes files alone and opens no connection; ``wandb sync`` uploads
    them later, if anyone wants to. Neither the machine, its usage, the code nor the console goes
    into a run.
    """

    folder: Path
    offline: bool = True
    project: str = "segue"
    _runs: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.project:
            raise BadSettings("project is empty; name the Weights & Biases project")
        self._wandb = _library("wandb")

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        if name not in self._runs:
            self._runs[name] = self._start(name)
        self._runs[name].log(dict(scalars), step=step)
        return True

    def _start(self, name: str) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = self._wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        )
        return self._wandb.init(
            mode="offline" if self.offline else "online",
            dir=str(self.folder),
            project=self.project,
            name=run_name(name),
            reinit="create_new",  # several nets may be in training
            settings=quiet,
        )

    def close(self) -> None:
        for run in self._runs.values():
            run.finish()
        self._runs.clear()


@dataclass
class Recorder(Closing):
    """Keeps all curves in memory: ``curves[net][scalar]`` is a list of (epoch, value)."""

    curves: dict[str, dict[str, list[tuple[int, float]]]] = field(default_factory=dict)

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        of_net = self.curves.setdefault(name, {})
        for scalar, value in scalars.items():
            points = [p for p in of_net.setdefault(scalar, []) if p[0] < step]
            of_net[scalar] = [*points, (step, float(value))]  # a resumed epoch comes twice
        return True

    def picture(self, path: Path) -> None:
        """Write a PNG: a row for each net, its losses on the left, its measures on the right."""
        if not self.curves:
            raise BadSettings("no curve was recorded; train a net with this watcher first")
        figure = Figure(figsize=(9, 2.7 * len(self.curves)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(self.curves), 2, squeeze=False)
        for (left, right), (name, scalars) in zip(grid, self.curves.items(), strict=True):
            for scalar, points in scalars.items():
                axes = left if "loss" in scalar else right
                axes.plot(*zip(*points, strict=True), marker=".", label=scalar)
            for axes, title in ((left, f"{name}: loss"), (right, f"{name}: validation")):
                axes.set_title(title, fontsize=10)
                axes.set_xlabel("epoch")
                if axes.lines:
                    axes.legend(fontsize=8)
                else:
                    axes.set_visible(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


@dataclass
class Several(Closing):
    """Several watchers as one; the training stops when any of them says so."""

    watchers: Sequence[Watcher]

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        wishes = [watcher.epoch(name, step, scalars) for watcher in self.watchers]
        return all(wishes)  # after all have seen it

    def close(self) -> None:
        for watcher in self.watchers:
            if isinstance(watcher, Closing):
                watcher.close()


def run_name(name: str) -> str:
    """A net's name as a folder: letters, digits and hyphens."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingExtra(f"{package} is not installed; get it with: {INSTALL}") from error
