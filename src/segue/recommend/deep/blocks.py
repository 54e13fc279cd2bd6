"""The net of :mod:`~segue.recommend.deep.attention`: gated attention over a history, its losses.

Sequences are aligned on the left and padded on the right, so the causal mask alone hides the
padding and a person's scores do not depend on who else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segue.core.types import Rows

GAPS = 24  # buckets of a time gap; the last begins after about a year
GAP_UNIT_S = 4.0
LEVELS = 9  # of an entry's weight, from -1 to 1 in steps of a quarter
NONE = np.zeros(0, dtype=np.intp)
CHUNK = 256  # positions at a time in the loss: its logits stay in the cache


@dataclass(frozen=True)
class Shape:
    """What the tensors of a net are sized by."""

    n_items: int
    content_dim: int  # 0: no content
    dim: int
    layers: int
    heads: int
    max_length: int


@dataclass(frozen=True)
class Batch:
    """Entries of some histories, (n, length) each. ``items`` are places among the vectors that
    go with the batch; 0 is the start of a history and also the padding."""

    items: Tensor  # int64
    times: Tensor  # float64, Unix seconds
    gaps: Tensor  # int64 bucket of the time since the entry before
    levels: Tensor  # int64 level of the weight

    def local(
        self, target: Rows = NONE, negative: Rows = NONE
    ) -> tuple[Batch, Rows, Tensor, Tensor]:
        """The batch, targets and negatives in places among the rows that they need, and these."""
        given = self.items.numpy()
        asked = np.concatenate([given[given > 0] - 1, target, negative])
        rows, place = np.unique(asked, return_inverse=True)
        sizes = [len(asked) - len(target) - len(negative), len(target), len(negative)]
        here, right, wrong = torch.split(torch.from_numpy(place), sizes)
        items = torch.zeros_like(self.items)
        items[self.items > 0] = here + 1
        return replace(self, items=items), rows, right, wrong


def bucket(gap_s: Tensor) -> Tensor:
    """int64 in [0, GAPS): logarithmic in the gap, 0 below four seconds."""
    return torch.log2(gap_s / GAP_UNIT_S + 1).long().clamp_(0, GAPS - 1)


def level(weights: Tensor) -> Tensor:
    """int64 in [0, LEVELS): the weight in steps of a quarter."""
    return torch.round((weights + 1) * (LEVELS - 1) / 2).long()


class Gated(nn.Module):
    """A layer of HSTU (Zhai et al., ICML 2024): pointwise attention, gated, without a softmax.

    ``u, v, q, k = silu(W1 norm(x))``; ``a = silu(q k' + bias) / n``;
    ``x + W2 (norm(a v) * u)``, n being the number of entries up to the asking one.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.spread, self.gather = nn.Linear(dim, 4 * dim), nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor, share: Tensor) -> Tensor:
        """``bias`` is (n, heads, length, length); ``share`` (length, length): 1/n or 0."""
        n, length, dim = x.shape
        gate, *rest = torch.split(F.silu(self.spread(self.before(x))), dim, -1)
        value, query, key = (
            part.view(n, length, self.heads, dim // self.heads).transpose(1, 2) for part in rest
        )
        attention = F.silu(query @ key.transpose(-1, -2) + bias) * share
        mixed = (attention @ value).transpose(1, 2).reshape(n, length, dim)
        out: Tensor = x + self.dropout(self.gather(self.after(mixed) * gate))
        return out


class SequenceNet(nn.Module):
    """From a history to a place among the item vectors.

    An item's vector is its own (zero if nobody has met it) plus a linear map of its content. An
    entry enters as the vector times a gate plus a shift, both by the level of its weight; the gate
    of rejected entries starts at -1, so that a dislike points away even if training held none.
    """

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        own = torch.randn(shape.n_items, shape.dim) * shape.dim**-0.5
        self.own = nn.Parameter(own)
        self.popularity = nn.Parameter(torch.zeros(shape.n_items))
        self.map = nn.Parameter(torch.zeros(shape.content_dim, shape.dim))
        self.start = nn.Parameter(torch.randn(1, shape.dim) * shape.dim**-0.5)
        gate = torch.where(torch.arange(LEVELS) < LEVELS // 2, -1.0, 1.0)
        self.gate = nn.Parameter(gate[:, None].repeat(1, shape.dim))
        self.shift = nn.Parameter(torch.zeros(LEVELS, shape.dim))
        self.gap = nn.Parameter(torch.zeros(GAPS, shape.dim))
        # Relative biases of every head of every layer, by lag in entries and by gap in time
        # (Li, Wang and McAuley, WSDM 2020; Zhai et al., ICML 2024).
        self.lags = nn.Parameter(torch.zeros(shape.layers * shape.heads, shape.max_length))
        self.spans = nn.Parameter(torch.zeros(shape.layers * shape.heads, GAPS))
        self.layers = nn.ModuleList(
            Gated(shape.dim, shape.heads, dropout) for _ in range(shape.layers)
        )
        self.wait_gate = nn.Parameter(torch.ones(GAPS + 1, shape.dim))
        self.wait_shift = nn.Parameter(torch.zeros(GAPS + 1, shape.dim))
        self.last = nn.LayerNorm(shape.dim)
        self.dropout = nn.Dropout(dropout)

    def vectors(self, rows: Tensor, content: Tensor, own: Tensor | None = None) -> Tensor:
        """(n, dim) vectors of items; ``content`` is (n, content_dim), 0 where there is none.

        ``own`` (n, 1) scales the items' own part: 0 trains the content to stand alone.
        """
        vectors = self.own.index_select(0, rows)
        if own is not None:
            vectors = vectors * own
        return vectors + content @ self.map if self.shape.content_dim else vectors

    def forward(self, batch: Batch, vectors: Tensor, waits: Tensor | None = None) -> Tensor:
        """(n, length, dim): where each entry expects the next item. ``batch.items`` points into
        ``vectors`` from 1 on; ``waits`` (n, length) are the buckets of the time that passes until
        the item is wanted, GAPS after the start; None: soon or later alike."""
        places = torch.cat([self.start, vectors])
        x = F.embedding(batch.items, places) * F.embedding(batch.levels, self.gate)
        x = x + F.embedding(batch.levels, self.shift) + F.embedding(batch.gaps, self.gap)
        x = self.dropout(x)
        biases = torch.split(self._biases(batch.times), self.shape.heads)
        length = x.shape[1]
        share = torch.tril(torch.ones(length, length)) / torch.arange(1, length + 1)[:, None]
        for layer, bias in zip(self.layers, biases, strict=True):
            x = layer(x, bias.transpose(0, 1), share)
        if waits is not None:
            x = x * F.embedding(waits, self.wait_gate) + F.embedding(waits, self.wait_shift)
        out: Tensor = self.last(x)
        return out

    def _biases(self, times: Tensor) -> Tensor:
        """(layers * heads, n, length, length) by lag and gap; what lies ahead is masked later."""
        n, length = times.shape
        steps = torch.arange(length)
        lag = (steps[:, None] - steps[None, :]).clamp_(min=0)
        gap = bucket((times[:, :, None] - times[:, None, :]).clamp_(min=0))
        # index_select: its gradient is three times as fast as that of an advanced index.
        by_gap = self.spans.index_select(1, gap.view(-1)).view(-1, n, length, length)
        return by_gap + self.lags.index_select(1, lag.view(-1)).view(-1, 1, length, length)


class SampledSoftmax(torch.autograd.Function):
    """Mean cross-entropy against shared negatives; gradients are computed along the way.

    The negatives' logits are lowered by the log of how often each is expected in the sample
    (Bengio and Senécal, 2008), so that the sum estimates that over all items. One pass in chunks
    that stay in the cache costs a third of the generic operations.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, vectors: Tensor, bias: Tensor, target: Tensor, negative: Tensor,
        expected: Tensor,
    ) -> Tensor:  # fmt: skip
        """``x`` (n, dim); ``target`` (n,) and ``negative`` (m,) point into ``vectors``;
        ``expected`` (m,) is the log of the expected count of each negative."""
        n, others = len(x), vectors[negative]
        offset = bias[negative] - expected
        column = torch.full((len(vectors),), -1)
        column[negative] = torch.arange(len(negative))
        grad_x, grad_target = torch.empty_like(x), torch.empty_like(x)
        grad_others, grad_offset = torch.zeros_like(others), torch.zeros_like(offset)
        pull, loss = torch.empty(n), torch.zeros((), dtype=torch.float64)
        for at in range(0, n, CHUNK):
            part = slice(at, at + CHUNK)
            here, wanted = x[part], target[part]
            right = vectors[wanted]
            logits = torch.addmm(offset, here, others.T)
            same = column[wanted]  # a negative that is the target itself is none
            hit = torch.nonzero(same >= 0)[:, 0]
            logits[hit, same[hit]] = -torch.inf
            own = (here * right).sum(1) + bias[wanted]
            top = torch.maximum(logits.amax(1), own)
            logits.sub_(top[:, None]).exp_()
            own_share = (own - top).exp()
            total = logits.sum(1) + own_share
            loss += (total.log() + top - own).sum()
            logits.div_((total * n)[:, None])
            pull[part] = (own_share / total - 1) / n
            grad_x[part] = torch.addmm(right * pull[part, None], logits, others)
            grad_others.addmm_(logits.T, here)
            grad_offset += logits.sum(0)
            grad_target[part] = here * pull[part, None]
        grad_vectors, grad_bias = torch.zeros_like(vectors), torch.zeros_like(bias)
        grad_vectors.index_add_(0, target, grad_target).index_add_(0, negative, grad_others)
        grad_bias.index_add_(0, target, pull).index_add_(0, negative, grad_offset)
        ctx.save_for_backward(grad_x, grad_vectors, grad_bias)
        return (loss / n).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_vectors, grad_bias = ctx.saved_tensors
        return grad_x * grad, grad_vectors * grad, grad_bias * grad, None, None, None


def gbce(
    x: Tensor, vectors: Tensor, bias: Tensor, target: Tensor, negative: Tensor, share: float,
    calibration: float = 0.75,
) -> Tensor:  # fmt: skip
    """Generalised binary cross-entropy (Petrov and Macdonald, RecSys 2023), a mean a target.

    ``share`` is the part of all items that ``negative`` holds. The positive's probability is
    raised to ``beta``, between ``share`` (``calibration`` 1: calibrated) and 1 (plain).
    """
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    own = (x * vectors[target]).sum(1) + bias[target]
    others = torch.addmm(bias[negative], x, vectors[negative].T)
    others = others.masked_fill(target[:, None] == negative[None, :], -torch.inf)
    return -(beta * F.logsigmoid(own)).mean() + F.softplus(others).sum(1).mean()
