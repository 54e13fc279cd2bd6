"""The whole recommender on real people, and what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segue.core.errors import NotFound
from segue.core.protocols import Recommender
from segue.core.types import Catalogue, Histories, Item, Profile, Query, Training, Vectors
from segue.evaluate.split import temporal
from segue.recommend import explain, first_lists, package
from segue.recommend.cold import Cold
from segue.recommend.pipeline import Pipeline

N_MEDIA = 6
FILMS = (
    Item("f0", "movie", "A new cartoon", year=1995, tags=("animation", "children's", "comedy")),
    Item("f1", "movie", "A new horror", year=1982, tags=("horror", "thriller")),
)


def query_of(training: Training, user: int, k: int = 10) -> Query:
    history = training.interactions.histories(np.array([user]))
    return Query(str(user), history, training.at, k, profile=training.profiles[user])


def longest(training: Training, n: int) -> list[int]:
    counts = np.bincount(training.interactions.users)
    return np.argsort(-counts, kind="stable")[:n].tolist()


@pytest.fixture(scope="module")
def grown(
    pipeline: Pipeline, before_test: Training, tmp_path_factory: pytest.TempPathFactory
) -> Pipeline:
    """The packaged model over a catalogue grown by six media items and two films, all unmet."""
    content = before_test.content
    assert content is not None
    media = tuple(
        Item(f"m{n}", ("video", "track")[n % 2], f"media {n}", tags=("animation",), added_at=5e9)
        for n in range(N_MEDIA)
    )
    # The first three lie where films 1 to 3 lie, the fourth has no content at all.
    films = [0, *horrors(before_test)[:1]]
    values = np.concatenate([content.values, content.values[[0, 1, 2, 0, 4, 5, *films]]])
    present = np.concatenate([content.present, np.ones(N_MEDIA + len(FILMS), dtype=np.bool_)])
    present[len(content.present) + 3] = False
    catalogue = Catalogue(before_test.catalogue.items + media + FILMS)
    folder = package.save(pipeline, tmp_path_factory.mktemp("model") / "package", {})
    return package.load(folder, catalogue, Vectors(values, present, "genres"))


def horrors(training: Training) -> list[int]:
    met = set(training.interactions.items.tolist())
    return [
        row
        for row, item in enumerate(training.catalogue.items)
        if row in met and "horror" in item.tags and "comedy" not in item.tags
    ]


def widened(query: Query, n_items: int) -> Query:
    return replace(query, history=replace(query.history, n_items=n_items))


def test_is_a_recommender(pipeline: Pipeline) -> None:
    assert isinstance(pipeline, Recommender)


def test_answers_are_unseen_ordered_and_their_shares_sum_to_one(
    pipeline: Pipeline, before_test: Training
) -> None:
    for user in longest(before_test, 20):
        query = query_of(before_test, user)
        answer = pipeline.recommend(query)
        seen = {before_test.catalogue.ids[row] for row in query.history.items}
        scores = [entry.score for entry in answer]
        assert len(answer) == 10
        assert not seen & {entry.id for entry in answer}
        assert scores == sorted(scores, reverse=True)
        for entry in answer:
            assert sum(reason.share for reason in entry.reasons) == pytest.approx(1, abs=1e-6)
            assert all(0 <= reason.share <= 1 and reason.text for reason in entry.reasons)
            assert pipeline.reasons(query, entry.id)[0].kind == entry.reasons[0].kind


def test_without_the_top_named_history_item_the_score_is_lower(
    pipeline: Pipeline, before_test: Training, ml100k: Training
) -> None:
    """All people of the test window, top three items each; the score is computed anew."""
    start = temporal(ml100k.interactions).test_from
    later = ml100k.interactions.between(start, ml100k.at)
    known = np.unique(before_test.interactions.users)
    named = asked = 0
    for user in np.intersect1d(np.unique(later.users), known).tolist():
        query = query_of(before_test, user, k=3)
        for entry in pipeline.recommend(query):
            # A short history may owe nothing to any one item: popularity alone speaks then.
            asked += not first_lists.answers(pipeline, query.history)
            history = [r for r in entry.reasons if r.kind == "history" and r.item_ids]
            if not history:
                continue
            named += not first_lists.answers(pipeline, query.history)
            top = pipeline.catalogue.row(max(history, key=lambda r: r.share).item_ids[0])
            item = pipeline.catalogue.rows([entry.id])
            less = query.history.without_each(0, [top])
            if first_lists.answers(pipeline, query.history):
                score = first_lists.scores(pipeline, less, query.profile, item)[0]
            else:
                score = pipeline.score(less, query.profile, query.at, item)[0]
            assert score < entry.score, (user, entry.id)
    assert asked > 200
    assert named / asked > 0.9


def test_exclude_and_kinds_and_added_after_restrict(grown: Pipeline, before_test: Training) -> None:
    query = widened(query_of(before_test, longest(before_test, 1)[0]), len(grown.catalogue))
    first = grown.recommend(query).entries[0].id
    without = grown.recommend(replace(query, exclude=frozenset({first})))
    assert first not in {entry.id for entry in without}
    media = grown.recommend(replace(query, kinds=frozenset({"video", "track"})))
    assert {entry.id for entry in media} == {f"m{n}" for n in range(N_MEDIA)}
    new = grown.recommend(replace(query, added_after=4e9))
    assert {entry.id for entry in new} == {f"m{n}" for n in range(N_MEDIA)}
    assert len(grown.recommend(replace(query, kinds=frozenset({"game"})))) == 0


def test_what_was_wanted_returns_where_its_kind_may_and_not_too_soon(
    pipeline: Pipeline, before_test: Training
) -> None:
    query = replace(query_of(before_test, longest(before_test, 1)[0]), k=100)
    met = {pipeline.catalogue.ids[row] for row in query.history.items}
    refused = query.history.weights <= 0
    assert not met & {entry.id for entry in pipeline.recommend(query)}
    newest = float(query.history.times.max())
    again = replace(query, again=frozenset({"movie"}), again_before=newest)
    late = {pipeline.catalogue.ids[r] for r in query.history.items[query.history.times == newest]}
    back = met & {entry.id for entry in pipeline.recommend(again)}
    assert back
    assert not back & late
    assert not back & {pipeline.catalogue.ids[row] for row in query.history.items[refused]}
    other = replace(again, again=frozenset({"track"}))
    assert not met & {entry.id for entry in pipeline.recommend(other)}
    hidden = replace(query.history, weights=np.full_like(query.history.weights, -1))
    assert not met & {entry.id for entry in pipeline.recommend(replace(again, history=hidden))}


def test_items_that_nobody_met_are_ranked_by_likeness(
    grown: Pipeline, before_test: Training
) -> None:
    ids = before_test.catalogue.ids
    rows = [row for row, item in enumerate(before_test.catalogue.items) if "animation" in item.tags]
    history = Histories.of_one(
        rows[1:12], np.ones(11, dtype=np.float32), np.arange(11) + 8.8e8, len(grown.catalogue)
    )
    query = Query("x", history, before_test.at, kinds=frozenset({"video", "track"}))
    answer = grown.recommend(query)
    assert answer.entries[0].id == "m0"  # the twin of Toy Story
    assert "animation" in " ".join(r.text for r in answer.entries[0].reasons)
    named = [r for r in answer.entries[0].reasons if r.kind == "history"]
    assert named
    assert set(named[0].item_ids) <= {ids[row] for row in rows}
    for entry in answer:
        assert sum(r.share for r in entry.reasons) == pytest.approx(1, abs=1e-6)


def test_a_film_added_after_the_fit_goes_to_who_takes_the_like_of_it(
    grown: Pipeline, before_test: Training
) -> None:
    """Real people; which of two new films stands higher agrees with what they have taken."""
    n = len(before_test.catalogue)
    assert grown.cold is not None
    assert grown.foretold(np.arange(n, n + N_MEDIA)).sum() == 0  # of no kind that anyone has met
    rows = grown.catalogue.rows([film.id for film in FILMS])
    assert grown.foretold(rows).all()
    frightening = set(horrors(before_test))
    shares, gaps = [], []
    for user in longest(before_test, 200):
        query = widened(query_of(before_test, user), len(grown.catalogue))
        scores = grown.score(query.history, query.profile, query.at, rows)
        shares.append(np.mean([item in frightening for item in query.history.items]))
        gaps.append(scores[1] - scores[0])
    assert np.corrcoef(shares, gaps)[0, 1] > 0.3


def test_without_a_named_item_an_unmet_film_scores_lower(
    grown: Pipeline, before_test: Training
) -> None:
    rows = grown.catalogue.rows([film.id for film in FILMS])
    named = 0
    for n, user in enumerate(longest(before_test, 400)[::10]):
        query = widened(query_of(before_test, user), len(grown.catalogue))
        if n % 2:  # of one film: without it one is the mean person, who may be promised more
            h = query.history
            short = Histories.of_one(h.items[:1], h.weights[:1], h.times[:1], h.n_items)
            query = replace(query, history=short)
        scores = grown.score(query.history, query.profile, query.at, rows)
        for film, row, score in zip(FILMS, rows, scores, strict=True):
            reasons = grown.reasons(query, film.id)
            assert sum(reason.share for reason in reasons) == pytest.approx(1, abs=1e-6)
            for reason in reasons:
                for taken in grown.catalogue.rows(reason.item_ids):
                    less = query.history.without_each(0, [taken])
                    without = grown.score(less, query.profile, query.at, np.array([row]))[0]
                    assert without < score, (user, film.id)
                    named += 1
    assert named > 40


def test_content_that_says_nothing_promises_nothing(
    pipeline: Pipeline, before_test: Training
) -> None:
    """Were the line fitted on what items said of themselves, noise would be believed too."""
    assert before_test.content is not None
    order = np.random.default_rng(0).permutation(len(before_test.catalogue))
    dealt = replace(
        before_test,
        catalogue=Catalogue(tuple(before_test.catalogue.items[row] for row in order)),
        content=replace(
            before_test.content,
            values=before_test.content.values[order],
            present=before_test.content.present[order],
        ),
    )
    spread = []
    for content in (before_test, dealt):
        cold = Cold()
        cold.fit(content)
        other = replace(pipeline, cold=cold)
        other.calibrate(before_test, seed=0)
        query = query_of(before_test, longest(before_test, 1)[0])
        items = np.arange(len(before_test.catalogue))
        spread.append(other.promise_line[1] * np.std(cold.promise(query.history, items)))
    assert spread[1] < 0.5 * spread[0]


def test_a_dislike_of_media_lowers_its_like(grown: Pipeline, before_test: Training) -> None:
    n = len(before_test.catalogue)
    query = widened(query_of(before_test, longest(before_test, 1)[0]), len(grown.catalogue))
    h = query.history
    items, times = np.append(h.items, n), np.append(h.times, h.times[-1] + 1)
    twin = np.array([0])  # shares its vector with the media item in row n

    def likeness(weight: float) -> float:
        after = Histories.of_one(items, np.append(h.weights, weight), times, h.n_items)
        return float(grown.bridge.likeness(after, twin)[0, 0])

    assert likeness(-1.0) < float(grown.bridge.likeness(h, twin)[0, 0]) < likeness(1.0)


def test_a_like_acts_at_once(pipeline: Pipeline, before_test: Training) -> None:
    query = query_of(before_test, longest(before_test, 100)[-1])
    before = [entry.id for entry in pipeline.recommend(query)]
    h, row = query.history, pipeline.catalogue.row(before[0])
    liked = Histories.of_one(
        np.append(h.items, row), np.append(h.weights, 1.0), np.append(h.times, query.at), h.n_items
    )
    after = [entry.id for entry in pipeline.recommend(replace(query, history=liked))]
    assert before[0] not in after
    assert after != before[1:]


def test_nobody_gets_a_list_that_knows_their_profile(
    pipeline: Pipeline, before_test: Training
) -> None:
    empty = Histories.of_one([], [], [], len(pipeline.catalogue))
    plain = pipeline.recommend(Query("new", empty, before_test.at))
    assert len(plain) == 10
    assert {r.kind for entry in plain for r in entry.reasons} == {"popularity"}
    young = Query("new", empty, before_test.at, profile=Profile(gender="F", age=16))
    old = replace(young, profile=Profile(gender="M", age=60))
    assert [e.id for e in pipeline.recommend(young)] != [e.id for e in pipeline.recommend(old)]
    assert pipeline.reasons(young, plain.entries[0].id)


def test_only_dislikes_still_give_a_list(pipeline: Pipeline, before_test: Training) -> None:
    history = Histories.of_one([0, 1], [-1, -1], [1.0, 2.0], len(pipeline.catalogue))
    answer = pipeline.recommend(Query("x", history, before_test.at))
    assert len(answer) == 10
    assert not {"1", "2"} & {entry.id for entry in answer}


def test_similar_items_are_alike_and_not_the_item_itself(pipeline: Pipeline) -> None:
    near = pipeline.similar("1", 10)  # Toy Story
    assert len(near) == 10
    assert "1" not in {entry.id for entry in near}
    tags = [pipeline.catalogue.items[pipeline.catalogue.row(e.id)].tags for e in near]
    assert sum("animation" in t or "children's" in t for t in tags) >= 5
    with pytest.raises(NotFound, match="not in the catalogue"):
        pipeline.similar("nothing", 3)


def test_a_batch_ranks_like_single_answers(pipeline: Pipeline, before_test: Training) -> None:
    users = np.array(longest(before_test, 5))
    histories = before_test.interactions.histories(users)
    top = pipeline.rank(histories, [before_test.profiles[u] for u in users], before_test.at, k=10)
    for n, user in enumerate(users):
        answer = pipeline.recommend(query_of(before_test, int(user)))
        assert [pipeline.catalogue.row(e.id) for e in answer] == top[n].tolist()


def test_variants_of_a_history_are_computed_like_new_histories(
    pipeline: Pipeline, before_test: Training
) -> None:
    query = query_of(before_test, longest(before_test, 30)[-1])
    items = pipeline.catalogue.rows([entry.id for entry in pipeline.recommend(query)])
    left_out = np.array([0, 5, len(query.history.items) - 1])
    variants = query.history.without_each(0, query.history.items[left_out])
    blocks = explain.blocks_of(pipeline.side, query.history, items)
    fast = explain.variant_base(pipeline, query, variants, left_out, blocks, items)
    slow = pipeline.side.base(variants, [query.profile] * 3, before_test.at, items)
    assert set(fast) == set(slow)
    for name, scores in slow.items():
        np.testing.assert_allclose(fast[name], scores, rtol=1e-4, atol=1e-5, err_msg=name)


def test_forecasts_are_probabilities_and_name_what_is_unknown(
    pipeline: Pipeline, grown: Pipeline, before_test: Training
) -> None:
    query = query_of(before_test, longest(before_test, 1)[0])
    found = pipeline.outlook(query, ["1", "2"])
    assert found.returns is not None
    assert 0 <= found.returns <= 1
    # Ratings alone tell neither what kind comes next nor how much is watched.
    assert found.fractions is None
    assert set(found.unknown) == {"next_kind", "fractions"}
    assert grown.outlook(widened(query, len(grown.catalogue)), ["1"]).returns == found.returns
    with pytest.raises(NotFound, match="not in the catalogue"):
        pipeline.outlook(query, ["nothing"])
