"""Summaries and tags by a language model, with a local step to fall back on.

Whatever the model or its server does, each item gets findings: the model's where they pass the
checks, else those of the local step, and then ``said`` tells why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from segue.core.errors import BadSettings
from segue.understand.findings import Findings, Label, Note, Step
from segue.understand.remote import prompts
from segue.understand.remote.chat import Ask, Chat, named
from segue.understand.remote.checks import odd, unsupported
from segue.understand.remote.endpoint import NoAnswer
from segue.understand.remote.prompts import Matter, Reading, enough, matter
from segue.understand.sources import ItemSource

ORDERS = "its text speaks to language models, so none was asked"
FIRST_SCORE, STEP_SCORE = 0.9, 0.1  # of tags by the order in which a model names them


class SummaryForm(BaseModel):
    """What the model is to give back."""

    model_config = ConfigDict(extra="forbid")
    summary: str

    @field_validator("summary")
    @classmethod
    def _long_enough(cls, text: str) -> str:
        text = " ".join(text.split())
        if not 10 <= len(text) <= 2_000:
            raise ValueError(f"a summary has 10 to 700 characters, not {len(text)}")
        return text


@dataclass(frozen=True)
class LargeSummary:
    """A summary of each item (``Note(kind="summary", generated=True)``).

    It is shown only where each name and number stands in the source; see :mod:`.checks`.
    """

    chat: Chat
    local: Step  # gives the summary where the model cannot
    reading: Reading = prompts.DEFAULT_READING
    name: str = "summary"
    max_chars: int = 700  # of a summary

    @property
    def model(self) -> str:
        return named(self.chat.server.name, prompts.SUMMARY_VERSION)

    def source(self, item: ItemSource) -> str:
        return _source(item, self.local, self.reading)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        read = {n: matter(item, self.reading) for n, item in enumerate(items)}
        reasons = _unasked(items, read, self.reading)
        asked = [n for n in read if n not in reasons]
        answers = self.chat.ask(prompts.SUMMARY_VERSION, [self._ask(read[n]) for n in asked])
        out: dict[int, Findings] = {}
        absent = _absent(zip(asked, answers, strict=True))
        for n, answer in zip(asked, answers, strict=True):
            wrong = self._wrong(answer, read[n])
            if wrong:
                reasons[n] = wrong
            elif isinstance(answer, SummaryForm):
                language = "zh" if prompts.is_chinese(answer.summary) else items[n].language
                note = Note("summary", answer.summary, language, generated=True)
                out[n] = Findings(notes=(note,))
        out |= _fallen(self.local, items, reasons, "summary", absent)
        return [out[n] for n in range(len(items))]

    def _ask(self, words: Matter) -> Ask[SummaryForm]:
        system = prompts.SUMMARY.format(language=words.language)
        return Ask(system, words.as_data, SummaryForm, words.content, max_tokens=300)

    def _wrong(self, answer: SummaryForm | NoAnswer, words: Matter) -> str:
        """Why the local method's summary is to be preferred; "" where it is not."""
        if isinstance(answer, NoAnswer):
            return str(answer)
        strange = odd(answer.summary, words.source, self.max_chars)
        if strange:
            return strange
        if unsupported(answer.summary, words.source):
            return "it names what the source does not"
        return ""


@dataclass(frozen=True)
class Vocabulary:
    """The closed lists that tags are chosen from, and how many of each at most."""

    genre: tuple[str, ...] = (
        "action", "adventure", "animation", "biography", "comedy", "crime", "documentary",
        "drama", "education", "essay", "family", "fantasy", "history", "horror", "music",
        "mystery", "news", "poetry", "romance", "science fiction", "sport", "thriller", "war",
        "western",
    )  # fmt: skip
    mood: tuple[str, ...] = (
        "calm", "dark", "emotional", "epic", "exciting", "funny", "hopeful", "inspiring",
        "melancholic", "romantic", "scary", "serious", "tense", "whimsical",
    )  # fmt: skip
    setting: tuple[str, ...] = (
        "city", "countryside", "desert", "fantasy world", "forest", "home", "mountains", "office",
        "prison", "school", "sea", "small town", "space", "stage", "war zone", "wilderness",
    )  # fmt: skip
    topic: tuple[str, ...] = (
        "animals", "art", "business", "childhood", "crime", "death", "family", "food",
        "friendship", "health", "justice", "love", "music", "nature", "politics", "religion",
        "revenge", "science", "sport", "survival", "technology", "travel", "war", "work",
    )  # fmt: skip
    most: int = 3

    def __post_init__(self) -> None:
        if not any(self.lists.values()):
            raise BadSettings("a vocabulary must hold at least one tag, got empty lists")
        if self.most < 1:
            raise BadSettings(f"most must be >= 1, got {self.most}")

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        lists = {"genre": self.genre, "mood": self.mood, "setting": self.setting}
        return {kind: words for kind, words in (lists | {"topic": self.topic}).items() if words}

    @property
    def version(self) -> str:
        """Of prompt and lists: with other lists, old answers are no answers."""
        digest = hashlib.sha256(repr((self.lists, self.most)).encode()).hexdigest()[:8]
        return f"{prompts.TAGS_VERSION}-{digest}"

    @property
    def prompt(self) -> str:
        """The instructions, with the lists in words: a small model reads no schema."""
        lists = "\n".join(f"{kind}: {', '.join(words)}" for kind, words in self.lists.items())
        shape = ", ".join(f'"{kind}": [...]' for kind in self.lists)
        return prompts.TAGS.format(most=self.most, lists=lists, shape=f"{{{shape}}}")

    def form(self) -> type[BaseModel]:
        """A model whose schema names the lists."""
        fields: dict[str, Any] = {
            kind: (
                list[Literal[words]],  # type: ignore[valid-type]  # a list made at run time
                Field(max_length=self.most),
            )
            for kind, words in self.lists.items()
        }
        made = create_model("TagsForm", __config__=ConfigDict(extra="forbid"), **fields)
        return cast("type[BaseModel]", made)

    def apart(self) -> tuple[Vocabulary, ...]:
        """One vocabulary a list."""
        empty = dict.fromkeys(("genre", "mood", "setting", "topic"), ())
        return tuple(Vocabulary(**empty | {k: w}, most=self.most) for k, w in self.lists.items())


