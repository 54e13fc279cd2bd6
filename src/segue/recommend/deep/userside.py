"""The user side of the nets that predict ratings: who a person is and how they rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from segue.core.errors import BadInput
from segue.core.protocols import Arrays
from segue.core.types import Floats, Histories, Interactions, Profile, Rows
from segue.recommend.groups import labels

SHRINK = 5.0  # ratings at the mean that every item and every person is credited with
PAIRS = 65_536  # rated at once: bounds the memory of a request for every item
FIELDS = 3  # gender, age group, occupation


@dataclass
class ProfileCodes:
    """Profiles as one-hot rows; unknown and unheard-of groups are all zero."""

    names: tuple[tuple[str, ...], ...] = ((), (), ())

    def fit(self, profiles: Sequence[Profile]) -> None:
        columns = list(zip(*(labels(p) for p in profiles), strict=True)) or [()] * FIELDS
        self.names = tuple(tuple(sorted({g for g in column if g})) for column in columns)

    @property
    def width(self) -> int:
        return max(sum(len(names) for names in self.names), 1)

    def encode(self, profiles: Sequence[Profile]) -> Floats:
        """(n, width) float32 of zeros and ones."""
        place = {
            (field, name): n
            for n, (field, name) in enumerate(
                (field, name) for field, names in enumerate(self.names) for name in names
            )
        }
        out = np.zeros((len(profiles), self.width), dtype=np.float32)
        for row, profile in enumerate(profiles):
            for pair in enumerate(labels(profile)):
                if pair in place:
                    out[row, place[pair]] = 1
        return out

    def state(self) -> Arrays:
        return {f"group{n}": np.array(names, dtype=np.str_) for n, names in enumerate(self.names)}

    def restore(self, state: Arrays) -> None:
        self.names = tuple(tuple(state[f"group{n}"].tolist()) for n in range(FIELDS))


@dataclass(frozen=True)
class Pairs:
    """A batch: some people's histories, and pairs (person, item) to be rated.

    Nothing of a pair's own rating is in it, whether the person has rated the item or not.
    """

    profile: Tensor  # (n_users, width)
    items: Tensor  # (n_entries,) rated items, person after person
    offsets: Tensor  # (n_users,) where each person's entries start
    surprise: Tensor  # (n_entries,) rating above what the item gets
    user: Tensor  # (n_pairs,) person of each pair
    item: Tensor  # (n_pairs,)
    own: Tensor  # (n_pairs,) the pair's own surprise; 0 where there is none
    rated: Tensor  # (n_pairs,) 1 where the history holds the pair
    stats: Tensor  # (n_pairs, 6) person: mean surprise, log count, spread; item: the same

    @property
    def scale(self) -> Tensor:
        """(n_pairs, 1) 1/sqrt(entries + 1), the pair's own left out."""
        return torch.rsqrt(torch.expm1(5 * self.stats[:, 1:2]) + 1)

    def tastes(self, table: Tensor) -> Tensor:
        """(n_pairs, dim) the history's rows of ``table``, weighted by how much the person rates
        them above their own mean: the pair's own rating left out, over the root of the count."""
        own = table[self.item.clamp(max=len(table) - 1)]
        bag = (self.items, table, self.offsets)
        likes = embedding_bag(*bag, mode="sum", per_sample_weights=self.surprise)
        every = embedding_bag(*bag, mode="sum")
        mean = self.stats[:, :1]
        liked = likes[self.user] - self.own[:, None] * own
        return (liked - mean * (every[self.user] - self.rated[:, None] * own)) * self.scale

    def choices(self, table: Tensor) -> Tensor:
        """(n_pairs, dim) the same, unweighted: what the person chose to rate."""
        own = table[self.item.clamp(max=len(table) - 1)]
        every = embedding_bag(self.items, table, self.offsets, mode="sum")
        return (every[self.user] - self.rated[:, None] * own) * self.scale


