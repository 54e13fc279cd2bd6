"""What an event says about a person's wish, as one number in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segue.core.checks import above, at_least, within
from segue.core.errors import BadSettings
from segue.core.types import ITEM_KINDS, Floats

PLAIN = ("click", "play", "complete", "skip", "like", "dislike", "hide", "save", "share")
OPINIONS = ("rating", "like", "dislike", "hide")
CONSUMED = ("play", "complete")


@dataclass(frozen=True)
class BehaviourWeights:
    """Weight of each kind of event: > 0 wanted, < 0 rejected.

    Who rates something low still chose to consume it, and people go on to consume what resembles
    it; so the lowest rating has a small positive weight (``rating_lowest``, chosen on the
    validation window of MovieLens) and only ``dislike``, ``hide`` and ``skip`` push away.

    An event's ``value`` is the rating, the consumed fraction of ``progress`` and ``skip``, or the
    seconds that a ``click`` stayed. ``repeat`` names the kinds of items that may be recommended
    again to who wanted them, ``repeat_after_h`` hours after they were last met; all else that a
    person met does not return.
    """

    click: float = 0.3
    play: float = 0.5
    progress: float = 0.9  # times the fraction that was consumed
    complete: float = 0.9
    skip: float = -0.4
    like: float = 1.0
    dislike: float = -1.0
    hide: float = -1.0
    save: float = 0.8
    share: float = 0.9
    rating: float = 1.0  # of the highest rating
    rating_lowest: float = 0.4
    rating_min: float = 1.0
    rating_max: float = 5.0
    skip_late: float = 0.8  # a skip from this fraction on is a view: the credits were left out
    dwell_s: float = 30.0  # a click that stayed so long counts as a play
    again: float = 0.05  # what each further consumption adds
    repeat: tuple[str, ...] = ("track",)
    repeat_after_h: float = 12.0

    def __post_init__(self) -> None:
        for name in (*PLAIN, "progress", "rating", "rating_lowest"):
            value = getattr(self, name)
            if not -1 <= value <= 1:
                raise BadSettings(f"behaviour weight {name} must be in [-1, 1], got {value}")
        for name in ("skip_late", "again"):
            within(self, 0, 1, name)
        above(self, 0, "dwell_s")
        at_least(self, 0, "repeat_after_h")
        unknown = sorted(set(self.repeat) - set(ITEM_KINDS))
        if unknown:
            raise BadSettings(f"repeat: {unknown[0]!r} is no kind of item; known: {ITEM_KINDS}")
        if not self.rating_min < self.rating_max:
            raise BadSettings(
                f"rating_min must be below rating_max, got {self.rating_min} and {self.rating_max}"
            )

    def weigh(self, kinds: npt.NDArray[np.str_], values: npt.NDArray[Any]) -> Floats:
        """(n,) float32 in [-1, 1]; NaN where the event is no interaction (an impression).

        ``values`` is NaN where there is none. A rating without a value counts as a click,
        progress without one as half, a skip without one as early.
        """
        kinds = np.asarray(kinds)
        values = np.asarray(values, dtype=np.float64)
        out = np.full(len(kinds), np.nan, dtype=np.float32)
        for name in PLAIN:
            out[kinds == name] = getattr(self, name)
        stayed = (kinds == "click") & np.isfinite(values)
        dwell = np.clip(values[stayed] / self.dwell_s, 0, 1)
        out[stayed] = self.click + (self.play - self.click) * dwell
        done = kinds == "progress"
        out[done] = self.progress * np.clip(np.nan_to_num(values[done], nan=0.5), 0, 1)
        late = (kinds == "skip") & (np.nan_to_num(values) >= self.skip_late)
        out[late] = self.progress * np.clip(values[late], 0, 1)
        rated = kinds == "rating"
        part = (values[rated] - self.rating_min) / (self.rating_max - self.rating_min)
        weight = self.rating_lowest + (self.rating - self.rating_lowest) * np.clip(part, 0, 1)
        out[rated] = np.where(np.isnan(weight), self.click, weight)
        return out

    def running(
        self, pairs: npt.NDArray[np.int64], kinds: npt.NDArray[np.str_], weights: Floats
    ) -> Floats:
        """(n,) float32: where a person stands on an item after each event, in [-1, 1].

        Events are in time order; ``pairs`` names the person and the item of each, ``weights`` is
        what each says by itself (:meth:`weigh`, no NaN). The last opinion (a rating, like, dislike
        or hide) holds; without one a skip holds until something follows, and else the strongest
        sign since counts, with ``again`` for each further play or completion: the click that
        opened a film a second time says less than having seen it to the end.
        """
        n = len(pairs)
        order = np.argsort(pairs, kind="stable")
        w, at, named = weights[order].astype(np.float64), np.arange(n), np.asarray(kinds)[order]
        new = np.ones(n, dtype=np.bool_)
        new[1:] = pairs[order][1:] != pairs[order][:-1]
        first = np.maximum.accumulate(np.where(new, at, 0))
        opinion = np.maximum.accumulate(np.where(np.isin(named, OPINIONS), at, -1))
        # A run is what followed the last rejection; a rejection is a run of its own.
        begins = new | (w < 0)
        begins[1:] |= w[:-1] < 0
        run = np.cumsum(begins)
        strongest = np.maximum.accumulate(4.0 * run + w) - 4.0 * run
        start = np.maximum.accumulate(np.where(begins, at, 0))
        times = np.zeros(n, dtype=np.intp)
        for kind in CONSUMED:
            so_far = np.cumsum(named == kind)
            times = np.maximum(times, so_far - so_far[start] + (named[start] == kind))
        further = self.again * np.maximum(times - 1, 0)
        told = np.where(w < 0, w, np.minimum(strongest + further, 1.0))
        told = np.where(opinion >= first, w[np.maximum(opinion, 0)], told)
        out = np.empty(n, dtype=np.float32)
        out[order] = told
        return out
