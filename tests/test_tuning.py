"""Folds, tuning and the choice of a blend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segue import tuning
from segue.choosing import _grow, choose, windows
from segue.core.errors import BadInput, MissingExtra, NotFound
from segue.core.types import Training
from segue.folds import SPLITS, Folds, folds
from segue.recommend import registry
from segue.recommend.fitting import Fitting
from segue.recommend.linear import Linear
from segue.recommend.plan import DEFAULT, part_of
from segue.training import Options, evaluate, extra_parts
from tastes import two_tastes


def quiet(_text: str) -> None:
    pass


@pytest.fixture(scope="module")
def data() -> Training:
    return two_tastes()


@pytest.fixture(scope="module")
def cut(data: Training) -> Folds:
    return folds(data, "temporal", 0)


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_held_out_is_not_among_what_is_known(data: Training, split: str) -> None:
    found = folds(data, split, 0)
    assert found.lessons
    for fold in (*found.lessons, found.valid, found.test):
        past, held = fold.past.interactions, fold.held
        assert len(held)
        times = set(zip(past.users.tolist(), past.items.tolist(), past.time.tolist(), strict=True))
        asked = zip(held.users.tolist(), held.items.tolist(), held.time.tolist(), strict=True)
        assert not times & set(asked), fold.name
        if split == "temporal":
            assert past.time[-1] < held.time[0]
    tested = found.test.held
    for fold in (*found.lessons, found.valid):
        known = fold.past.interactions
        both = set(zip(known.users, known.items, known.time, strict=True))
        assert not both & set(zip(tested.users, tested.items, tested.time, strict=True))


@pytest.mark.parametrize("split", SPLITS)
def test_folds_are_uneven_where_each_knows_far_less_of_everybody(
    data: Training, split: str
) -> None:
    """Then raw scores of one fold do not compare with those of another."""
    found = folds(data, split, 0)
    folds_of = (*found.lessons, found.valid, found.test)
    known = [np.bincount(fold.past.interactions.users).max() for fold in folds_of]
    if split == "random":
        assert known[0] < 0.7 * known[-1]
    assert found.uneven == (split == "random")


def test_an_unknown_split_names_the_known_ones(data: Training) -> None:
    with pytest.raises(BadInput, match="known: temporal, last, random"):
        folds(data, "weekly", 0)


def tuned(cut: Folds, data: Training, studies: Path | None, budget_s: float = 3.0) -> tuning.Tuned:
    return tuning.tune(
        cut, ["linear"], budget_s=budget_s, seed=0, studies=studies,
        data_hash=data.interactions.hash, progress=quiet,
    )[0]  # fmt: skip


def test_tuning_starts_at_the_default_and_never_ends_below_it(
    cut: Folds, data: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MAX_TRIALS", 6)
    found = tuned(cut, data, None, budget_s=60)
    scores = []
    for question in tuning.questions(cut, 0):
        plain = Linear()
        plain.fit(question.fold.past)
        scores.append(question.ndcg(plain).mean())
    assert found.default == pytest.approx(np.mean(scores))
    assert found.best >= found.default
    assert found.trials + found.pruned == 6
    assert list(found.curve) == sorted(found.curve)
    best = []
    for question in tuning.questions(cut, 0):
        again = registry.make("linear", **found.settings)
        again.fit(question.fold.past)
        best.append(question.ndcg(again).mean())
    assert found.best == pytest.approx(np.mean(best))


def test_a_study_goes_on_where_it_ended(
    cut: Folds, data: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MAX_TRIALS", 3)
    first = tuned(cut, data, tmp_path / "tuning.db", budget_s=60)
    monkeypatch.setattr(tuning, "MAX_TRIALS", 5)
    second = tuned(cut, data, tmp_path / "tuning.db", budget_s=60)
    assert first.trials + first.pruned == 3
    assert second.trials + second.pruned == 5
    assert second.curve[: first.trials] == first.curve
    assert second.default == first.default


def test_a_budget_of_nothing_is_refused(cut: Folds, data: Training) -> None:
    with pytest.raises(BadInput, match="budget must be > 0"):
        tuned(cut, data, None, budget_s=0)


def test_tuning_sees_nothing_of_the_test_part(cut: Folds) -> None:
    for question in tuning.questions(cut, 0):
        assert question.fold.held.time[-1] < cut.split.test_from


def test_only_parts_that_tuning_improved_are_added() -> None:
    def found(best: float) -> tuning.Tuned:
        return tuning.Tuned("linear", {"ridge": 5.0, "half_life": 9.0}, 0.1, best, 3, 0, 1.0, ())

    assert extra_parts([], [found(0.1)]) == {}
    part = extra_parts([], [found(0.2)])["linear tuned"]
    assert part.settings == {"ridge": 5.0, "half_life": None}
    assert part.views[0].half_life == 9.0
    assert set(extra_parts(["linear", "bridge"], [])) == {"bridge"}


def test_only_a_part_that_helps_is_kept(cut: Folds) -> None:
    """A plan without item-item strategies needs the one that is offered, and no second clock."""
    poor = DEFAULT.only(["position popular"])
    extra = {
        "neighbours": part_of("neighbours", {}, "neighbours", proposes=True),
        "clock": part_of("recent popular", {"half_life_days": 30.0}, "clock", proposes=True),
    }
    plan = poor.with_parts(extra)
    found = windows(cut, plan, seed=0, fitting=Fitting(), progress=quiet)
    choice = choose(found, plan, extra, seed=0, progress=quiet)
    tried = dict(choice.tried)
    assert max(tried.values()) == choice.tried[0][1] == pytest.approx(choice.valid.ndcg.mean())
    kept, kind = _grow(found, plan, extra, lambda what, _blend: tried[what])
    default = tried[f"{kind} over the default parts"]
    assert default == max(tried[f"{k} over the default parts"] for k in ("trees", "linear"))
    assert tried[f"{kind} with neighbours too"] > default
    assert "neighbours" in kept.parts
    if tried[f"{kind} with clock too"] < tried[f"{kind} with neighbours too"]:
        assert "clock" not in kept.parts


@pytest.mark.parametrize(("better", "kind"), [(0.3, "trees"), (0.1, "linear")])
def test_what_does_not_help_is_left_out(cut: Folds, better: float, kind: str) -> None:
    """The better kind of blend judges; equal is not better."""
    plan = DEFAULT.only(["position popular"]).with_parts(
        {"bm25": part_of("bm25", {}, "bm25", proposes=True)}
    )
    extra = {"bm25": plan.parts["bm25"]}
    found = windows(cut, plan, seed=0, fitting=Fitting(), progress=quiet)
    offered = {
        "trees over the default parts": better,
        "linear over the default parts": 0.2,
        f"{kind} with bm25 too": max(better, 0.2),
    }
    kept, judge = _grow(found, plan, extra, lambda what, _blend: offered[what])
    assert judge == kind
    assert "bm25" not in kept.parts
    offered[f"{kind} with bm25 too"] += 0.01
    kept, _ = _grow(found, plan, extra, lambda what, _blend: offered[what])
    assert "bm25" in kept.parts


def test_without_lessons_the_best_single_strategy_serves(cut: Folds) -> None:
    found = windows(replace(cut, lessons=()), DEFAULT, seed=0, fitting=Fitting(), progress=quiet)
    choice = choose(found, DEFAULT, {}, seed=0, progress=quiet)
    assert choice.blend.kind == "single"
    assert len(choice.blend.plan.parts) <= 2


@pytest.mark.parametrize("split", ["last", "random"])
def test_other_splits_are_measured_the_same_way(data: Training, split: str) -> None:
    report = evaluate(data, seed=0, progress=quiet, options=Options(split=split)).report
    steps = {step.label: step for step in report.steps}
    assert steps["what serves"].test.mean > steps["popularity"].test.mean
    assert {s.segment for s in report.segments} >= {"everybody", "head items"}
    assert report.split.startswith({"last": "last event out", "random": "random 0.2"}[split])


def test_a_strategy_that_is_not_there_is_said_before_any_work(
    data: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="strategy 'nope' is not known"):
        evaluate(data, seed=0, progress=quiet, options=Options(strategies=("nope",)))
    monkeypatch.setattr(registry, "find_spec", lambda _name: None)
    deep = next(name for name in registry.STRATEGIES if registry.is_deep(name))
    with pytest.raises(MissingExtra, match=r"pip install 'segue\[deep\]'"):
        evaluate(data, seed=0, progress=quiet, options=Options(strategies=(deep,)))
