"""Our metrics against LensKit's, to 1e-9, and where the two define something differently."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from lenskit.data import ItemList
from lenskit.metrics import MAE, NDCG, RMSE, Hit, LogRankWeight, Precision, Recall, RecipRank
from lenskit.metrics.ranking import AveragePrecision

from segue.evaluate.metrics import hits, mae, rmse

N_USERS, N_ITEMS = 120, 80

# Its default weighs the first two places alike (the paper of 2002); ours is log2(place + 1).
OFFSET_NDCG = partial(NDCG, weight=LogRankWeight(offset=1))
SAME = {
    "ndcg": OFFSET_NDCG,
    "precision": Precision,
    "ap": AveragePrecision,
    "rr": RecipRank,
    "hit": Hit,
}


@pytest.fixture(scope="module")
def ranked() -> tuple[np.ndarray, np.ndarray]:
    """Lists of 40 of 80 items, and 1 to 30 wanted ones a person."""
    rng = np.random.default_rng(11)
    top = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)[:, :40]
    place = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)
    return top, place < rng.integers(1, 31, N_USERS)[:, None]


def theirs(metric: object, top: np.ndarray, relevant: np.ndarray) -> list[float]:
    return [
        float(metric.measure_list(ItemList(row, ordered=True), ItemList(np.flatnonzero(wanted))))
        for row, wanted in zip(top, relevant, strict=True)
    ]


@pytest.mark.parametrize("k", [1, 5, 10, 20, 40])
@pytest.mark.parametrize("name", SAME)
def test_the_same_figures(name: str, k: int, ranked: tuple[np.ndarray, np.ndarray]) -> None:
    top, relevant = ranked
    ours = getattr(hits(top, relevant), name)(k)
    np.testing.assert_allclose(ours, theirs(SAME[name](k), top, relevant), rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [5, 20, 40])
def test_recall_divides_by_all_wanted_and_theirs_by_at_most_k(
    k: int, ranked: tuple[np.ndarray, np.ndarray]
) -> None:
    top, relevant = ranked
    found = hits(top, relevant)
    capped = found.recall(k) * found.wanted / np.minimum(found.wanted, k)
    np.testing.assert_allclose(capped, theirs(Recall(k), top, relevant), rtol=0, atol=1e-9)


def test_precision_and_ap_count_empty_places_and_theirs_do_not() -> None:
    """A list of 2 with k = 4: LensKit measures the list as it is, we what was asked for."""
    relevant = np.array([[True, False, True, True]])
    ours = hits(np.array([[0, 1, -1, -1]]), relevant)
    short, wanted = ItemList([0, 1], ordered=True), ItemList([0, 2, 3])
    assert ours.precision(4)[0] * 4 == pytest.approx(Precision(4).measure_list(short, wanted) * 2)
    assert ours.ap(4)[0] * 3 == pytest.approx(AveragePrecision(4).measure_list(short, wanted) * 2)


def test_errors_of_ratings() -> None:
    rng = np.random.default_rng(3)
    # In eighths, which its float32 scores hold exactly.
    predicted, actual = rng.integers(8, 41, 200) / 8, rng.integers(1, 6, 200).astype(float)
    rated = ItemList(np.arange(200), scores=predicted, rating=actual)
    assert rmse(predicted, actual) == pytest.approx(RMSE().measure_list(rated), abs=1e-9)
    assert mae(predicted, actual) == pytest.approx(MAE().measure_list(rated), abs=1e-9)
