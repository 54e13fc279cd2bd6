"""Speech, music, silence or something else, over time, from YAMNet's classes and the level.

Per cell of 0.48 s: the strongest class of speech, of music and of all else stand against each
other, and a Viterbi path through the cells makes a change of state cost something (Rabiner 1989),
so that a breath is no silence and a held note no end of the music. Nothing here was fitted to
recordings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Bools, Floats, Rows
from segue.understand.audio import PATCH, YamNet, padded, probabilities
from segue.understand.findings import Findings, Label, Measure
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sources import Clip, ItemSource

STATES = ("speech", "music", "other", "silence")
SPEECH, MUSIC, OTHER, SILENCE = range(4)
CELL = 7_680  # samples: 0.48 s, half a patch
QUIET_DBFS = -120.0  # of digital silence
FLOOR = 1e-3  # probability below which a class says nothing
# Rows of AudioSet's class list (Gemmeke et al. 2017): human voices that speak, and music with
# singing. Bells and chimes are things as often as instruments, and are left to "other".
SPEECH_CLASSES = (*range(13), 65)
MUSIC_CLASSES = (*range(24, 33), *range(132, 195), *range(203, 277))
# Neither a source of sound nor against one: silence, rooms, open air, echoes, radio and the like.
NEUTRAL_CLASSES = (494, 500, 501, 502, 503, 504, 505, 506, 518, 519, 520)


@dataclass(frozen=True)
class TimelineRule:
    """How sound becomes spans."""

    silence_dbfs: float = -60.0  # a cell below this level is silent
    switch_cost: float = 2.0  # nats that a change of state costs
    other_least: float = 0.1  # what "other" scores where no class is sure
    whole_s: float = 3_600.0  # of a longer recording every second cell is heard
    block: int = 32  # cells a read

    def __post_init__(self) -> None:
        if self.switch_cost < 0 or self.block < 1 or not 0 < self.other_least < 1:
            raise BadInput(f"timeline: {self} needs a cost >= 0, block >= 1, other_least in (0, 1)")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of cells in one state. ``score``: its mean probability, in [0, 1]."""

    state: str
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class Timeline:
    """``states``: (n_cells,) rows of STATES; ``scores``: (n_cells, 4) in [0, 1]; ``level_dbfs``:
    (n_cells,)."""

    states: Rows
    scores: Floats
    level_dbfs: Floats
    duration_s: float

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """In order of time, without gaps."""
        if not len(self.states):
            return ()
        edges = [0, *(np.flatnonzero(np.diff(self.states)) + 1).tolist(), len(self.states)]
        cell_s = CELL / RATE_HZ
        return tuple(
            Stretch(
                STATES[self.states[a]],
                round(a * cell_s, 3),
                round(min(b * cell_s, self.duration_s), 3),
                float(self.scores[a:b, self.states[a]].mean()),
            )
            for a, b in pairwise(edges)
        )

    def share(self, state: str) -> float:
        """In [0, 1], of the duration."""
        length = sum(s.end_s - s.start_s for s in self.stretches if s.state == state)
        return length / self.duration_s if self.duration_s else 0.0


@dataclass
class Listener:
    """Makes timelines, and keeps the last few: two steps read the same item one after the
    other."""

    net: YamNet = field(default_factory=YamNet)
    rule: TimelineRule = field(default_factory=TimelineRule)
    keep: int = 64
    _kept: OrderedDict[str, Timeline] = field(default_factory=OrderedDict, repr=False)

    @property
    def name(self) -> str:
        return f"{self.net.name}/timeline-1"

    def timeline(self, clip: Clip) -> Timeline:
        if clip.content_hash not in self._kept:
            with Recording(clip.path) as recording:
                self._kept[clip.content_hash] = listen(recording, self.net, self.rule)
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(clip.content_hash)
        return self._kept[clip.content_hash]


def listen(recording: Recording, net: YamNet, rule: TimelineRule) -> Timeline:
    """Hear a whole recording, a block at a time."""
    stride = 2 if recording.duration_s > rule.whole_s else 1
    heard = list(_cells(recording, net, rule.block, stride))
    if not heard:
        return Timeline(
            np.zeros(0, np.intp), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.0
        )
    patches = np.concatenate([scores for scores, _ in heard])
    level = np.concatenate([level for _, level in heard])
    scores = _to_cells(patches, len(level), stride)
    scores[:, OTHER] = np.maximum(scores[:, OTHER], rule.other_least)
    scores = _with_silence(scores, level < rule.silence_dbfs)
    return Timeline(_path(scores, rule.switch_cost), scores, level, recording.duration_s)


