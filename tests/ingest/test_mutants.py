"""Damaged media: the parent lives, no child does, and each refusal has its reason."""

from __future__ import annotations

import pytest

import mutants


def look_at(count: int, seed: int) -> mutants.Herd:
    herd = mutants.Herd(list(mutants.mutants(count, seed)))
    assert len(herd.seen) == count
    assert [(one.name, one.reason) for one in herd.fatal] == []
    assert herd.refused, "some of them cannot be read"
    assert all(len(one.reason) > 4 and "\n" not in one.reason for one in herd.refused)
    assert any(one.note for one in herd.seen), "some of them can be read in part"
    return herd


def test_a_few_mutants():
    look_at(60, seed=1)


@pytest.mark.slow
def test_twenty_thousand_mutants():
    """Some five minutes on one core; ``benchmarks/bench_mutants.py`` lists them and times each."""
    look_at(20_000, seed=7)
