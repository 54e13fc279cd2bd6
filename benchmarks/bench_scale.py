"""What the default plan costs to fit as events grow: each part, their sum, all at once.

Every figure of a (part, size) comes from a process of its own, single-threaded, with the kernels
compiled before the clock starts. The events are generated, for cost only: nothing in them can be
learned beyond popularity, so they say nothing of quality. What decides cost is kept:

- users and items grow with the events as from MovieLens-1M to MovieLens-20M (SIZES);
- popularity is a power law, (r + 180)^-1.5 for the r-th item: its first is 12 times the mean of
  the catalogue at 1 M and 90 times at 20 M, as in those two sets. Nobody takes an item twice;
- lengths of histories are log-normal with a deviation of 1.1 (median 92 at a mean of 167; in
  MovieLens-1M 96 at 166), 5 items at least, a third of the catalogue at most. The pairs of items
  in them, which counting costs, are 1.09 times those of MovieLens-1M;
- people arrive evenly over 1,000 days and stay for a month on average.

Usage: python benchmarks/bench_scale.py [1] [5] [20] [--items N] [--part NAME] [--publish]

Sizes are in millions of events, 1 and 5 unless said. --items measures strategies beyond
`dense_items` on a catalogue of N items instead (50000; 5 M events unless said). Finished cells are
kept in benchmarks/out/scale/ and skipped; --again measures them anew. --publish writes what is
kept there to benchmarks/scale.json, scale.md and scale.png.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segue.core.behaviour import BehaviourWeights
from segue.core.protocols import Strategy
from segue.core.types import DAY_S, Catalogue, Interactions, Item, Profile, Training, Vectors
from segue.recommend.features import Side
from segue.recommend.matrix import DENSE_ITEMS
from segue.recommend.plan import DEFAULT
from segue.recommend.registry import make

HERE = Path(__file__).parent
KEPT = HERE / "out" / "scale"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

# millions of events -> users, items. 1: MovieLens-1M. 20: MovieLens-20M. 5: between them on the
# power laws that join the two (users ~ events^1.05, items ~ events^0.66).
SIZES = {1: (6_000, 3_700), 5: (32_000, 10_800), 20: (138_000, 27_000)}
SHIFT, POWER = 180, 1.5
DEVIATION, LEAST, SHARE = 1.1, 5, 1 / 3
DAYS, STAY_DAYS = 1_000, 30
RATINGS = (0.06, 0.11, 0.26, 0.35, 0.22)  # shares of 1 to 5 stars in MovieLens-1M
DIM = 512  # of content vectors: those of segue's text encoder

WHOLE = "all at once"  # Side(DEFAULT).fit: the parts, the table of items, the groups of people
APART = "parts one by one"  # seconds and what is kept add up, the peak is the highest
PARTS = (*DEFAULT.parts, WHOLE)
WIDE = ("neighbours", "people", "linear", "slim", "walk")
LEAST_S, LEAST_MB = 0.05, 2.0  # below them a cell says nothing about growth


@dataclass(frozen=True)
class Size:
    """One set of generated events."""

    millions: int
    users: int
    items: int

    @property
    def folder(self) -> Path:
        return KEPT / f"{self.millions}m-{self.users}-{self.items}"


@dataclass(frozen=True)
class Cell:
    """What fitting one part cost. Memory is what the fit added to the process that held the data"""

    part: str
    millions: int
    users: int
    items: int
    events: int
    cpu_s: float
    wall_s: float
    fit_mb: float  # peak of the fit above what stood before it
    held_mb: float  # arrays that the fitted part keeps
    data_mb: float  # what stood before the fit


def generate(size: Size) -> None:
    """Write the events of a size as arrays, in time order."""
    rng = np.random.default_rng(0)
    events = size.millions * 1_000_000
    lengths = rng.lognormal(0, DEVIATION, size.users)
    most = int(size.items * SHARE)
    for _ in range(20):  # what is cut from the longest goes to the others
        lengths = np.clip(lengths * (events / lengths.sum()), LEAST, most)
    users, items = np.divmod(_drawn(rng, lengths.round().astype(np.intp), size.items), size.items)
    arrived = rng.uniform(0, DAYS, size.users)
    days = np.minimum(arrived[users] + rng.exponential(STAY_DAYS, len(users)), DAYS + STAY_DAYS)
    order = np.argsort(days)
    stars = rng.choice(np.arange(1.0, 6.0), len(users), p=RATINGS)
    columns = {
        "users": users[order],
        "items": items[order],
        "time": days[order] * DAY_S,
        "value": stars.astype(np.float32),
        "weight": BehaviourWeights().weigh(np.full(len(users), "rating"), stars),
    }
    size.folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        np.save(size.folder / f"{name}.npy", column)
    (size.folder / "done").touch()


def _drawn(rng: np.random.Generator, lengths: np.ndarray, n_items: int) -> np.ndarray:
    """User * n_items + item of every event: so many distinct items of each, popular ones sooner."""
    share = ((np.arange(n_items) + SHIFT) ** -POWER).astype(np.float32)
    rng.shuffle(share)  # popularity is no order of the catalogue
    found = []
    for user, length in enumerate(lengths):
        # The first to arrive of so many exponential clocks: without replacement by weight
        # (Efraimidis & Spirakis, Information Processing Letters 2006).
        arrival = rng.standard_exponential(n_items, dtype=np.float32) / share
        found.append(user * n_items + np.argpartition(arrival, length)[:length])
    return np.concatenate(found)


def load(size: Size) -> Training:
    columns = {path.stem: np.load(path) for path in size.folder.glob("*.npy")}
    interactions = Interactions(**columns, n_users=size.users, n_items=size.items)
    rng = np.random.default_rng(1)
    catalogue = Catalogue(
        tuple(
            Item(id=str(i), kind="movie", title=f"film {i}", year=1920 + i % 80)
            for i in range(size.items)
        )
    )
    kinds = [
        Profile(gender=gender, age=age, occupation=str(work))
        for gender in "fm"
        for age in (16, 20, 30, 40, 50, 60)
        for work in range(21)
    ]
    profiles = tuple(kinds[k] for k in rng.integers(len(kinds), size=size.users))
    values = rng.standard_normal((size.items, DIM), dtype=np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    content = Vectors(values, np.ones(size.items, dtype=np.bool_), "random")
    return Training(catalogue, interactions, profiles, content, float(interactions.time[-1]) + 1)


def made(part: str) -> Strategy | Side:
    """Unfitted; a strategy's own name gives it with its own settings."""
    if part == WHOLE:
        return Side(DEFAULT)
    given = DEFAULT.parts.get(part)
    return make(part) if given is None else make(given.strategy, **given.settings)


