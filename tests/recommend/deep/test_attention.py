"""Attention over the history: the contract, and what is special to it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from contracts.strategy_contract import DAY_S, N_ITEMS, StrategyContract, checkerboard, one
from segue.core.errors import BadPackage, BadSettings
from segue.core.types import Histories, Interactions, Profile, Training, Vectors
from segue.recommend.deep.attention import Attention
from segue.recommend.deep.blocks import GAPS, SampledSoftmax, bucket, gbce
from segue.recommend.deep.past import Past, neighbour_vectors


class TestAttention(StrategyContract):
    strategy = "attention"


def cycle(n_users: int = 40, n_items: int = N_ITEMS, steps: int = 12) -> Training:
    """Everyone goes round the same circle of items from a start of their own: order is all."""
    start = np.random.default_rng(0).integers(0, n_items, n_users)
    items = (start[:, None] + np.arange(steps)[None, :]) % n_items
    time = np.arange(steps)[None, :] * 60.0 + np.zeros((n_users, 1))
    order = np.argsort(time.ravel(), kind="stable")
    interactions = Interactions(
        users=np.repeat(np.arange(n_users), steps)[order],
        items=items.ravel()[order],
        weight=np.ones(n_users * steps, dtype=np.float32),
        time=time.ravel()[order],
        n_users=n_users,
        n_items=n_items,
    )
    return replace(checkerboard(), interactions=interactions, content=None, at=DAY_S)


@cache
def on_a_circle() -> Attention:
    made = Attention(layers=1, horizon=1, min_steps=60, dropout=0.0, rate=1e-2)
    made.fit(cycle())
    return made


def test_the_next_item_on_a_circle_comes_first() -> None:
    for start in (0, 5, 15):
        walked = [(start + step) % N_ITEMS for step in range(6)]
        scores = on_a_circle().scores(one(walked), [Profile()], DAY_S)[0]
        assert int(np.argmax(scores)) == (start + 6) % N_ITEMS


def test_order_changes_the_scores() -> None:
    there = on_a_circle().scores(one([3, 4, 5]), [Profile()], DAY_S)
    back = on_a_circle().scores(one([5, 4, 3]), [Profile()], DAY_S)
    assert not np.allclose(there, back, rtol=0.1)


def test_only_the_newest_entries_count() -> None:
    made = Attention(max_length=3, min_steps=1)
    made.fit(cycle())
    long = made.scores(one([0, 9, 1, 2, 3]), [Profile()], DAY_S)
    other = made.scores(one([7, 8, 1, 2, 3]), [Profile()], DAY_S)
    np.testing.assert_array_equal(long, other)


def test_an_empty_history_is_scored_by_how_people_start() -> None:
    training = cycle()
    seen = training.interactions
    begun = replace(training, interactions=replace(seen, items=(seen.time // 60).astype(np.intp)))
    made = Attention(layers=1, min_steps=40)
    made.fit(begun)  # everyone starts with item 0
    assert int(np.argmax(made.scores(one([]), [Profile()], 0.0)[0])) == 0


def test_a_new_item_is_scored_by_its_content_and_one_without_any_by_nothing() -> None:
    training = checkerboard()
    assert training.content is not None
    new = np.stack([training.content.values[0], training.content.values[1], np.zeros(3)])
    values = np.vstack([training.content.values, new]).astype(np.float32)
    present = np.append(training.content.present, [True, True, False])
    wider = replace(
        training,
        content=Vectors(values, present, "test"),
        interactions=replace(training.interactions, n_items=N_ITEMS + 3),
    )
    made = Attention(layers=1, id_dropout=0.3, min_steps=40)
    made.fit(wider)
    scores = made.scores(one([0, 2, 4], N_ITEMS + 3), [Profile()], 1e6)[0]
    assert scores[N_ITEMS] > 2 * scores[N_ITEMS + 1] > 0  # like item 0, like item 1
    assert scores[N_ITEMS + 2] == 0


def test_popularity_is_that_of_late_unless_told_otherwise() -> None:
    training = cycle()
    lately = replace(training, at=training.interactions.time[-1] + 30 * DAY_S)
    seen = training.interactions
    early = seen.items < N_ITEMS // 2
    order = np.argsort(np.where(early, -300 * DAY_S, 0) + seen.time, kind="stable")
    moved = replace(
        seen,
        users=seen.users[order],
        items=seen.items[order],
        time=(np.where(early, -300 * DAY_S, 0) + seen.time)[order],
    )
    ever = Attention(min_steps=1, half_life_days=None)
    late = Attention(min_steps=1, half_life_days=10.0)
    for made in (ever, late):
        made.fit(replace(lately, interactions=moved))
    gain = late.popularity - ever.popularity
    assert gain[N_ITEMS // 2 :].min() > 0 > gain[: N_ITEMS // 2].max()


def test_a_longer_horizon_foresees_what_comes_later() -> None:
    near, far = (
        Attention(layers=1, min_steps=60, dropout=0.0, rate=1e-2, waits=False, horizon=h)
        for h in (1, 4)
    )
    for made in (near, far):
        made.fit(cycle())
    walked = one([1, 2, 3, 4])
    next_but_two = [made.scores(walked, [Profile()], DAY_S)[0, 7] for made in (near, far)]
    assert next_but_two[1] > 2 * next_but_two[0]


def test_what_people_come_back_for_follows_the_wait() -> None:
    """Within a sitting the circle goes on; the next day everyone begins again at its start."""
    walks = np.random.default_rng(0).integers(3, 9, 40)
    items = np.concatenate([[*range(n), N_ITEMS - 1, N_ITEMS - 2] for n in walks])
    minutes = np.concatenate([np.arange(n + 2) for n in walks])
    later = np.concatenate([[*[0] * n, DAY_S, DAY_S] for n in walks])
    users = np.repeat(np.arange(40), walks + 2)
    time = minutes * 60.0 + later
    order = np.argsort(time, kind="stable")
    seen = replace(
        cycle().interactions,
        users=users[order],
        items=items[order],
        time=time[order],
        weight=np.ones(len(order), dtype=np.float32),
    )
    made = Attention(layers=1, horizon=1, min_steps=60, dropout=0.0, rate=1e-2)
    made.fit(replace(cycle(), interactions=seen))
    history = one([0, 1, 2])  # at 0, 60 and 120 seconds
    assert int(np.argmax(made.scores(history, [Profile()], 180.0)[0])) == 3
    assert int(np.argmax(made.scores(history, [Profile()], 120 + DAY_S)[0])) == N_ITEMS - 1


def test_what_is_rejected_is_never_a_target() -> None:
    training = cycle()
    seen = training.interactions
    weight = np.where(seen.items == 7, -1, 1).astype(np.float32)
    made = Attention(min_steps=30)
    made.fit(replace(training, interactions=replace(seen, weight=weight)))
    assert (made.scores(one([5, 6]), [Profile()], DAY_S)[0, 7] == 0).all()


def test_refit_learns_what_is_new_and_keeps_what_was_known() -> None:
    made = Attention(
        layers=1, horizon=1, min_steps=60, dropout=0.0, rate=1e-2, epochs=60, refit_share=0.5
    )
    made.fit(cycle())
    assert made.net is not None
    before = made.net.spans.detach().clone()
    wider = cycle(n_items=N_ITEMS + 5)
    made.refit(wider)
    scores = made.scores(one([2, 3, 4], N_ITEMS + 5), [Profile()], DAY_S)[0]
    assert int(np.argmax(scores)) == 5
    assert scores[N_ITEMS:].min() > 0
    assert not torch.equal(before, made.net.spans.detach())


def test_one_seed_gives_one_net_and_another_another() -> None:
    first, again, other = (Attention(min_steps=2, seed=seed) for seed in (1, 1, 2))
    for made in (first, again, other):
        made.fit(cycle())
    np.testing.assert_array_equal(first.table, again.table)
    assert not np.array_equal(first.table, other.table)


def test_nothing_is_fitted_on_nothing(tmp_path: Path) -> None:
    training = replace(cycle(), at=0.0)
    made = Attention(checkpoint=tmp_path / "part.safetensors")
    made.fit(training.before(0.0))
    assert (made.scores(one([1]), [Profile()], 0.0) == 0).all()
    assert (Attention().scores(one([1]), [Profile()], 0.0) == 0).all()


def test_weights_of_other_settings_are_refused() -> None:
    with pytest.raises(BadPackage, match="other settings"):
        Attention(dim=32).restore(on_a_circle().state())


@pytest.mark.parametrize(
    "wrong",
    [{"dim": 0}, {"dim": 33}, {"dropout": 1.0}, {"loss": "hinge"}, {"refit_share": 0.0}],
)
def test_bad_settings_are_refused_with_their_value(wrong: dict[str, float]) -> None:
    with pytest.raises(BadSettings, match=str(next(iter(wrong.values())))):
        Attention(**wrong)  # type: ignore[arg-type]


def test_every_entry_is_foreseen_once_an_epoch() -> None:
    histories = Histories(
        indptr=np.array([0, 7, 7, 9]),
        items=np.arange(9),
        weights=np.ones(9, dtype=np.float32),
        times=np.arange(9, dtype=np.float64),
        n_items=9,
    )
    past = Past.of_histories(histories, np.ones(9, dtype=np.bool_), 3)
    first, last, person = past.windows(np.random.default_rng(1))
    told = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    np.testing.assert_array_equal(told, np.arange(9))
    assert (last - first).max() <= 3
    batch = past.batch(first, last, person)
    for row, (a, b, s) in enumerate(zip(first, last, past.starts[person], strict=True)):
        known = [0 if at == s else at for at in range(a, b)]  # the entry before, by row plus 1
        assert batch.items[row, : b - a].tolist() == known


def test_sampled_softmax_over_all_items_is_the_softmax_and_so_are_its_gradients() -> None:
    torch.manual_seed(0)
    x, vectors = (torch.randn(n, 4, dtype=torch.float32, requires_grad=True) for n in (7, 9))
    bias = torch.randn(9, requires_grad=True)
    target, everything = torch.tensor([0, 3, 3, 8, 1, 2, 7]), torch.arange(9)
    exact = torch.nn.functional.cross_entropy(torch.addmm(bias, x, vectors.T), target)
    wanted = torch.autograd.grad(exact, (x, vectors, bias))
    ours = SampledSoftmax.apply(x, vectors, bias, target, everything, torch.zeros(9))
    found = torch.autograd.grad(2 * ours, (x, vectors, bias))
    torch.testing.assert_close(ours, exact)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, 2 * b)


def test_gbce_with_full_calibration_weakens_the_positive_by_the_share_of_negatives() -> None:
    x, vectors = torch.zeros(1, 2), torch.zeros(5, 2)
    nothing = torch.tensor([0])
    loss = gbce(x, vectors, torch.zeros(5), nothing, torch.tensor([1, 2]), 0.5, calibration=1.0)
    assert float(loss) == pytest.approx((0.5 + 2) * np.log(2))


def test_gaps_fall_into_logarithmic_buckets() -> None:
    gaps = torch.tensor([0.0, 3.9, 4.0, 12.0, 1e12], dtype=torch.float64)
    assert bucket(gaps).tolist() == [0, 0, 1, 2, GAPS - 1]


def test_neighbour_vectors_tell_the_two_halves_of_the_checkerboard_apart() -> None:
    histories = checkerboard().interactions.histories()
    vectors = neighbour_vectors(histories.items, histories.user_of, N_ITEMS, 4)
    likeness = vectors @ vectors.T
    same = np.arange(N_ITEMS)[:, None] % 2 == np.arange(N_ITEMS)[None, :] % 2
    assert likeness[same].mean() > likeness[~same].mean() + 0.3
