"""The steps that give an item its words: subtitles where there are any, else recognition."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from segue.core.errors import BadSettings
from segue.understand.findings import Findings, Step
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sources import Cue, ItemSource
from segue.understand.speech.cues import DEFAULT_RULE, CueRule, read_webvtt, to_cues
from segue.understand.speech.recognise import WHISPER, Watch, Whisper
from segue.understand.speech.vad import DEFAULT_VOICE, Span, Voice, speech_spans, windows

NONE = "none"
SCRIPTS = {"simplified": "t2s", "traditional": "s2t", "as heard": ""}  # OpenCC's names
CHINESE = ("zh", "yue")


@dataclass(frozen=True)
class Speech:
    """How speech is recognised."""

    model: str = WHISPER  # or "none", a folder or a Hub id of a CTranslate2 model
    threads: int = 1
    language: str = ""  # a code such as "zh"; found out when empty
    chinese: str = "simplified"  # script: Whisper mixes both
    max_s: float | None = None  # of an item's sound; all of it when None
    least_speech_s: float = 1.0  # with less speech than this nothing is recognised
    voice: Voice = field(default=DEFAULT_VOICE)
    cues: CueRule = field(default=DEFAULT_RULE)

    def __post_init__(self) -> None:
        if self.chinese not in SCRIPTS:
            known = ", ".join(repr(name) for name in SCRIPTS)
            raise BadSettings(f"speech: chinese must be one of {known}, got {self.chinese!r}")
        if self.threads < 1:
            raise BadSettings(f"speech: threads must be >= 1, got {self.threads}")
        if self.max_s is not None and self.max_s <= 0:
            raise BadSettings(f"speech: max_s must be > 0 or None, got {self.max_s}")
        if not self.model:
            raise BadSettings(f"speech: model must be {WHISPER!r}, {NONE!r}, a folder or a Hub id")


DEFAULT_SPEECH = Speech()


def speech_steps(settings: Speech = DEFAULT_SPEECH, watch: Watch | None = None) -> tuple[Step, ...]:
    """Subtitles read, and the rest recognised unless the model is ``"none"``."""
    if settings.model == NONE:
        return (Subtitles(),)
    return (Subtitles(), Transcript(settings, watch))


class Subtitles:
    """Cues of an item's subtitles, as they are. Of several files the first one counts."""

    name = "subtitles"
    model = "subtitles"

    def source(self, item: ItemSource) -> str:
        return item.subtitles[0].content_hash if item.subtitles else ""

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [Findings(cues=read_webvtt(item.subtitles[0].path)) for item in items]


class Transcript:
    """What is said in an item's sound, by Whisper. Items that have subtitles are left alone.

    Raises :class:`~segue.datasets.fetch.Unavailable` where the model is not to be had: that says
    nothing of the item, which is tried again once the model is there.
    ``watch(done_s, total_s)`` is called as a recording goes on.
    """

    name = "speech"

    def __init__(self, settings: Speech = DEFAULT_SPEECH, watch: Watch | None = None) -> None:
        self._settings = settings
        self._watch = watch
        self._whisper = Whisper(settings.model, settings.threads)
        self.model = NONE if settings.model == NONE else self._whisper.name

    def source(self, item: ItemSource) -> str:
        if self._settings.model == NONE or item.subtitles or not item.sounds:
            return ""
        # Threads change nothing of what is said; the model has its own column.
        settings = replace(self._settings, threads=1, model=WHISPER)
        told = [sound.content_hash for sound in item.sounds] + [repr(settings)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        return [self._hear(item) for item in items]

    def _hear(self, item: ItemSource) -> Findings:
        with Recording(item.sounds[0].path) as recording:
            spans = self._speech(recording)
            if sum(span.seconds for span in spans) < self._settings.least_speech_s:
                return Findings()
            heard = windows(spans, self._settings.voice)
            language = self._settings.language or self._whisper.language(recording, heard).code
            words = self._whisper.words(recording, heard, language, self._watch)
            cues = to_cues(words, self._settings.cues)
        if not cues:
            return Findings()
        if language in CHINESE:
            cues = in_script(cues, self._settings.chinese)
        return Findings(cues=tuple(cues), language=language)

    def _speech(self, recording: Recording) -> list[Span]:
        most = self._settings.max_s
        until = None if most is None else int(most * RATE_HZ)
        return list(speech_spans(recording, self._settings.voice, until=until))


def in_script(cues: Iterable[Cue], script: str) -> list[Cue]:
    """Chinese cues in the script ``"simplified"`` or ``"traditional"``; ``"as heard"`` as they
    are. By OpenCC, phrase by phrase: some characters of one script are two of the other."""
    if not SCRIPTS[script]:
        return list(cues)
    from opencc import OpenCC  # noqa: PLC0415 - its tables are read only for Chinese

    converter = OpenCC(SCRIPTS[script])
    return [replace(cue, text=converter.convert(cue.text)) for cue in cues]
