"""Words to items: exact words of titles and tags, and meaning through the shared space."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.errors import BadInput
from segue.core.protocols import Encoder
from segue.core.types import Catalogue, Floats, Rows, Vectors

WORD = re.compile(r"[^\W_]+")
WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # written without spaces


@dataclass(frozen=True)
class SearchWeights:
    """What exact words add to a cosine in [-1, 1]: all words in the title, or all in the tags."""

    title: float = 0.6
    tags: float = 0.3


def tokens(text: str) -> set[str]:
    """Words in lower case; of Chinese, Japanese and Korean, pairs of characters."""
    found = set()
    for word in WORD.findall(text.casefold()):
        if WIDE.search(word) and len(word) > 2:
            found |= {word[i : i + 2] for i in range(len(word) - 1)}
        else:
            found.add(word)
    return found


class TextSearch:
    """Search over one catalogue. ``vectors`` are its content vectors, in the encoder's space."""

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: Vectors | None,
        encoder: Encoder,
        weights: SearchWeights | None = None,
    ) -> None:
        usable = vectors is not None and vectors.dim > 0
        if usable and vectors is not None and vectors.dim != encoder.dim:
            raise BadInput(
                f"vectors have {vectors.dim} dimensions, {encoder.name} has {encoder.dim}; "
                f"run segue understand again with this encoder"
            )
        self._catalogue = catalogue
        self._vectors = vectors if usable else None
        self._encoder = encoder
        self._weights = SearchWeights() if weights is None else weights

    def search(self, query: str, k: int) -> tuple[Rows, Floats]:
        """Rows of the best ``k`` items and their scores, best first; fewer where there are fewer.

        The score is the cosine between words and content, plus the share of the query's words,
        rare ones counting more, that stand in the title or among the tags.
        """
        if k < 1:
            raise BadInput(f"k must be >= 1, got {k}")
        asked = query.strip()
        if not asked or not len(self._catalogue):
            return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
        scores = self._meaning(asked) + self._exact(asked)
        # Stable: ties keep catalogue order, so pages do not shuffle.
        rows = np.argsort(-scores, kind="stable")[:k]
        rows = rows[np.isfinite(scores[rows])].astype(np.intp)
        return rows, scores[rows]

    def _meaning(self, query: str) -> Floats:
        """(n_items,) cosines; zero where an item has no vector."""
        scores = np.zeros(len(self._catalogue), dtype=np.float32)
        if self._vectors is not None:
            vector = self._encoder.encode([query])[0]
            cosines = np.asarray(self._vectors.values @ vector, dtype=np.float32)
            scores[self._vectors.present] = cosines[self._vectors.present]
        return scores

    def _exact(self, query: str) -> Floats:
        scores = np.zeros(len(self._catalogue), dtype=np.float32)
        wanted = tokens(query)
        rarity = {word: self._rarity(word) for word in wanted}
        total = sum(rarity.values())
        for index, weight in (
            (self._titles, self._weights.title),
            (self._tags, self._weights.tags),
        ):
            for word in wanted & index.keys():
                scores[index[word]] += np.float32(weight * rarity[word] / total)
        return scores

    def _rarity(self, word: str) -> float:
        """Inverse document frequency, > 0; of a word that no item has, as of the rarest."""
        found = len(self._titles.get(word, ())) + len(self._tags.get(word, ()))
        return float(np.log1p(len(self._catalogue) / max(1, found)))

    @cached_property
    def _titles(self) -> dict[str, Rows]:
        return _index([tokens(item.title) for item in self._catalogue.items])

    @cached_property
    def _tags(self) -> dict[str, Rows]:
        texts = [" ".join((*item.tags, *item.creators)) for item in self._catalogue.items]
        return _index([tokens(text) for text in texts])


def _index(words_of: list[set[str]]) -> dict[str, Rows]:
    """Rows by word."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, words in enumerate(words_of):
        for word in words:
            rows[word].append(row)
    return {word: np.asarray(found, dtype=np.intp) for word, found in rows.items()}
