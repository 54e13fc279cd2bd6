"""What music an item is: genre, mood and instruments, key, tempo, energy, loudness."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.errors import BadInput
from segue.core.types import Floats
from segue.understand.findings import Findings, Label, Measure
from segue.understand.sound import tags
from segue.understand.sound.harmony import key
from segue.understand.sound.level import SILENT_LUFS, Loudness, loudness
from segue.understand.sound.musicnn import MusiCnn
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sound.rhythm import rhythm
from segue.understand.sound.timeline import Listener, Timeline
from segue.understand.sources import ItemSource

Spans = list[tuple[int, int]]  # first sample, and the one after the last
QUIET_LUFS, LOUD_LUFS = -40.0, -10.0  # where energy is 0 and 1


@dataclass(frozen=True)
class MusicRule:
    """When there is music, how much of it is heard, what is told."""

    kinds: tuple[str, ...] = ("track", "album")  # music by what they are
    least_share: float = 0.1  # of the duration, for items of other kinds
    least_s: float = 3.0
    stretch_s: float = 30.0  # tempo and key are taken from stretches of this length,
    stretches: int = 4  # spread over the music
    patch_every_s: float = 10.0  # a patch of 3 s is tagged this often
    fewest_patches: int = 4
    most_patches: int = 12
    most_labels: int = 4  # a kind
    least_score: float = 0.1
    least_clarity: float = 0.1  # a fainter beat has no tempo
    least_key: float = 0.5

    def __post_init__(self) -> None:
        counts = (self.stretches, self.fewest_patches, self.most_labels)
        if min(counts) < 1 or self.most_patches < self.fewest_patches:
            raise BadInput(f"music: {self} needs counts >= 1 and fewest_patches <= most_patches")
        if min(self.stretch_s, self.patch_every_s) <= 0:
            raise BadInput(f"music: {self} needs lengths > 0")


@dataclass
class Music:
    """The step. Of an item without music it says nothing."""

    listener: Listener = field(default_factory=Listener)
    net: MusiCnn = field(default_factory=MusiCnn)
    rule: MusicRule = field(default_factory=MusicRule)
    name: str = "music"

    @property
    def model(self) -> str:
        return f"{self.net.name}/music-1"

    def source(self, item: ItemSource) -> str:
        if not item.sounds:
            return ""
        by_kind = item.kind in self.rule.kinds
        read = f"{item.sounds[0].content_hash} {by_kind} {self.listener.name}"
        return hashlib.sha256(read.encode()).hexdigest()

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._one(item) for item in items]

    def _one(self, item: ItemSource) -> Findings:
        if not item.sounds:
            return Findings()
        spans = self._spans(item, self.listener.timeline(item.sounds[0]))
        if not spans:
            return Findings()
        with Recording(item.sounds[0].path) as recording:
            whole = loudness(recording)
            stretches = [recording.read(*part) for part in self._stretches(spans)]
            patches = self.net.patches(recording, spans, self._patches(spans))
        heard = self.net.tags(patches).mean(axis=0)
        rule = self.rule
        labels = tags.labels(heard, rule.most_labels, rule.least_score)
        return Findings(
            labels=labels + self._key(stretches),
            measures=(*_loudness(whole), *self._rhythm(stretches)),
        )

    def _spans(self, item: ItemSource, heard: Timeline) -> Spans:
        """Where the music is; all of a track, whatever is heard in it, unless it is silent."""
        music = [s for s in heard.stretches if s.state == "music"]
        length_s = sum(s.end_s - s.start_s for s in music)
        enough = heard.share("music") >= self.rule.least_share and length_s >= self.rule.least_s
        if not enough:
            if item.kind not in self.rule.kinds:
                return []
            music = [s for s in heard.stretches if s.state != "silence"]
        return [(int(s.start_s * RATE_HZ), int(s.end_s * RATE_HZ)) for s in music]

    def _stretches(self, spans: Spans) -> Spans:
        """(first sample, number of samples) of a few stretches, spread over the music."""
        size = int(self.rule.stretch_s * RATE_HZ)
        parts = [(at, min(size, b - at)) for a, b in spans for at in range(a, b, size)]
        longest = max(count for _, count in parts)
        parts = [part for part in parts if 2 * part[1] >= longest]  # crumbs tell little
        if len(parts) <= self.rule.stretches:
            return parts
        middle = (np.arange(self.rule.stretches) + 0.5) / self.rule.stretches * len(parts)
        return [parts[int(at)] for at in middle]

    def _patches(self, spans: Spans) -> int:
        wanted = sum(b - a for a, b in spans) / RATE_HZ / self.rule.patch_every_s
        return int(np.clip(np.ceil(wanted), self.rule.fewest_patches, self.rule.most_patches))

    def _key(self, stretches: Sequence[Floats]) -> tuple[Label, ...]:
        found = key(stretches)
        if found is None or found.strength < self.rule.least_key:
            return ()
        return (Label("key", found.name, found.strength),)

    def _rhythm(self, stretches: Sequence[Floats]) -> tuple[Measure, ...]:
        found = rhythm(stretches)
        if found is None:
            return ()
        told = [Measure("onsets_hz", found.onsets_hz), Measure("beat_clarity", found.clarity)]
        if found.clarity >= self.rule.least_clarity:
            told.append(Measure("tempo_bpm", found.tempo_bpm))
        return tuple(told)


def _loudness(whole: Loudness) -> tuple[Measure, ...]:
    return (
        Measure("loudness_mono_lufs", whole.integrated_lufs),
        Measure("loudness_range_lu", whole.range_lu),
        Measure("energy", energy(whole)),
    )


def energy(whole: Loudness) -> float:
    """In [0, 1]: the mean short-term loudness of what is not silent, from -40 to -10 LUFS."""
    heard = whole.short_lufs[whole.short_lufs > SILENT_LUFS]
    if not len(heard):
        return 0.0
    return float(np.clip((heard - QUIET_LUFS) / (LOUD_LUFS - QUIET_LUFS), 0, 1).mean())
