"""RecBole: LightGCN and MultiVAE."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import SEED, Array, Problem, Ranker, Settings, main, ranker
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

NAME = "split"


def _write(problem: Problem, folder: Path) -> None:
    """RecBole's own files, split already; it will not go without a validation and a test row."""
    rows = [f"{user}\t{item}\n" for user, item in zip(problem.users, problem.items, strict=True)]
    (folder / NAME).mkdir()
    for part, lines in (("train", rows), ("valid", rows[:1]), ("test", rows[:1])):
        text = "user_id:token\titem_id:token\n" + "".join(lines)
        (folder / NAME / f"{NAME}.{part}.inter").write_text(text, "utf-8")


def _ranker(problem: Problem, name: str, batch_size: int, values: dict[str, Any]) -> Ranker:
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    sys.argv = sys.argv[:1]  # RecBole would read our command line as its own
    with tempfile.TemporaryDirectory() as folder:
        _write(problem, Path(folder))
        config = Config(
            model=name,
            dataset=NAME,
            config_dict={
                "data_path": folder,
                "checkpoint_dir": folder,
                "benchmark_filename": ["train", "valid", "test"],
                "load_col": {"inter": ["user_id", "item_id"]},
                "use_gpu": False,
                "seed": SEED,
                "show_progress": False,
                "train_batch_size": batch_size,
                **values,
            },
        )
        init_seed(SEED, reproducibility=True)
        dataset = create_dataset(config)
        train, _, _ = data_preparation(config, dataset)
        model = get_model(name)(config, train.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        trainer.fit(train, valid_data=None, verbose=False, saved=False, show_progress=False)
    return ranker(problem, _scores(problem, dataset, model))


def _scores(problem: Problem, dataset: Any, model: Any) -> Any:
    """RecBole numbers what it has met from 1 on; the rest of the catalogue is never shown."""
    met_items = np.unique(problem.items)
    theirs = dataset.token2id("item_id", [str(i) for i in met_items])

    def scores(users: Array) -> Array:
        rows = torch.as_tensor(dataset.token2id("user_id", [str(u) for u in users]))
        with torch.no_grad():
            found = model.full_sort_predict({"user_id": rows}).view(len(users), -1).numpy()
        out = np.full((len(users), problem.n_items), -np.inf)
        out[:, met_items] = found[:, theirs]
        return out

    model.eval()
    return scores


def lightgcn(problem: Problem, settings: Settings) -> Ranker:
    """He et al. (2020)."""
    values = {
        "embedding_size": settings["factors"],
        "n_layers": settings["layers"],
        "learning_rate": settings["learning_rate"],
        "reg_weight": settings["l2"],
        "epochs": settings["epochs"],
    }
    return _ranker(problem, "LightGCN", settings["batch_size"], values)


def multivae(problem: Problem, settings: Settings) -> Ranker:
    """Liang et al. (2018)."""
    values = {
        "mlp_hidden_size": [settings["hidden"]],
        "latent_dimension": settings["latent"],
        "dropout_prob": settings["dropout"],
        "anneal_cap": settings["anneal"],
        "learning_rate": settings["learning_rate"],
        "epochs": settings["epochs"],
        "train_neg_sample_args": None,
    }
    return _ranker(problem, "MultiVAE", settings["batch_size"], values)


if __name__ == "__main__":
    main({"lightgcn": lightgcn, "multivae": multivae})
