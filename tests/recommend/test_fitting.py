"""Nets are watched, go on from an earlier fit, and a killed training finds what was finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.strategy_contract import DAY_S, checkerboard
from segue.core.protocols import Arrays, Net, Watcher
from segue.core.types import Floats, Histories, Profile, Training
from segue.recommend.fitting import Fitting
from segue.recommend.linear import Linear


@dataclass
class Counting:
    """A net in outline: remembers what was asked of it."""

    name: str = "counting"
    watcher: Watcher | None = None
    checkpoint: Path | None = None
    did: list[str] = field(default_factory=list)
    events: float = 0.0

    def fit(self, training: Training) -> None:
        self.did.append("fit")
        self.events = float(len(training.interactions))

    def refit(self, training: Training) -> None:
        self.did.append(f"refit from {self.events:g}")
        self.events = float(len(training.interactions))

    def scores(self, histories: Histories, profiles: Sequence[Profile], at: float) -> Floats:
        return np.full((histories.n_users, histories.n_items), self.events, dtype=np.float32)

    def state(self) -> Arrays:
        return {"events": np.array([self.events])}

    def restore(self, state: Arrays) -> None:
        self.events = float(state["events"][0])


class Silent:
    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        return True


def fit(
    fitting: Fitting, training: Training, settings: Any = None, earlier: Any = None
) -> Counting:
    net = Counting()
    fitting.fit(net, settings or {}, training, earlier)
    return net


def test_it_is_a_net() -> None:
    assert isinstance(Counting(), Net)
    assert not isinstance(Linear(), Net)


def test_what_was_finished_is_not_done_again(tmp_path: Path) -> None:
    training = checkerboard()
    fitting = Fitting(Silent(), tmp_path)
    first = fit(fitting, training)
    again = fit(fitting, training)
    assert first.did == ["fit"]
    assert again.did == []
    assert again.events == first.events
    assert first.watcher is not None
    assert first.checkpoint is not None


@pytest.mark.parametrize("change", ["settings", "data"])
def test_other_settings_or_data_are_fitted_anew(tmp_path: Path, change: str) -> None:
    training = checkerboard()
    fit(Fitting(None, tmp_path), training)
    settings = {"dim": 3} if change == "settings" else {}
    later = training.before(5 * DAY_S) if change == "data" else training
    assert fit(Fitting(None, tmp_path), later, settings).did == ["fit"]


def test_whatever_a_net_learns_from_is_part_of_the_data(tmp_path: Path) -> None:
    training = checkerboard()
    fit(Fitting(None, tmp_path), training)
    seen, content = training.interactions, training.content
    assert content is not None
    weight, values = seen.weight.copy(), content.values.copy()
    weight[0], values[0, 0] = 0.5, 0.1
    for other in (
        replace(training, interactions=replace(seen, weight=weight)),
        replace(training, content=replace(content, values=values)),
        replace(training, profiles=(*training.profiles[1:], Profile(age=99))),
        replace(training, at=training.at + 1),
    ):
        assert fit(Fitting(None, tmp_path), other).did == ["fit"]


def test_a_net_goes_on_from_the_earlier_fit() -> None:
    training = checkerboard()
    earlier = fit(Fitting(), training.before(3 * DAY_S))
    later = fit(Fitting(), training, earlier=earlier)
    assert later.did == [f"refit from {earlier.events:g}"]
    assert later.events > earlier.events
    assert later.checkpoint is None


def test_other_strategies_are_simply_fitted(tmp_path: Path) -> None:
    linear = Linear()
    Fitting(Silent(), tmp_path).fit(linear, {}, checkerboard())
    assert len(linear.matrix.items)
    assert list(tmp_path.iterdir()) == []
