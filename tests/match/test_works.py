"""Titles come to one spelling, sequels stay apart, and a platform never has a work twice."""

import pytest

from segue.core.errors import BadSettings
from segue.core.types import Item
from segue.match.assign import Rule, assign
from segue.match.blocking import Blocking, pairs
from segue.match.titles import read, variants, year_in
from segue.match.works import FEATURES, Model, Rarity, Scored, features, plain_name, score, work_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Godfather, The", "The Godfather (1972)"),
        ("Godfather: Part II, The", "The Godfather Part 2"),
        ("Pat Garrett & Billy the Kid", "Pat Garrett and Billy the Kid"),
        ("Amélie", "amelie"),
        ("Twelve Monkeys", "12 Monkeys"),
        ("Harlan County U.S.A.", "Harlan County, USA"),
        ("Kill Bill: Vol. 1", "Kill Bill: Volume 1"),
        ("I  Robot", "I, Robot"),
        ("20,000 Leagues Under the Sea", "20000 Leagues under the Sea"),
        ("Dude, Where’s My Car?", "Dude Where's My Car"),
    ],
)
def test_two_spellings_read_the_same(one, other):
    assert read(one).words == read(other).words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Saw V", "Saw VI"),
        ("Home Alone", "Home Alone 2"),
        ("Kick-Ass", "Kick-Ass 2"),
        ("Alien", "Aliens"),
    ],
)
def test_two_works_read_differently(one, other):
    assert read(one).words != read(other).words


def test_numbers_of_sequels_are_known_and_years_are_none():
    assert read("Rocky IV").numbers == {"4"}
    assert read("Police Story 3: Super Cop").numbers == {"3"}
    assert read("Malcolm X").words == read("Malcolm X").words
    assert read("Blade Runner 2049").numbers == frozenset()
    assert year_in("Heat (1995)") == 1995
    assert year_in("Heat (remastered)") is None


def test_brackets_and_other_titles_are_variants():
    found = variants("City of Lost Children, The (Cité des enfants perdus)", ["La Cité"])
    texts = [title.text for title in found]
    assert "city of lost children" in texts
    assert "cite des enfants perdus" in texts
    assert "cite" in texts
    assert variants("$")[0].words == ("$",)
    assert plain_name("F. Gary Gray") == "gary gray"


def film(item_id, title, year=None, creators=(), minutes=None, **more):
    seconds = None if minutes is None else minutes * 60.0
    return Item(item_id, "movie", title, year=year, creators=creators, duration_s=seconds, **more)


FILMS = (
    (film("1", "Heat (1995)", 1995, tags=("Crime", "Action")), "ml"),
    (film("2", "Shining, The", 1980, tags=("Horror",)), "ml"),
    (film("3", "Godfather, The", 1972, tags=("Crime",)), "ml"),
    (film("t1", "Heat", 1995, ("Michael Mann", "Al Pacino"), 170, tags=("Crime",)), "tmdb"),
    (film("t2", "The Shining", 1980, ("Stanley Kubrick",), 144, tags=("Horror",)), "tmdb"),
    (film("t3", "The Godfather: Part II", 1974, ("Francis Ford Coppola",), 200), "tmdb"),
    (film("w1", "The Shining", 1997, ("Mick Garris",), 273, tags=("Horror",)), "wiki"),
    (film("w2", "Heat", 1995, ("Michael Mann", "Robert De Niro"), 170, tags=("Crime",)), "wiki"),
    (film("w3", "The Godfather", 1972, ("Francis Ford Coppola",), 175, tags=("Crime",)), "wiki"),
)  # fmt: skip
WORKS = tuple(work_of(item, row, (platform,)) for row, (item, platform) in enumerate(FILMS))
IDS = [item.id for item, _ in FILMS]


def outcome(works=WORKS, rule=None, **known):
    found = pairs(works, Blocking())
    scored = score(works, found, Model.shipped(), Rarity(works))
    return assign(works, scored, rule or Rule(), **known)


def named(pairs_):
    return {(IDS[p.first], IDS[p.second]) for p in pairs_}


def test_films_of_three_catalogues_become_works_and_remakes_and_sequels_do_not():
    together = {frozenset(p) for p in named(outcome().merged)}
    assert {frozenset(("t1", "w2")), frozenset(("2", "t2")), frozenset(("3", "w3"))} < together
    (last,) = together - {frozenset(p) for p in (("t1", "w2"), ("2", "t2"), ("3", "w3"))}
    assert last in (frozenset(("1", "t1")), frozenset(("1", "w2")))  # of two that are one


