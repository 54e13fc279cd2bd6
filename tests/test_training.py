"""Training as a whole, over people whose taste is known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue import training
from segue.core.errors import BadInput, BadSettings
from segue.core.types import Profile
from segue.evaluate.split import temporal
from tastes import N_EVENTS, N_ITEMS, N_USERS, two_tastes


@pytest.fixture(scope="module")
def trained() -> training.Trained:
    return training.train(two_tastes(), seed=0, progress=lambda _text: None)


def test_the_report_holds_the_rivals_and_what_serves_beats_popularity(
    trained: training.Trained,
) -> None:
    lines = {line.name: line for line in trained.report.lines}
    served = trained.report.lines[0]
    assert served.name == trained.pipeline.strategy
    best = max(value for _, value in trained.report.tried)
    assert served.valid_ndcg == pytest.approx(best)
    assert {"popular (all time)", "recent popular (30 days)", "linear", "content"} <= set(lines)
    assert served.metrics["ndcg"].mean > lines["popular (all time)"].metrics["ndcg"].mean
    gap = lines["popular (all time)"].versus
    assert gap is not None
    assert gap.low <= gap.mean <= gap.high


def test_what_serves_knows_the_tastes(trained: training.Trained) -> None:
    data = two_tastes()
    histories = data.interactions.histories()
    top = trained.pipeline.rank(histories, data.profiles, data.at, k=5)
    own = top % 2 == (np.arange(N_USERS) % 2)[:, None]
    assert own[top >= 0].mean() > 0.8
    assert trained.pipeline.data_hash == trained.report.data_hash


def test_the_choice_knows_nothing_of_the_test_part() -> None:
    data = two_tastes()
    split = temporal(data.interactions)
    seen = data.interactions
    late = seen.time >= split.test_from
    rng = np.random.default_rng(1)
    items = seen.items.copy()
    items[late] = rng.integers(0, N_ITEMS, int(late.sum()))
    other = replace(data, interactions=replace(seen, items=items))
    quiet = lambda _text: None  # noqa: E731
    first = training.evaluate(data, seed=0, progress=quiet).report
    second = training.evaluate(other, seed=0, progress=quiet).report
    assert first.tried == second.tried
    assert first.settings == second.settings
    assert [line.valid_ndcg for line in first.lines] == [line.valid_ndcg for line in second.lines]
    assert first.lines[0].metrics != second.lines[0].metrics


def test_too_little_behaviour_is_said_plainly() -> None:
    data = two_tastes()
    few = data.interactions.where(np.arange(N_EVENTS) < 5)
    with pytest.raises(BadInput, match="at least 10 interactions"):
        training.train(replace(data, interactions=few), seed=0, progress=lambda _text: None)
    strangers = replace(data.interactions, users=np.arange(N_EVENTS), n_users=N_EVENTS)
    alone = replace(data, interactions=strangers, profiles=(Profile(),) * N_EVENTS)
    with pytest.raises(BadInput, match="nobody with a past"):
        training.train(alone, seed=0, progress=lambda _text: None)


def test_nothing_is_served_that_was_chosen_without_time() -> None:
    options = training.Options(split="random")
    with pytest.raises(BadSettings, match="what serves is chosen on 'temporal'"):
        training.train(two_tastes(), seed=0, progress=lambda _text: None, options=options)
