"""Encodings by (encoder, sha256 of what was encoded): nothing goes through a model twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from segue.core.protocols import Encoder
from segue.core.types import Floats
from segue.store import schema
from segue.store.vectors import from_blob, to_blob

LOOKUP = 400  # keys a query; databases bound the number of parameters


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class EncodingCache:
    """Reads and fills the table of encodings, and counts what it saved."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.encoded = 0
        self.reused = 0

    def through(
        self,
        encoder: str,
        hashes: Sequence[str],
        clips: Sequence[Any],
        encode: Callable[[list[Any]], Floats],
    ) -> Floats:
        """(n, dim) float32, in order, as rounded to float16; what is new is committed at once."""
        known = self.get(encoder, set(hashes))
        missing = {h: clip for h, clip in zip(hashes, clips, strict=True) if h not in known}
        if missing:
            rows = encode(list(missing.values()))
            blobs = {h: to_blob(row) for h, row in zip(missing, rows, strict=True)}
            self._put(encoder, blobs)
            known |= {h: from_blob(blob) for h, blob in blobs.items()}
        self.encoded += len(missing)
        self.reused += len(hashes) - len(missing)
        return np.stack([known[h] for h in hashes])

    def get(self, encoder: str, hashes: Iterable[str]) -> dict[str, Floats]:
        """Those encodings that are stored."""
        wanted = list(hashes)
        table = schema.encodings
        found: dict[str, Floats] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), LOOKUP):
                query = sa.select(table.c.source_hash, table.c.data).where(
                    table.c.encoder == encoder,
                    table.c.source_hash.in_(wanted[start : start + LOOKUP]),
                )
                found |= {h: from_blob(data) for h, data in connection.execute(query)}
        return found

    def _put(self, encoder: str, blobs: dict[str, bytes]) -> None:
        table = schema.encodings
        rows = [{"encoder": encoder, "source_hash": h, "data": b} for h, b in blobs.items()]
        same = (table.c.encoder == encoder) & (table.c.source_hash == sa.bindparam("hash"))
        with self._engine.begin() as connection:
            # Another run may have been quicker; both wrote the same numbers.
            connection.execute(sa.delete(table).where(same), [{"hash": h} for h in blobs])
            connection.execute(sa.insert(table), rows)


class CachedTexts:
    """A text encoder that asks the cache first."""

    def __init__(self, encoder: Encoder, cache: EncodingCache) -> None:
        self._encoder = encoder
        self._cache = cache
        self.name = encoder.name
        self.dim = encoder.dim

    def encode(self, clips: Sequence[str]) -> Floats:
        """(n, dim) float32, unit rows up to the rounding of float16."""
        if not len(clips):
            return np.zeros((0, self.dim), dtype=np.float32)
        hashes = [text_hash(clip) for clip in clips]
        return self._cache.through(self.name, hashes, clips, self._encoder.encode)
