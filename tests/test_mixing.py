"""A mix of goals turns the order round where it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segue import training
from segue.core.goals import Goals
from segue.core.types import DAY_S, EVENT_KINDS, Catalogue, Interactions, Item, Profile, Training
from segue.evaluate.report import read_json, write_json
from segue.evaluate.report_page import write_html

PEOPLE, LIKABLE, N = 120, 40, 160  # items below LIKABLE are liked by whoever takes them


@pytest.fixture(scope="module")
def data() -> Training:
    """Popular items are taken three times as often, never liked; the likable always are."""
    rng = np.random.default_rng(0)
    n = 9_000
    users = rng.integers(0, PEOPLE, n)
    likable = rng.random(n) < 0.25
    items = np.where(likable, rng.integers(0, LIKABLE, n), rng.integers(LIKABLE, N, n))
    kind = np.where(likable, EVENT_KINDS.index("like"), EVENT_KINDS.index("play"))
    time = np.sort(rng.random(n)) * 200 * DAY_S
    seen = Interactions(
        users, items, np.where(likable, 1.0, 0.5).astype(np.float32), time, PEOPLE, N,
        value=np.full(n, np.nan, dtype=np.float32), kind=kind.astype(np.int8),
    )  # fmt: skip
    catalogue = Catalogue(tuple(Item(str(i), "movie", f"film {i}") for i in range(N)))
    return Training(catalogue, seen, (Profile(),) * PEOPLE, None, 200 * DAY_S)


def evaluated(data: Training, goals: Goals) -> training.Evaluation:
    options = training.Options(goals=goals)
    return training.evaluate(data, seed=0, progress=lambda _text: None, options=options)


@pytest.fixture(scope="module")
def likes(data: Training) -> training.Evaluation:
    return evaluated(data, Goals(like=1.0))


def test_likes_as_the_goal_fill_lists_with_what_is_liked(likes: training.Evaluation) -> None:
    told = likes.report.goals
    assert told is not None
    lines = {line.goal: line for line in told.lines}
    assert lines["like"].gap.low > 0
    assert lines["like"].mixed.mean > 1.5 * lines["like"].plain.mean
    assert lines["like"].ndcg_gap.low > 0
    assert told.overlap.mean < 0.5
    top = likes.found.test.ranking(
        likes.choice.blend.score(likes.found.test.columns(likes.choice.blend.plan.names))
    )
    assert (top[:, :5] < LIKABLE).mean() > 0.9


def test_the_report_carries_what_the_mix_changes(
    likes: training.Evaluation, tmp_path: Path
) -> None:
    write_json(likes.report, tmp_path / "r.json")
    assert read_json(tmp_path / "r.json") == likes.report
    write_html(likes.report, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "What the mix of goals changes" in page
    assert likes.report.tried[0][0].startswith("for 100% like: ")


def test_without_goals_nothing_changes(data: Training) -> None:
    found = evaluated(data, Goals())
    assert found.report.goals is None
    assert found.found.test.gain is None


def test_where_the_default_serves_a_goal_as_well_it_stays(data: Training) -> None:
    # Everything taken is a click, so the goal says what the default learns from.
    found = evaluated(data, Goals(click=1.0))
    told = found.report.goals
    assert told is not None
    assert found.report.tried[0][0] == "for 100% click: the default"
    assert told.overlap.mean == 1
    assert all(line.gap.mean == 0 for line in told.lines)
    assert found.found.test.gain is None