def held_mb(fitted: Strategy | Side) -> float:
    parts = [fitted, *fitted.parts.values()] if isinstance(fitted, Side) else [fitted]
    return sum(array.nbytes for part in parts for array in part.state().values()) / 2**20


def memory_mb(field: str) -> float:
    """VmRSS (what is held now) or VmHWM (the most since the start or :func:`forget_peak`)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux: the peak since the start is all that can be asked for
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forget_peak() -> None:
    """Loading and compiling have peaks of their own, which are not the fit's."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def compile_kernels(part: str, training: Training) -> None:
    """Fit on few events, dense and sparse."""
    few = training.before(float(training.interactions.time[20_000]))
    for dense_items in (None, 0):
        small = made(part)
        for strategy in small.parts.values() if isinstance(small, Side) else (small,):
            if dense_items is not None and hasattr(strategy, "dense_items"):
                strategy.dense_items = dense_items
        small.fit(few)


def measure(part: str, size: Size) -> Cell:
    training = load(size)
    compile_kernels(part, training)
    strategy = made(part)
    forget_peak()
    before = memory_mb("VmRSS")
    began, cpu = time.perf_counter(), time.process_time()
    strategy.fit(training)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return Cell(
        part=part,
        **asdict(size),
        events=len(training.interactions),
        cpu_s=round(cpu_s, 3),
        wall_s=round(wall_s, 3),
        fit_mb=round(memory_mb("VmHWM") - before, 1),
        held_mb=round(held_mb(strategy), 1),
        data_mb=round(before, 1),
    )


