"""Which models look at a workspace's items, by its settings, and where they run."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from segue.config import NONE, LargeModel, Settings, Understanding, read_settings
from segue.core.errors import BadSettings
from segue.engine.engine import Engine, Job
from segue.engine.registry import make_engine
from segue.store import copies as stored_copies
from segue.store import schema
from segue.store.workspace import Workspace
from segue.understand import copies
from segue.understand.encoders import registry
from segue.understand.findings import Step
from segue.understand.run import Encoders, Progress, StepPlan, UnderstandReport, understand
from segue.understand.sources import ItemSource
from segue.understand.steps import Task, Tried, work

if TYPE_CHECKING:
    from segue.understand.remote.chat import Answers, Chat
    from segue.understand.remote.wording import Wording

TRIES = 2  # of one item on an engine; later runs try again
SUMMARY = "summary"
NO_OBJECTS = (
    'things and people in pictures are not named: [understand] objects = "nanodet-g" in segue.toml '
    "does it (60 MB once, 0.06 s a picture)"
)


@dataclass(frozen=True)
class Chosen:
    """The settings that decide what is looked at; plain values, so that they travel."""

    understand: Understanding = field(default_factory=Understanding)
    llm: LargeModel = field(default_factory=LargeModel)

    @staticmethod
    def of(settings: Settings) -> Chosen:
        return Chosen(settings.understand, settings.llm)


def encoders_of(chosen: Understanding) -> Encoders:
    """The encoders by their names in the settings."""
    text = registry.make(chosen.text)
    picture = None if chosen.pictures == NONE else _seen(chosen)
    sound = None if chosen.sound == NONE else registry.make(chosen.sound)
    for name, made, kind in (("pictures", picture, "picture"), ("sound", sound, "sound")):
        if made is not None and getattr(made, "kind", "") != kind:
            raise BadSettings(
                f"[understand] {name} = {getattr(chosen, name)!r} is no classifier of {name}"
            )
    return Encoders(text=text, picture=picture, sound=sound)  # type: ignore[arg-type]


@functools.cache
def _pictures(name: str) -> Any:
    """A classifier of pictures; one of pictures and words names what it sees. Loaded once."""
    from segue.understand.encoders.naming import NamedPictures  # noqa: PLC0415

    made: Any = registry.make(name)
    return NamedPictures(made) if hasattr(made, "zero_shot") else made


def _seen(chosen: Understanding) -> Any:
    """The classifier of pictures, and the things and people that a detector sees in them."""
    made = _pictures(chosen.pictures)
    if chosen.objects == NONE or getattr(made, "kind", "") != "picture":
        return made
    from segue.understand.sight.objects import detector, with_objects  # noqa: PLC0415 - an option

    return with_objects(made, detector(chosen.objects))


def plan_of(chosen: Chosen, answers: Answers | None = None) -> StepPlan:
    """All steps that the settings want. ``answers`` keeps what a language model said."""
    from segue.understand.sight.look import Look  # noqa: PLC0415 - models of pictures
    from segue.understand.sight.ocr import ScreenText  # noqa: PLC0415
    from segue.understand.sight.phash import PicturePrint  # noqa: PLC0415
    from segue.understand.sound.fingerprint import SoundPrint  # noqa: PLC0415
    from segue.understand.sound.music import Music  # noqa: PLC0415
    from segue.understand.sound.timeline import Listener, SoundTimeline  # noqa: PLC0415
    from segue.understand.speech.transcript import Speech, speech_steps  # noqa: PLC0415

    told = chosen.understand
    seen: tuple[Step, ...] = ()
    if told.pictures != NONE:
        seen = (Look(), PicturePrint(), *_named(told))
    listener = Listener()  # shared: what was heard for the timeline serves music too
    heard: tuple[Step, ...] = (SoundTimeline(listener), SoundPrint(), Music(listener))
    if told.sound == NONE:
        heard = ()
    subtitles, *recognised = speech_steps(
        Speech(model=told.speech, language=told.language, chinese=told.chinese)
    )
    words, asked = _words(chosen, answers)
    screen: tuple[Step, ...] = () if told.pictures == NONE else (ScreenText(),)

    def wanted(steps: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(
            step for step in steps
            if step.name not in told.skip and (not told.only or step.name in told.only)
        )  # fmt: skip

    every = (subtitles, *seen, *heard, *words, *recognised, *screen, *asked)
    _check_names(told, [step.name for step in every])
    return StepPlan(
        cheap=wanted((subtitles, *seen, *heard)),
        words=wanted(words),
        dear=wanted((*recognised, *screen, *asked)),
    )


def _named(told: Understanding) -> tuple[Step, ...]:
    """What pictures are called: things and people, where wanted, and attributes."""
    from segue.understand.sight.attributes import Attributes, ConseZeroShot  # noqa: PLC0415 - models

    made = _pictures(told.pictures)
    joint = getattr(made, "joint", None)
    # A model of pictures and words was taught to tell what others cannot.
    attributes = Attributes() if joint is None else Attributes(joint, every=True)
    if told.objects == NONE:
        return (attributes,)
    from segue.understand.sight.objects import Objects, detector  # noqa: PLC0415 - an option

    if joint is None:
        attributes = Attributes(ConseZeroShot(_seen(told)))
    return Objects(detector(told.objects)), attributes


def _check_names(told: Understanding, names: Sequence[str]) -> None:
    for key in ("skip", "only"):
        for name in getattr(told, key):
            if name not in names:
                raise BadSettings(
                    f"[understand] {key}: no step is named {name!r}; there are: {', '.join(names)}"
                )


def _words(chosen: Chosen, answers: Answers | None) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps over words: those of this machine, and those of a language model, if any."""
    from segue.understand.words.step import word_steps  # noqa: PLC0415 - the text encoder

    steps = word_steps()
    model = chosen.llm
    if not model.url and not model.local:
        return steps, ()
    from segue.understand.remote.steps import LargeSummary, LargeTags  # noqa: PLC0415

    chat = _chat(model, answers)
    by_name = {step.name: step for step in steps}
    asked: list[Step] = []
    if model.summary:
        asked.append(LargeSummary(chat, local=by_name.pop(SUMMARY)))
    if model.tags:
        asked.append(LargeTags(chat, apart=model.local))
    return tuple(by_name.values()), tuple(asked)