def test_features_are_the_same_both_ways_round():
    rarity = Rarity(WORKS)
    for a in WORKS:
        for b in WORKS:
            one, other = features(a, b, rarity), features(b, a, rarity)
            assert one.tolist() == other.tolist()
            assert len(one) == len(FEATURES)


def test_a_year_or_a_maker_apart_lowers_the_probability():
    model, rarity = Model.shipped(), Rarity(WORKS)

    def sure(**changes):
        one = film("a", "Heat", 1995, ("Michael Mann",), 170)
        told = {
            "title": "Heat",
            "year": 1995,
            "creators": ("Michael Mann",),
            "minutes": 170,
        } | changes
        other = film("b", **told)
        two = [work_of(one, 0, ("x",)), work_of(other, 1, ("y",))]
        return float(model.probability(features(*two, rarity)[None])[0])

    whole = sure()
    assert whole > 0.9
    for changes in (
        {"year": 1986},
        {"creators": ("Dick Richards",)},
        {"minutes": 101},
        {"title": "Heat 2"},
    ):
        assert sure(**changes) < whole
    assert sure(year=1986, creators=("Dick Richards",), minutes=101) < 0.1


def test_a_platform_never_has_a_work_twice():
    twice = (*WORKS, work_of(film("w9", "Heat", 1995, ("Michael Mann",), 170), 9, ("wiki",)))
    found = outcome(twice)
    of_wiki = [{p.first, p.second} & {7, 9} for p in found.merged]
    assert sum(bool(s) for s in of_wiki) >= 1
    assert len({n for s in of_wiki for n in s}) == 1  # one of the two, never both
    assert not any({p.first, p.second} & {7, 9} for p in found.proposed)  # its place is taken


def test_what_a_person_called_different_stays_apart_and_links_stand():
    apart = outcome(apart=[(1, 4)])
    assert ("2", "t2") not in named(apart.merged) | named(apart.proposed)
    linked = outcome(linked=[(1, 6)])  # somebody took the series for the film
    assert ("2", "t2") not in named(linked.merged)


def test_ids_of_a_registry_settle_the_matter():
    ids = [{"ids": {"imdb": "tt1"}}, {"ids": {"imdb": "tt2"}}]
    one = film("a", "Green Ray, The", 1986, extra=ids[0])
    works = [
        work_of(one, 0, ("x",)),
        work_of(film("b", "Summer", 1986, extra=ids[0]), 1, ("y",)),
        work_of(film("c", "The Green Ray", 1986, extra=ids[1]), 2, ("z",)),
    ]
    assert [(p.first, p.second, p.by_id) for p in outcome(works).merged] == [(0, 1, True)]


def test_between_sure_and_different_a_person_is_asked_once_a_pair_of_works():
    scored = [Scored(0, 3, 0.99), Scored(0, 7, 0.5), Scored(3, 7, 0.6), Scored(1, 4, 0.1)]
    found = assign(WORKS, scored, Rule())
    assert [(p.first, p.second) for p in found.merged] == [(0, 3)]
    assert [(p.first, p.second) for p in found.proposed] == [(3, 7)]


def test_kinds_that_nothing_was_learned_of_are_left_to_a_person():
    books = [
        work_of(Item(i, "book", "Dune", year=1965, creators=("Frank Herbert",)), n, (i,))
        for n, i in enumerate("ab")
    ]
    found = outcome(books)
    assert not found.merged
    assert len(found.proposed) == 1


def test_candidates_are_of_one_kind_and_two_platforms_and_bounded():
    works = [
        work_of(Item(f"{p}{n}", "movie", f"Night {n}", year=1900 + n % 90), n, (p,))
        for n in range(300) for p in "ab"
    ]  # fmt: skip
    found = pairs(works, Blocking())
    assert all(not works[a].platforms & works[b].platforms for a, b in found)
    assert {(2 * n, 2 * n + 1) for n in range(300)} <= set(found)
    assert len(found) < 3000
    book = work_of(Item("x", "book", "Heat", year=1995), 9, ("books",))
    assert all(9 not in pair for pair in pairs((*WORKS, book), Blocking()))


def test_a_rule_that_cannot_be_is_refused():
    with pytest.raises(BadSettings, match=r"propose_at 0\.9, merge_at 0\.5"):
        Rule(merge_at=0.5, propose_at=0.9)
