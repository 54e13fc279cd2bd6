"""A task that notes which file a worker has in hand, and takes its time."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from segue.ingest.elsewhere import Answer, Look
from segue.ingest.media import Found

SECONDS = 0.5


@dataclass(frozen=True)
class SlowLook(Look):
    """Each try leaves a file in ``$SLOW_LOOK``: the name of what it looked at and its process;
    empty once it is finished."""

    def __call__(self, found: Found) -> Answer:
        name = f"{Path(found.path).name} {os.getpid()} {uuid.uuid4().hex}"
        note = Path(os.environ["SLOW_LOOK"]) / name
        note.write_text("in hand")
        time.sleep(SECONDS)
        answer = super().__call__(found)
        note.write_text("")
        return answer


def tries(folder: Path) -> dict[str, int]:
    """How often each file was begun."""
    found: dict[str, int] = {}
    for note in folder.iterdir():
        name = note.name.split(" ")[0]
        found[name] = found.get(name, 0) + 1
    return found


def in_hand(folder: Path) -> dict[str, int]:
    """Files that are being looked at now, with the process."""
    notes = [note for note in folder.iterdir() if note.read_text()]
    return {note.name.split(" ")[0]: int(note.name.split(" ")[1]) for note in notes}
