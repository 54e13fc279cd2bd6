"""Composition root: a workspace and its settings become the parts that commands and serving use."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segue import config
from segue.config import Settings
from segue.core.errors import BadPackage, NotFound
from segue.core.types import Catalogue, Item, Training, Vectors
from segue.store import catalogue, events, tastes, works
from segue.store.catalogue import StoredCatalogue
from segue.store.social import load_graph
from segue.store.workspace import Workspace

if TYPE_CHECKING:
    from segue.audience import Ask, Audience, Tell
    from segue.core.protocols import Encoder, Watcher
    from segue.evaluate.report import Report
    from segue.rating import RatingReport
    from segue.recommend.goals import Achieved
    from segue.recommend.pipeline import Pipeline
    from segue.store.scenes import SceneRow
    from segue.understand.space import Space

Say = Callable[[str], None]


def read_settings(workspace: Workspace) -> Settings:
    """The settings of a workspace; an unknown key is refused with the nearest known one."""
    return config.read_settings(workspace.root)


def load_content(
    workspace: Workspace, nums: np.ndarray[Any, Any], encoder: str = ""
) -> Vectors | None:
    """The content vectors of a catalogue, None when nothing was understood yet.

    From the memory-mapped snapshot where it covers this catalogue; items that came after it are
    read from the store. Of several encoders the one that is named, where it has any.
    """
    from segue.store.vectors import coverage, load_vectors, open_snapshot

    if encoder and encoder not in coverage(workspace.engine):
        encoder = ""
    with contextlib.suppress(NotFound):
        snapshot = open_snapshot(workspace)
        fits = not encoder or snapshot.vectors.encoder == encoder
        if fits and np.array_equal(snapshot.nums, nums):
            return snapshot.vectors if snapshot.vectors.present.any() else None
    vectors = load_vectors(workspace.engine, nums, "content", encoder)
    return vectors if vectors.present.any() else None


def champion_encoder(workspace: Workspace) -> str:
    """The encoder whose content vectors the serving model was taught with; "" without a model."""
    from segue.recommend import package
    from segue.store import models

    champion = models.champion(workspace.engine)
    if champion is None:
        return ""
    return str(package.read_manifest(workspace.models / champion.path).get("content", ""))


def retire_encoders(workspace: Workspace) -> int:
    """Drop the vectors of encoders that neither the settings nor the serving model use."""
    from segue.store.vectors import coverage, retire
    from segue.understanding import encoders_of

    names = encoders_of(read_settings(workspace).understand).names()
    serving = champion_encoder(workspace)
    if serving not in ("", names["content"]) or names["content"] not in coverage(workspace.engine):
        return 0  # the old ones still serve
    with workspace.engine.begin() as connection:
        return retire(connection, set(names.values()))


def _settings_encoder(workspace: Workspace) -> str:
    """The encoder of the settings, where its vectors cover what any other's do; else ""."""
    from segue.store.vectors import coverage
    from segue.understanding import encoders_of

    covered = coverage(workspace.engine)
    if len(covered) < 2:
        return ""  # nothing to choose from, so no model need be named
    name = encoders_of(read_settings(workspace).understand).names()["content"]
    return name if covered.get(name, 0) >= max(covered.values()) else ""


def reembed(
    workspace: Workspace, encoder: str, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Any]:
    """Make the vectors of another text encoder beside those that serve; says how things stand.

    ``encoder``: a name of the registry; "" for the one in the settings.
    """
    from dataclasses import replace

    from segue.store.vectors import coverage
    from segue.understand.run import understand
    from segue.understanding import encoders_of

    told = read_settings(workspace).understand
    chosen = replace(told, text=encoder or told.text)
    made = encoders_of(chosen)
    understand(workspace, progress=progress, encoders=made)
    return {
        "encoder": chosen.text,
        "made": made.names()["content"],
        "settings": encoders_of(told).names()["content"],
        "serving": champion_encoder(workspace),
        "items": coverage(workspace.engine),
    }


def load_training(workspace: Workspace) -> Training:
    """All that a workspace knows, as of its last event."""
    stored = works.load_works(workspace.engine)
    people = catalogue.load_people(workspace.engine)
    settings = read_settings(workspace)
    weigher = settings.behaviour
    interactions = events.interactions(
        workspace.engine,
        stored.catalogue,
        stored.nums,
        people.nums,
        weigher,
        without=tastes.lent(workspace.engine),  # what others watched teaches nothing of people
    )
    if not len(interactions):
        raise NotFound("no events to learn from; bring some in with: segue import events FILE")
    return Training(
        catalogue=stored.catalogue,
        interactions=interactions,
        profiles=tuple(p.only(settings.profile.use) for p in people.profiles),
        content=works.content_of_works(
            load_content(workspace, stored.nums, _settings_encoder(workspace)), stored
        ),
        at=float(interactions.time[-1]) + 1.0,
        social=load_graph(workspace.engine, people.nums) if settings.social else None,
    )


