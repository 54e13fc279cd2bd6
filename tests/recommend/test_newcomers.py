"""Lists of people of whom little is known, and what to ask them, on MovieLens-100K."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue.core.errors import BadInput
from segue.core.types import Histories, Profile, Query, Training
from segue.recommend import first_lists
from segue.recommend.newcomers import Newcomers, traits
from segue.recommend.onboarding import DISLIKE, LIKE, UNKNOWN, Questions
from segue.recommend.package import load, save
from segue.recommend.pipeline import Pipeline


@pytest.fixture(scope="module")
def model(before_test: Training) -> Newcomers:
    made = Newcomers()
    made.fit(before_test)
    return made


@pytest.fixture(scope="module")
def questions(model: Newcomers) -> Questions:
    return Questions(model)


def _history(model, rows, weights=None):
    weights = np.ones(len(rows)) if weights is None else weights
    return Histories.of_one(rows, weights, np.arange(len(rows)) + 8.9e8, model.items.max() + 1)


def _everything(training):
    return np.ones(len(training.catalogue), dtype=np.bool_)


class TestNewcomers:
    def test_the_parts_add_up_to_the_score(self, model):
        history = _history(model, [0, 49, 55], [1.0, 0.5, -1.0])
        profile = Profile(gender="F", age=30)
        items = model.items[:200]
        popular, segment, own = model.parts(history, profile, items)
        scores = model.scores(history, [profile], 0.0)[0, items]
        np.testing.assert_allclose(popular + segment + own.sum(axis=0), scores, atol=1e-6)
        assert np.abs(segment).max() > 0.01

    def test_a_drop_is_the_score_less_the_score_without(self, model):
        history = _history(model, [0, 49, 55], [1.0, 0.5, -1.0])
        items = model.items[:50]
        drops = model.drops(history, Profile(), items)
        whole = model.scores(history, [Profile()], 0.0)[0, items]
        for n, row in enumerate(history.items):
            less = model.scores(history.without_each(0, [row]), [Profile()], 0.0)[0, items]
            np.testing.assert_allclose(drops[n], whole - less, atol=1e-6)

    def test_is_the_posterior_of_a_gaussian(self, model):
        """The same by conditioning one item after another, as a filter does."""
        belief, rows = model.prior(Profile(age=40)), [3, 99, 180]
        for row in rows:
            at = int(np.searchsorted(model.items, row))
            seen = 1 - model.share[at]
            belief = belief.after(model.factors[at], float(model.noise[at]), seen)
        scores = model.scores(_history(model, rows), [Profile(age=40)], 0.0)[0, model.items]
        np.testing.assert_allclose(model.share + model.factors @ belief.mean, scores, atol=1e-5)

    def test_who_tells_nothing_gets_what_is_popular(self, model):
        scores = model.scores(_history(model, []), [Profile()], 0.0)[0, model.items]
        np.testing.assert_allclose(scores, model.share, atol=1e-7)

    def test_a_device_is_a_trait_and_an_unknown_value_says_nothing(self, model):
        assert traits(Profile(device="phone", age=20)) == ("age=18-24", "device=phone")
        assert model.prior(Profile(country="Atlantis")).mean.tolist() == [0] * len(model.spread)

    def test_refuses_a_handful_of_people(self, before_test):
        few = before_test.interactions.where(before_test.interactions.users < 5)
        with pytest.raises(BadInput, match="needs 20 people"):
            Newcomers().fit(replace(before_test, interactions=few))


class TestFirstLists:
    def test_one_like_moves_the_list_and_is_named(self, pipeline: Pipeline, before_test):
        n = len(before_test.catalogue)
        row = next(
            r for r, i in enumerate(before_test.catalogue.items) if i.title == "Lion King, The"
        )
        nothing = Query("x", Histories.of_one([], [], [], n), before_test.at)
        liked = replace(nothing, history=Histories.of_one([row], [1.0], [before_test.at], n))
        before, after = pipeline.recommend(nothing), pipeline.recommend(liked)
        assert [e.id for e in before] != [e.id for e in after]
        named = {i for e in after for r in e.reasons for i in r.item_ids}
        assert named == {before_test.catalogue.ids[row]}
        for entry in after:
            assert sum(r.share for r in entry.reasons) == pytest.approx(1)
        alone = pipeline.reasons(liked, after.entries[0].id)
        told = after.entries[0].reasons
        assert [(r.kind, r.text, r.item_ids) for r in alone] == [
            (r.kind, r.text, r.item_ids) for r in told
        ]
        # Sums over one item and over several are rounded otherwise.
        assert [r.share for r in alone] == pytest.approx([r.share for r in told], abs=1e-6)

    def test_many_at_once_are_ranked_as_one_by_one(self, pipeline: Pipeline, before_test):
        users = np.argsort(np.bincount(before_test.interactions.users))[-3:]
        histories = before_test.interactions.histories(users)
        short = np.concatenate([np.arange(5) + histories.indptr[u] for u in range(3)])
        few = Histories(
            np.array([0, 5, 10, 15]), histories.items[short], histories.weights[short],
            histories.times[short], histories.n_items,
        )  # fmt: skip
        profiles = [before_test.profiles[u] for u in users]
        ranked = pipeline.rank(few, profiles, before_test.at, k=10)
        for n in range(3):
            query = Query("x", few.take(np.array([n])), before_test.at, profile=profiles[n])
            ids = [e.id for e in pipeline.recommend(query)]
            assert [before_test.catalogue.ids[r] for r in ranked[n]] == ids

    def test_the_blend_takes_over(self, pipeline: Pipeline, before_test):
        n = len(before_test.catalogue)
        long = Histories.of_one(
            range(first_lists.FEW), [1] * first_lists.FEW, range(first_lists.FEW), n
        )
        assert not first_lists.answers(pipeline, long)
        assert first_lists.answers(pipeline, long.without_each(0, [0]))

    def test_a_package_keeps_it(self, pipeline: Pipeline, before_test, tmp_path):
        folder = save(pipeline, tmp_path / "p", {})
        loaded = load(folder, before_test.catalogue, before_test.content)
        query = Query("x", Histories.of_one([5], [1.0], [9e8], len(before_test.catalogue)), 9e8)
        assert loaded.recommend(query) == pipeline.recommend(query)


class TestQuestions:
    def test_ask_what_is_known_but_not_simply_the_best_known(self, questions, model, before_test):
        asked = questions.ask(Profile(), [], _everything(before_test), 10)
        popular = model.items[np.argsort(-model.share)[:10]]
        assert len(set(asked.tolist())) == 10
        assert set(asked.tolist()) != set(popular.tolist())
        share = model.share[np.searchsorted(model.items, asked)]
        assert share.min() > np.median(model.share)

    def test_never_ask_twice_nor_what_may_not_be_shown(self, questions, before_test):
        allowed = _everything(before_test)
        first = questions.ask(Profile(), [], allowed, 3)
        allowed[first[2]] = False
        told = [(int(first[0]), UNKNOWN), (int(first[1]), LIKE)]
        assert not set(first.tolist()) & set(questions.ask(Profile(), told, allowed, 30).tolist())

    def test_the_next_question_depends_on_the_answer(self, questions, before_test):
        allowed = _everything(before_test)
        first = int(questions.ask(Profile(), [], allowed, 1)[0])
        nexts = [
            questions.ask(Profile(), [(first, a)], allowed, 5).tolist() for a in (LIKE, DISLIKE)
        ]
        assert nexts[0] != nexts[1]

    def test_worth_is_the_fall_of_variance_times_the_chance_to_be_known(self, questions):
        belief = questions.belief(Profile(age=22), [(49, LIKE)])
        worth, known = questions.worth(belief), questions.known(belief)
        for at in (0, 7, 300):
            factor, noise = questions._factors[at], float(questions._noise[at])
            after = belief.after(factor, noise, None).spread
            fall = np.trace(questions._target @ (belief.spread - after))
            assert worth[at] == pytest.approx(known[at] * fall)

    def test_a_run_of_questions_ends_with_the_catalogue(self, questions, before_test):
        few = np.zeros(len(before_test.catalogue), dtype=np.bool_)
        few[questions.items[:4]] = True
        assert len(questions.ask(Profile(), [], few, 9)) == 4
