"""What people have in common, in codes and in words."""

from __future__ import annotations

import numpy as np

from segue.core.types import DAY_S, Catalogue, Histories, Item, Profile
from segue.match.groups import ATTRIBUTES, Grouping

AT = 1000 * DAY_S
GENRES = ("drama", "comedy", "western")
CATALOGUE = Catalogue(
    tuple(Item(str(n), "movie", f"film {n}", tags=(GENRES[n % 3], "film")) for n in range(30))
)


def histories(*of: tuple[list[int], float, list[float] | None]) -> Histories:
    """(items, days since the last entry, weights) of each person."""
    items = [row for rows, _, _ in of for row in rows]
    weights = [w for rows, _, given in of for w in (given or [1.0] * len(rows))]
    times = [AT - days * DAY_S for rows, days, _ in of for _ in rows]
    ends = np.cumsum([0, *(len(rows) for rows, _, _ in of)])
    return Histories(
        ends.astype(np.intp), np.array(items, dtype=np.intp),
        np.array(weights, dtype=np.float32), np.array(times), len(CATALOGUE),
    )  # fmt: skip


def said(grouping: Grouping, codes: np.ndarray) -> str:
    known = [(name, int(c)) for name, c in zip(ATTRIBUTES, codes, strict=True) if c >= 0]
    return grouping.words(known)


def test_a_person_is_told_in_words() -> None:
    grouping = Grouping(CATALOGUE)
    western = [2, 5, 8, 11, 14]
    given = histories((western, 3.0, None), ([0, 1, 2], 20.0, None), ([], 0.0, None))
    people = [
        Profile("F", 30, country="NL", device="tv"),
        Profile("m", 65),
        Profile(),
    ]
    codes = grouping.codes(given, people, AT)
    assert said(grouping, codes[0]) == (
        "women, aged 25–34, in NL, on tv, taste for western, here in the last week"
    )
    # A person whose mix is that of the catalogue has no taste that tells them apart.
    assert said(grouping, codes[1]) == "men, 65 and older, here in the last month"
    assert (codes[2] == -1).all()
    assert said(grouping, codes[2]) == "everybody"


def test_what_was_turned_away_is_no_taste() -> None:
    grouping = Grouping(CATALOGUE)
    western, drama = [2, 5, 8, 11, 14], [0, 3, 6]
    given = histories(([*western, *drama], 3.0, [-1.0] * 5 + [1.0] * 3))
    codes = grouping.codes(given, [Profile()], AT)
    assert said(grouping, codes[0]).startswith("taste for drama")


def test_codes_stay_the_same_over_chunks() -> None:
    grouping = Grouping(CATALOGUE)
    nobody = histories(([], 0.0, None))
    first = grouping.codes(nobody, [Profile(country="NL")], AT)
    grouping.codes(nobody, [Profile(country="DE")], AT)
    assert (grouping.codes(nobody, [Profile(country="NL")], AT) == first).all()


def test_a_catalogue_without_tags_has_no_tastes() -> None:
    plain = Catalogue(tuple(Item(str(n), "movie", "film") for n in range(30)))
    codes = Grouping(plain).codes(histories(([1, 2, 3], 50.0, None)), [Profile()], AT)
    assert codes[0].tolist() == [-1, -1, -1, -1, -1, 2]
