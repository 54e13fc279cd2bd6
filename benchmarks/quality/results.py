"""The format in which every figure of the quality benchmark is kept: peers' and ours alike.

`benchmarks/out/quality/DATA-SPLIT/NAME.json` (what it is, how it was tuned, what it cost) beside
`NAME.npz` (one value a person and metric, so that differences can be paired). A script of ours
writes the same with `write(Result(...))`; the README says what each field holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import splits

from segue.evaluate import metrics

OUT = Path(__file__).parents[1] / "out" / "quality"
RANKING = (*metrics.METRICS, *metrics.MORE_METRICS)  # keys of the arrays of a ranking split


@dataclass(frozen=True)
class Result:
    """One strategy on one split: chosen on validation, measured once on test."""

    name: str
    source: str  # package and version, or "segue"
    data: str
    split: str
    split_hash: str
    settings: Mapping[str, Any]
    tried: int  # settings tried on validation
    valid: float  # headline of the best of them there; see `headline`
    fit_s: float  # CPU seconds of the fit that was measured, one thread
    score_s: float  # CPU seconds for every answer of the test part
    peak_mb: float  # of the process, with its libraries
    per: Mapping[str, np.ndarray] = field(repr=False)  # see the README

    def mean(self, key: str) -> float:
        return float(np.mean(self.per[key]))

    def figures(self) -> str:
        """One line of means."""
        shown = ("rmse", "mae") if self.split == "ratings" else RANKING
        return "  ".join(f"{key} {figure(self.per, key):.4f}" for key in shown)


def figure(per: Mapping[str, np.ndarray], key: str) -> float:
    """A metric over everybody."""
    if key == "rmse":
        return float(np.sqrt(np.mean(per["squared"])))
    return float(np.mean(per["absolute" if key == "mae" else key]))


def measured(answer: Mapping[str, np.ndarray], stage: splits.Stage) -> dict[str, np.ndarray]:
    """Our metrics of a peer's answer: top lists, or predicted ratings."""
    if "predicted" in answer:
        low, high = splits.RATING_RANGE
        error = np.clip(answer["predicted"], low, high) - stage.rated
        return {"squared": error**2, "absolute": np.abs(error)}
    top = np.asarray(answer["top"], dtype=np.intp)
    splits.check(top, stage)
    found = metrics.measure(top, stage.relevant)
    per = {key: np.asarray(getattr(found, key)) for key in RANKING}
    return {"users": stage.users, **per, "top": top.astype(np.int32)}


def headline(per: Mapping[str, np.ndarray], split: str) -> float:
    """What a choice is made by, higher is better: NDCG@10; Recall@20 (cold); -RMSE (ratings)."""
    if split == "ratings":
        return -figure(per, "rmse")
    return figure(per, "recall" if split == "cold" else "ndcg")


def write(result: Result) -> Path:
    """Keep a result; an older one of the same name is replaced."""
    path = _path(result.data, result.split, result.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path.with_suffix(".npz"), **result.per)
    values = {k: v for k, v in asdict(result).items() if k != "per"}
    path.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    return path


def fail(split: splits.Split, name: str, reason: str) -> None:
    """Keep why there is no figure, so that the table can say it."""
    path = _path(split.data, split.name, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"name": name, "data": split.data, "split": split.name, "reason": reason}
    path.write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def read(data: str, split: str) -> tuple[list[Result], list[tuple[str, str]]]:
    """All results of a split, and (name, reason) of those that have none."""
    found, missing = [], []
    for path in sorted((OUT / f"{data}-{split}").glob("*.json")):
        values = json.loads(path.read_text("utf-8"))
        if "reason" in values:
            missing.append((values["name"], values["reason"]))
            continue
        with np.load(path.with_suffix(".npz")) as file:
            per = {key: file[key] for key in file.files}
        found.append(Result(**values, per=per))
    return found, missing


def _path(data: str, split: str, name: str) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("+", "plus")).strip("-")
    return OUT / f"{data}-{split}" / f"{slug}.json"
