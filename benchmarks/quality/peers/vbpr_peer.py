"""cornac's VBPR, whose environment holds torch: content in the place of pictures."""

from __future__ import annotations

import numpy as np
from _common import SEED, Problem, Ranker, Settings, main
from cornac.data import FeatureModality
from cornac.models import VBPR
from cornac_peer import dataset, model_ranker


def vbpr(problem: Problem, settings: Settings) -> Ranker:
    """He & McAuley (2016)."""
    train = dataset(problem)
    rows = problem.features.toarray().astype(np.float32)
    train.add_modalities(item_image=FeatureModality(features=rows))
    model = VBPR(
        k=settings["factors"],
        k2=settings["content_factors"],
        n_epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        lambda_w=settings["l2"],
        lambda_b=settings["l2"],
        lambda_e=settings["content_l2"],
        use_gpu=False,
        verbose=False,
        seed=SEED,
    )
    model.fit(train)
    return model_ranker(problem, model)


if __name__ == "__main__":
    main({"vbpr": vbpr})
