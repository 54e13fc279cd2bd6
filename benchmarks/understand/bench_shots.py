"""Shot boundaries: ours and PySceneDetect's detectors on films whose boundaries are known.

Usage: python benchmarks/understand/bench_shots.py [--tune | --long | --fresh] [--alone]
           [--repeat N] [FILM ...]

A cut counts as found within two frames (80 ms). A dissolve or fade counts as found by a boundary
within it or at most three frames outside. Each boundary of a detector answers for one of the
film, those left over are false; precision and recall of a kind take all false ones of the film
against it in proportion to its share of the film's boundaries. Times are CPU seconds of the whole
path: ours includes poster and keyframes as JPEG, scenes and each shot's look.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# As in the confined child: threads of BLAS that wait for each other would count as work.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
sys.path[:0] = [str(HERE), str(HERE.parent / "quality")]

import _films as films  # noqa: E402
import av  # noqa: E402
import environments  # noqa: E402

from segue.ingest.decode import examine_stream  # noqa: E402
from segue.ingest.limits import MediaLimits  # noqa: E402
from segue.ingest.media import Blob  # noqa: E402

PEER = environments.Environment(
    "scenedetect", ("scenedetect-headless==0.7.2", "av==18.1.0"), "scenedetect", None
)
DETECTORS = ("content", "adaptive", "threshold", "hash", "histogram")
CUT_FRAMES, GRADUAL_FRAMES = 2, 3
KINDS = ("cut", "dissolve", "fade")


@dataclass(frozen=True)
class Score:
    """Of one detector on one film; ``hits`` and ``truths`` by kind."""

    hits: dict[str, int]
    truths: dict[str, int]
    false: int

    def f1(self, kind: str | None = None) -> float:
        """Of one kind, or of all; 1.0 where there was nothing to find and nothing was found."""
        kinds = KINDS if kind is None else (kind,)
        hits = sum(self.hits[k] for k in kinds)
        truths = sum(self.truths[k] for k in kinds)
        false = self.false * truths / max(1, sum(self.truths.values()))
        return 2 * hits / (hits + false + truths) if truths else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            {k: self.hits[k] + other.hits[k] for k in KINDS},
            {k: self.truths[k] + other.truths[k] for k in KINDS},
            self.false + other.false,
        )


def score(truth: Sequence[films.Boundary], found_s: Sequence[float]) -> Score:
    """Match boundaries in order of time, each at most once."""
    hits = dict.fromkeys(KINDS, 0)
    truths = dict.fromkeys(KINDS, 0)
    left = sorted(found_s)
    for boundary in truth:
        truths[boundary.kind] += 1
        slack = CUT_FRAMES if boundary.kind == "cut" else GRADUAL_FRAMES
        low = (boundary.first - slack - 0.1) / films.RATE
        high = (boundary.end - 1 + slack + 0.1) / films.RATE
        match = next((time_s for time_s in left if low <= time_s <= high), None)
        if match is not None:
            left.remove(match)
            hits[boundary.kind] += 1
    return Score(hits, truths, len(left))


def ours(path: Path) -> tuple[list[float], float]:
    """(boundaries in seconds, CPU seconds)."""
    began = time.process_time()
    with contextlib.closing(Blob(os.open(path, os.O_RDONLY))) as blob:
        seen = examine_stream(blob, MediaLimits())
    return [shot.start_s for shot in seen.shots[1:]], time.process_time() - began


def theirs(path: Path, detector: str) -> tuple[list[float], float]:
    """The same of one detector of PySceneDetect with its default settings."""
    script = Path(__file__).with_name("_scenedetect.py")
    command = [str(PEER.python), str(script), str(path), detector]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer = json.loads(told.splitlines()[-1])
    return answer["cuts"], answer["cpu_s"]


def ready() -> None:
    """Make the peer's environment where there is none."""
    environments.cache_folder().mkdir(parents=True, exist_ok=True)
    with PEER.folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environments._found_or_made(PEER)


def line(name: str, result: Score, cpu_s: float, length_s: float) -> str:
    kinds = "  ".join(
        f"{kind} {result.hits[kind]:3d}/{result.truths[kind]:3d} F1 {result.f1(kind):.3f}"
        for kind in KINDS
    )
    speed = f"{length_s / cpu_s:6.0f}x" if cpu_s else "      -"
    return f"  {name:10s} F1 {result.f1():.3f}  {kinds}  false {result.false:3d}  {speed}"


def run(film: films.Film, repeat: int, detectors: Sequence[str]) -> dict[str, tuple[Score, float]]:
    path, truth = films.made(film)
    with av.open(str(path)) as container:
        length_s = float(container.duration or 0) / av.time_base
    print(f"{film.name}: {length_s:.0f} s, {len(truth)} boundaries", flush=True)
    out = {}
    for name in ("segue", *detectors):
        tries = [ours(path) if name == "segue" else theirs(path, name) for _ in range(repeat)]
        cpu_s = min(cpu for _, cpu in tries)
        result = score(truth, tries[0][0])
        out[name] = result, cpu_s
        print(line(name, result, cpu_s, length_s), flush=True)
    if not detectors:
        return out
    best = max(detectors, key=lambda d: out[d][0].f1())
    ratio = out[best][1] / out["segue"][1]
    print(f"  best of PySceneDetect: {best}; segue takes 1/{ratio:.1f} of its CPU time\n")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="*", help="beginnings of names; all test films if none")
    parser.add_argument("--tune", action="store_true", help="the films that settings were set on")
    parser.add_argument("--long", action="store_true", help="films of mostly cuts, for timing")
    parser.add_argument("--fresh", action="store_true", help="films of clips by video models")
    parser.add_argument("--repeat", type=int, default=1, help="timings take the best of N")
    parser.add_argument("--alone", action="store_true", help="without PySceneDetect")
    asked = parser.parse_args()
    detectors = () if asked.alone else DETECTORS
    if detectors:
        ready()
    part = "tune" if asked.tune else "test"
    others = (*(films.LONG if asked.long else ()), *(films.FRESH if asked.fresh else ()))
    chosen = others or [f for f in films.FILMS if f.part == part]
    if asked.films:
        chosen = [f for f in chosen if f.name.startswith(tuple(asked.films))]
    totals: dict[str, Score] = {}
    for film in chosen:
        for name, (result, _) in run(film, asked.repeat, detectors).items():
            totals[name] = totals[name] + result if name in totals else result
    print(f"all {len(chosen)} films")
    for name, result in totals.items():
        print(line(name, result, 0.0, 0.0))


if __name__ == "__main__":
    main()