def train(
    workspace: Workspace,
    say: Say,
    *,
    strategies: tuple[str, ...] = (),
    budget_s: float | None = None,
) -> Report:
    """Train, measure, package and let serve; returns the report, which also lies beside it.

    ``strategies`` are tried beside the default ones; with ``budget_s`` each is tuned first. A
    training that was killed goes on from its tuning trials and nets when it is started again.
    """
    from segue import training
    from segue.evaluate.report import write_json
    from segue.evaluate.report_page import write_html
    from segue.recommend import package
    from segue.recommend.tracking import Recorder, Several
    from segue.store import models

    settings = read_settings(workspace)
    recorder = Recorder()
    data = load_training(workspace)
    workspace.models.mkdir(parents=True, exist_ok=True)
    work = workspace.models / ".training"
    work.mkdir(exist_ok=True)
    with Several([recorder, *_trackers(settings.track, workspace)]) as watcher:
        options = training.Options(
            strategies=strategies,
            budget_s=budget_s,
            studies=workspace.models / "tuning.db",
            work=work,
            watcher=watcher,
            goals=settings.goals,
            achieved=_achieved(settings, data),
        )
        taught = _levelled(data)
        trained = training.train(taught, seed=settings.seed, progress=say, options=options)
    learn_space(workspace, data, say)
    folder = workspace.models / trained.pipeline.version
    encoder = "" if data.content is None else data.content.encoder
    package.save(trained.pipeline, folder, trained.report.headline, encoder, levelled=True)
    write_json(trained.report, folder.with_suffix(".report.json"))
    pictures = {}
    if recorder.curves:
        curves = folder.with_suffix(".curves.png")
        recorder.picture(curves)
        pictures["Curves of the nets"] = curves.read_bytes()
    write_html(trained.report, folder.with_suffix(".report.html"), pictures)
    models.put_champion(
        workspace.engine,
        version=trained.pipeline.version,
        strategy=trained.pipeline.strategy,
        path=folder.name,
        data_hash=trained.pipeline.data_hash,
        metrics=trained.report.headline,
    )
    retire_encoders(workspace)
    return trained.report


def _levelled(data: Training) -> Training:
    """The same with what all items of a kind share taken from their content."""
    from dataclasses import replace

    from segue.recommend.level import level

    content = data.content
    if content is None:
        return data
    return replace(data, content=level(content, data.catalogue.kinds))


def _achieved(settings: Settings, data: Training) -> Achieved:
    """How events count towards the goals of the settings."""
    from segue.recommend.goals import Achieved

    use = settings.behaviour
    return Achieved.of(data.catalogue, use.rating_min, use.rating_max)


def _trackers(track: str, workspace: Workspace) -> list[Watcher]:
    """The loggers that a setting switches on; they write below ``runs/``, never to a network."""
    from segue.recommend.tracking import TensorBoardWatcher, WandbWatcher

    runs = workspace.root / "runs"
    out: list[Watcher] = []
    if track in ("tensorboard", "both"):
        out.append(TensorBoardWatcher(runs / "tensorboard"))
    if track in ("wandb", "both"):
        out.append(WandbWatcher(runs / "wandb"))
    return out


def evaluate(
    workspace: Workspace,
    say: Say,
    *,
    split: str = "temporal",
    strategies: tuple[str, ...] = (),
    budget_s: float | None = None,
) -> Report:
    """Measure anew under a split; serves nothing."""
    from segue import training

    settings = read_settings(workspace)
    data = load_training(workspace)
    options = training.Options(
        split=split,
        strategies=strategies,
        budget_s=budget_s,
        goals=settings.goals,
        achieved=_achieved(settings, data),
    )
    return training.evaluate(
        _levelled(data), seed=settings.seed, progress=say, options=options
    ).report


def evaluate_ratings(
    workspace: Workspace, say: Say, *, raters: tuple[str, ...] = ()
) -> RatingReport:
    """Measure the default raters, and those named, on a random part of the ratings."""
    from segue import rating

    names = None if not raters else tuple(dict.fromkeys((*rating.default_raters(), *raters)))
    seed = read_settings(workspace).seed
    data = load_training(workspace)
    return rating.evaluate_ratings(data, seed=seed, progress=say, raters=names)


def report_of_champion(workspace: Workspace) -> Report:
    """The report that was written when the serving model was trained."""
    from segue.evaluate.report import read_json
    from segue.store import models

    champion = models.champion(workspace.engine)
    if champion is None:
        raise NotFound("no model yet; make one with: segue train")
    return read_json(workspace.models / f"{champion.path}.report.json")


