"""The demo workspace: MovieLens people and films, TMDB plots, and real media files beside them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segue import assembly, datasets
from segue.core.types import DAY_S
from segue.enrich import enrich_films
from segue.store.workspace import Workspace

Say = Callable[[str], None]
STEPS_KEY = "demo-steps"
DEEPEN_LOG = "understand.log"
CORES = 2
MOVIELENS_LAST_EVENT = 893_286_638.0  # 1998-04-22, the newest rating of MovieLens-100K


@dataclass(frozen=True)
class Step:
    """One part of the set-up; done parts are remembered, so a second start skips them."""

    name: str
    text: str
    run: Callable[[Workspace, Say], None]


def _fetch_progress(say: Say) -> Callable[[str, int, int], None]:
    def progress(name: str, done: int, total: int) -> None:
        if done < total:
            say(f"  downloading {name} ({total / 1e6:.0f} MB)")

    return progress


def _films(workspace: Workspace, say: Say) -> None:
    from segue.ingest.presets import preset  # noqa: PLC0415 - polars loads only when needed
    from segue.ingest.tables import What, import_table  # noqa: PLC0415

    films = datasets.get("movielens-100k", progress=_fetch_progress(say))
    plots = datasets.get("tmdb-5000", progress=_fetch_progress(say))
    say(f"  notice: {datasets.packages()['movielens-100k'].notice}")
    say(f"  notice: {datasets.packages()['tmdb-5000'].notice}")
    # Whole days keep each event's time of day; the shift makes "recent" mean something today.
    shift_s = (time.time() - MOVIELENS_LAST_EVENT) // DAY_S * DAY_S
    say(f"  MovieLens' times are moved forward by {shift_s / DAY_S:,.0f} days, to end today")
    tables: tuple[tuple[What, str], ...] = (
        ("items", "item"),
        ("users", "user"),
        ("events", "inter"),
    )
    for what, suffix in tables:
        mapping = preset("movielens-100k", what, time_shift_s=shift_s)
        report = import_table(workspace, what, [films / f"ml-100k.{suffix}"], mapping=mapping)
        say(f"  {what}: {report.added:,} added, {report.rejected} rejected")
    joined = enrich_films(workspace, plots)
    say(f"  plots and keywords joined to {joined} films")


def _media(workspace: Workspace, say: Say) -> None:
    from segue.datasets.demo import demo_media  # noqa: PLC0415
    from segue.ingest.run import ingest  # noqa: PLC0415

    media = demo_media(progress=_fetch_progress(say))
    for skipped in media.skipped:
        say(f"  left out: {skipped}")
    report = ingest(workspace, [media.folder], workers=CORES)
    say(f"  {report.added} media files became items, {len(report.refused)} refused")
    for path, reason in report.refused:
        say(f"  refused {Path(path).name}: {reason}")


def _understand(workspace: Workspace, say: Say) -> None:
    """The encoders alone: what recommending and searching need. :func:`deepening` does the rest."""
    from segue.understand.run import understand  # noqa: PLC0415
    from segue.understanding import encoders_of  # noqa: PLC0415

    encoders = encoders_of(assembly.read_settings(workspace).understand)
    say(f"  {understand(workspace, encoders=encoders)}")


def _train(workspace: Workspace, say: Say) -> None:
    assembly.train(workspace, say)


STEPS = (
    Step("films", "films, people and ratings (MovieLens-100K, TMDB)", _films),
    Step("media", "real video, music, speech and books", _media),
    Step("understand", "reading plots, pictures and sound", _understand),
    Step("train", "training, choosing and proving the blend", _train),
)


def build(root: Path, say: Say) -> Workspace:
    """Make the demo workspace, or only what is missing of it; says where the time goes."""
    workspace = Workspace.create(root)
    done = dict(workspace.get_meta(STEPS_KEY) or {})
    for number, step in enumerate(STEPS, 1):
        if step.name in done:
            continue
        say(f"[{number}/{len(STEPS)}] {step.text}")
        start = time.perf_counter()
        step.run(workspace, say)
        done[step.name] = round(time.perf_counter() - start, 1)
        workspace.set_meta(STEPS_KEY, done)
        say(f"  {done[step.name]} s")
    return workspace


@contextmanager
def deepening(workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    """Go on understanding in a process of its own, at low priority, while the page is served.

    What it finds shows when an item is opened. It ends with the page, and goes on from there when
    the demo is started again.
    """
    command = ["nice", "-n", "15", sys.executable, "-m", "segue", "understand"]
    with (workspace.root / DEEPEN_LOG).open("wb") as log:
        going = subprocess.Popen([*command, "-w", str(workspace.root)], stdout=log, stderr=log)
        try:
            yield going
        finally:
            going.terminate()
            going.wait()