def run(part: str, size: Size, *, again: bool) -> None:
    """Measure in a process of its own what was not measured yet."""
    path = size.folder / f"{part.replace(' ', '-')}.json"
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    call = [sys.executable, __file__, "--one", part, *map(str, asdict(size).values())]
    if not (size.folder / "done").exists():
        print(f"{size.millions} M events x {size.items:,} items: generating", flush=True)
        subprocess.run([*call, "--generate"], check=True, env=environment)
    if again or not path.exists():
        out = subprocess.run(call, check=True, env=environment, stdout=subprocess.PIPE, text=True)
        path.write_text(out.stdout)
    cell = Cell(**json.loads(path.read_text()))
    print(
        f"{size.millions:3d} M x {size.items:6,} items  {part:24s} {cell.cpu_s:8.2f} s CPU"
        f" {cell.wall_s:8.2f} s wall {cell.fit_mb:8.0f} MB to fit {cell.held_mb:8.0f} MB kept",
        flush=True,
    )


def finished() -> list[Cell]:
    paths = sorted(KEPT.glob("*/*.json"))
    return [Cell(**json.loads(path.read_text())) for path in paths]


def growth(cells: list[Cell], column: str, least: float) -> float | None:
    """Exponent of a cost in the events, by least squares on logarithms; None if it is too small."""
    costs = np.array([getattr(cell, column) for cell in cells])
    if len(cells) < 2 or costs.min() < least:
        return None
    events = np.array([cell.events for cell in cells])
    return float(np.polyfit(np.log(events), np.log(costs), 1)[0])


def summed(cells: Iterable[Cell]) -> list[Cell]:
    """The parts one after the other, by size: seconds and what is kept add up, peaks do not."""
    out = []
    for millions, (users, items) in SIZES.items():
        some = [c for c in cells if c.millions == millions and c.part in DEFAULT.parts]
        if len(some) < len(DEFAULT.parts):
            continue
        total = {n: round(sum(getattr(c, n) for c in some), 3) for n in
                 ("cpu_s", "wall_s", "held_mb")}  # fmt: skip
        peaks = {n: max(getattr(c, n) for c in some) for n in ("events", "fit_mb", "data_mb")}
        out.append(Cell(APART, millions, users, items, **total, **peaks))
    return out


def by_part(cells: list[Cell]) -> dict[str, list[Cell]]:
    """The cells of the default plan, each part's by size."""
    plain = [c for c in cells if SIZES.get(c.millions) == (c.users, c.items)]
    plain += summed(plain)
    names = (*DEFAULT.parts, APART, WHOLE)
    rows = {n: sorted((c for c in plain if c.part == n), key=lambda c: c.events) for n in names}
    return {name: row for name, row in rows.items() if row}


def told(exponent: float | None) -> str:
    return "" if exponent is None else f"{exponent:.2f}"


def table(cells: list[Cell]) -> str:
    """Markdown: the cost of each part by size, and how it grows."""
    rows = by_part(cells)
    blocks = [
        _columns(rows, "cpu_s", LEAST_S, "CPU seconds", ",.1f"),
        _columns(rows, "fit_mb", LEAST_MB, "MB added at the peak of the fit", ",.0f"),
        _columns(rows, "held_mb", LEAST_MB, "MB that the fitted part keeps", ",.0f"),
    ]
    return "\n".join(blocks)


