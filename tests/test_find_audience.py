"""The audience of an item from a store, by a model whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from segue.audience import LATELY, NO_HISTORY, OFTEN, REFUSED, TOOK, Ask, find_audience, peace
from segue.audience_view import draw_gains
from segue.config import Contact
from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadInput, NotFound
from segue.core.types import DAY_S, Catalogue, Event, Item, Profile, User
from segue.store import contacts, crowd, events, links
from segue.store.catalogue import load_catalogue, load_people, put_items, put_users
from segue.store.crowd import Crowd
from segue.store.workspace import Workspace

NOW = 100 * DAY_S
N = 240


@dataclass
class Known:
    """Who took ``w0`` takes the item with .3, others with .02; older people a trace more."""

    catalogue: Catalogue
    version: str = "known-1"
    fitted_at: float = NOW
    asked_at: list[float] = field(default_factory=list)

    def horizon(self) -> float:
        return 30.0

    def taking(self, histories, profiles, at, item):
        self.asked_at.append(at)
        fan = np.zeros(histories.n_users, dtype=np.bool_)
        fan[histories.user_of[histories.items == self.catalogue.row("w0")]] = True
        trace = np.array([(p.age or 0) * 1e-6 for p in profiles])
        return np.where(fan, 0.3, 0.02) + trace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Every second person took three westerns; people 0–9 took the item, 10–14 hid it, 15 liked
    it and hid it later, the last ten did nothing.
    """
    made = Workspace.create(tmp_path_factory.mktemp("audience") / "w")
    items = [Item(f"w{n}", "movie", f"Western {n}", tags=("western",)) for n in range(6)]
    items += [Item(f"d{n}", "movie", f"Drama {n}", tags=("drama",)) for n in range(6)]
    put_items(made.engine, [*items, Item("new", "movie", "The New One")])
    people = [User(f"u{n}", Profile(age=20 + n % 50, country="NL")) for n in range(N)]
    put_users(made.engine, people)
    did = []

    def do(n: int, item: str, kind: str, day: float) -> None:
        did.append(Event(f"e{len(did)}", f"u{n}", item, kind, day * DAY_S))

    for n in range(N - 10):
        for item in range(3):
            do(n, f"{'wd'[n % 2]}{item}", "complete", 90 - item)
    for n in range(10):
        do(n, "new", "play", 95)
    for n in range(10, 15):
        do(n, "new", "hide", 95)
    do(15, "new", "like", 95)
    do(15, "new", "hide", 96)
    events.write(made.engine, did)
    return made


@pytest.fixture
def model(workspace: Workspace) -> Known:
    return Known(load_catalogue(workspace.engine).catalogue)


