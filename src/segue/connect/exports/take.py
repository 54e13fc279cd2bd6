"""An export becomes items and events of one person; bad rows lie in the rejects folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path

import polars as pl

from segue.connect.exports import SERVICES
from segue.connect.exports.files import Ignored, Refused, parts
from segue.connect.intake import Intake, Taken
from segue.connect.works import Act, Work
from segue.core.errors import BadInput, NotFound
from segue.ingest.rejects import MAX_VALUE_LETTERS, SCHEMA, write_rejects
from segue.store.workspace import Workspace

WHAT = "history"
TELL_EVERY = 2_000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Imported:
    """What became of an export."""

    taken: Taken
    rows: int
    rejected: int
    rejects: tuple[Path, ...]  # a file for each file that had bad rows


def import_export(
    workspace: Workspace, service: str, paths: Sequence[Path], person: str, *,
    zone: tzinfo = UTC, progress: Progress | None = None,
) -> Imported:  # fmt: skip
    """Read an export of ``service`` for ``person``; a second run adds nothing.

    ``zone`` is where the person was on days that name none. Raises :class:`BadInput` where a whole
    file cannot be used; a bad row is never an error.
    """
    if service not in SERVICES:
        raise NotFound(f"no service {service!r}; known: {', '.join(SERVICES)}")
    if not person.strip():
        raise BadInput("whose history is this? Give --person ID")
    chosen = SERVICES[service]
    found = parts(chosen, paths)
    works: dict[str, Work] = {}
    acts: list[Act] = []
    refused: list[Refused] = []
    intake = Intake(workspace, service, chosen.title)
    rows = 0
    for row in chosen.read(found, zone):
        rows += 1
        if isinstance(row, Refused):
            refused.append(row)
        elif isinstance(row, Ignored):
            intake.taken.leave_out(row.reason)
        else:
            known = works.get(row.work.key)
            if known is None or _told(row.work) > _told(known):
                works[row.work.key] = row.work
            acts += row.acts
        if progress is not None and not rows % TELL_EVERY:
            progress(chosen.title, rows, rows)
    intake.take_works(works.values())
    intake.take_acts(person, acts)
    written = _write_rejects(workspace, [part.name for part in found], refused)
    return Imported(intake.taken, rows, len(refused), written)


def _told(work: Work) -> int:
    """How much a row says of a work: some rows name an id alone, others all."""
    return bool(work.year) + bool(work.creators) + len(str(work.extra))


def _write_rejects(
    workspace: Workspace, names: Sequence[str], refused: Sequence[Refused]
) -> tuple[Path, ...]:
    """One file a part; those of an earlier import go where nothing was refused now."""
    out = []
    for name in names:
        rows = [
            (r.row, r.field, r.reason, r.value[:MAX_VALUE_LETTERS])
            for r in refused if r.part == name
        ]  # fmt: skip
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        plain = name.replace("/", "-").replace("\\", "-").replace("\0", "")
        out.append(write_rejects(workspace.rejects, plain[-150:], WHAT, frame))
    return tuple(path for path in out if path is not None)
