"""RecTools: PureSVD, and the sequence models SASRec and BERT4Rec."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
from _common import DEPTH, SEED, Array, Problem, Ranker, Settings, frame_ranker, main
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import PureSVDModel


def _dataset(problem: Problem) -> Dataset:
    # The place in time order stands for the time: MovieLens has many events in one second, and
    # their order in the split must be the order that the model sees.
    order = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.arange(len(problem.users)), unit="s")
    frame = pd.DataFrame(
        {
            Columns.User: problem.users,
            Columns.Item: problem.items,
            Columns.Weight: 1.0,
            Columns.Datetime: order,
        }
    )
    return Dataset.construct(frame)


def _ranker(problem: Problem, model: Any) -> Ranker:
    dataset = _dataset(problem)
    model.fit(dataset)

    def rank(users: Array) -> Array:
        frame = model.recommend(
            users, dataset, k=DEPTH, filter_viewed=True, on_unsupported_targets="ignore"
        )
        return frame_ranker(frame, (Columns.User, Columns.Item, Columns.Rank), users)

    return rank


def pure_svd(problem: Problem, settings: Settings) -> Ranker:
    """Cremonesi, Koren & Turrin (2010)."""
    # No seed: with one, its call of scipy 1.17's svds fails. The vectors converge to the same.
    model = PureSVDModel(factors=settings["factors"], recommend_n_threads=1)
    return _ranker(problem, model)


def _net(problem: Problem, name: str, settings: Settings) -> Ranker:
    import rectools.models  # noqa: PLC0415 heavy
    import torch  # noqa: PLC0415 heavy
    from pytorch_lightning import seed_everything  # noqa: PLC0415 heavy

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    seed_everything(SEED, workers=False, verbose=False)
    model = getattr(rectools.models, name)(
        n_blocks=settings["blocks"],
        n_heads=settings["heads"],
        n_factors=settings["factors"],
        dropout_rate=settings["dropout"],
        session_max_len=settings["length"],
        loss=settings["loss"],
        n_negatives=settings.get("negatives", 1),
        lr=settings["learning_rate"],
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        deterministic=True,
        recommend_n_threads=1,
        **({"mask_prob": settings["mask"]} if "mask" in settings else {}),
    )
    return _ranker(problem, model)


def sasrec(problem: Problem, settings: Settings) -> Ranker:
    """Kang & McAuley (2018), as RecTools has it."""
    return _net(problem, "SASRecModel", settings)


def bert4rec(problem: Problem, settings: Settings) -> Ranker:
    """Sun et al. (2019), as RecTools has it."""
    return _net(problem, "BERT4RecModel", settings)


if __name__ == "__main__":
    main({"pure_svd": pure_svd, "sasrec": sasrec, "bert4rec": bert4rec})
