"""What the item's page draws of its insights: places on a line of time, courses, tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.store.insights import Insights, Line, Shown, Written

WIDTH = 1000.0  # units of the drawing's line of time
COURSE_HEIGHT = 60.0
TAGS_A_KIND = 8
# Kinds of labels in the order that a reader wants; what is not named follows by its name.
ORDER = (
    "genre", "mood", "topic", "setting", "keyword", "instrument", "key", "object",
    "picture-label", "sound-label",
)  # fmt: skip
HIDDEN = ("sound-span",)
NAMES = {
    "object": "things and people", "picture-label": "seen", "sound-label": "heard",
    "topic": "topics", "keyword": "keywords",
}  # fmt: skip
MEASURES = {
    "tempo_bpm": ("tempo", "{:.0f} bpm"),
    "loudness_range_lu": ("loudness range", "{:.1f} LU"),
    "energy": ("energy", "{:.2f}"),
    "brightness": ("brightness", "{:.2f}"),
    "colourfulness": ("colourfulness", "{:.0f}"),
    "people": ("most people in one picture", "{:.0f}"),
    "sentiment": ("sentiment", "{:+.2f}"),
    "speech_share": ("speech", "{:.0%}"),
    "music_share": ("music", "{:.0%}"),
}


@dataclass(frozen=True)
class Mark:
    """A stretch on the line of time: ``x`` and ``width`` of :data:`WIDTH`."""

    x: float
    width: float
    start_s: float
    end_s: float
    name: str = ""
    keyframe: int | None = None


@dataclass(frozen=True)
class TagRow:
    """Labels of one kind, best first."""

    name: str
    tags: tuple[Shown, ...]


@dataclass(frozen=True)
class InsightView:
    """Everything that the template shows; empty parts are left out there."""

    scenes: tuple[Mark, ...]
    shots: int
    sounds: tuple[Mark, ...]
    course: str  # points of a polyline, sentiment from -1 (below) to 1 (above)
    lines: tuple[Line, ...]
    tags: tuple[TagRow, ...]
    measures: tuple[tuple[str, str], ...]
    notes: tuple[Written, ...]
    found: Insights


def view(
    found: Insights, duration_s: float | None, extra: Mapping[str, Any] | None = None
) -> InsightView:
    """Places by time; a length that nobody knows is the end of the last thing known.

    ``extra`` is what reading the file told beside its fields: loudness, and the look of shots.
    """
    ends = [s.end_s for s in found.scenes] + [c.end_s for c in found.cues]
    total = duration_s or max(ends, default=0.0) or 1.0
    sounds = found.spans("sound-span")
    whole = found.whole()
    return InsightView(
        scenes=tuple(_mark(s.start_s, s.end_s, total, "", s.keyframe) for s in found.scenes),
        shots=len(found.shots),
        sounds=tuple(_mark(s.start_s or 0.0, s.end_s or 0.0, total, s.label) for s in sounds),
        course=_course(found.course("sentiment"), total),
        lines=found.cues,
        tags=_tags(found),
        measures=(
            *_of_file(extra or {}),
            *((n, form.format(whole[key])) for key, (n, form) in MEASURES.items() if key in whole),
        ),
        notes=tuple(note for note in found.notes if note.text),
        found=found,
    )  # fmt: skip


def _of_file(extra: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Measures that reading the file gave."""
    told = []
    loud = extra.get("loudness") or {}
    if "integrated_lufs" in loud:
        told.append(("loudness", f"{loud['integrated_lufs']:.1f} LUFS"))
    moves = [shot["motion"] for shot in extra.get("look", ()) if shot.get("motion") is not None]
    if moves:
        told.append(("motion", f"{sum(moves) / len(moves):.2f}"))
    return told


def _mark(
    start_s: float, end_s: float, total: float, name: str, keyframe: int | None = None
) -> Mark:
    x = min(WIDTH, start_s / total * WIDTH)
    end = min(WIDTH, end_s / total * WIDTH)
    return Mark(round(x, 1), round(max(1.0, end - x), 1), start_s, end_s, name, keyframe)


def _course(points: list[tuple[float, float]], total: float) -> str:
    if len(points) < 2:
        return ""
    places = [
        (min(WIDTH, at / total * WIDTH), (1.0 - max(-1.0, min(1.0, value))) / 2 * COURSE_HEIGHT)
        for at, value in points
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _tags(found: Insights) -> tuple[TagRow, ...]:
    kinds = {kind: labels for kind, labels in found.tags().items() if kind not in HIDDEN}
    rank = {kind: place for place, kind in enumerate(ORDER)}
    ordered = sorted(kinds, key=lambda kind: (rank.get(kind, len(ORDER)), kind))
    return tuple(
        TagRow(NAMES.get(kind, kind.replace("-", " ")), tuple(kinds[kind][:TAGS_A_KIND]))
        for kind in ordered
    )
