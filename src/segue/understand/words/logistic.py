"""Logistic regression by L-BFGS: for one answer or many, from vectors to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Floats


@dataclass(frozen=True)
class Logistic:
    """``weights``: (n_features, n_answers) float32; ``bias``: (n_answers,) float32."""

    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """(n, n_answers)."""
        return np.asarray(features @ self.weights + self.bias, dtype=np.float32)

    def probabilities(self, features: Floats) -> Floats:
        """(n, n_answers), each answer on its own, in (0, 1)."""
        logits = np.clip(self.logits(features), -30.0, 30.0)  # exp overflows at 88 in float32
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)


def fit_logistic(
    features: Floats, answers: Floats, strength: float, max_steps: int = 200
) -> Logistic:
    """Least mean log loss plus ``strength`` / 2n times the squared weights (bias left out).

    ``features``: (n, n_features), dense or a scipy sparse matrix; ``answers``: (n, n_answers) of
    0 and 1.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - 0.2 s, only to train

    if answers.ndim != 2 or len(answers) != features.shape[0] or not len(answers):
        raise BadInput(f"answers must be (n, n_answers) for {features.shape} features, got "
                       f"{answers.shape}")  # fmt: skip
    if strength < 0:
        raise BadInput(f"strength must be >= 0, got {strength}")
    rows, width, count = len(answers), features.shape[1], answers.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        table = flat.reshape(width + 1, count)
        logits = features @ table[:-1] + table[-1]
        # log(1 + e^x) - y x, without overflow
        losses = np.logaddexp(0.0, logits) - answers * logits
        wrong = (0.5 * (1.0 + np.tanh(0.5 * logits)) - answers) / rows
        slope = np.empty_like(table)
        slope[:-1] = features.T @ wrong + strength / rows * table[:-1]
        slope[-1] = wrong.sum(axis=0)
        penalty = 0.5 * strength / rows * float((table[:-1] ** 2).sum())
        return float(losses.sum()) / rows + penalty, slope.ravel()

    start = np.zeros((width + 1) * count)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": max_steps})
    table = found.x.reshape(width + 1, count).astype(np.float32)
    return Logistic(table[:-1], table[-1])