def _columns(rows: dict[str, list[Cell]], column: str, least: float, title: str, form: str) -> str:
    heads = [f"{m} M ({users:,} × {items:,})" for m, (users, items) in SIZES.items()]
    heads = [title, *heads, "~ events^", "5 to 20 M ~ events^"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---|" * (len(SIZES) + 2)]
    for name, row in rows.items():
        by_size = {c.millions: format(getattr(c, column), form) for c in row}
        sparse = [c for c in row if c.items > DENSE_ITEMS]
        exponents = [told(growth(some, column, least)) for some in (row, sparse)]
        lines.append(f"| {' | '.join([name, *(by_size.get(m, '') for m in SIZES), *exponents])} |")
    return "\n".join(lines) + "\n"


def wide_table(cells: list[Cell]) -> str:
    """Markdown: the strategies on a catalogue beyond ``dense_items``."""
    wide = [c for c in cells if SIZES.get(c.millions) != (c.users, c.items)]
    wide.sort(key=lambda c: (c.items, c.millions, WIDE.index(c.part) if c.part in WIDE else 99))
    lines = [
        "| strategy | events | users × items | CPU s | MB added at the peak | MB kept | MB of the "
        "process at the peak |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.part} | {c.millions} M | {c.users:,} × {c.items:,} | {c.cpu_s:.1f} "
        f"| {c.fit_mb:,.0f} | {c.held_mb:,.0f} | {c.data_mb + c.fit_mb:,.0f} |"
        for c in wide
    ]
    return "\n".join(lines) + "\n"


def plot(cells: list[Cell], path: Path) -> None:
    figure = Figure(figsize=(14, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    rows = by_part(cells)
    axes = figure.subplots(1, 2)
    for axis, (column, least, label) in zip(
        axes,
        (("cpu_s", LEAST_S, "CPU seconds of a fit"), ("fit_mb", LEAST_MB, "MB a fit adds, peak")),
        strict=True,
    ):
        for number, (name, row) in enumerate(rows.items()):
            exponent = growth(row, column, least)
            if exponent is None:
                continue
            whole = name not in DEFAULT.parts
            axis.loglog(
                [c.events for c in row],
                [getattr(c, column) for c in row],
                marker="o",
                color="black" if whole else f"C{number % 10}",
                linestyle="--" if name == WHOLE else "-",
                linewidth=2 if whole else 1.2,
                label=f"{name}: events^{exponent:.2f}",
            )
        axis.set_xticks([m * 1e6 for m in SIZES], [f"{m} M" for m in SIZES])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("events")
        axis.set_ylabel(label)
        axis.grid(visible=True, which="both", alpha=0.25)
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=80)


def publish() -> None:
    cells = finished()
    text = json.dumps([asdict(cell) for cell in cells], indent=1)
    (HERE / "scale.json").write_text(text + "\n")
    about = f"""# How fitting grows

Printed by `python benchmarks/bench_scale.py 1 5 20` and `python benchmarks/bench_scale.py --items
50000`; one thread, each figure from a process of its own. The events are generated in the size and
shape of MovieLens (users × items in brackets), for cost only. Exponents are fitted by least squares
on logarithms; none is given where the smallest size costs under {LEAST_S:g} s or {LEAST_MB:g} MB.
Catalogues above {DENSE_ITEMS:,} items take sparse forms, so from 1 M to 5 M events the method of
the item matrices changes as well as their size; from 5 M to 20 M it is the same. In
"{APART}" seconds and what is kept are summed and the peak is the highest; "{WHOLE}" keeps all
parts while it fits, and makes the table of items and the groups of people too.

"""
    wide = "\n## A catalogue of 50,000 items\n\n" + wide_table(cells)
    (HERE / "scale.md").write_text(
        about + table(cells) + "\n![CPU seconds and memory by events](scale.png)\n" + wide
    )
    plot(cells, HERE / "scale.png")


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        size = Size(*map(int, sys.argv[3:6]))
        if sys.argv[6:] == ["--generate"]:
            generate(size)
        else:
            print(json.dumps(asdict(measure(sys.argv[2], size))))
        return
    parser = argparse.ArgumentParser(description="What fitting the default plan costs by size.")
    parser.add_argument("millions", nargs="*", type=int)
    parser.add_argument("--items", type=int)
    parser.add_argument("--part", action="append")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--publish", action="store_true")
    asked = parser.parse_args()
    if not {*asked.millions} <= {*SIZES}:
        parser.error(f"sizes are {[*SIZES]}, got {asked.millions}")
    if asked.items is None:
        sizes, parts = asked.millions or [1, 5], asked.part or PARTS
    else:
        sizes, parts = asked.millions or [5], asked.part or WIDE
    for millions in sizes:
        users, items = SIZES[millions]
        size = Size(millions, users, items if asked.items is None else asked.items)
        for part in parts:
            run(part, size, again=asked.again)
    if asked.publish:
        publish()
        return
    print(table(finished()) if asked.items is None else wide_table(finished()))


if __name__ == "__main__":
    main()
