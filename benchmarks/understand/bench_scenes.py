"""Are scenes found? Films of known scenes: ours beside a scene a shot and scenes of equal length.

Usage: python benchmarks/understand/bench_scenes.py [--tune]

A boundary between scenes counts as found within half a second. Coverage and overflow follow
Vendrig and Worring ("Systematic evaluation of logical story unit segmentation", 2002): the share
of a scene that the best found one covers, and how much the found ones reach over into its
neighbours; F is the harmonic mean of coverage and 1 - overflow. IoU is the mean over scenes of
the best overlap of time, both ways round. The whole path is measured: shots are the found ones.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

import _acts as acts  # noqa: E402
import _films as films  # noqa: E402

from segue.ingest.decode import examine_stream  # noqa: E402
from segue.ingest.limits import MediaLimits  # noqa: E402
from segue.ingest.media import Blob, Examined  # noqa: E402

NEAR_S = 0.5
Spans = list[tuple[float, float]]


@dataclass
class Score:
    """Sums over films; each scene counts once."""

    hits: int = 0
    found: int = 0
    truths: int = 0
    coverage: list[float] = field(default_factory=list)
    overflow: list[float] = field(default_factory=list)
    iou: list[float] = field(default_factory=list)
    by_kind: dict[str, list[bool]] = field(default_factory=dict)
    torn: dict[str, list[bool]] = field(default_factory=dict)  # scenes with a boundary inside

    def line(self, name: str) -> str:
        precision, recall = self.hits / max(1, self.found), self.hits / max(1, self.truths)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        covered, kept = float(np.mean(self.coverage)), 1 - float(np.mean(self.overflow))
        both = 2 * covered * kept / max(1e-9, covered + kept)
        return (
            f"  {name:22s} precision {precision:.3f} recall {recall:.3f} F1 {f1:.3f}   coverage "
            f"{covered:.3f} overflow {1 - kept:.3f} F {both:.3f}   IoU {np.mean(self.iou):.3f}"
        )

    def detail(self) -> str:
        met = {k: f"{sum(v)}/{len(v)}" for k, v in sorted(self.by_kind.items())}
        torn = {k: f"{sum(v)}/{len(v)}" for k, v in sorted(self.torn.items())}
        return f"      boundaries found by kind {met}; scenes torn by kind {torn}"


def shared(a: tuple[float, float], b: tuple[float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def length(span: tuple[float, float]) -> float:
    return span[1] - span[0]


def add(score: Score, truth: acts.Truth, real: Spans, found: Spans) -> None:
    """One film's spans, each in order and without gaps."""
    left = [start for start, _ in found[1:]]
    score.found += len(left)
    score.truths += len(real) - 1
    for (start, _), kind in zip(real[1:], truth.kinds[1:], strict=True):
        match = min(left, key=lambda at: abs(at - start), default=None)
        hit = match is not None and abs(match - start) <= NEAR_S
        if hit:
            left.remove(match)
        score.hits += hit
        score.by_kind.setdefault(kind, []).append(hit)
    for span, way in zip(real, truth.ways, strict=True):
        torn = any(span[0] + NEAR_S < at < span[1] - NEAR_S for at in left)
        score.torn.setdefault(way, []).append(torn)
    for n, scene in enumerate(real):
        score.coverage.append(max(shared(scene, f) for f in found) / length(scene))
        beside = sum(length(real[m]) for m in (n - 1, n + 1) if 0 <= m < len(real))
        over = sum(length(f) - shared(scene, f) for f in found if shared(scene, f) > 1 / films.RATE)
        score.overflow.append(min(1.0, over / beside))
    for some, others in ((real, found), (found, real)):
        best = [max(shared(s, o) / (length(s) + length(o) - shared(s, o)) for o in others)
                for s in some]  # fmt: skip
        score.iou.append(float(np.mean(best)))


def examined(path: Path) -> Examined:
    with contextlib.closing(Blob(os.open(path, os.O_RDONLY))) as blob:
        return examine_stream(blob, MediaLimits())


def ours(seen: Examined, _: int) -> list[float]:
    return [scene.start_s for scene in seen.scenes]


def each_shot(seen: Examined, _: int) -> list[float]:
    return [shot.start_s for shot in seen.shots]


def uniform(seen: Examined, count: int) -> list[float]:
    """As many scenes as there are, of equally many shots."""
    at = np.linspace(0, len(seen.shots), count + 1)[:-1].round().astype(int)
    return [seen.shots[n].start_s for n in np.unique(at)]


def every_third(seen: Examined, _: int) -> list[float]:
    return [shot.start_s for shot in seen.shots[::3]]


WAYS: dict[str, Callable[[Examined, int], Sequence[float]]] = {
    "segue": ours,
    "every shot a scene": each_shot,
    "every third shot": every_third,
    "as many, equally long": uniform,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="the films that settings were set on")
    part = "tune" if parser.parse_args().tune else "test"
    scores = {name: Score() for name in WAYS}
    scenes = shots = 0
    for act in (a for a in acts.ACTS if a.part == part):
        path, truth = acts.made(act)
        seen = examined(path)
        end_s = truth.frames / films.RATE
        real = spans([n / films.RATE for n in truth.starts], end_s)
        scenes, shots = scenes + len(real), shots + len(truth.shots)
        for name, way in WAYS.items():
            add(scores[name], truth, real, spans(way(seen, len(real)), end_s))
    print(f"{part}: {scenes} scenes of {shots} shots")
    for name, score in scores.items():
        print(score.line(name))
        if name == "segue":
            print(score.detail())


def spans(starts: Sequence[float], end_s: float) -> Spans:
    kept = [0.0, *(at for at in starts if 0.0 < at < end_s)]
    return list(zip(kept, [*kept[1:], end_s], strict=True))


if __name__ == "__main__":
    main()
