"""Questions to a language model whose answers must have a form: checked, asked again once, kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ValidationError

from segue.store import schema
from segue.understand.remote.endpoint import Json, NoAnswer, Server

Form = TypeVar("Form", bound=BaseModel)
FORMATS = ("json_schema", "json_object", "text")  # what servers know, the strictest first
NOT_KNOWN = frozenset({400, 404, 415, 422, 501})  # a server's ways to refuse a format
ANSWER_CHARS = 20_000  # of an answer that are looked at
SHOWN_CHARS = 1_500  # of a bad answer that the model sees again
NAME_CHARS = 100  # what the store's columns hold


@dataclass(frozen=True)
class Ask(Generic[Form]):
    """One question. ``content`` is the hash of all that the model reads beside the prompt.

    ``system`` says in words what JSON is wanted: not every server enforces ``form``.
    """

    system: str
    user: str
    form: type[Form]
    content: str
    max_tokens: int = 400


class Answers(Protocol):
    """Where good answers are kept."""

    def get(self, key: str, content: str) -> str | None:
        """The answer to ``content`` under ``key``, which names model and prompt."""

    def put(self, key: str, content: str, answer: str) -> None:
        """Keep it."""


class NoAnswers:
    """Keeps nothing."""

    def get(self, key: str, content: str) -> str | None:
        return None

    def put(self, key: str, content: str, answer: str) -> None:
        """Drop it."""


class StoredAnswers:
    """Answers in the table of encodings: what a model said is a costly function of a content."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, key: str, content: str) -> str | None:
        e = schema.encodings.c
        query = sa.select(e.data).where(e.encoder == key, e.source_hash == content)
        with self._engine.connect() as connection:
            data = connection.scalar(query)
        return None if data is None else bytes(data).decode("utf-8", "replace")

    def put(self, key: str, content: str, answer: str) -> None:
        e = schema.encodings
        same = (e.c.encoder == key) & (e.c.source_hash == content)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(e).where(same))
            connection.execute(
                sa.insert(e).values(encoder=key, source_hash=content, data=answer.encode())
            )


def named(model: str, prompt: str) -> str:
    """Model and prompt version as one name that the store can hold."""
    name = f"{model}/{prompt}"
    if len(name) <= NAME_CHARS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: NAME_CHARS - 13]}~{digest}"


@dataclass
class Chat:
    """Asks a server, and remembers which format of answers it knows."""

    server: Server
    answers: Answers = field(default_factory=NoAnswers)
    temperature: float = 0.0
    format: int = field(default=0, init=False)

    def ask(self, prompt: str, asks: Sequence[Ask[Form]]) -> list[Form | NoAnswer]:
        """The answers, in order. ``prompt`` names the prompt and its version: "summary-1"."""
        key = named(self.server.name, prompt)
        out: list[Form | NoAnswer] = [NoAnswer("not asked")] * len(asks)
        left = []
        for n, ask in enumerate(asks):
            kept = self._kept(key, ask)
            if kept is None:
                left.append(n)
            else:
                out[n] = kept
        talks = {n: _opening(asks[n]) for n in left}
        for last in (False, True):  # a bad answer is sent back once, with what is wrong with it
            answers = self._talk([(asks[n], talks[n]) for n in left])
            again = []
            for n, answer in zip(left, answers, strict=True):
                out[n] = answer if isinstance(answer, NoAnswer) else _read(asks[n].form, answer)
                if isinstance(answer, str) and isinstance(out[n], NoAnswer):
                    talks[n] = [*talks[n], *_reproach(answer, str(out[n]))]
                    again.append(n)
            left = again
            if last or not left:
                break
        self._keep(key, asks, out)
        return out

    def _kept(self, key: str, ask: Ask[Form]) -> Form | None:
        kept = self.answers.get(key, ask.content)
        if kept is None:
            return None
        answer = _read(ask.form, kept)  # a damaged or older one is asked for anew
        return None if isinstance(answer, NoAnswer) else answer

    def _keep(self, key: str, asks: Sequence[Ask[Form]], out: Sequence[Form | NoAnswer]) -> None:
        for ask, answer in zip(asks, out, strict=True):
            if not isinstance(answer, NoAnswer):
                self.answers.put(key, ask.content, answer.model_dump_json())

    def _talk(self, talks: Sequence[tuple[Ask[Form], list[Json]]]) -> list[str | NoAnswer]:
        """Texts of the answers, in the strictest format that the server knows."""
        first = self.format
        for number in range(first, len(FORMATS)):
            answers = self.server.post(
                "chat/completions", [self._body(ask, talk, number) for ask, talk in talks]
            )
            refused = [isinstance(a, NoAnswer) and a.status in NOT_KNOWN for a in answers]
            if not all(refused) or number == len(FORMATS) - 1:
                # Refused in every format: not the format's fault, so the next call starts over.
                self.format = first if all(refused) else number
                return [a if isinstance(a, NoAnswer) else _content(a) for a in answers]
        raise AssertionError("unreachable")

    def _body(self, ask: Ask[Form], talk: list[Json], number: int) -> Json:
        body: Json = {
            "messages": talk,
            "temperature": self.temperature,
            "max_tokens": ask.max_tokens,
            "stream": False,
        }
        if FORMATS[number] == "json_schema":
            schema_ = {"name": "answer", "strict": True, "schema": _schema(ask.form)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema_}
        elif FORMATS[number] == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body


def _schema(form: type[BaseModel]) -> Json:
    """The JSON schema without titles and descriptions: a small model takes them for content."""
    bare = form.model_json_schema()
    bare.pop("title", None)
    bare.pop("description", None)
    for field_ in bare.get("properties", {}).values():
        field_.pop("title", None)
    return bare


def _opening(ask: Ask[Form]) -> list[Json]:
    return [{"role": "system", "content": ask.system}, {"role": "user", "content": ask.user}]


def _reproach(answer: str, wrong: str) -> list[Json]:
    return [
        {"role": "assistant", "content": answer[:SHOWN_CHARS]},
        {"role": "user", "content": f"This cannot be used: {wrong}. Answer again, JSON only."},
    ]


def _content(answer: Json) -> str | NoAnswer:
    """The text of the first choice."""
    try:
        content: Any = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return NoAnswer("the answer of the server holds no message")
    if not isinstance(content, str) or not content.strip():
        return NoAnswer("the model said nothing")
    return content


def _read(form: type[Form], answer: str) -> Form | NoAnswer:
    """The JSON object in an answer, which may stand in a fence or after words of thought."""
    text = answer[:ANSWER_CHARS].rpartition("</think>")[2]
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return NoAnswer("the answer holds no JSON object")
    try:
        return form.model_validate_json(text[begin : end + 1])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return NoAnswer(f"the answer does not fit the form: {where}: {first['msg']}"[:400])