def _cells(
    recording: Recording, net: YamNet, block: int, stride: int
) -> Iterator[tuple[Floats, Floats]]:
    """By block: (n, 3) scores of speech, music, other of the patches that begin at every
    ``stride``-th cell, and (n_cells,) levels."""
    for part in recording.blocks(2 * block * CELL, overlap=PATCH - CELL):
        own = part.samples[: 2 * block * CELL]
        starts = range(0, len(own), CELL * stride)
        patches = np.stack([padded(part.samples[at : at + PATCH]) for at in starts])
        yield _groups(probabilities(net.hear(patches)[1])), levels_dbfs(own, CELL)


def _groups(classes: Floats) -> Floats:
    """(n, 3): the strongest class of speech, of music and of all else."""
    rest = np.ones(classes.shape[1], dtype=bool)
    rest[[*SPEECH_CLASSES, *MUSIC_CLASSES, *NEUTRAL_CLASSES]] = False
    best = [classes[:, list(SPEECH_CLASSES)], classes[:, list(MUSIC_CLASSES)], classes[:, rest]]
    return np.stack([group.max(axis=1) for group in best], axis=1)


def levels_dbfs(samples: Floats, size: int) -> Floats:
    """(ceil(n / size),) root mean square of each cell, in dB of full scale, >= -120."""
    edges = np.arange(0, len(samples), size)
    power = np.add.reduceat(samples.astype(np.float64) ** 2, edges)
    power /= np.diff([*edges, len(samples)])
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    return np.asarray(np.maximum(QUIET_DBFS, decibels), dtype=np.float32)


def _to_cells(patches: Floats, cells: int, stride: int) -> Floats:
    """(cells, 4): a cell is the mean of the two patches that cover it; silence is still empty."""
    scores = np.zeros((cells, 4), dtype=np.float32)
    every = np.repeat(patches, stride, axis=0)[:cells]
    if stride == 1:  # the patch that begins with a cell covers that cell and the next
        every = (every + np.concatenate([every[:1], every[:-1]])) / 2
    scores[:, :3] = every
    return scores


def _with_silence(scores: Floats, silent: Bools) -> Floats:
    """A silent cell is sure of it: what YAMNet hears there is noise."""
    out = scores.copy()
    out[silent] = (0.0, 0.0, 0.0, 1.0)
    return out


def _path(scores: Floats, switch_cost: float) -> Rows:
    """(n,) the states whose log probabilities, less the cost of each change, sum highest."""
    total = np.maximum(scores.sum(axis=1, keepdims=True), FLOOR)
    gain = np.log(np.maximum(scores / total, FLOOR))
    best = gain[0].astype(np.float64)
    came = np.zeros(scores.shape, dtype=np.intp)
    for cell in range(1, len(gain)):
        change = best.max() - switch_cost
        came[cell] = np.where(best >= change, np.arange(len(best)), best.argmax())
        best = np.maximum(best, change) + gain[cell]
    states = np.empty(len(gain), dtype=np.intp)
    states[-1] = best.argmax()
    for cell in range(len(gain) - 1, 0, -1):
        states[cell - 1] = came[cell, states[cell]]
    return states


@dataclass
class SoundTimeline:
    """The step: spans of speech, music, silence and other, their shares."""

    listener: Listener = field(default_factory=Listener)
    name: str = "sound-timeline"

    @property
    def model(self) -> str:
        return self.listener.name

    def source(self, item: ItemSource) -> str:
        return item.sounds[0].content_hash if item.sounds else ""

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._one(item) for item in items]

    def _one(self, item: ItemSource) -> Findings:
        if not item.sounds:
            return Findings()
        heard = self.listener.timeline(item.sounds[0])
        labels = tuple(
            Label("sound-span", s.state, s.score, s.start_s, s.end_s) for s in heard.stretches
        )
        shares = tuple(Measure(f"{state}_share", heard.share(state)) for state in STATES)
        long = heard.duration_s > self.listener.rule.whole_s
        return Findings(
            labels=labels,
            measures=shares,
            said="every second 0.48 s of a long recording was heard" if long else "",
        )
