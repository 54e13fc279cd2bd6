"""Each strategy's settings, searched on past windows and validation within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadInput, SegueError
from segue.core.protocols import Net, Strategy, Trial, Tunable
from segue.core.types import Doubles
from segue.evaluate.metrics import measure, top_items
from segue.evaluate.report import Tuned
from segue.folds import Fold, Folds
from segue.recommend.registry import STRATEGIES, is_deep, kind_of, make, missing
from segue.recommend.windows import Asked

Progress = Callable[[str], None]

MAX_TRIALS = 40  # of one strategy; a fast one leaves its time to the others
MAX_USERS = 1000  # of a fold, drawn once
CHUNK = 500  # people scored at once
STARTUP = 4  # trials before any is pruned
WINDOWS = 2  # past windows beside validation; nets see validation alone


@dataclass
class Deadline:
    """Watches a net and stops its training when the time is up."""

    until: float
    stopped: bool = False

    def epoch(self, name: str, step: int, scalars: Mapping[str, float]) -> bool:
        self.stopped = time.monotonic() > self.until
        return not self.stopped


@dataclass
class _Defaults:
    """A trial that proposes the constructor's own defaults, and remembers what it was asked."""

    kind: Any
    asked: dict[str, Any] = field(default_factory=dict)

    def _default(self, name: str, otherwise: Any) -> Any:
        known = {f.name: f.default for f in fields(self.kind)}
        self.asked[name] = known.get(name, otherwise)
        return self.asked[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._default(name, low))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._default(name, low))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._default(name, choices[0])


@dataclass(frozen=True)
class Question:
    """The people of one fold, ready to be asked about any strategy."""

    fold: Fold
    asked: Asked

    @staticmethod
    def of(fold: Fold, seed: int) -> Question:
        return Question(fold, Asked.of(fold.past, fold.held, max_users=MAX_USERS, seed=seed))

    def ndcg(self, strategy: Strategy) -> Doubles:
        """(n_users,) NDCG@10 of a fitted strategy, full ranking over everything unseen."""
        out = []
        past, asked = self.fold.past, self.asked
        for start in range(0, len(asked.users), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(asked.users)))
            part = asked.histories.take(rows)
            profiles = [past.profiles[u] for u in asked.users[rows]]
            scores = strategy.scores(part, profiles, past.at)
            out.append(measure(top_items(scores, part.seen()), asked.relevant[rows]).ndcg)
        return np.concatenate(out) if out else np.zeros(0)


def tunable(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Strategies that can be tuned here, cheap ones first; all by default."""
    wanted = tuple(STRATEGIES) if names is None else tuple(names)
    here = [n for n in wanted if missing(n) is None and isinstance(kind_of(n), Tunable)]
    return tuple(sorted(here, key=is_deep))


def questions(folds: Folds, seed: int) -> tuple[Question, ...]:
    """The latest past windows and validation, those with anybody to ask."""
    made = [Question.of(fold, seed) for fold in (*folds.lessons[-WINDOWS:], folds.valid)]
    found = tuple(q for q in made if len(q.asked.users))
    if not found:
        raise BadInput("nobody can be asked on validation; import events that span a longer time")
    return found


def tune(
    folds: Folds,
    names: Sequence[str],
    *,
    budget_s: float,
    seed: int,
    studies: Path | None,
    data_hash: str,
    progress: Progress,
) -> tuple[Tuned, ...]:
    """Search each strategy in turn; what one leaves of its share of the time goes to the rest.

    With ``studies`` (a file) every trial is kept, and the next call goes on where this one ended.
    """
    if budget_s <= 0:
        raise BadInput(f"the budget must be > 0 seconds, got {budget_s}")
    asked = questions(folds, seed)
    until = time.monotonic() + budget_s
    out = []
    for n, name in enumerate(names):
        share = (until - time.monotonic()) / (len(names) - n)
        if share <= 0:
            progress(f"no time left to tune {', '.join(names[n:])}")
            break
        study = _study(name, f"{name} {data_hash} {folds.split.hash}", studies, seed)
        try:
            found = _search(name, study, asked, share)
        except SegueError as error:
            progress(f"{name} cannot be tuned here: {error}")
            continue
        out.append(found)
        progress(
            f"tuned {name}: NDCG@10 {found.default:.4f} -> {found.best:.4f}, "
            f"{found.trials} trials ({found.pruned} pruned), {found.seconds:.0f} s"
        )
    return tuple(out)


def _study(name: str, title: str, studies: Path | None, seed: int) -> Any:
    import optuna  # noqa: PLC0415 half a second, for tuning alone

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None if studies is None else f"sqlite:///{studies}"
    study = optuna.create_study(
        storage=storage,
        study_name=title,
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
    )
    # Another seed after each trial that is there: a resumed search must not repeat itself.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    if not any(t.value is not None and t.user_attrs.get("default") for t in study.trials):
        defaults = _Defaults(kind_of(name))
        kind_of(name).suggest(defaults)
        study.enqueue_trial(defaults.asked, user_attrs={"default": True})
    return study


def _search(name: str, study: Any, asked: Sequence[Question], share_s: float) -> Tuned:
    import optuna  # noqa: PLC0415

    began = time.monotonic()
    if is_deep(name):
        asked = asked[-1:]
    states = optuna.trial.TrialState
    while len(study.trials) < MAX_TRIALS:
        measured = any(t.state == states.COMPLETE for t in study.trials)
        if measured and time.monotonic() - began >= share_s:
            break
        trial = study.ask()
        value = _value(name, trial, asked, began + share_s)
        if value is None:
            study.tell(trial, state=states.PRUNED)
        else:
            study.tell(trial, value)
    done = [t for t in study.trials if t.state == states.COMPLETE]
    values = [float(t.value) for t in done]
    default = next(v for v, t in zip(values, done, strict=True) if t.user_attrs.get("default"))
    best = max(range(len(done)), key=lambda n: values[n])
    return Tuned(
        strategy=name,
        settings=dict(done[best].user_attrs["settings"]),
        default=default,
        best=values[best],
        trials=len(done),
        pruned=sum(t.state == states.PRUNED for t in study.trials),
        seconds=time.monotonic() - began,
        curve=tuple(np.maximum.accumulate(values).tolist()),
    )


def _value(name: str, trial: Any, asked: Sequence[Question], until: float) -> float | None:
    """Mean NDCG@10 over the folds, None when the trial was pruned."""
    proposed: Trial = trial
    settings = kind_of(name).suggest(proposed)
    trial.set_user_attr("settings", settings)
    found: list[float] = []
    for question in asked:
        strategy = make(name, **settings)
        if isinstance(strategy, Net):
            strategy.watcher = Deadline(until)
        strategy.fit(question.fold.past)
        found.append(float(question.ndcg(strategy).mean()))
        trial.report(float(np.mean(found)), len(found))
        if len(found) < len(asked) and trial.should_prune():
            return None
    return float(np.mean(found))
