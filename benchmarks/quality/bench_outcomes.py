"""Do people return within a week? Calibrated forecasts on the last tenth of MovieLens, by time.

Usage: python benchmarks/quality/bench_outcomes.py [100k] [1m]

The model is fitted on everything before the test part and asked there: every week about everybody
known by then, and in the middle of visits. Beside it: the past's base rate, and the past's rate by
days since the last event, which a simple rule would use. The other two targets (next kind, watched
share) have nothing to learn from in MovieLens, which holds ratings alone; the script prints what
the model says to that. A picture of the table is left in benchmarks/out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segue.core.types import Doubles, Training
from segue.evaluate.compare import difference
from segue.evaluate.probabilities import brier, calibration_error, log_loss, reliability
from segue.evaluate.split import temporal
from segue.recommend.lessons import Lessons, came_back, in_visits, returns
from segue.recommend.moments import DAY_S, Moments, Timeline
from segue.recommend.outcomes import Outcomes

sys.path.insert(0, str(Path(__file__).parents[1]))
import _data

OUT = Path(__file__).parents[1] / "out" / "outcomes"
WEEK_S = 7 * DAY_S
WEEKS = 26  # of the test part, from its beginning
SEED = 0
AWAY_DAYS = (0.05, 0.5, 1, 2, 4, 7, 14, 30, 60, 120)  # borders of the simple rule


def questions(timeline: Timeline, start: float, end: float) -> dict[str, Moments]:
    """Every week about everybody known by then; once a visit, in the middle of it."""
    first = np.full(timeline.events.n_users, np.inf)
    np.minimum.at(first, timeline.events.users, timeline.events.time)
    weeks = [t for n in range(WEEKS) if (t := start + n * WEEK_S) <= end - WEEK_S]
    known = [np.flatnonzero(first < t) for t in weeks]
    regular = Moments(
        np.concatenate(known), np.repeat(np.array(weeks), [len(users) for users in known])
    )
    last = min(end - WEEK_S, start + WEEKS * WEEK_S)
    visits = in_visits(timeline, start, last, np.random.default_rng(SEED))
    return {"every week, everybody": regular, "in the middle of visits": visits}


def away(timeline: Timeline, moments: Moments) -> Doubles:
    """(n,) days since the last event of each person."""
    place = timeline.place(moments) - 1
    return (moments.times - timeline.events.time[timeline.order[place]]) / DAY_S


def forecast(made: Outcomes, timeline: Timeline, moments: Moments, data: Training) -> Doubles:
    """(n,) in the order of the moments, a time at a time, as a person would ask."""
    out = np.empty(len(moments))
    order = np.argsort(moments.times, kind="stable")
    starts = np.flatnonzero(np.diff(moments.times[order], prepend=-np.inf))
    for at in np.split(order, starts[1:]):
        profiles = [data.profiles[user] for user in moments.users[at]]
        histories = timeline.histories(moments.take(at))
        out[at] = made.returns(histories, profiles, float(moments.times[at[0]]))
    return out


def by_person(values: Doubles, users: np.ndarray) -> Doubles:
    """Mean of each person who was asked about: people are what is resampled."""
    n = np.bincount(users)
    return np.bincount(users, values)[n > 0] / n[n > 0]


def measure(name: str, data: Training) -> None:
    split = temporal(data.interactions)
    print(f"\n{name}: {split}")
    began = time.process_time()
    made = Outcomes(seed=SEED)
    made.fit(data.before(split.test_from))
    print(f"fit in {time.process_time() - began:.1f} CPU-s; {'; '.join(made.refused.values())}")
    past = Timeline(split.train_valid)
    rule = returns(past, split.test_from, WEEK_S, np.random.default_rng(SEED), made.lessons)
    timeline = Timeline(data.interactions)
    for number, (asked, moments) in enumerate(
        questions(timeline, split.test_from, data.at).items()
    ):
        happened = came_back(timeline, moments, WEEK_S)
        said = {
            "segue": forecast(made, timeline, moments, data),
            "rate by days away": by_days_away(past, rule, timeline, moments),
            "base rate": np.full(len(moments), base_rate(rule, number)),
        }
        show(asked, said, happened, moments)
        picture(OUT / f"{name}-{number}.png", asked, said["segue"], happened)


def base_rate(lessons: Lessons, number: int) -> float:
    """Of past moments of the same sort: those of a week share their time with others."""
    _, place, count = np.unique(lessons.moments.times, return_inverse=True, return_counts=True)
    regular = count[place] > 1
    return float(lessons.labels[regular if number == 0 else ~regular].mean())


def by_days_away(past: Timeline, lessons: Lessons, timeline: Timeline, moments: Moments) -> Doubles:
    group = np.digitize(away(past, lessons.moments), AWAY_DAYS)
    count = np.bincount(group, minlength=len(AWAY_DAYS) + 1)
    back = np.bincount(group, lessons.labels, len(AWAY_DAYS) + 1)
    rate = (back + lessons.labels.mean()) / (count + 1)
    return rate[np.digitize(away(timeline, moments), AWAY_DAYS)]


def show(asked: str, said: dict[str, Doubles], happened: Doubles, moments: Moments) -> None:
    people = len(np.unique(moments.users))
    print(f"\n{asked}: {len(moments):,} questions about {people:,} people, ", end="")
    print(f"{happened.mean():.2%} returned")
    print(f"{'':20}{'Brier':>9}{'log loss':>10}{'ECE':>8}   Brier minus ours, a person's mean")
    ours = (said["segue"] - happened) ** 2
    for name, p in said.items():
        gap = ""
        if name != "segue":
            both = [by_person(v, moments.users) for v in ((p - happened) ** 2, ours)]
            found = difference(both[0], both[1], np.random.default_rng(SEED))
            gap = f"{found.mean:+.5f} [{found.low:+.5f}, {found.high:+.5f}]"
        scores = f"{brier(p, happened):9.5f}{log_loss(p, happened):10.5f}"
        print(f"{name:20}{scores}{calibration_error(p, happened):8.4f}   {gap}")
    print("said      happened  questions")
    for row in reliability(said["segue"], happened):
        print(f"{row.said:8.3%}  {row.happened:8.3%}  {row.n:9,}")


def picture(path: Path, title: str, said: Doubles, happened: Doubles) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    table = reliability(said, happened)
    axes.plot([0, 1], [0, 1], color="#bbb")
    axes.plot([b.said for b in table], [b.happened for b in table], "o-", color="#c33")
    axes.set(title=title, xlabel="said", ylabel="happened")
    figure.savefig(path, dpi=110)
    print(f"picture: benchmarks/out/outcomes/{path.name}")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["100k", "1m"]:
        measure(chosen, {"100k": _data.ml100k, "1m": _data.ml1m}[chosen]())