def report_page_of_champion(workspace: Workspace) -> Path:
    """The page of that report."""
    from segue.store import models

    champion = models.champion(workspace.engine)
    if champion is None:
        raise NotFound("no model yet; make one with: segue train")
    return workspace.models / f"{champion.path}.report.html"


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


def audience(
    workspace: Workspace, ask: Ask, *, respect: bool = False, now: float, tell: Tell
) -> tuple[Audience, int]:
    """The people whom an item suits, and the item's key; ``ask`` may name it by its title.

    With ``respect`` those whom the settings keep in peace ``now`` are left out.
    """
    from segue.audience import find_audience, peace
    from segue.store.crowd import Crowd

    settings = read_settings(workspace)
    stored = works.load_works(workspace.engine)
    content = load_content(workspace, stored.nums, champion_encoder(workspace))
    content = works.content_of_works(content, stored)
    model = load_champion(workspace, stored.catalogue, content)
    if model is None:
        raise NotFound("no model yet; make one with: segue train")
    row = stored.catalogue.row(ask.item_id)
    num = int(stored.nums[row]) if row >= 0 else 0
    kept = peace(workspace.engine, num, settings.contact, now) if respect else None
    crowd = Crowd(
        workspace.engine,
        stored.nums,
        settings.behaviour,
        settings.history_limit,
        tastes.lent(workspace.engine),
        settings.profile.use,
    )
    return find_audience(model, crowd, ask, peace=kept, tell=tell), num


SPACE_FILE = "space.npz"


def learn_space(workspace: Workspace, data: Training, say: Say) -> None:
    """Learn the space of likeness from behaviour; kept only where it is proven better."""
    from segue.one_space import learn_space as learn

    kinds, seed = data.catalogue.kinds, read_settings(workspace).seed
    found = learn(data.content, data.interactions, kinds, seed)
    say(f"one space: {found}")
    path = workspace.root / SPACE_FILE
    if found.space is None:
        path.unlink(missing_ok=True)
    else:
        found.space.save(path)


def open_space(workspace: Workspace, content: Vectors) -> Space | None:
    """The learned space; None where there is none, or it was learned over other encoders."""
    from segue.understand.space import Space

    path = workspace.root / SPACE_FILE
    if not path.is_file():
        return None
    try:
        space = Space.load(path)
    except (BadPackage, KeyError):
        return None  # of another version; the next training learns it anew
    return space if space.encoder == content.encoder else None


@functools.cache
def text_encoder() -> Encoder:
    """The text encoder of this process: one copy of its weights."""
    from segue.understand.text import UseMultilingual

    return UseMultilingual()


def open_search(
    items: Catalogue, content: Vectors
) -> Callable[[str, int], list[tuple[int, float]]]:
    """Words to (row, cosine) pairs, best first, in any language of the text encoder."""
    from segue.understand.search import TextSearch

    search = TextSearch(items, content, text_encoder())

    def find(words: str, k: int) -> list[tuple[int, float]]:
        rows, cosines = search.search(words, k)
        return [(int(row), float(cosine)) for row, cosine in zip(rows, cosines, strict=True)]

    return find


def nearest(
    workspace: Workspace, stored: StoredCatalogue, item_id: str, k: int
) -> list[tuple[Item, float]]:
    """Items whose content is most like one item's, with the cosine, best first; across kinds."""
    from segue.understand.space import likeness

    content = works.content_of_works(load_content(workspace, stored.nums), stored)
    row = stored.catalogue.row(item_id)
    if content is None or row < 0 or not content.present[row]:
        return []
    space = open_space(workspace, content)
    cosines = content.values @ content.values[row]
    if space is not None:
        cosines = likeness(space, content, stored.catalogue.kinds, row)
    cosines = np.where(content.present & stored.catalogue.shown, cosines, -np.inf)
    speaks = stored.catalogue.stands_for
    cosines[row if speaks is None else speaks[row]] = -np.inf
    best = np.argsort(-cosines, kind="stable")[:k]
    return [
        (stored.catalogue.items[at], float(cosines[at])) for at in best if np.isfinite(cosines[at])
    ]


def open_scene_search(
    workspace: Workspace,
) -> Callable[[str, int], list[tuple[SceneRow, float]]] | None:
    """Words to (scene, cosine) pairs, best first; None where no scene has a vector.

    The mean of all scenes is taken away from each: what they share says nothing of any.
    """
    from segue.store.scenes import SceneMatrix, load_scenes
    from segue.understand.align import unit

    matrix = SceneMatrix.of(load_scenes(workspace.engine))
    if not len(matrix.rows):
        return None
    encoder = text_encoder()
    centred = unit(matrix.vectors - matrix.vectors.mean(axis=0))

    def find(words: str, k: int) -> list[tuple[SceneRow, float]]:
        scores = centred @ encoder.encode([words])[0]
        best = np.argsort(-scores, kind="stable")[:k]
        return [(matrix.rows[row], float(scores[row])) for row in best]

    return find
