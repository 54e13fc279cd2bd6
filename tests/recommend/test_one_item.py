"""One item for everybody equals everybody's row of that item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import NotFound
from segue.core.types import Training
from segue.recommend import one_item, package
from segue.recommend.features import Side
from segue.recommend.pipeline import Pipeline


def rows(side: Side, known: Training, users: np.ndarray, item: int) -> np.ndarray:
    histories = known.interactions.histories(users)
    profiles = [known.profiles[u] for u in users]
    who, what = np.arange(len(users)), np.full(len(users), item)
    views = side.at_pairs({}, histories, profiles, known.at, who, what)
    return side.rows(views, histories, profiles, known.at, who, what)


@pytest.mark.parametrize("place", [0, 700, 1200])
def test_the_columns_of_one_item_are_those_of_its_pairs(
    pipeline: Pipeline, before_test: Training, place: int
) -> None:
    side, users = pipeline.side, np.arange(0, 300, 3)
    item = int(np.flatnonzero(side.warm)[place])
    histories = before_test.interactions.histories(users)
    profiles = [before_test.profiles[u] for u in users]
    found = one_item.columns(side, histories, profiles, before_test.at, item)
    wanted = rows(side, before_test, users, item)
    assert (np.isnan(found) == np.isnan(wanted)).all()
    scale = np.nanmax(np.abs(wanted), axis=0) + 1e-6
    gap = np.nan_to_num(np.abs(found - wanted) / scale)
    worst = dict(zip(side.plan.names, gap.max(axis=0).tolist(), strict=True))
    assert max(worst.values()) < 2e-4, worst


def test_a_model_without_what_an_audience_needs_says_train_again(
    pipeline: Pipeline, before_test: Training, tmp_path: Path
) -> None:
    # As packages of older versions are: they still load.
    package.save(pipeline, tmp_path / "m", {})
    loaded = package.load(tmp_path / "m", before_test.catalogue, before_test.content)
    assert loaded.takers is None
    histories = before_test.interactions.histories(np.arange(3))
    with pytest.raises(NotFound, match="run segue train"):
        loaded.taking(histories, before_test.profiles[:3], before_test.at, 0)
    with pytest.raises(NotFound, match="run segue train"):
        loaded.horizon()
