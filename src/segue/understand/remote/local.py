"""A small language model in this process, through llama.cpp, behind the form of a server."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from segue.core.checks import at_least
from segue.core.errors import MissingExtra, NotFound, SegueError
from segue.datasets.fetch import get, packages
from segue.understand.remote.endpoint import REASON_CHARS, Json, NoAnswer

QWEN = "qwen-0.5b"
INSTALL = "pip install 'segue[llm]'"


class LocalModel:
    """``model`` is ``"qwen-0.5b"``, fetched on first use, or a GGUF file that is trusted.

    Calls are one after the other. They end by themselves: prompt and answer are bounded.
    """

    def __init__(self, model: str = QWEN, *, threads: int = 1, context_tokens: int = 8_192) -> None:
        self.threads = threads
        self.context_tokens = context_tokens  # of prompt and answer together
        at_least(self, 1, "threads")
        at_least(self, 512, "context_tokens")
        self._model = model
        self._lock = Lock()

    @cached_property
    def name(self) -> str:
        """Names the weights: another file is another name."""
        if self._model == QWEN:
            return f"{QWEN}@{packages()[QWEN].version}"
        path = self._path
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
        return f"{path.stem[:60]}@{digest}"

    def post(self, path: str, bodies: Sequence[Json]) -> list[Json | NoAnswer]:
        """One answer for each body."""
        if path != "chat/completions":
            return [NoAnswer(f"{self._model}: knows no {path}", 404) for _ in bodies]
        with self._lock:
            return [self._answer(body) for body in bodies]

    def url(self) -> str:
        """Where the same model listens on the loopback; calls need :meth:`key`."""
        return f"{self._server.listening_address}/v1"

    @cached_property
    def key(self) -> str:
        """A key of this process, so that nobody else on the machine uses the open port."""
        return secrets.token_hex(16)

    def _answer(self, body: Json) -> Json | NoAnswer:
        try:
            answer = self._server.handle_chat_completions(dict(body))
        except SegueError as error:
            return NoAnswer(str(error), absent=True)
        except (RuntimeError, ValueError, TypeError) as error:
            return NoAnswer(f"{self._model}: {error}"[:REASON_CHARS])
        if not isinstance(answer, dict):
            return NoAnswer(f"{self._model}: an answer that is no object", 200)
        error_ = answer.get("error")
        if error_ is not None:
            said = error_ if isinstance(error_, dict) else {"message": str(error_)}
            reason = f"{self._model}: {said.get('message', '')}"[:REASON_CHARS]
            return NoAnswer(reason, int(said.get("code", 500)))
        return answer

    @property
    def _path(self) -> Path:
        if self._model == QWEN:
            (path,) = get(QWEN).glob("*.gguf")
            return path
        path = Path(self._model).expanduser()
        if not path.is_file():
            raise NotFound(f"no model file {self._model!r}; give a .gguf file or {QWEN!r}")
        return path

    @cached_property
    def _server(self) -> Any:
        try:
            import xllamacpp  # noqa: PLC0415 - an extra, only when the model is asked
        except ImportError as error:
            raise MissingExtra(f"a language model here needs xllamacpp: {INSTALL}") from error
        settings = xllamacpp.CommonParams()
        settings.model.path = str(self._path)
        settings.n_ctx = self.context_tokens
        settings.n_parallel = 1
        settings.cpuparams.n_threads = self.threads
        settings.cpuparams_batch.n_threads = self.threads
        settings.verbosity = -1
        settings.api_keys = [self.key]
        settings.endpoint_slots = False
        return xllamacpp.Server(settings)
