"""Damaged media one after the other through the sandbox, with what came of each."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hostile_files
from segue.ingest.media import Found
from segue.ingest.sandbox import TASKS_PER_CHILD, Sandbox
from segue.ingest.scan import scan

BAD = ("ended the decoder", "made the decoder", "took longer")  # these cost a child


@dataclass(frozen=True)
class Mutant:
    """``reason`` is "" where the file was read; ``note`` says what was missing then. ``fresh``: a
    new child started for it, whose imports are part of the seconds."""

    name: str  # of the file that was damaged, and the mutant's number
    seconds: float
    reason: str
    note: str
    fresh: bool


@dataclass
class Herd:
    """All mutants of a run."""

    seen: list[Mutant] = field(default_factory=list)

    @property
    def refused(self) -> list[Mutant]:
        return [one for one in self.seen if one.reason]

    @property
    def fatal(self) -> list[Mutant]:
        return [one for one in self.seen if one.reason.startswith(BAD)]

    @property
    def slowest(self) -> Mutant:
        return max((one for one in self.seen if not one.fresh), key=lambda one: one.seconds)

    def reasons(self) -> Counter[str]:
        """How often each reason was given, without the numbers in it."""
        plain = ("".join("#" if c.isdigit() else c for c in one.reason) for one in self.refused)
        return Counter(plain)


def mutants(count: int, seed: int = 7) -> Iterator[Mutant]:
    """``count`` damaged files of all sorts in turn, looked at by one confined child."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        sources = hostile_files.originals(Path(place) / "whole")
        folder = Path(place) / "media"
        folder.mkdir()
        with Sandbox([str(folder)]) as box:
            for number in range(count):
                source = sources[number % len(sources)]
                path = folder / f"{source.stem}-{number}{source.suffix}"
                path.write_bytes(hostile_files.damage(source.read_bytes(), rng))
                (found,) = scan([folder])
                assert isinstance(found, Found)
                began = time.monotonic()
                outcome = box.outcome(found, box.submit(found))
                seconds = time.monotonic() - began
                path.unlink()
                note = outcome.examined.note if outcome.examined else ""
                fresh = number % TASKS_PER_CHILD == 0
                yield Mutant(path.name, seconds, outcome.reason, note, fresh)
