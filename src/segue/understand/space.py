"""A content space bent by behaviour: what people take together lies together.

Behind the fixed coordinates of the content vectors stand learned ones: where the same content
would lie among the items' collaborative factors. The cosine then is a weighted sum of likeness in
content and of likeness in who takes it. The map is linear (ridge from content to factors, as
content to latent factors in van den Oord et al., NIPS 2013), so items that nobody has met go
through it too, where their kind was met: what it learned of films says nothing of tracks, nor of
words that somebody types.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from segue.core.errors import BadPackage
from segue.core.types import Bools, Doubles, Floats, Interactions, Vectors

FORMAT = 2
LEAST_MET = 50  # items of a kind
LIKED = 0.25  # weight above which an event counts as a choice


@dataclass(frozen=True)
class SpaceSettings:
    """``factors``: collaborative dimensions; ``ridge``: of the map; ``share``: how much the learned
    coordinates weigh beside the fixed ones, which weigh 1."""

    factors: int = 64
    ridge: float = 3.0
    share: float = 1.0


@dataclass(frozen=True)
class Space:
    """The map of one workspace. ``encoder`` names the content vectors that it reads, ``kinds`` are
    those of which enough items were met."""

    encoder: str
    kinds: tuple[str, ...]
    mean: Floats  # (dim,)
    matrix: Floats  # (dim, factors), scaled: learned coordinates have the fixed ones' size

    @property
    def dim(self) -> int:
        return len(self.mean) + int(self.matrix.shape[1])

    @cached_property
    def name(self) -> str:
        """Part of an encoder's name: another map makes other vectors."""
        digest = hashlib.sha256(self.mean.tobytes() + self.matrix.tobytes()).hexdigest()[:12]
        return f"space-{digest}"

    def place(self, vectors: Floats) -> Floats:
        """(n, dim) float32, unit rows, of (n, content dim) unit rows; zero rows stay zero."""
        rows = np.asarray(vectors, dtype=np.float32)
        centred = rows - self.mean
        placed = np.hstack([centred, centred @ self.matrix])
        placed[~rows.any(axis=1)] = 0.0
        lengths = np.linalg.norm(placed, axis=1, keepdims=True)
        return np.asarray(placed / np.maximum(lengths, 1e-12), dtype=np.float32)

    def of(self, vectors: Vectors) -> Vectors:
        """The vectors of a catalogue in this space."""
        return Vectors(self.place(vectors.values), vectors.present, f"{self.name}>{self.encoder}")

    def save(self, path: Path) -> None:
        buffer = io.BytesIO()
        np.savez(
            buffer, format=FORMAT, encoder=np.array(self.encoder), mean=self.mean,
            matrix=self.matrix, kinds=np.array(self.kinds, dtype=np.str_),
        )  # fmt: skip
        part = path.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)

    @staticmethod
    def load(path: Path) -> Space:
        with np.load(path, allow_pickle=False) as held:
            if int(held["format"]) != FORMAT:
                raise BadPackage(f"{path.name}: format {held['format']}, expected {FORMAT}")
            kinds = tuple(str(kind) for kind in held["kinds"])
            return Space(str(held["encoder"]), kinds, held["mean"], held["matrix"])


def item_factors(interactions: Interactions, factors: int, keep: Bools) -> tuple[Doubles, Doubles]:
    """Collaborative vectors (n_items, factors) of the items in ``keep``, the strongest factor last,
    and how often each was chosen: a truncated SVD of people x items, each entry damped by how much
    the person and the item have (as the normalised adjacency of spectral methods)."""
    chosen = (interactions.weight > LIKED) & keep[interactions.items]
    users, items = interactions.users[chosen], interactions.items[chosen]
    shape = (interactions.n_users, interactions.n_items)
    taken = sp.csr_matrix((np.ones(len(items)), (users, items)), shape=shape)
    taken.data[:] = 1.0
    count = np.asarray(taken.sum(axis=0)).ravel()
    active = np.asarray(taken.sum(axis=1)).ravel()
    damped = (
        sp.diags(1 / np.sqrt(np.maximum(active, 1))) @ taken
        @ sp.diags(1 / np.sqrt(np.maximum(count, 1)))
    )  # fmt: skip
    k = min(factors, min(shape) - 1, max(1, int((count > 0).sum()) - 1))
    start = np.full(min(shape), 1.0)  # the same answer every time
    _, sizes, rows = svds(damped, k=k, v0=start)
    found = rows.T * sizes
    found[count == 0] = 0.0  # rounding left traces there
    return found, count


def learn(
    content: Vectors,
    interactions: Interactions,
    settings: SpaceSettings,
    keep: Bools,
    kinds: npt.NDArray[np.str_],
) -> Space:
    """The map from the content of the items in ``keep`` to their collaborative vectors.

    ``kinds``: (n_items,) of each item.
    """
    factors, count = item_factors(interactions, settings.factors, keep)
    met, times = np.unique(kinds[count > 0], return_counts=True)
    enough = tuple(str(kind) for kind in met[times >= LEAST_MET])
    return replace(fit(content, factors, count, settings), kinds=enough)


def likeness(space: Space, content: Vectors, kinds: npt.NDArray[np.str_], row: int) -> Floats:
    """(n_items,) cosines of one item to all, by content; between items of kinds that were met, by
    the learned space, brought to the mean and spread that content has there."""
    cosines = np.asarray(content.values @ content.values[row], dtype=np.float32)
    if kinds[row] not in space.kinds:
        return cosines
    known = np.isin(kinds, space.kinds) & content.present
    placed = space.place(np.asarray(content.values[known], dtype=np.float32))
    own = space.place(np.asarray(content.values[row : row + 1], dtype=np.float32))[0]
    bent = placed @ own
    spread = cosines[known].std() / max(float(bent.std()), 1e-12)
    cosines[known] = cosines[known].mean() + (bent - bent.mean()) * spread
    return cosines


def fit(content: Vectors, factors: Doubles, count: Doubles, settings: SpaceSettings) -> Space:
    """The map to the strongest ``settings.factors`` of given (n_items, n) factors, strongest
    last; each item weighs by the logarithm of how often it was chosen."""
    factors = factors[:, -settings.factors :]
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    factors = factors / np.maximum(lengths, 1e-12)
    present = content.present
    rows = np.asarray(content.values, dtype=np.float64)
    mean = rows[present].mean(axis=0)
    centred = np.where(present[:, None], rows - mean, 0.0)
    weight = np.log1p(count) * present
    weighted = centred * weight[:, None]
    gram = weighted.T @ centred + settings.ridge * np.eye(rows.shape[1])
    matrix = np.linalg.solve(gram, weighted.T @ factors)
    learned = centred @ matrix
    size = np.sqrt((centred[present] ** 2).sum(axis=1).mean())
    size_learned = np.sqrt((learned[present] ** 2).sum(axis=1).mean())
    scale = settings.share * size / max(size_learned, 1e-12)
    return Space(content.encoder, (), mean.astype(np.float32), (matrix * scale).astype(np.float32))