@dataclass
class Ratings:
    """What is known of each item's ratings: their range, and count, sum and squares an item."""

    low: float = 0.0
    high: float = 1.0
    mean: float = 0.5
    spread: float = 1.0
    sums: Floats = field(default_factory=lambda: np.zeros((3, 0), dtype=np.float32), repr=False)

    def fit(self, seen: Interactions) -> Histories:
        """Learn from the latest rating of each person and item; returns those, by person."""
        rated = None if seen.value is None else np.isfinite(seen.value)
        if rated is None or not rated.any():
            raise BadInput("no event has a value; a rater learns from ratings")
        past = seen.where(rated).histories()
        values = past.values
        assert values is not None
        self.low, self.high = float(values.min()), float(values.max())
        if self.low == self.high:
            raise BadInput(f"every rating is {self.low}; there is nothing to learn")
        self.mean, self.spread = float(values.mean()), float(values.std())
        above = self.centred(values)
        self.sums = _sums(past.items, above, past.n_items)
        return past

    def centred(self, values: Floats) -> Floats:
        """Ratings in units of their spread, the mean at 0."""
        return ((values - np.float32(self.mean)) / np.float32(self.spread)).astype(np.float32)

    @property
    def n_items(self) -> int:
        return int(self.sums.shape[1])

    def known(self, histories: Histories) -> Histories:
        """The entries that have a rating and whose item the fit has met."""
        values = histories.values
        if values is None:
            kept = np.zeros(len(histories.items), dtype=np.bool_)
        else:
            kept = np.isfinite(values) & (histories.items < self.n_items)
        ends = np.concatenate([[0], np.cumsum(kept)])[histories.indptr].astype(np.intp)
        return Histories(
            indptr=ends,
            items=histories.items[kept],
            weights=histories.weights[kept],
            times=histories.times[kept],
            n_items=histories.n_items,
            values=None if values is None else values[kept],
        )

    def pairs(
        self, past: Histories, profile: Floats, user: Rows, item: Rows, entry: Rows, told: bool
    ) -> Pairs:
        """Pairs over ``past`` (:meth:`known`). ``entry`` is each pair's place in it, or -1.

        ``told`` says that the sums of the items hold the pairs' own ratings (in training), so
        that those are taken out.
        """
        values = np.zeros(0, np.float32) if past.values is None else past.values
        centred = self.centred(values)
        count, above, _ = self.sums[:, past.items]
        surprise = centred - above / (count + SHRINK)
        person = _sums(past.user_of, surprise, past.n_users)
        rated = (entry >= 0).astype(np.float32)
        at = np.maximum(entry, 0)
        own = _picked(surprise, at) * rated
        inside = item < self.n_items
        of_item = np.where(inside, self.sums[:, np.where(inside, item, 0)], 0)
        if told:
            mine = _picked(centred, at) * rated
            of_item = of_item - np.stack([rated, mine, mine**2])
        of_person = person[:, user] - np.stack([rated, own, own**2])
        stats = np.concatenate([_stats(of_person), _stats(of_item)]).T
        return Pairs(
            profile=torch.from_numpy(profile),
            items=torch.from_numpy(past.items),
            offsets=torch.from_numpy(past.indptr[:-1]),
            surprise=torch.from_numpy(surprise),
            user=torch.from_numpy(user),
            item=torch.from_numpy(np.where(inside, item, self.n_items)),
            own=torch.from_numpy(own),
            rated=torch.from_numpy(rated),
            stats=torch.from_numpy(np.ascontiguousarray(stats, dtype=np.float32)),
        )

    def everything(self, histories: Histories, profile: Floats) -> Iterator[tuple[Rows, Pairs]]:
        """Every person with every item, some people at a time: their rows, and the pairs."""
        past, n_items = self.known(histories), histories.n_items
        step = max(1, PAIRS // max(n_items, 1))
        for start in range(0, histories.n_users, step):
            users = np.arange(start, min(start + step, histories.n_users), dtype=np.intp)
            some = past.take(users)
            entry = np.full((len(users), n_items), -1, dtype=np.intp)
            entry[some.user_of, some.items] = np.arange(len(some.items))
            user = np.repeat(np.arange(len(users), dtype=np.intp), n_items)
            item = np.tile(np.arange(n_items, dtype=np.intp), len(users))
            yield users, self.pairs(some, profile[users], user, item, entry.ravel(), told=False)

    def predicted(
        self, histories: Histories, profile: Floats, net: Callable[[Pairs], Tensor]
    ) -> Floats:
        """(n_users, n_items) ratings; a person's own rating takes no part in its prediction."""
        out = np.zeros((histories.n_users, histories.n_items), dtype=np.float32)
        for users, pairs in self.everything(histories, profile):
            with torch.no_grad():
                s = net(pairs)
            out[users] = self.placed(s).numpy().reshape(len(users), histories.n_items)
        return out

    def placed(self, s: Tensor) -> Tensor:
        """Ratings of s: the sigmoid, over the range."""
        return self.low + (self.high - self.low) * torch.sigmoid(s)

    def state(self) -> Arrays:
        bounds = np.array([self.low, self.high, self.mean, self.spread], dtype=np.float64)
        return {"bounds": bounds, "sums": self.sums}

    def restore(self, state: Arrays) -> None:
        self.low, self.high, self.mean, self.spread = state["bounds"].tolist()
        self.sums = np.asarray(state["sums"], dtype=np.float32)


def _sums(rows: Rows, values: Floats, n: int) -> Floats:
    """(3, n) count, sum and sum of squares of each row."""
    parts = (np.ones(len(values)), values, values**2)
    return np.stack([np.bincount(rows, part, n) for part in parts]).astype(np.float32)


def _picked(values: Floats, at: Rows) -> Floats:
    return values[at] if len(values) else np.zeros(len(at), dtype=np.float32)


def _stats(sums: Floats) -> Floats:
    """(3, n) shrunk mean, log count and shrunk spread of (count, sum, squares): about unit size."""
    count, total, squares = sums
    spread = np.sqrt(np.maximum(squares + SHRINK, 0) / (count + SHRINK)) - 1
    return np.stack([total / (count + SHRINK), np.log1p(np.maximum(count, 0)) / 5, spread])
