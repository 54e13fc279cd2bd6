"""A task that notes which file a worker has in hand, and holds it until it may go on."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from segue.ingest.elsewhere import Answer, Look
from segue.ingest.media import Found

HOLD = ".hold"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class SlowLook(Look):
    """Each try leaves a note in ``$SLOW_LOOK``: the name of what it looked at and its process;
    empty once it is finished. It waits as long as there is a ``HOLD``."""

    def __call__(self, found: Found) -> Answer:
        name = f"{Path(found.path).name} {os.getpid()} {uuid.uuid4().hex}"
        note = Path(os.environ["SLOW_LOOK"]) / name
        note.write_text("in hand")
        until = time.monotonic() + PATIENCE_S
        while (note.parent / HOLD).exists() and time.monotonic() < until:
            time.sleep(0.02)
        answer = super().__call__(found)
        note.write_text("")
        return answer


def notes(folder: Path) -> list[Path]:
    return [note for note in folder.iterdir() if note.name != HOLD]


def tries(folder: Path) -> dict[str, int]:
    """How often each file was begun."""
    return dict(Counter(note.name.split(" ")[0] for note in notes(folder)))


def in_hand(folder: Path) -> dict[str, int]:
    """Files that are being looked at now, with the process."""
    held = [note.name.split(" ") for note in notes(folder) if note.read_text()]
    return {name: int(pid) for name, pid, _ in held}
