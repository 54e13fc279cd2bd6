"""Lessons, validation and test: what a model may learn from, and what it is asked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from segue.core.errors import BadInput
from segue.core.types import Interactions, Training
from segue.evaluate.split import Split, cut_time, leave_last_out, random_per_user, temporal

PAST = (0.3, 0.4, 0.5, 0.6, 0.7)  # cuts of the past windows, as shares of the events
TEMPORAL_USERS = 500  # people of a lesson; validation and test take everybody
TIMELESS_USERS = 2500  # the same where there are fewer lessons


@dataclass(frozen=True)
class Fold:
    """A model is fitted on ``past`` and asked for what people consumed in ``held``."""

    name: str
    past: Training
    held: Interactions
    max_users: int | None = None  # None: everybody


@dataclass(frozen=True)
class Folds:
    """``lessons`` teach the blend, ``valid`` chooses, ``test`` is looked at once.

    In time order as far as there is one: a strategy may go on from the fold before.
    """

    split: Split
    lessons: tuple[Fold, ...]
    valid: Fold
    test: Fold
    # Whether each fold knows far less of everybody than the next: of ``random``, 51, 64 and 80 of
    # 100 events. Scores of one then do not compare with those of another.
    uneven: bool = False


def of_split(training: Training, split: Split) -> tuple[Fold, Fold]:
    """The validation and the test fold of a split."""
    train = training.knowing(split.train, split.valid_from)
    known = training.knowing(split.train_valid, split.test_from)
    return (
        Fold("validation", train, split.valid),
        Fold("test", known, split.test),
    )


def by_time(training: Training, seed: int) -> Folds:
    """Past windows before validation; nothing of a window is known to what is fitted before it."""
    seen = training.interactions
    split = temporal(seen)
    cuts = [*(cut_time(seen, share) for share in PAST), split.valid_from]
    lessons = tuple(
        Fold(
            f"past window {n + 1} of {len(PAST)}",
            training.before(a),
            seen.between(a, b),
            TEMPORAL_USERS,
        )
        for n, (a, b) in enumerate(pairwise(cuts))
        if a < b
    )
    return Folds(split, lessons, *of_split(training, split))


def by_last_event(training: Training, seed: int) -> Folds:
    """The last event of each person; lessons are the third and fourth from the end."""
    split = leave_last_out(training.interactions)
    valid, test = of_split(training, split)
    inner = leave_last_out(split.train)
    earlier, later = of_split(training, inner)
    lessons = (
        replace(earlier, name="fourth event from the end", max_users=TIMELESS_USERS),
        replace(later, name="third event from the end", max_users=TIMELESS_USERS),
    )
    return Folds(split, lessons, valid, test)


def by_random(training: Training, seed: int) -> Folds:
    """A fifth of each person's events; lessons hold out a fifth of what is left, twice."""
    split = random_per_user(training.interactions, seed=seed)
    valid, test = of_split(training, split)
    lessons = []
    for n in (1, 2):
        _, held = of_split(training, random_per_user(split.train, seed=seed + n))
        lessons.append(replace(held, name=f"random part {n}", max_users=TIMELESS_USERS))
    return Folds(split, tuple(lessons), valid, test, uneven=True)


SPLITS: Mapping[str, Callable[[Training, int], Folds]] = {
    "temporal": by_time,
    "last": by_last_event,
    "random": by_random,
}


def folds(training: Training, split: str, seed: int) -> Folds:
    """The folds of a split by name; ``temporal`` is what a served model is chosen by."""
    if split not in SPLITS:
        raise BadInput(f"split {split!r} is not known; known: {', '.join(SPLITS)}")
    return SPLITS[split](training, seed)
