"""Propagation over the graph of people and items, for people it has never met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from segue.core.checks import at_least, within
from segue.core.errors import BadInput
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import Doubles, Floats, Histories, Profile, Rows, Training
from segue.recommend.deep import loop
from segue.recommend.deep.cuts import Bags, bags, batches, cut, first_vectors, trainable
from segue.recommend.matrix import consumption, known_items
from segue.recommend.popular import decayed

BLOCK = 512  # people scored at a time


class _Net(nn.Module):
    """Vectors of items, their biases, and how they spread over the graph."""

    def __init__(self, first: Tensor, bias: Tensor, graph: Tensor, layers: int) -> None:
        super().__init__()
        self.own = nn.Parameter(first)
        self.bias = nn.Parameter(bias)
        self.graph, self.layers = graph, layers

    def spread(self) -> Tensor:
        """(m, dim): the mean of ``S^k own`` over k = 0 … layers."""
        hop = total = self.own
        for _ in range(self.layers):
            hop = torch.sparse.mm(self.graph, hop)
            total = total + hop
        return total / (self.layers + 1)


@dataclass
class Graph:
    """LightGCN (He et al., SIGIR 2020) whose people start from nothing.

    With ``R`` normalised on both sides, two hops of LightGCN are ``S = R'R`` on items, and a
    person's vector is the normalised sum of what they took. So only items have vectors of their
    own, and anyone with a history has a place: training cuts histories in two and serves the
    first part in the same way. The loss is a softmax over all known items (at most 6,000).
    A score is ``log(1 + lift)``, lift being how many times as likely as by chance an item comes
    next; 0 for items without history.

    ``edges`` (n, 2) are pairs of user rows, both ways, with weights >= 0 (``edge_weights``, 1 by
    default): in the graph, ``social_share`` of a person's taste then is that of their friends.
    They shape what the items learn; no person is kept.
    """

    dim: int = 64
    layers: int = 2
    neighbours: int = 100  # that an item keeps in the graph
    half_life: float | None = 20.0
    fading_days: float | None = 30.0  # half-life of what is to be foretold
    ordered: bool = True  # histories are cut by time; False: at random, where time is no matter
    ahead: int = 200  # entries after the cut that are to be foretold
    epochs: int = 10
    min_steps: int = 40
    batch: int = 256  # people a step
    rate: float = 2e-3
    decay: float = 1e-2
    social_share: float = 0.3
    edges: Rows | None = field(default=None, repr=False)
    edge_weights: Floats | None = field(default=None, repr=False)
    seed: int = 0
    name: str = "graph"
    watcher: Watcher | None = field(default=None, repr=False)
    checkpoint: Path | None = field(default=None, repr=False)
    items: Rows = field(default_factory=lambda: np.zeros(0, np.intp), repr=False)  # (m,)
    scale: Floats = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)  # (m,)
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    bias: Floats = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)  # (m,)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "neighbours", "ahead", "epochs", "min_steps", "batch")
        at_least(self, 0, "layers")
        within(self, 0, 1, "social_share")

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "layers": trial.suggest_int("layers", 1, 3),
            "half_life": trial.suggest_categorical("half_life", (None, 5.0, 20.0, 60.0)),
            "rate": trial.suggest_float("rate", 1e-3, 2e-2, log=True),
            "epochs": trial.suggest_int("epochs", 10, 60),
            "decay": trial.suggest_float("decay", 1e-4, 1e-1, log=True),
            "ordered": trial.suggest_categorical("ordered", (True, False)),
        }

    def fit(self, training: Training) -> None:
        loop.seeded(self.seed)
        self.items = known_items(training.interactions)
        if not len(self.items):
            self.scale = self.bias = np.zeros(0, dtype=np.float32)
            self.vectors = np.zeros((0, self.dim), dtype=np.float32)
            return
        x = self._taste(consumption(training.interactions, self.items))
        degree = np.maximum(np.asarray(x.sum(axis=0)).ravel(), 1)
        self.scale = (1 / np.sqrt(degree)).astype(np.float32)
        length = np.maximum(np.asarray(x.sum(axis=1)).ravel(), 1)
        normal = sp.diags(1 / np.sqrt(length)) @ x @ sp.diags(self.scale.astype(np.float64))
        first = np.zeros((len(self.items), self.dim), dtype=np.float32)
        found = first_vectors(normal.tocsr(), self.dim)
        # Small people's sums would start flat: the root of the mean degree gives them unit size.
        first[:, : found.shape[1]] = found * math.sqrt(float(degree.mean()))
        net = _Net(
            torch.from_numpy(first),
            torch.from_numpy(self._fame(training)),
            _sparse(_nearest((normal.T @ normal).tocsr(), self.neighbours)),
            self.layers,
        )
        self._train(net, training)
        with torch.no_grad():
            self.vectors = net.spread().numpy().copy()
            self.bias = net.bias.detach().numpy().copy()

    def _fame(self, training: Training) -> Floats:
        """(m,) log of how often each item is taken of late, against the mean."""
        lately = decayed(training.interactions, training.at, self.fading_days)[self.items]
        mean = max(float(lately.mean()), 1e-9)
        return np.asarray(np.log((lately + 0.1 * mean) / mean), dtype=np.float32)

    def _taste(self, x: sp.csr_matrix) -> sp.csr_matrix:
        """(n_users, m) consumption, mixed with that of friends."""
        if self.edges is None or not len(self.edges):
            return x
        if self.edges.ndim != 2 or self.edges.shape[1] != 2 or self.edges.max() >= x.shape[0]:
            raise BadInput(f"edges must be (n, 2) user rows below {x.shape[0]}")
        weights = self.edge_weights
        weights = np.ones(len(self.edges), np.float32) if weights is None else weights
        both = (self.edges.ravel(), self.edges[:, ::-1].ravel())
        friends = sp.csr_matrix((np.repeat(weights, 2), both), shape=(x.shape[0],) * 2)
        total = np.maximum(np.asarray(friends.sum(axis=1)).ravel(), 1e-9)
        mixed = x + self.social_share * (sp.diags(1 / total) @ friends @ x)
        return mixed.tocsr().astype(np.float32)

    def _train(self, net: _Net, training: Training) -> None:
        histories = trainable(_within(training.interactions.histories(), self.items))
        if not histories.n_users:
            net.eval()
            return
        steps = math.ceil(histories.n_users / self.batch)
        scale = torch.from_numpy(self.scale)

        def losses(epoch: int, rng: np.random.Generator) -> Iterator[Tensor]:
            for users in batches(histories.n_users, self.batch, rng):
                made = cut(
                    histories, users, rng,
                    ahead=self.ahead, half_lives=(self.half_life,), power=0.5,
                    fading_days=self.fading_days, ordered=self.ordered,
                )  # fmt: skip
                vectors = net.spread()
                people = made.bags.pooled(vectors * scale[:, None])[0]
                logits = torch.log_softmax(people @ vectors.T + net.bias, dim=1)
                told = (logits[made.owner, made.target] * made.share).sum()
                yield -told / made.share.sum().clamp_min(1e-6)

        loop.teach(
            self,
            training,
            net,
            epochs=max(self.epochs, math.ceil(self.min_steps / steps)),
            steps=losses,
            optimiser=loop.Optimiser(rate=self.rate, decay=self.decay, fade=0.1),
        )

    def _bags(self, histories: Histories) -> Bags:
        at = np.searchsorted(self.items, histories.items)
        at = np.minimum(at, len(self.items) - 1)
        places = np.where(self.items[at] == histories.items, at, -1)
        return bags(histories, places, (self.half_life,), 0.5)

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        if not len(self.items):
            return out
        vectors = torch.from_numpy(self.vectors)
        scaled = vectors * torch.from_numpy(self.scale)[:, None]
        for start in range(0, histories.n_users, BLOCK):
            some = np.arange(start, min(start + BLOCK, histories.n_users))
            people = self._bags(histories.take(some)).pooled(scaled)[0]
            logits = people @ vectors.T + torch.from_numpy(self.bias)
            lift = torch.softmax(logits, dim=1) * len(self.items)
            out[some[:, None], self.items] = torch.log1p(lift).numpy()
        return out

    def state(self) -> Arrays:
        return {
            "items": self.items,
            "scale": self.scale,
            "vectors": self.vectors,
            "bias": self.bias,
        }

    def restore(self, state: Arrays) -> None:
        self.items = np.asarray(state["items"], dtype=np.intp)
        for word in ("scale", "vectors", "bias"):
            setattr(self, word, np.ascontiguousarray(state[word], dtype=np.float32))


def _within(histories: Histories, items: Rows) -> Histories:
    """The entries on ``items``, named by their places among them."""
    at = np.minimum(np.searchsorted(items, histories.items), len(items) - 1)
    kept = items[at] == histories.items
    ends = np.concatenate([[0], np.cumsum(kept)])[histories.indptr].astype(np.intp)
    return Histories(
        indptr=ends,
        items=at[kept].astype(np.intp),
        weights=histories.weights[kept],
        times=histories.times[kept],
        n_items=len(items),
    )


def _nearest(similar: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Of each row its ``k`` largest cells, then made symmetric and scaled to unit length of rows
    and columns, so that no hop makes vectors longer."""
    for row in range(similar.shape[0]):
        span = slice(similar.indptr[row], similar.indptr[row + 1])
        values = similar.data[span]
        if len(values) > k:
            values[values < np.partition(values, -k)[-k]] = 0
    similar.eliminate_zeros()
    both = similar.maximum(similar.T)
    degree: Doubles = np.asarray(both.sum(axis=1), dtype=np.float64).ravel()
    side = sp.diags(1 / np.sqrt(np.maximum(degree, 1e-9)))
    return (side @ both @ side).tocsr()


def _sparse(matrix: sp.csr_matrix) -> Tensor:
    whole = matrix.tocoo()
    places = torch.from_numpy(np.stack([whole.row, whole.col]).astype(np.int64))
    values = torch.from_numpy(whole.data.astype(np.float32))
    return torch.sparse_coo_tensor(places, values, whole.shape, check_invariants=False).coalesce()
