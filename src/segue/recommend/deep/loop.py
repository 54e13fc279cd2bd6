"""The one loop that trains every net: seeded, watched, stopped early, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.core.errors import BadPackage, BadSettings
from segue.core.protocols import Watcher
from segue.core.types import Training
from segue.recommend.deep import weights

KINDS = ("adamw", "adafactor", "sgd")
Steps = Callable[[int, np.random.Generator], Iterable[Tensor]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Optimiser:
    """Gradient descent, in the variants that all nets share.

    ``rate`` falls geometrically to ``rate * fade`` in the last epoch. ``decay`` is decoupled for
    AdamW and Adafactor (Loshchilov and Hutter, ICLR 2019; Shazeer and Stern, ICML 2018) and plain
    L2 for SGD, which has momentum 0.9. Gradients are scaled down to a norm of ``clip``; 0: never.
    """

    kind: str = "adamw"
    rate: float = 1e-3
    decay: float = 0.0
    clip: float = 1.0
    fade: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadSettings(f"optimiser must be one of {KINDS}, got {self.kind!r}")
        if not 0 < self.rate < math.inf:
            raise BadSettings(f"rate must be > 0, got {self.rate}")
        if self.decay < 0 or self.clip < 0:
            raise BadSettings(f"decay and clip must be >= 0, got {self.decay} and {self.clip}")
        if not 0 < self.fade <= 1:
            raise BadSettings(f"fade must be in (0, 1], got {self.fade}")

    def make(
        self, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
    ) -> torch.optim.Optimizer:
        """A new optimiser over some parameters, or over groups of them."""
        if self.kind == "sgd":
            return torch.optim.SGD(parameters, lr=self.rate, momentum=0.9, weight_decay=self.decay)
        made = torch.optim.Adafactor if self.kind == "adafactor" else torch.optim.AdamW
        return made(parameters, lr=self.rate, weight_decay=self.decay)

    def rate_at(self, epoch: int, epochs: int) -> float:
        """The learning rate of one epoch."""
        return self.rate * math.pow(self.fade, epoch / max(epochs - 1, 1))


@dataclass(frozen=True)
class History:
    """Curves of one training. ``best`` is the epoch whose weights the net has now."""

    loss: tuple[float, ...] = ()
    valid: tuple[float, ...] = ()  # higher is better; empty without a validation
    best: int = -1


def seeded(seed: int) -> torch.Generator:
    """Seed torch and hold it to deterministic algorithms; also a generator of its own.

    Call it before a net is made, so that its first weights follow from the seed. How many threads
    torch uses stays the caller's choice, and results may differ between two such choices.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.Generator().manual_seed(seed)


def mark(settings: Any, training: Training) -> str:
    """16 hex digits of a dataclass's settings and of the data: names a training, for resuming."""
    shown = {f.name: getattr(settings, f.name) for f in fields(settings) if f.repr and f.init}
    return hashlib.sha256(repr((shown, training.hash)).encode()).hexdigest()[:16]


def teach(
    strategy: Any,
    training: Training,
    net: nn.Module,
    *,
    epochs: int,
    steps: Steps,
    optimiser: Optimiser,
    **more: Any,
) -> History:
    """:func:`train` with the seed, name, watcher and checkpoint of a :class:`Net` strategy."""
    return train(
        net,
        epochs=epochs,
        steps=steps,
        optimiser=optimiser,
        seed=strategy.seed,
        name=strategy.name,
        watcher=strategy.watcher,
        checkpoint=strategy.checkpoint,
        about=mark(strategy, training),
        **more,
    )


def train(
    net: nn.Module,
    *,
    epochs: int,
    steps: Steps,
    optimiser: Optimiser,
    seed: int,
    name: str,
    watcher: Watcher | None = None,
    checkpoint: Path | None = None,
    patience: int | None = None,
    valid: Callable[[], float] | None = None,
    about: str = "",
    slow: Mapping[str, float] | None = None,
) -> History:
    """Train ``net`` in place and leave it in evaluation mode.

    ``steps(epoch, rng)`` yields the loss of each batch. With ``valid`` (higher is better) the
    weights of the best epoch are restored at the end, and ``patience`` epochs without gain end
    the training. ``checkpoint`` is written after each epoch and removed at the end; a training
    that is started again with the same first weights, settings and ``about`` (:func:`mark`) goes
    on from there and ends with bitwise the same weights. ``slow`` names parts of the net (by
    how their parameters' names begin) and the share of the rate that they learn at.
    """
    for word, count in (("epochs", epochs), ("patience", 1 if patience is None else patience)):
        if count < 1:
            raise BadSettings(f"{word} must be >= 1, got {count}")
    told = repr((name, epochs, optimiser, seed, patience, about, slow))
    groups = _groups(net, slow or {})
    stepper = optimiser.make([{"params": list(part)} for part in groups.values()])
    run = _Run(net, stepper, _signature(net, told), checkpoint)
    run.resume()
    for epoch in range(run.done, epochs):
        if run.stale(patience):
            break
        for share, group in zip(groups, stepper.param_groups, strict=True):
            group["lr"] = share * optimiser.rate_at(epoch, epochs)
        scalars = {"loss": run.epoch(epoch, seed, steps, optimiser.clip, name)}
        if valid is not None:
            scalars["valid"] = run.judge(valid)
        if watcher is not None and not watcher.epoch(name, epoch, scalars):
            break
        run.save()
    return run.finish()


