"""Intervals and the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadInput
from segue.evaluate.compare import Interval, bootstrap, difference
from segue.evaluate.metrics import METRICS
from segue.evaluate.report import Line, Report, read_json, write_json
from segue.evaluate.report_page import write_html


def report() -> Report:
    metrics = dict.fromkeys(METRICS, Interval(0.25, 0.2, 0.3))
    return Report(
        lines=(
            Line("blend", metrics, 0.4, 0.26),
            Line("<popular>", metrics, 0.1, 0.2, Interval(0.05, 0.01, 0.09)),
        ),
        settings={"trees": 100},
        tried=(("a", 0.26),),
        seed=0,
        data_hash="d",
        split_hash="s",
        n_events=(80, 10, 10),
        n_people=(8, 9),
        n_items=20,
        seconds=1.0,
    )


def test_intervals_cover_the_mean_and_shrink_with_people() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.random(20), rng.random(2000)
    wide, narrow = bootstrap(few, rng), bootstrap(many, rng)
    assert wide.low < few.mean() < wide.high
    # A normal interval is the oracle for many people.
    assert narrow.half_width == pytest.approx(1.96 * many.std() / 2000**0.5, rel=0.15)
    assert narrow.half_width < wide.half_width


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.random(200)
    gap = difference(theirs + 0.02, theirs, rng)
    assert gap.low == pytest.approx(0.02)
    assert gap.high == pytest.approx(0.02)
    with pytest.raises(BadInput, match="same people, got 3, 2"):
        difference(np.zeros(3), np.zeros(2), rng)
    with pytest.raises(BadInput, match="at least one person"):
        bootstrap(np.zeros(0), rng)


def test_json_there_and_back(tmp_path: Path) -> None:
    write_json(report(), tmp_path / "r.json")
    assert read_json(tmp_path / "r.json") == report()
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(BadInput, match=r"bad\.json: not a report"):
        read_json(tmp_path / "bad.json")


def test_the_page_needs_nothing_else_and_escapes(tmp_path: Path) -> None:
    write_html(report(), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "data:image/png;base64," in page
    assert "&lt;popular&gt;" in page
    assert "http" not in page
    assert "0.2500 ± 0.0500" in page


def test_headline_is_the_blend() -> None:
    assert report().headline["NDCG@10"] == 0.25
    assert report().headline["coverage"] == 0.4
