"""Every rater meets the contract; and what is special to each."""

from __future__ import annotations

from contracts.rater_contract import RaterContract


class TestMeanRatings(RaterContract):
    rater = "mean ratings"
    personal = False


class TestKnnRatings(RaterContract):
    rater = "item-knn ratings"


class TestBiasedMf(RaterContract):
    rater = "biased mf"


class TestSvdPlusPlus(RaterContract):
    rater = "svd++"


class TestStackedRatings(RaterContract):
    rater = "stacked ratings"
