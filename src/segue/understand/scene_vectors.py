"""One vector a scene, in the space of the content vectors, so that words find moments.

A scene is what it shows (its keyframe), what is said in it, and what sounds in it; what is missing
is left out, not zero.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sqlalchemy as sa

from segue.core.errors import UnreadableMedia
from segue.core.types import Floats
from segue.store.scenes import SceneVector, put_scene_vectors, stored_scene_sources
from segue.understand.align import LabelSpace
from segue.understand.annotate import Classifier, fitted, placing_of, space_of
from segue.understand.audio import RATE_HZ
from segue.understand.cache import CachedTexts, EncodingCache, text_hash
from segue.understand.fuse import FuseWeights, fuse
from segue.understand.sources import Clip, ItemSource, Span
from segue.understand.text import words

SAID_WORDS = 60  # of a scene's dialogue
LISTEN_S = 6.0  # from the middle of a scene


@dataclass
class SceneEncoder:
    """Places the scenes of items. ``picture`` and ``sound`` may be absent."""

    texts: CachedTexts
    cache: EncodingCache
    weights: FuseWeights
    picture: Classifier | None = None
    sound: Classifier | None = None

    @cached_property
    def _spaces(self) -> dict[str, LabelSpace]:
        return {
            c.kind: space_of(c, self.texts) for c in (self.picture, self.sound) if c is not None
        }

    @property
    def name(self) -> str:
        made_by = [c for c in (self.picture, self.sound) if c is not None]
        parts = [f"{c.name}{placing_of(c).mark}" for c in made_by]
        return fitted(f"{self.weights.name}>{self.texts.name}+{'+'.join(parts)}")

    def vectors(self, item: ItemSource) -> list[Floats | None]:
        """One unit vector a scene; None where nothing is seen, said or heard in it."""
        n = len(item.scenes)
        parts: list[dict[str, Floats]] = [{} for _ in range(n)]
        said = [_said(item, scene) for scene in item.scenes]
        spoken = [at for at in range(n) if said[at]]
        for at, vector in zip(spoken, self.texts.encode([said[at] for at in spoken]), strict=True):
            parts[at]["text"] = vector
        for at, vector in self._seen(item):
            parts[at]["picture"] = vector
        for at, vector in self._heard(item):
            parts[at]["sound"] = vector
        return [fuse(part, self.weights) for part in parts]

    def _seen(self, item: ItemSource) -> Iterator[tuple[int, Floats]]:
        frames = [(at, s.keyframe) for at, s in enumerate(item.scenes) if s.keyframe is not None]
        if self.picture is None or not frames:
            return
        try:
            rows = self.cache.through(
                self.picture.name,
                [frame.content_hash for _, frame in frames],
                [frame.path for _, frame in frames],
                self.picture.classify,
            )
        except UnreadableMedia:
            return  # the step for pictures has said so
        yield from zip((at for at, _ in frames), self._spaces["picture"].place(rows), strict=True)

    def _heard(self, item: ItemSource) -> Iterator[tuple[int, Floats]]:
        if self.sound is None or not item.sounds:
            return
        clip = item.sounds[0]
        hashes = [text_hash(f"{clip.content_hash}:{s.start_s}:{s.end_s}") for s in item.scenes]
        pieces = _Pieces(clip)
        known = [at for at, scene in enumerate(item.scenes) if pieces.has(scene)]
        if not known:
            return
        rows = self.cache.through(
            self.sound.name,
            [hashes[at] for at in known],
            [item.scenes[at] for at in known],
            lambda scenes: self._classified(scenes, pieces.read),
        )
        yield from zip(known, self._spaces["sound"].place(rows), strict=True)

    def _classified(self, scenes: list[Span], read: Callable[[Span], Floats]) -> Floats:
        assert self.sound is not None
        return self.sound.classify([read(scene) for scene in scenes])


class _Pieces:
    """Seconds of a 16 kHz mono wav, read as they are asked for."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        try:
            with wave.open(str(clip.path), "rb") as file:
                self._seconds = file.getnframes() / RATE_HZ
        except (OSError, wave.Error, EOFError):
            self._seconds = 0.0  # the step for sound has said so

    def has(self, scene: Span) -> bool:
        return self._bounds(scene)[1] - self._bounds(scene)[0] >= 1.0

    def _bounds(self, scene: Span) -> tuple[float, float]:
        end_s = min(scene.end_s, self._seconds)
        middle_s = (scene.start_s + end_s) / 2
        return max(scene.start_s, middle_s - LISTEN_S / 2), min(end_s, middle_s + LISTEN_S / 2)

    def read(self, scene: Span) -> Floats:
        """(n_samples,) float32 in [-1, 1] from the middle of a scene."""
        start_s, end_s = self._bounds(scene)
        with wave.open(str(self._clip.path), "rb") as file:
            file.setpos(int(start_s * RATE_HZ))
            data = file.readframes(int((end_s - start_s) * RATE_HZ))
        return np.asarray(np.frombuffer(data, dtype="<i2") / 32768.0, dtype=np.float32)


def _said(item: ItemSource, scene: Span) -> str:
    inside = [c.text for c in item.cues if c.start_s < scene.end_s and c.end_s > scene.start_s]
    return words(" ".join(inside), SAID_WORDS)


def source_of(item: ItemSource) -> str:
    """Hash of all that the vectors of an item's scenes are made from."""
    frames = [(s.start_s, s.end_s, s.keyframe and s.keyframe.content_hash) for s in item.scenes]
    heard = [clip.content_hash for clip in item.sounds]
    return text_hash(repr((frames, [_said(item, s) for s in item.scenes], heard)))


def encode_scenes(
    engine: sa.Engine,
    encoder: SceneEncoder,
    items: Sequence[ItemSource],
    progress: Callable[[str, int, int], None] | None = None,
) -> int:
    """Bring the vectors of all scenes up to date; returns how many items were touched."""
    stored, name = stored_scene_sources(engine), encoder.name
    todo = []
    for item in items:
        source = source_of(item) if item.scenes else ""
        if (item.scenes or item.num in stored) and stored.get(item.num) != (name, source):
            todo.append((item, source))
    for done, (item, source) in enumerate(todo, 1):
        found = encoder.vectors(item) if item.scenes else []
        zero = np.zeros(encoder.texts.dim, dtype=np.float32)  # position 0 marks the item as done
        rows = [
            SceneVector(item.num, at, name, source, zero if vector is None else vector)
            for at, vector in enumerate(found)
            if vector is not None or at == 0
        ]
        with engine.begin() as connection:
            put_scene_vectors(connection, item.num, rows)
        if progress is not None:
            progress("scenes", done, len(todo))
    return len(todo)
