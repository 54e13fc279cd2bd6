"""A space learned from behaviour: kept only where later behaviour proves it, on data whose
right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from segue.core.errors import BadPackage
from segue.core.types import Interactions, Vectors
from segue.one_space import learn_space
from segue.understand.space import Space, SpaceSettings, item_factors, learn, likeness

N_ITEMS, DIM, GROUPS = 120, 24, 6
KINDS = np.array(["movie"] * N_ITEMS)
EVERY = np.ones(N_ITEMS, np.bool_)


def world(seed=0, *, told=0.8):
    """Items of six groups; content tells the group in a few dimensions, much noise in the rest.

    People choose within one group, so likeness in behaviour is the group."""
    rng = np.random.default_rng(seed)
    group = np.arange(N_ITEMS) % GROUPS
    values = rng.normal(size=(N_ITEMS, DIM))
    values[:, :GROUPS] *= 0.3
    values[np.arange(N_ITEMS), group] += told
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    content = Vectors(values.astype(np.float32), np.ones(N_ITEMS, np.bool_), "e@1")
    users = np.repeat(np.arange(200), 30)
    own = rng.integers(0, GROUPS, 200)[users]
    items = rng.integers(0, N_ITEMS // GROUPS, len(users)) * GROUPS + own
    time = np.sort(rng.random(len(users))) * 1e6
    order = rng.permutation(len(users))
    return content, Interactions(
        users[order], items[order].astype(np.intp), np.ones(len(users), np.float32), time,
        200, N_ITEMS,
    ), group  # fmt: skip


def shuffled(interactions, seed=1):
    """The same events about items drawn by chance: behaviour that tells nothing."""
    items = np.random.default_rng(seed).integers(0, N_ITEMS, len(interactions))
    return Interactions(
        interactions.users, items.astype(np.intp), interactions.weight, interactions.time,
        interactions.n_users, N_ITEMS,
    )  # fmt: skip


def test_what_people_take_together_lies_together_and_is_proven():
    content, interactions, group = world()
    found = learn_space(content, interactions, KINDS)
    assert found.space is not None
    assert found.gain.low > 0
    assert found.learned > found.fixed
    placed = found.space.of(content).values
    same = group[:, None] == group[None, :]
    np.fill_diagonal(same, False)
    apart = ~same & ~np.eye(N_ITEMS, dtype=bool)

    def separation(rows):
        cosines = rows @ rows.T
        return cosines[same].mean() - cosines[apart].mean()

    assert separation(placed) > 2 * separation(content.values)
    assert "MRR" in str(found)


def test_behaviour_that_tells_nothing_changes_nothing():
    content, interactions, _ = world()
    found = learn_space(content, shuffled(interactions), KINDS)
    assert found.space is None
    assert found.gain.low <= 0
    assert "did not prove" in str(found)


@pytest.mark.parametrize("few", [0, 40])
def test_too_little_behaviour_is_said(few):
    content, interactions, _ = world()
    found = learn_space(content, interactions._take(slice(0, few)), KINDS)
    assert found.space is None
    assert str(found)
    assert learn_space(None, interactions, KINDS).space is None


def test_an_item_that_nobody_met_is_placed_by_its_content():
    content, interactions, group = world(told=1.5)
    keep = np.ones(N_ITEMS, np.bool_)
    keep[:GROUPS] = False  # one of each group
    space = learn(content, interactions, SpaceSettings(16, 1.0, 2.0), keep, KINDS)
    placed = space.of(content).values
    nearest = np.argmax(placed[:GROUPS] @ placed[GROUPS:].T, axis=1) + GROUPS
    assert group[nearest].tolist() == list(range(GROUPS))
    factors, count = item_factors(interactions, 16, keep)
    assert count[:GROUPS].sum() == 0
    assert not factors[:GROUPS].any()


def test_the_map_is_the_same_after_saving(tmp_path):
    content, interactions, _ = world()
    space = learn(content, interactions, SpaceSettings(8), EVERY, KINDS)
    space.save(tmp_path / "space.npz")
    read = Space.load(tmp_path / "space.npz")
    assert (read.name, read.encoder, read.dim) == (space.name, "e@1", DIM + 8)
    assert read.kinds == ("movie",)
    assert np.array_equal(read.place(content.values), space.place(content.values))
    # Nothing is not something: an absent vector stays nothing, though the mean is taken away.
    assert not read.place(np.zeros((1, DIM), np.float32)).any()
    np.savez(tmp_path / "space.npz", format=9, encoder="e", mean=space.mean, matrix=space.matrix)
    with pytest.raises(BadPackage, match="format 9"):
        Space.load(tmp_path / "space.npz")


def test_likeness_is_bent_between_kinds_that_were_met_alone():
    content, interactions, group = world()
    kinds = np.array(["movie"] * 90 + ["track"] * 30)
    few = interactions._take(
        np.flatnonzero(interactions.items < 95)
    )  # five tracks were met: too few
    space = learn(content, few, SpaceSettings(16, 1.0, 2.0), EVERY, kinds)
    assert space.kinds == ("movie",)
    plain = content.values @ content.values[100]
    np.testing.assert_array_equal(likeness(space, content, kinds, 100), plain)
    bent = likeness(space, content, kinds, 0)
    plain = content.values @ content.values[0]
    np.testing.assert_array_equal(bent[90:], plain[90:])
    assert bent[:90].mean() == pytest.approx(plain[:90].mean(), abs=1e-5)
    same = group[1:90] == group[0]
    assert bent[1:90][same].mean() - bent[1:90][~same].mean() > (
        plain[1:90][same].mean() - plain[1:90][~same].mean()
    )
