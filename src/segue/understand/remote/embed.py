"""Texts as vectors from a server: ``{url}/embeddings`` of OpenAI's API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from segue.core.errors import BadSettings
from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.remote.endpoint import Endpoint, Json, NoAnswer, Remote

BATCH = 32
MOST_CHARS = 8_000  # of a text
MOST_BYTES = 32_000_000  # of an answer: 32 vectors of 8192 numbers with 20 characters each fit
PROBE = "segue"


class RemoteTexts:
    """An embedding model at an address: ``http://127.0.0.1:8080/v1#bge-m3``.

    A server does not tell the revision of its weights. Where they may change, name it behind a
    second ``#``: other weights under one name would mix two spaces in the store.
    """

    kind = "text"

    def __init__(
        self,
        spec: str,
        *,
        key_variable: str = "",
        timeout_s: float = 60.0,
        tries: int = 3,
        prefix: str = "",
    ) -> None:
        url, _, rest = spec.partition("#")
        model, _, revision = rest.partition("#")
        if not model:
            raise BadSettings(f"remote:{spec}: name the model behind a #, as in {url}#bge-m3")
        self._remote = Remote(
            Endpoint(url, model, key_variable, timeout_s, tries, max_bytes=MOST_BYTES)
        )
        self._prefix = prefix  # some models want "query: " or "passage: " before each text
        digest = hashlib.sha256(repr((url.rstrip("/"), model, prefix)).encode()).hexdigest()[:8]
        self.name = f"remote-{model[-50:]}@{revision[:20] or 'unnamed'}.{digest}"

    @cached_property
    def dim(self) -> int:
        """What the server says; asked once."""
        return int(self._ask([PROBE]).shape[1])

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows. Raises :class:`NoAnswer` where the server gives none."""
        if not len(clips):
            return np.zeros((0, self.dim), dtype=np.float32)
        rows = unit(self._ask(clips))
        if "dim" in self.__dict__ and rows.shape[1] != self.dim:
            raise NoAnswer(f"{self.name}: vectors have {rows.shape[1]} numbers, before {self.dim}")
        self.__dict__["dim"] = rows.shape[1]
        return rows

    def _ask(self, texts: Sequence[str]) -> Floats:
        # A server refuses an empty text, and a title may be one.
        ready = [f"{self._prefix}{text}"[:MOST_CHARS].strip() or "-" for text in texts]
        batches = [ready[at : at + BATCH] for at in range(0, len(ready), BATCH)]
        bodies: list[Json] = [{"input": batch, "encoding_format": "float"} for batch in batches]
        answers = self._remote.post("embeddings", bodies)
        rows = [_vectors(a, len(b)) for a, b in zip(answers, batches, strict=True)]
        if len({part.shape[1] for part in rows}) != 1:
            raise NoAnswer(f"{self.name}: vectors of unequal length")
        return np.concatenate(rows)


def _vectors(answer: Json | NoAnswer, count: int) -> Floats:
    """(count, dim) float32, finite, none of them zero; in the order that was asked."""
    if isinstance(answer, NoAnswer):
        raise answer
    try:
        data: list[Any] = sorted(answer["data"], key=lambda row: row["index"])
        places = [row["index"] for row in data]
        rows = np.asarray([row["embedding"] for row in data], dtype=np.float32)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise NoAnswer(f"the answer holds no vectors: {error!r}"[:200]) from error
    if places != list(range(count)) or rows.ndim != 2:
        raise NoAnswer(f"the answer holds {len(rows)} vectors, expected {count}")
    if not np.isfinite(rows).all() or not np.linalg.norm(rows, axis=1).all():
        raise NoAnswer("the answer holds a vector without a direction")
    return rows
