"""One net, many goals: what people take, finish, like and how they rate it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from segue.core.checks import above, at_least, within
from segue.core.errors import BadSettings
from segue.core.protocols import Arrays, Trial, Watcher
from segue.core.types import DAY_S, Bools, Floats, Histories, Profile, Rows, Training
from segue.recommend.deep import loop, weights
from segue.recommend.deep.goals import HEADS, goals_of
from segue.recommend.deep.rating import content_of
from segue.recommend.deep.userside import ProfileCodes

RECENT = 200  # newest entries of a history that are read
NEXT = 20  # entries after a cut that are to be predicted
FORBIDDEN = -1e9  # the logit of an item that the history holds
INITIAL = 0.05
LEAST_WORTH = 0.01  # of the oldest events: with nothing newer to learn from, they still teach
USERS = 256  # scored at once


@dataclass(frozen=True)
class Past:
    """Histories as a net reads them: flat entries, person after person, two weights each."""

    items: Tensor  # (n_entries,)
    offsets: Tensor  # (n_users,)
    slow: Tensor  # (n_entries,) weights that sum to at most 1 a person, all entries alike
    fast: Tensor  # (n_entries,) the same with the newest entries ahead
    profile: Tensor  # (n_users, width)


class GoalNet(nn.Module):
    """Multi-gate mixture of experts (Ma et al., KDD 2018) over the person's side.

    The person u is read from history and profile. Expert k gives f_k(u); the gate of head t
    mixes them, v_t = u + sum_k softmax(G_t u)_k f_k(u); one expert is the shared bottom. The
    logit of head t for item i is v_t . q_i + b_ti, with q_i made of id and content. Experts see
    the person alone, so that a person costs one product with all items, not a net for each pair.
    """

    def __init__(
        self, content: Floats, people: int, dim: int, experts: int, dropout: float
    ) -> None:
        super().__init__()
        n = len(content)
        self.item = nn.Embedding(n, dim)
        self.content = nn.Linear(content.shape[1], dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(HEADS), n))
        self.slow = nn.Linear(dim, dim)
        self.fast = nn.Linear(dim, dim, bias=False)
        self.profile = nn.Linear(people, dim, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dim, 2 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
            )
            for _ in range(experts)
        )
        self.gates = nn.Linear(dim, len(HEADS) * experts, bias=False)
        self.drop = nn.Dropout(dropout)
        nn.init.normal_(self.item.weight, std=INITIAL)
        for square in (self.slow, self.fast):
            nn.init.eye_(square.weight)  # the first person is the mean of their items
        nn.init.zeros_(self.profile.weight)
        self.vectors: Tensor
        self.register_buffer("vectors", torch.from_numpy(content), persistent=False)

    def places(self) -> Tensor:
        """(n_items, dim) q of every item."""
        placed: Tensor = self.item.weight + self.content(self.vectors)
        return placed

    def people(self, past: Past, places: Tensor) -> Tensor:
        """(n_users, n_heads, dim) what each head looks for."""
        slow, fast = (
            functional.embedding_bag(
                past.items, places, past.offsets, mode="sum", per_sample_weights=each
            )
            for each in (past.slow, past.fast)
        )
        u = self.drop(self.slow(slow) + self.fast(fast) + self.profile(past.profile))
        known = torch.stack([expert(u) for expert in self.experts], dim=1)
        gates = self.gates(u).reshape(len(u), len(HEADS), -1).softmax(dim=2)
        looks: Tensor = u[:, None, :] + gates @ known
        return looks

    def logits(self, past: Past) -> Tensor:
        """(n_heads, n_users, n_items)"""
        places = self.places()
        people = self.people(past, places).transpose(0, 1)
        return people @ places.T + self.bias[:, None, :]


@dataclass
class Multitask:
    """Scores by the heads that ``goals`` weigh: the weighted geometric mean of their values.

    ``experts`` 1 is a shared bottom. ``side`` weighs the heads beside click in the loss; a head
    that the data says nothing about is left out. People are read as of random cuts in their
    history, ``cuts`` a person and epoch, and the net predicts what came next; what came
    ``memory_days`` earlier than another thing teaches half as much (None: all the same).
    ``half_life``, in entries, is that of the second, more recent reading of a history.
    """

    goals: Mapping[str, float] = field(default_factory=lambda: {"click": 1.0})
    dim: int = 64
    experts: int = 4
    dropout: float = 0.2
    half_life: float = 5.0
    memory_days: float | None = 30.0
    side: float = 0.3
    negatives: int = 4_000
    optimiser: str = "adamw"
    rate: float = 5e-3
    decay: float = 0.1
    epochs: int = 25
    cuts: int = 2
    batch: int = 128
    seed: int = 0
    name: str = "multitask"
    HEADS: ClassVar[tuple[str, ...]] = HEADS  # the blend takes each as a column
    watcher: Watcher | None = field(default=None, repr=False, compare=False)
    checkpoint: Path | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least(self, 1, "dim", "experts", "negatives", "epochs", "cuts", "batch")
        within(self, 0, 1, "dropout")
        above(self, 0, "half_life", "memory_days")
        at_least(self, 0, "side")
        strange = set(self.goals) - set(HEADS)
        if (
            strange
            or not self.goals
            or min(self.goals.values()) < 0
            or not any(self.goals.values())
        ):
            raise BadSettings(
                f"goals must weigh some of {HEADS} with numbers >= 0, got {dict(self.goals)}"
            )
        self._descent = loop.Optimiser(self.optimiser, self.rate, self.decay, fade=0.1)
        self._people = ProfileCodes()
        self._content = np.zeros((0, 1), dtype=np.float32)
        self._range = (0.0, 1.0)
        self._taught: Bools = np.zeros(len(HEADS), dtype=np.bool_)
        self._net: GoalNet | None = None

    @staticmethod
    def suggest(trial: Trial) -> dict[str, Any]:
        return {
            "dim": trial.suggest_categorical("dim", [32, 64, 128]),
            "experts": trial.suggest_categorical("experts", [1, 4, 8]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "decay": trial.suggest_float("decay", 1e-2, 3.0, log=True),
            "half_life": trial.suggest_float("half_life", 1.0, 50.0, log=True),
        }

    def fit(self, training: Training) -> None:
        seen = training.interactions
        histories = seen.histories()
        targets, self._range = goals_of(seen, histories)
        self._taught = np.array([np.isfinite(row).any() for row in targets])
        self._people.fit(training.profiles)
        self._content = content_of(training, seen.n_items)
        halvings = np.zeros(len(histories.times))
        if self.memory_days is not None:
            halvings = (training.at - histories.times) / DAY_S / self.memory_days
        worth = (0.5**halvings + LEAST_WORTH).astype(np.float32)
        profile = self._people.encode(training.profiles)
        lesson = _Lesson(self, histories, targets, worth, profile)
        loop.seeded(self.seed)
        self._net = net = self._made()
        taken = np.bincount(histories.items[histories.weights >= 0], minlength=seen.n_items)
        with torch.no_grad():
            net.bias[0] = torch.from_numpy(np.log1p(taken).astype(np.float32))
        loop.teach(
            self,
            training,
            net,
            epochs=self.epochs,
            steps=lambda epoch, rng: lesson.steps(net, rng),
            optimiser=self._descent,
        )

    def _made(self) -> GoalNet:
        return GoalNet(self._content, self._people.width, self.dim, self.experts, self.dropout)

    def read(self, histories: Histories, profile: Floats, ends: Rows | None = None) -> Past:
        """Histories, each up to ``ends`` (all of it by default), as the net takes them."""
        ends = histories.indptr[1:] if ends is None else ends
        starts = np.maximum(histories.indptr[:-1], ends - RECENT)
        at, offsets = _spans(starts, ends)
        at_end = np.repeat(ends, ends - starts)
        owner = np.repeat(np.arange(len(ends)), ends - starts)
        known = histories.items[at] < len(self._content)
        even = np.where(known, histories.weights[at], 0)
        newest = even * 0.5 ** ((at_end - 1 - at) / np.float32(self.half_life))

        def shares(values: npt.NDArray[Any]) -> Tensor:
            total = np.bincount(owner, np.abs(values), len(ends))
            return torch.from_numpy((values / np.maximum(total, 1e-6)[owner]).astype(np.float32))

        return Past(
            items=torch.from_numpy(np.where(known, histories.items[at], 0)),
            offsets=torch.from_numpy(offsets),
            slow=shares(even),
            fast=shares(newest),
            profile=torch.from_numpy(profile),
        )

    def heads(
        self, histories: Histories, profiles: Sequence[Profile], at: float
    ) -> dict[str, Floats]:
        """Head -> (n_users, n_items) float32; only the heads that the data taught.

        ``click`` is the probability of being the next taken, over all items; ``completion`` the
        expected fraction and ``like`` the probability once taken, both in [0, 1]; ``rating`` is
        on the range of the ratings. Items beyond the fit are 0.
        """
        low, high = self._range
        out = {}
        for name, values in self._values(histories, profiles).items():
            scaled = low + (high - low) * values if name == "rating" else values
            out[name] = _widened(scaled, histories.n_items)
        return out

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        values = self._values(histories, profiles)
        goals = {name: self.goals.get(name, 0.0) for name in values}
        total = sum(goals.values())
        if not total:  # none of the goals was taught: what is taken is always known
            goals, total = {"click": 1.0}, 1.0
        logs = sum(
            weight / total * np.log(np.maximum(values[name], 1e-30))
            for name, weight in goals.items()
            if weight
        )
        return _widened(np.exp(logs), histories.n_items)

    def _values(self, histories: Histories, profiles: Sequence[Profile]) -> dict[str, Floats]:
        """Taught head -> (n_users, n fitted items), each in [0, 1]."""
        if self._net is None:
            raise BadSettings("multitask: not fitted; call fit or restore first")
        encoded = self._people.encode(profiles)
        n = len(self._content)
        taught = [h for h, name in enumerate(HEADS) if self._taught[h]]
        out = {HEADS[h]: np.zeros((histories.n_users, n), np.float32) for h in taught}
        for start in range(0, histories.n_users, USERS):
            users = np.arange(start, min(start + USERS, histories.n_users), dtype=np.intp)
            with torch.no_grad():
                logits = self._net.logits(self.read(histories.take(users), encoded[users]))
                for h in taught:
                    each = logits[h].softmax(dim=1) if h == 0 else logits[h].sigmoid()
                    out[HEADS[h]][users] = each.numpy()
        return out

    def state(self) -> Arrays:
        if self._net is None:
            raise BadSettings("multitask: not fitted; call fit or restore first")
        return {
            **weights.state_arrays(self._net),
            **self._people.state(),
            "content": self._content,
            "range": np.array(self._range, dtype=np.float64),
            "taught": self._taught,
        }

    def restore(self, state: Arrays) -> None:
        self._people.restore(state)
        self._content = np.asarray(state["content"], dtype=np.float32)
        low, high = state["range"].tolist()
        self._range = (low, high)
        self._taught = np.asarray(state["taught"], dtype=np.bool_)
        net = self._made()
        weights.load_arrays(net, state)
        self._net = net.eval()


@dataclass(frozen=True)
class _Lesson:
    """The batches of one training."""

    settings: Multitask
    histories: Histories
    targets: Floats  # (n_heads, nnz)
    worth: Floats  # (nnz,) how much each entry teaches
    profile: Floats

    def steps(self, net: GoalNet, rng: np.random.Generator) -> Iterator[Tensor]:
        """The loss of each batch of (person, cut)."""
        settings = self.settings
        order = rng.permutation(np.tile(np.flatnonzero(self.histories.counts), settings.cuts))
        for start in range(0, len(order), settings.batch):
            users = order[start : start + settings.batch]
            own = self.histories.take(users)
            cut = own.indptr[:-1] + rng.integers(0, own.counts)
            at, _ = _spans(cut, np.minimum(cut + NEXT, own.indptr[1:]))
            places = net.places()
            looks = net.people(settings.read(own, self.profile[users], cut), places)
            moved = (self.histories.indptr[users] - own.indptr[:-1])[own.user_of[at]]
            worth = self.worth[at + moved]
            yield self._click(net.bias[0], looks[:, 0], places, own, cut, at, worth, rng) + (
                settings.side * self._rest(net, looks, places, own, at, self.targets[:, at + moved])
            )

    def _click(
        self,
        bias: Tensor,
        looks: Tensor,
        places: Tensor,
        own: Histories,
        cut: Rows,
        at: Rows,
        worth: Floats,
        rng: np.random.Generator,
    ) -> Tensor:
        """Softmax of the entries ``at`` over all items not taken before, or a sample of them."""
        wanted = own.weights[at] >= 0
        at, worth = at[wanted], worth[wanted]
        columns = np.arange(own.n_items)
        if own.n_items > self.settings.negatives:
            drawn = rng.integers(0, own.n_items, self.settings.negatives)
            columns = np.union1d(drawn, own.items[at])
        place = np.full(own.n_items, -1, dtype=np.intp)
        place[columns] = np.arange(len(columns))
        before = np.arange(len(own.items)) < cut[own.user_of]
        before &= place[own.items] >= 0
        taken = np.zeros((own.n_users, len(columns)), dtype=np.bool_)
        taken[own.user_of[before], place[own.items[before]]] = True
        chosen = torch.from_numpy(columns)
        logits = torch.addmm(bias[chosen], looks, places[chosen].T)
        logs = logits.masked_fill(torch.from_numpy(taken), FORBIDDEN).log_softmax(dim=1)
        owner = own.user_of[at]
        each = logs[torch.from_numpy(owner), torch.from_numpy(place[own.items[at]])]
        share = worth / np.bincount(owner, minlength=own.n_users)[owner]
        share = (share / max(share.sum(), 1e-9)).astype(np.float32)
        return -(each * torch.from_numpy(share)).sum()

    def _rest(
        self, net: GoalNet, looks: Tensor, places: Tensor, own: Histories, at: Rows, targets: Floats
    ) -> Tensor:
        """Cross-entropy of fractions and likes, squared error of ratings, over what was taken."""
        item, user = torch.from_numpy(own.items[at]), torch.from_numpy(own.user_of[at])
        total = torch.zeros(())
        for head in range(1, len(HEADS)):
            known = np.isfinite(targets[head])
            if not known.any():  # masked: the data, or this batch, says nothing about this goal
                continue
            kept, wanted = torch.from_numpy(known), torch.from_numpy(targets[head][known])
            i, u = item[kept], user[kept]
            logits = (looks[u, head] * places[i]).sum(dim=1) + net.bias[head][i]
            if HEADS[head] == "rating":
                total = total + functional.mse_loss(logits.sigmoid(), wanted)
            else:
                total = total + functional.binary_cross_entropy_with_logits(logits, wanted)
        return total


def _spans(starts: Rows, ends: Rows) -> tuple[Rows, Rows]:
    """Places from each start to its end, one after another, and where each span begins."""
    counts = ends - starts
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    return at.astype(np.intp), offsets[:-1]


def _widened(values: Floats, n_items: int) -> Floats:
    """(n_users, n_items) float32: 0 for items beyond the fit."""
    out = np.zeros((len(values), n_items), dtype=np.float32)
    n = min(n_items, values.shape[1])
    out[:, :n] = values[:, :n]
    return out
