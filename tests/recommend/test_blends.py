"""The blends: each adds up, survives its own text and learns what is planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue.core.errors import BadInput, BadSettings
from segue.recommend import candidates
from segue.recommend.blend import Blend, Blending, BlendSettings
from segue.recommend.forest import MOST_LEAVES, Forest
from segue.recommend.neighbours import Neighbours
from segue.recommend.plain_blend import LinearBlend, LinearSettings, Single, SingleSettings
from segue.recommend.plan import CONTENT, DEFAULT, Part, Plan, View, part_of
from segue.recommend.windows import Window

PLAN = DEFAULT.only(["neighbours"])
GOOD, BAD = "neighbours", "trend"  # planted: the first raises a chance, the second lowers it


def window(n_users: int = 60, each: int = 20, seed: int = 0) -> Window:
    rng = np.random.default_rng(seed)
    n = n_users * each
    features = rng.normal(size=(n, len(PLAN.names))).astype(np.float32)
    wish = features[:, PLAN.names.index(GOOD)] - features[:, PLAN.names.index(BAD)]
    labels = wish + rng.gumbel(size=n) > 2
    features[rng.random(n) < 0.1, PLAN.names.index("year")] = np.nan
    items = np.tile(np.arange(each), n_users)
    relevant = labels.reshape(n_users, each)
    sizes = np.full(n_users, each)
    users, every = np.arange(n_users), np.ones(n, dtype=np.bool_)
    return Window(users, features, labels, sizes, items, every, relevant, {}, PLAN.names)


BLENDS = {
    "trees": lambda: Blend(BlendSettings(), PLAN),
    "linear": lambda: LinearBlend(LinearSettings(), PLAN),
    "single": lambda: Single(SingleSettings(GOOD), PLAN),
}


@pytest.fixture(params=BLENDS)
def fitted(request: pytest.FixtureRequest) -> Blending:
    made: Blending = BLENDS[request.param]()
    made.fit([window()], seed=0)
    return made


def test_parts_add_up_to_the_score(fitted: Blending) -> None:
    features = window(seed=1).features
    np.testing.assert_allclose(
        fitted.parts(features).sum(axis=1), fitted.score(features), rtol=1e-6, atol=1e-6
    )


def test_texts_hold_everything(fitted: Blending) -> None:
    again = type(fitted).of(fitted.texts(), fitted.settings, fitted.plan)  # type: ignore[attr-defined]
    features = window(seed=1).features
    np.testing.assert_array_equal(again.score(features), fitted.score(features))
    assert again.described() == fitted.described()


def test_what_is_wanted_comes_first(fitted: Blending) -> None:
    fresh = window(seed=2)
    scores = fitted.score(fresh.columns(PLAN.names)).reshape(fresh.relevant.shape)
    first = fresh.relevant[np.arange(len(scores)), scores.argmax(axis=1)].mean()
    assert first > 2 * fresh.relevant.mean()


def test_a_rising_column_never_lowers_a_score(fitted: Blending) -> None:
    features = window(seed=3).features
    for name, rises in zip(PLAN.names, PLAN.rising, strict=True):
        if rises:
            more = features.copy()
            more[:, PLAN.names.index(name)] += 1.5
            assert (fitted.score(more) >= fitted.score(features) - 1e-9).all(), name


def test_the_linear_blend_finds_the_planted_signs() -> None:
    blend = LinearBlend(LinearSettings(l2=1e-4), PLAN)
    blend.fit([window(n_users=400)], seed=0)
    weights = dict(zip(PLAN.names, blend.weights, strict=True))
    assert weights[GOOD] == max(weights.values())
    assert weights[BAD] == min(weights.values())


def test_lessons_without_anybody_are_refused() -> None:
    empty = window()
    empty.labels[:] = False
    for made in (Blend(BlendSettings(), PLAN), LinearBlend(LinearSettings(), PLAN)):
        with pytest.raises(BadInput, match="nobody came back"):
            made.fit([empty], seed=0)


def test_bad_settings_say_what_is_wrong() -> None:
    with pytest.raises(BadSettings, match="l2 must be > 0"):
        LinearSettings(l2=0)
    with pytest.raises(BadSettings, match="'nope' is not in the plan"):
        Single(SingleSettings("nope"), PLAN)


def test_columns_are_found_by_name() -> None:
    found = window().columns([BAD, GOOD])
    np.testing.assert_array_equal(found[:, 1], window().features[:, PLAN.names.index(GOOD)])


def test_a_plan_goes_through_json_and_refuses_what_cannot_be() -> None:
    assert Plan.from_dict(DEFAULT.as_dict()) == DEFAULT
    assert DEFAULT.sources[-1] == "popular 30d"
    with pytest.raises(BadSettings, match="needs the part 'content'"):
        Plan({"linear": DEFAULT.parts["linear"]})
    with pytest.raises(BadSettings, match="twice: \\['year'\\]"):
        DEFAULT.with_parts({"x": Part("linear", (View("year"),))})
    with pytest.raises(BadSettings, match="'nope' is not known"):
        Part("nope", (View("nope"),))


def test_a_part_takes_the_memory_of_its_strategy() -> None:
    part = part_of("neighbours", {"k": 5}, "near", proposes=True)
    assert part.views == (View("near", Neighbours().half_life, proposes=True),)
    assert part.settings == {"k": 5, "half_life": None}
    other = part_of(CONTENT, {}, "c", proposes=False)
    assert other.views == (View("c"),)
    assert "half_life" not in other.settings


def test_a_standing_forgets_how_large_a_person_s_scores_are() -> None:
    """Scores that are all larger for one person, or shifted, stand where they stood."""
    plain = window()
    owner = np.repeat(np.arange(len(plain.users)), plain.sizes)
    moved = plain.features.copy()
    moved[:, 0] = moved[:, 0] * (1 + owner) + 7 * owner
    moved[3, 0] = np.nan
    names = plain.names[:1]
    before = replace(plain, features=np.where(np.isnan(moved), np.nan, plain.features))
    after = replace(plain, features=moved).standing(names)
    np.testing.assert_allclose(
        after.features[:, 0], before.standing(names).features[:, 0], atol=1e-3
    )
    np.testing.assert_array_equal(after.features[:, 1:], before.features[:, 1:])
    first = after.features[: plain.sizes[0], 0]
    assert np.isnan(first[3])
    assert np.nanmean(first) == pytest.approx(0, abs=1e-5)
    assert np.nanstd(first) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("leaves", [7, 16, 31])
def test_the_walked_trees_score_what_lightgbm_does(leaves: int) -> None:
    lesson = window(200)
    blend = Blend(BlendSettings(leaves=leaves, least_rows=10), PLAN)
    blend.fit([lesson], 0)
    some = lesson.features.copy()
    some[np.random.default_rng(1).random(some.shape) < 0.1] = np.nan  # also where fit saw none
    own = [b.predict(some, num_threads=1, raw_score=True) for b in blend.boosters]
    np.testing.assert_array_equal(blend.score(some), (own[0] + own[1]) / 2)
    assert [Forest.of(b) is None for b in blend.boosters] == [leaves > MOST_LEAVES] * 2


def test_candidates_are_the_best_allowed_of_each_source() -> None:
    scores = np.array([[3, 1, 2, 2, 0], [0, 0, 9, 0, 0]], dtype=np.float32)
    everybody = np.array([[0, 0, 0, 0, 1]], dtype=np.float32)
    allowed = np.ones((2, 5), dtype=np.bool_)
    allowed[0, 0] = False
    found = candidates.union([scores, everybody], allowed, 1)
    assert found.tolist() == [[0, 0, 1, 0, 1], [0, 0, 1, 0, 1]]  # ties in catalogue order
    assert candidates.union([scores], allowed, 9).tolist() == allowed.tolist()


def test_what_is_not_proposed_teaches_and_is_not_ranked() -> None:
    lesson = window(2, each=4)
    some = np.array([0, 1, 1, 1, 1, 0, 0, 0], dtype=np.bool_)
    ranking = replace(lesson, proposed=some).ranking(np.arange(8.0)[::-1].copy())
    assert ranking[:, :4].tolist() == [[1, 2, 3, -1], [0, -1, -1, -1]]