DEFAULT_VOCABULARY = Vocabulary()


@dataclass(frozen=True)
class LargeTags:
    """Tags from closed lists, as labels of the kinds genre, mood, setting and topic.

    A model gives no probabilities here: the score falls with the order in which it names tags.
    """

    chat: Chat
    local: Step | None = None  # gives tags where the model cannot; None: then there are none
    vocabulary: Vocabulary = DEFAULT_VOCABULARY
    reading: Reading = prompts.DEFAULT_READING
    name: str = "tags"
    apart: bool = False  # one question a list: a small model loses itself in several

    @property
    def model(self) -> str:
        return named(self.chat.server.name, f"{self.vocabulary.version}{'-apart' * self.apart}")

    def source(self, item: ItemSource) -> str:
        return _source(item, self.local, self.reading)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        read = {n: matter(item, self.reading) for n, item in enumerate(items)}
        reasons = _unasked(items, read, self.reading)
        asked = {n: words for n, words in read.items() if n not in reasons}
        labels: dict[int, tuple[Label, ...]] = dict.fromkeys(asked, ())
        absent: set[int] = set()
        for vocabulary in self.vocabulary.apart() if self.apart else (self.vocabulary,):
            answers = self._ask(vocabulary, asked)
            absent |= _absent(zip(asked, answers, strict=True))
            for n, answer in zip(asked, answers, strict=True):
                if isinstance(answer, NoAnswer):
                    reasons[n] = str(answer)
                else:
                    labels[n] += _labels(answer.model_dump())
        out = {n: Findings(labels=own) for n, own in labels.items() if n not in reasons}
        out |= _fallen(self.local, items, reasons, "tags", absent)
        return [out[n] for n in range(len(items))]

    def _ask(self, vocabulary: Vocabulary, asked: dict[int, Matter]) -> list[BaseModel | NoAnswer]:
        form = vocabulary.form()
        asks = [
            Ask(vocabulary.prompt, words.as_data, form, words.content, max_tokens=200)
            for words in asked.values()
        ]
        return self.chat.ask(vocabulary.version, asks)


def _labels(chosen: dict[str, list[str]]) -> tuple[Label, ...]:
    return tuple(
        Label(kind, tag, round(max(STEP_SCORE, FIRST_SCORE - STEP_SCORE * place), 2))
        for kind, tags in chosen.items()
        for place, tag in enumerate(dict.fromkeys(tags))
    )


def _source(item: ItemSource, local: Step | None, reading: Reading) -> str:
    """Hash of what model and local step read; "" where neither has anything to do."""
    theirs = "" if local is None else local.source(item)
    words = matter(item, reading)
    if not enough(item, words, reading):
        return theirs
    return hashlib.sha256(f"{words.content} {theirs}".encode()).hexdigest()


def _unasked(
    items: Sequence[ItemSource], read: dict[int, Matter], reading: Reading
) -> dict[int, str]:
    """Items that the model is not asked about, and why; "" where there is nothing to ask."""
    told = {n: enough(items[n], words, reading) for n, words in read.items()}
    return {
        n: ORDERS if told[n] else ""
        for n, words in read.items()
        if words.gives_orders or not told[n]
    }


def _absent(answers: Iterable[tuple[int, object]]) -> set[int]:
    """Items about which nobody answered."""
    return {n for n, answer in answers if isinstance(answer, NoAnswer) and answer.absent}


def _fallen(
    local: Step | None,
    items: Sequence[ItemSource],
    reasons: dict[int, str],
    what: str,
    absent: set[int],
) -> dict[int, Findings]:
    """The local step's findings of the items that ``reasons`` names; "" is no reason to speak.

    Where nobody answered they stand in until the next run.
    """
    rows = sorted(reasons)
    able = [n for n in rows if local is not None and local.source(items[n])]
    found = dict.fromkeys(rows, Findings())
    if local is not None and able:
        found |= dict(zip(able, local.run([items[n] for n in able]), strict=True))
    return {n: _with_reason(found[n], reasons[n], what, local, n in absent) for n in rows}


def _with_reason(
    found: Findings, reason: str, what: str, local: Step | None, again: bool
) -> Findings:
    if not reason:
        return found
    how = "none" if local is None else f"by {local.model}"
    said = f"{what} {how}, not by the language model: {reason}"
    parts = {f: getattr(found, f) for f in found.__dataclass_fields__}
    return Findings(**parts | {"said": "; ".join(filter(None, (said, found.said))), "again": again})
