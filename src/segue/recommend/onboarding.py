"""Which few items to ask a newcomer about: those whose answers tell most of a taste.

An item is worth asking about by how much its answer is expected to narrow what is to be ranked
(the expected fall of variance: A-optimal design, Chaloner & Verdinelli, Statistical Science 1995;
in recommending Christakopoulou et al., KDD 2016), times the probability that the person knows it
at all, given the profile and the answers so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segue.core.types import Bools, Doubles, Profile, Rows
from segue.recommend.newcomers import Belief, Newcomers

LIKE, DISLIKE, UNKNOWN = "like", "dislike", "unknown"
ANSWERS = (LIKE, DISLIKE, UNKNOWN)
SAID = {LIKE: 1.0, DISLIKE: 0.0, UNKNOWN: 0.0}
ASKED_OF = 400  # the best known items, among which questions are chosen

Answered = Sequence[tuple[int, str]]
"""(item row, answer) in the order of answering."""


@dataclass(frozen=True)
class Questions:
    """Chooses questions over the item side of :class:`Newcomers`; holds nothing of any person."""

    model: Newcomers

    @cached_property
    def _best(self) -> Rows:
        """Places of the best known items among the model's, ascending."""
        return np.sort(np.argsort(-self.model.share, kind="stable")[:ASKED_OF])

    @cached_property
    def items(self) -> Rows:
        """Item rows that may be asked of, ascending."""
        return self.model.items[self._best]

    @cached_property
    def _factors(self) -> Doubles:
        return self.model.factors[self._best]

    @cached_property
    def _noise(self) -> Doubles:
        return self.model.noise[self._best]

    @cached_property
    def _target(self) -> Doubles:
        """(dim, dim) what is to be ranked: the spread of scores over the items.

        How much somebody watches moves all scores alike and orders nothing, so that direction is
        taken out: it is worth no question.
        """
        level = self.model.share / np.linalg.norm(self.model.share)
        turned = self.model.factors - np.outer(level, level @ self.model.factors)
        return np.asarray(turned.T @ turned)

    def belief(self, profile: Profile, answers: Answered) -> Belief:
        """The belief after some answers; about items that are never asked of it learns nothing."""
        out = self.model.prior(profile)
        for row, answer in answers:
            at = int(np.searchsorted(self.items, row))
            if at < len(self.items) and self.items[at] == row:
                share = float(self.model.share[self._best[at]])
                seen = SAID[answer] - share
                out = out.after(self._factors[at], float(self._noise[at]), seen)
        return out

    def known(self, belief: Belief) -> Doubles:
        """(n,) probability in (0, 1) that the person knows each item."""
        share = self.model.share[self._best]
        return np.clip(share + self._factors @ belief.mean, 0.01, 0.99)

    def worth(self, belief: Belief) -> Doubles:
        """(n,) >= 0: the variance of what is to be ranked that asking is expected to take away."""
        toward = self._factors @ belief.spread
        size = np.einsum("id,id->i", toward, self._factors) + self._noise
        gain = np.einsum("id,de,ie->i", toward, self._target, toward) / size
        return np.asarray(self.known(belief) * gain)

    def ask(self, profile: Profile, answers: Answered, allowed: Bools, k: int) -> Rows:
        """(<= k,) item rows to ask about next, best first; what was asked never comes again.

        ``allowed`` (n_items,) says which items may be shown. Several are chosen one after another,
        each as if those before it had been answered.
        """
        free = (self.items < len(allowed)) & allowed[np.minimum(self.items, len(allowed) - 1)]
        free &= ~np.isin(self.items, [row for row, _ in answers])
        belief = self.belief(profile, answers)
        out: list[int] = []
        for _ in range(min(k, int(free.sum()))):
            at = int(np.argmax(np.where(free, self.worth(belief), -np.inf)))
            out.append(int(self.items[at]))
            free[at] = False
            belief = belief.after(self._factors[at], float(self._noise[at]), None)
        return np.array(out, dtype=np.intp)