def _trained(net: nn.Module) -> list[nn.Parameter]:
    return [p for p in net.parameters() if p.requires_grad]


def _groups(net: nn.Module, slow: Mapping[str, float]) -> dict[float, list[nn.Parameter]]:
    """Share of the rate -> the parameters that learn at it."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            share = next((s for prefix, s in slow.items() if name.startswith(prefix)), 1.0)
            groups.setdefault(share, []).append(parameter)
    return groups


def _signature(net: nn.Module, told: str) -> str:
    """Names a training by its settings, the shape of the net and its first weights."""
    digest = hashlib.sha256((told + repr(net)).encode())
    for name, tensor in net.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.array_of(tensor).tobytes())
    return digest.hexdigest()


@dataclass
class _Run:
    """What a training carries from epoch to epoch, and so what a checkpoint holds."""

    net: nn.Module
    stepper: torch.optim.Optimizer
    signature: str
    path: Path | None
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best: int = -1
    kept: dict[str, Tensor] = field(default_factory=dict)  # weights of the best epoch

    @property
    def done(self) -> int:
        return len(self.losses)

    def stale(self, patience: int | None) -> bool:
        """Whether ``patience`` epochs have passed since the best one."""
        return patience is not None and self.best >= 0 and self.done - 1 - self.best >= patience

    def finish(self) -> History:
        """Leave the net with its best weights, ready to be used."""
        if self.kept:
            self.net.load_state_dict(self.kept)
        self.net.eval()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        best = self.best if self.kept else self.done - 1
        return History(tuple(self.losses), tuple(self.scores), best)

    def epoch(self, epoch: int, seed: int, steps: Steps, clip: float, name: str) -> float:
        """One pass over the batches; the mean loss."""
        # Everything random follows from (seed, epoch): a resumed epoch repeats the lost one.
        words = np.random.SeedSequence([seed, epoch]).generate_state(2)
        torch.manual_seed(int(words[0]))
        self.net.train()
        total, count = torch.zeros(()), 0
        for loss in steps(epoch, np.random.default_rng([seed, epoch])):
            self.stepper.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if clip > 0:
                nn.utils.clip_grad_norm_(_trained(self.net), clip)
            self.stepper.step()
            total, count = total + loss.detach().cpu(), count + 1
        mean = float(total) / max(count, 1)
        if not math.isfinite(mean):
            raise BadSettings(f"{name}: the loss is {mean} in epoch {epoch}; set a lower rate")
        self.losses.append(mean)
        return mean

    def judge(self, valid: Callable[[], float]) -> float:
        """The validation score of the weights as they are; kept when they are the best so far."""
        self.net.eval()
        with torch.no_grad():
            score = float(valid())
        self.scores.append(score)
        if self.best < 0 or score > self.scores[self.best]:
            self.best = self.done - 1
            self.kept = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        return score

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        if self.path is None:
            return
        arrays = weights.state_arrays(self.net, "net.")
        arrays |= {f"best.{name}": weights.array_of(value) for name, value in self.kept.items()}
        for number, state in self.stepper.state_dict()["state"].items():
            arrays |= {
                f"opt.{number}.{key}": weights.array_of(value)
                for key, value in state.items()
                if value is not None
            }
        course = {"losses": self.losses, "scores": self.scores, "best": self.best}
        metadata = {"signature": self.signature, "course": json.dumps(course)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        weights.write(self.path, arrays, metadata)

    def resume(self) -> None:
        """Take up a checkpoint of the same training; one of another, or none, changes nothing."""
        if self.path is None or not self.path.exists():
            return
        try:
            arrays, metadata = weights.read(self.path)
        except BadPackage as error:
            log.warning("training starts afresh: %s", error)
            return
        if metadata.get("signature") != self.signature:
            log.warning("training starts afresh: %s is of other settings or data", self.path)
            return
        weights.load_arrays(self.net, arrays, "net.")
        self.kept = {
            name.removeprefix("best."): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith("best.")
        }
        self.stepper.load_state_dict(
            {
                "state": _optimiser_state(arrays),
                "param_groups": self.stepper.state_dict()["param_groups"],
            }
        )
        course = json.loads(metadata["course"])
        self.losses, self.scores, self.best = course["losses"], course["scores"], course["best"]


def _optimiser_state(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("opt."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = torch.from_numpy(array)
    return state
