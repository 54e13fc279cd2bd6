"""Tasks that note what a worker has in hand, and hold it until it may go on."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segue.ingest.elsewhere import Answer, Look
from segue.ingest.media import Found
from segue.understand.sources import ItemSource
from segue.understand.steps import Tried
from segue.understanding import Worker

HOLD = ".hold"
PATIENCE_S = 60.0


@contextmanager
def noted(what: str) -> Iterator[None]:
    """Each try leaves a note in ``$SLOW_LOOK``: the name of what it looks at and its process;
    empty once it is finished. It waits as long as there is a ``HOLD``."""
    note = Path(os.environ["SLOW_LOOK"]) / f"{what} {os.getpid()} {uuid.uuid4().hex}"
    note.write_text("in hand")
    until = time.monotonic() + PATIENCE_S
    while (note.parent / HOLD).exists() and time.monotonic() < until:
        time.sleep(0.02)
    yield
    note.write_text("")


@dataclass(frozen=True)
class SlowLook(Look):
    """Looks at files."""

    def __call__(self, found: Found) -> Answer:
        with noted(Path(found.path).name):
            return super().__call__(found)


@dataclass(frozen=True)
class SlowWork(Worker):
    """Does steps of understanding; the note is named ``step:item``."""

    def __call__(self, matter: tuple[str, ItemSource]) -> list[Tried]:
        with noted(f"{matter[0]}:{matter[1].num}"):
            return super().__call__(matter)


def notes(folder: Path) -> list[Path]:
    return [note for note in folder.iterdir() if note.name != HOLD]


def tries(folder: Path) -> dict[str, int]:
    """How often each piece of work was begun."""
    return dict(Counter(note.name.split(" ")[0] for note in notes(folder)))


def in_hand(folder: Path) -> dict[str, int]:
    """What is being worked on now, with the process."""
    held = [note.name.split(" ") for note in notes(folder) if note.read_text()]
    return {name: int(pid) for name, pid, _ in held}
