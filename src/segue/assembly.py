"""Composition root: a workspace and its settings become the parts that commands and serving use."""

from __future__ import annotations

import contextlib
import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.core.errors import BadSettings, NotFound
from segue.core.types import Catalogue, Training, Vectors
from segue.store import catalogue, events
from segue.store.workspace import SETTINGS_FILE, Workspace

if TYPE_CHECKING:
    from segue.evaluate.report import Report
    from segue.recommend.pipeline import Pipeline

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """Every key of ``segue.toml``, with its default."""

    seed: int = 0
    history_limit: int = 1000  # newest events of a person that a request reads

    def __post_init__(self) -> None:
        if self.history_limit < 1:
            raise BadSettings(f"history_limit must be >= 1, got {self.history_limit}")


def read_settings(workspace: Workspace) -> Settings:
    """The settings of a workspace; an unknown key is refused with the nearest known one."""
    path = workspace.root / SETTINGS_FILE
    try:
        given: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{SETTINGS_FILE}: {error}") from error
    known = {field.name: field.type for field in fields(Settings)}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise BadSettings(f"{SETTINGS_FILE}: unknown key {key!r}{hint}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadSettings(f"{SETTINGS_FILE}: {key} must be a whole number, got {value!r}")
    return Settings(**given)


def load_content(workspace: Workspace, nums: np.ndarray[Any, Any]) -> Vectors | None:
    """The content vectors of a catalogue, None when nothing was understood yet.

    From the memory-mapped snapshot where it covers this catalogue; items that came after it are
    read from the store.
    """
    from segue.store.vectors import load_vectors, open_snapshot

    with contextlib.suppress(NotFound):
        snapshot = open_snapshot(workspace)
        if np.array_equal(snapshot.nums, nums):
            return snapshot.vectors if snapshot.vectors.present.any() else None
    vectors = load_vectors(workspace.engine, nums, "content")
    return vectors if vectors.present.any() else None


def load_training(workspace: Workspace) -> Training:
    """All that a workspace knows, as of its last event."""
    from segue.core.behaviour import BehaviourWeights

    stored = catalogue.load_catalogue(workspace.engine)
    people = catalogue.load_people(workspace.engine)
    interactions = events.interactions(
        workspace.engine, stored.catalogue, stored.nums, people.nums, BehaviourWeights()
    )
    if not len(interactions):
        raise NotFound("no events to learn from; bring some in with: segue import events FILE")
    return Training(
        catalogue=stored.catalogue,
        interactions=interactions,
        profiles=people.profiles,
        content=load_content(workspace, stored.nums),
        at=float(interactions.time[-1]) + 1.0,
    )


def train(workspace: Workspace, say: Say) -> Report:
    """Train, measure, package and let serve; returns the report, which also lies beside it."""
    from segue import training
    from segue.evaluate.report import write_html, write_json
    from segue.recommend import package
    from segue.store import models

    settings = read_settings(workspace)
    trained = training.train(load_training(workspace), seed=settings.seed, progress=say)
    folder = workspace.models / trained.pipeline.version
    package.save(trained.pipeline, folder, trained.report.headline)
    write_json(trained.report, folder.with_suffix(".report.json"))
    write_html(trained.report, folder.with_suffix(".report.html"))
    models.put_champion(
        workspace.engine,
        version=trained.pipeline.version,
        strategy=trained.pipeline.strategy,
        path=folder.name,
        data_hash=trained.pipeline.data_hash,
        metrics=trained.report.headline,
    )
    return trained.report


def report_of_champion(workspace: Workspace) -> Report:
    """The report that was written when the serving model was trained."""
    from segue.evaluate.report import read_json
    from segue.store import models

    champion = models.champion(workspace.engine)
    if champion is None:
        raise NotFound("no model yet; make one with: segue train")
    return read_json(workspace.models / f"{champion.path}.report.json")


def load_champion(
    workspace: Workspace, items: Catalogue, content: Vectors | None
) -> Pipeline | None:
    """The model that serves, over a catalogue that may have grown since; None before training."""
    from segue.recommend import package
    from segue.store import models

    champion = models.champion(workspace.engine)
    if champion is None:
        return None
    return package.load(workspace.models / champion.path, items, content)


def open_search(
    items: Catalogue, content: Vectors
) -> Callable[[str, int], list[tuple[int, float]]]:
    """Words to (row, cosine) pairs, best first, in any language of the text encoder."""
    from segue.understand.search import TextSearch
    from segue.understand.text import UseMultilingual

    search = TextSearch(items, content, UseMultilingual())

    def find(words: str, k: int) -> list[tuple[int, float]]:
        rows, cosines = search.search(words, k)
        return [(int(row), float(cosine)) for row, cosine in zip(rows, cosines, strict=True)]

    return find