@pytest.fixture
def source(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(crowd, "STEP", 37)  # many chunks
    return Crowd(workspace.engine, load_catalogue(workspace.engine).nums, BehaviourWeights())


def test_the_likeliest_come_first_and_who_took_it_or_hid_it_is_left_out(
    model: Known, source: Crowd
) -> None:
    found = find_audience(model, source, Ask("new", 60))
    assert found.left_out == {NO_HISTORY: 10, TOOK: 10, REFUSED: 6}
    assert found.people == N - 26
    names = [int(m.user_id[1:]) for m in found.members]
    assert all(n % 2 == 0 and 16 <= n < N - 10 for n in names)
    ages = [20 + n % 50 for n in names]
    assert ages == sorted(ages, reverse=True)
    assert [m.probability for m in found.members] == sorted(
        (m.probability for m in found.members), reverse=True
    )
    assert found.met


def test_takers_come_back_when_asked_for_but_who_hid_it_never(model: Known, source: Crowd) -> None:
    found = find_audience(model, source, Ask("new", N, takers=True))
    names = {m.user_id for m in found.members}
    assert {"u0", "u9"} <= names
    assert not names & {"u10", "u14", "u15"}


def test_segments_are_in_words_with_sizes_and_lift(model: Known, source: Crowd) -> None:
    found = find_audience(model, source, Ask("new"))
    first = found.segments[0]
    assert "taste for western" in first.words
    assert first.segment.rate == pytest.approx(0.3, abs=0.001)
    fans = sum(1 for n in range(16, N - 10) if n % 2 == 0)
    assert first.segment.people == fans
    assert first.segment.lift == pytest.approx(0.3 / found.base_rate, rel=0.01)
    assert found.lift == pytest.approx(0.3 / found.base_rate, rel=0.02)


def test_chunks_do_not_change_the_answer(
    model: Known, source: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = find_audience(model, source, Ask("new", 50))
    monkeypatch.setattr(crowd, "STEP", 10_000)
    whole = find_audience(model, source, Ask("new", 50))
    assert whole.members == few.members
    assert whole.expected == pytest.approx(few.expected)
    for one, other in zip(whole.segments, few.segments, strict=True):
        assert (one.words, one.segment.people) == (other.words, other.segment.people)


def test_histories_read_in_chunks_are_those_of_training(
    workspace: Workspace, source: Crowd
) -> None:
    stored, people = load_catalogue(workspace.engine), load_people(workspace.engine)
    whole = events.interactions(
        workspace.engine, stored.catalogue, stored.nums, people.nums, BehaviourWeights()
    ).histories()
    place = 0
    for some in source.chunks(np.inf):
        wanted = whole.take(np.arange(place, place + len(some)))
        for name in ("indptr", "items", "weights", "times"):
            assert np.array_equal(getattr(some.histories, name), getattr(wanted, name)), name
        assert some.ids == people.ids[place : place + len(some)]
        assert some.profiles == people.profiles[place : place + len(some)]
        place += len(some)
    assert place == N


def test_as_of_an_earlier_time_later_events_are_not_known(model: Known, source: Crowd) -> None:
    found = find_audience(model, source, Ask("new", at=94 * DAY_S))
    assert found.left_out == {NO_HISTORY: 10}
    assert not found.met
    assert set(model.asked_at) == {94 * DAY_S}


def test_time_stands_still_after_the_last_event(model: Known, source: Crowd) -> None:
    assert find_audience(model, source, Ask("new", at=5000 * DAY_S)).at == NOW


def test_only_the_newest_events_are_read(workspace: Workspace, model: Known) -> None:
    nums = load_catalogue(workspace.engine).nums
    short = Crowd(workspace.engine, nums, BehaviourWeights(), limit=1)
    assert max(int(some.histories.counts.max()) for some in short.chunks(np.inf)) == 1


def test_a_field_that_ranking_may_not_use_tells_nothing_of_an_audience(
    workspace: Workspace, model: Known, source: Crowd
) -> None:
    whole = find_audience(model, source, Ask("new", N))
    bare = find_audience(model, replace(source, uses=("gender",)), Ask("new", N))
    assert len({m.probability for m in whole.members}) > 2
    assert len({m.probability for m in bare.members}) == 2  # a fan or not; of no age


def test_contacts_keep_people_in_peace(workspace: Workspace, model: Known, source: Crowd) -> None:
    stored = load_catalogue(workspace.engine)
    new, other = (int(stored.nums[stored.catalogue.row(i)]) for i in ("new", "w5"))
    rule = Contact(most=2, days=7, rest_days_same_item=90)
    first = find_audience(model, source, Ask("new", 4))
    assert contacts.record(workspace.engine, first.nums, new, "spring", NOW) == 4
    few = [int(n) for n in load_people(workspace.engine).nums[[20, 22, 24]]]
    for _ in range(2):
        contacts.record(workspace.engine, few, other, "other", NOW - 3 * DAY_S)
    contacts.record(workspace.engine, few, other, "other", NOW - 8 * DAY_S)  # too long ago

    kept = peace(workspace.engine, new, rule, NOW + 1)
    again = find_audience(model, source, Ask("new", 4), peace=kept)
    assert again.left_out[LATELY] == 4
    assert again.left_out[OFTEN] == 3
    assert not {m.user_id for m in again.members} & {m.user_id for m in first.members}
    later = peace(workspace.engine, new, rule, NOW + 91 * DAY_S)
    free = find_audience(model, source, Ask("new", 4), peace=later)
    assert [m.user_id for m in free.members] == [m.user_id for m in first.members]


def test_what_cannot_be_answered_is_said(model: Known, source: Crowd) -> None:
    with pytest.raises(NotFound, match="item 'x' is not in the catalogue"):
        find_audience(model, source, Ask("x"))
    with pytest.raises(BadInput, match="k must be >= 1, got 0"):
        Ask("new", 0)
    with pytest.raises(BadInput, match=r"20 people or more.*got 5"):
        Ask("new", least=5)


def test_the_gains_are_drawn(model: Known, source: Crowd, tmp_path: Path) -> None:
    draw_gains(find_audience(model, source, Ask("new")), tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("step", [4, 100])  # linked accounts of other chunks, and of one
def test_linked_accounts_and_works_and_lent_stretches_are_read_as_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    made = Workspace.create(tmp_path / "w")
    put_items(made.engine, [Item(f"i{n}", "movie", f"Film {n}") for n in range(8)])
    put_users(made.engine, [User(f"u{n}", Profile(age=30 if n == 6 else None)) for n in range(9)])
    rng = np.random.default_rng(0)
    events.write(
        made.engine,
        [
            Event(f"e{n}", f"u{rng.integers(9)}", f"i{rng.integers(8)}", kind, float(day) * DAY_S)
            for n, (kind, day) in enumerate(
                zip(rng.choice(["play"] * 3 + ["hide", "impression"], 200), rng.random(200) * 50,
                    strict=True)
            )
        ],
    )  # fmt: skip
    links.merge(made.engine, "item", [links.Match(4, 2, "decided")])
    pairs = [links.Match(9, 1, "login"), links.Match(7, 2, "login")]
    links.merge(made.engine, "user", pairs)
    with made.engine.connect() as connection:
        away = {num - 1 for num in links.pointers(connection, "user")}
    assert len(away) == 2
    people = load_people(made.engine)
    lent = {int(people.nums[3]): [(10 * DAY_S, 30 * DAY_S)]}
    stored = load_catalogue(made.engine)
    whole = events.interactions(
        made.engine, stored.catalogue, stored.nums, people.nums, BehaviourWeights(), without=lent
    ).histories()
    monkeypatch.setattr(crowd, "STEP", step)
    source = Crowd(made.engine, stored.nums, BehaviourWeights(), without=lent)
    found = list(source.chunks(np.inf))
    ids = [name for some in found for name in some.ids]
    assert ids == [f"u{n}" for n in range(9) if n not in away]
    for some in found:
        for place, name in enumerate(some.ids):
            mine, span = some.histories.span(place), whole.span(int(name[1:]))
            assert some.histories.items[mine].tolist() == whole.items[span].tolist(), name
            assert some.histories.weights[mine].tolist() == whole.weights[span].tolist()
            assert some.profiles[place] == people.profiles[int(name[1:])]