def _chat(model: LargeModel, answers: Answers | None) -> Chat:
    """The language model of the settings, at its address or in this process."""
    from segue.understand.remote.chat import Chat, NoAnswers  # noqa: PLC0415 - where configured

    kept = NoAnswers() if answers is None else answers
    if model.local:
        from segue.understand.remote.local import LocalModel  # noqa: PLC0415

        return Chat(LocalModel(model.model) if model.model else LocalModel(), kept)
    from segue.understand.remote.endpoint import Endpoint, Remote  # noqa: PLC0415

    address = Endpoint(
        model.url, model.model, key_variable=model.key_env, timeout_s=model.timeout_s
    )
    return Chat(Remote(address), kept)


def wording_of(workspace: Workspace) -> Wording | None:
    """What rewords reasons, where the settings want it ([llm] reasons)."""
    model = read_settings(workspace.root).llm
    if not model.reasons or not (model.url or model.local):
        return None
    from segue.understand.remote.chat import StoredAnswers  # noqa: PLC0415
    from segue.understand.remote.wording import Wording  # noqa: PLC0415

    return Wording(_chat(model, StoredAnswers(workspace.engine)))


@functools.cache
def _steps(chosen: Chosen) -> dict[str, Step]:
    """Steps by name, once a process: their models stay loaded."""
    plan = plan_of(chosen)
    return {step.name: step for step in (*plan.cheap, *plan.words, *plan.dear)}


@dataclass(frozen=True)
class Worker:
    """The task of an engine: one item for one step, by name, as models do not travel."""

    chosen: Chosen

    def __call__(self, matter: tuple[str, ItemSource]) -> list[Tried]:
        name, item = matter
        return work(Task(_steps(self.chosen)[name], (item,)))


@dataclass(frozen=True)
class OnEngine:
    """Runs steps item by item on an engine. What a worker's death cost is a failed try."""

    engine: Engine
    chosen: Chosen

    def __call__(self, tasks: Iterable[Task]) -> Iterator[list[Tried]]:
        begun: dict[str, ItemSource] = {}

        def jobs() -> Iterator[Job[tuple[str, ItemSource]]]:
            for task in tasks:
                for item in task.items:
                    begun[str(item.num)] = item
                    yield Job(str(item.num), (task.step.name, item))

        for outcome in self.engine.run(Worker(self.chosen), jobs(), tries=TRIES):
            item = begun.pop(outcome.key)
            if outcome.value is not None:
                yield outcome.value
            else:
                yield [Tried(item, None, outcome.reason, outcome.seconds)]


def understand_workspace(
    workspace: Workspace,
    *,
    progress: Progress | None = None,
    engine: str = "here",
    workers: int | None = None,
    address: str | None = None,
    budget_s: float | None = None,
) -> UnderstandReport:
    """Everything that the settings ask for, here, on all cores, or on a Dask cluster."""
    chosen = Chosen.of(read_settings(workspace.root))
    plan = plan_of(chosen, _answers(workspace) if engine == "here" else None)
    encoders = encoders_of(chosen.understand)
    if engine == "here":
        make_engine(engine, workers=workers, address=address)  # refuses what does not fit
        report = understand(
            workspace, progress=progress, encoders=encoders, steps=plan, budget_s=budget_s
        )
    else:
        with make_engine(engine, workers=workers, address=address) as made:
            report = understand(
                workspace, progress=progress, encoders=encoders, steps=plan,
                run=OnEngine(made, chosen), budget_s=budget_s,
            )  # fmt: skip
    propose_copies(workspace)
    if report.pictures and chosen.understand.objects == NONE:
        report = replace(report, skipped=(*report.skipped, NO_OBJECTS))
    return report


def _answers(workspace: Workspace) -> Answers:
    from segue.understand.remote.chat import StoredAnswers  # noqa: PLC0415

    return StoredAnswers(workspace.engine)


def propose_copies(workspace: Workspace) -> int:
    """Find pairs that look like one work; what a person decided stays. Returns how many are new."""
    items = _fingerprints(workspace)
    found = [(p.first, p.second, p.score, p.evidence) for p in copies.propose(items)]
    with workspace.engine.begin() as connection:
        return stored_copies.propose(connection, found, stored_copies.PRINTS)


def _fingerprints(workspace: Workspace) -> list[copies.Fingerprints]:
    """Of all items that have any."""
    i, p = schema.items.c, schema.prints.c
    found: dict[int, dict[str, bytes]] = {}
    with workspace.engine.connect() as connection:
        for num, kind, data in connection.execute(sa.select(p.item_num, p.kind, p.data)):
            found.setdefault(num, {})[kind] = data
        rows = connection.execute(
            sa.select(i.num, i.title, i.description, i.duration_s).order_by(i.num)
        ).all()
    return [
        copies.Fingerprints(
            row.num, found[row.num].get("picture", b""), found[row.num].get("sound", b""),
            row.title, row.description, row.duration_s,
        )
        for row in rows if row.num in found
    ]  # fmt: skip
