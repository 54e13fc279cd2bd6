"""Words with their times by Whisper (Radford et al. 2022), through CTranslate2 on the CPU."""

from __future__ import annotations

import difflib
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segue.core.errors import BadSettings
from segue.datasets.fetch import Unavailable, get, packages
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.speech.cues import Word
from segue.understand.speech.vad import Span

WHISPER = "whisper-base"
BATCH = 4  # windows a call: twice as fast as one by one, 30 s of sound each
FILES = ("model.bin", "config.json", "tokenizer.json")
REMEDY = f"`segue data get {WHISPER}` fetches the model that is the default"
# Mandarin comes without punctuation unless the model is shown some.
PROMPTS = {"zh": "以下是普通话的句子。"}
Watch = Callable[[float, float], None]


@dataclass(frozen=True)
class Doubt:
    """When what Whisper says is taken for invented: it always says something.

    The three signs and their limits are those of Whisper's own decoder (Radford et al. 2022,
    section 4.5): low mean log probability, text that repeats itself, and the token for no speech.
    """

    least_logprob: float = -1.0  # mean of a window's tokens
    most_compression: float = 2.4  # bytes of text to bytes of its zlib form
    most_no_speech: float = 0.6  # probability, counted where the words are not sure either
    sure_logprob: float = -0.5

    def refuses(self, logprob: float, compression: float, no_speech: float) -> bool:
        silent = no_speech > self.most_no_speech and logprob < self.sure_logprob
        return silent or logprob < self.least_logprob or compression > self.most_compression


@dataclass(frozen=True, slots=True)
class Language:
    """A code such as ``"en"`` or ``"zh"`` and its probability in [0, 1]."""

    code: str
    probability: float


DEFAULT_DOUBT = Doubt()


class Whisper:
    """Reads 16 kHz mono windows. ``model``: ``"whisper-base"``, a folder of a CTranslate2 model, or
    the id of one on the Hugging Face Hub."""

    def __init__(
        self, model: str = WHISPER, threads: int = 1, doubt: Doubt = DEFAULT_DOUBT
    ) -> None:
        self._model = model
        self._threads = threads
        self._doubt = doubt

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs; it loads the model itself."""
        loaded = ("_whisper", "_batched")
        return {name: value for name, value in self.__dict__.items() if name not in loaded}

    @cached_property
    def name(self) -> str:
        """Names the weights: another model is another name."""
        if self._model == WHISPER:
            return f"{WHISPER}-int8@{packages()[WHISPER].version}"
        folder = Path(self._model)
        if not folder.is_dir():
            return _known(self._model)[-100:]
        _check_folder(folder)
        return f"{folder.resolve().name[:60]}@{_digest(folder / 'model.bin')}"

    @cached_property
    def _whisper(self) -> Any:
        """The loaded model, 75 MB as int8."""
        from faster_whisper import WhisperModel  # noqa: PLC0415 - 0.5 s, only when speech is heard

        where = _place(self._model)
        try:
            return WhisperModel(where, device="cpu", compute_type="int8", cpu_threads=self._threads)
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise Unavailable(
                f"speech model {self._model!r} cannot be loaded; {REMEDY}: {reason}"
            ) from error

    @cached_property
    def _batched(self) -> Any:
        from faster_whisper import BatchedInferencePipeline  # noqa: PLC0415 - see above

        return BatchedInferencePipeline(self._whisper)

    def language(self, recording: Recording, spans: Sequence[Span], tries: int = 3) -> Language:
        """The language of most speech: of the longest windows until one of them is sure."""
        if not self._whisper.model.is_multilingual:
            return Language("en", 1.0)
        shares: dict[str, float] = defaultdict(float)
        longest = sorted(spans, key=lambda span: span.start - span.end)[:tries]
        for span in longest:
            samples = recording.read(span.start, span.end - span.start)
            code, probability, _ = self._whisper.detect_language(samples)
            if probability >= 0.9:
                return Language(code, float(probability))
            shares[code] += float(probability)
        code = max(shares, key=lambda one: shares[one])
        return Language(code, shares[code] / len(longest))

    def words(
        self,
        recording: Recording,
        spans: Sequence[Span],
        language: str,
        watch: Watch | None = None,
    ) -> Iterator[Word]:
        """Words in order of time. Windows of which the text looks invented are left out."""
        for at in range(0, len(spans), BATCH):
            some = spans[at : at + BATCH]
            sounds = [recording.read(span.start, span.end - span.start) for span in some]
            edges = np.cumsum([0, *(len(sound) for sound in sounds)])
            segments, _ = self._batched.transcribe(
                np.concatenate(sounds),
                language=language,
                clip_timestamps=[
                    {"start": a / RATE_HZ, "end": b / RATE_HZ} for a, b in itertools.pairwise(edges)
                ],
                batch_size=BATCH,
                word_timestamps=True,
                initial_prompt=PROMPTS.get(language),
            )
            for segment in segments:
                if not self._doubt.refuses(
                    segment.avg_logprob, segment.compression_ratio, segment.no_speech_prob
                ):
                    yield from _placed(segment, some, edges)
            if watch is not None:
                watch(some[-1].end / RATE_HZ, recording.duration_s)


def _placed(segment: Any, spans: Sequence[Span], edges: Any) -> Iterator[Word]:
    """Words of one window at their place in the recording, within the window."""
    middle = (segment.start + segment.end) / 2 * RATE_HZ
    row = int(np.clip(np.searchsorted(edges, middle, "right") - 1, 0, len(spans) - 1))
    span = spans[row]
    low, high = span.start / RATE_HZ, span.end / RATE_HZ
    shift = low - edges[row] / RATE_HZ
    for word in segment.words:
        start = min(max(word.start + shift, low), high)
        yield Word(start, min(max(word.end + shift, start), high), word.word)


def _place(model: str) -> str:
    """Where CTranslate2 finds a model: a folder, or an id of the Hub."""
    if model == WHISPER:
        try:
            return str(get(WHISPER))
        except Unavailable as error:
            raise Unavailable(f"no speech model; {REMEDY}: {error}") from error
    if Path(model).is_dir():
        _check_folder(Path(model))
        return model
    return _known(model)


def _known(model: str) -> str:
    """An id of the Hub, or a name that stands for one."""
    if model.count("/") == 1 and not model.startswith((".", "/", "~")):
        return model
    from faster_whisper import available_models  # noqa: PLC0415 - see above

    if model in available_models():
        return model
    near = difflib.get_close_matches(model, [WHISPER, "none", *available_models()], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise BadSettings(
        f"speech model {model!r} is no folder, no Hub id (owner/name) and no known name{hint}"
    )


def _check_folder(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise BadSettings(
            f"speech model {folder}: {', '.join(missing)} not there; wanted is a folder of a "
            f"CTranslate2 model, written by ct2-transformers-converter"
        )


def _digest(path: Path) -> str:
    """Of a file's size, beginning and end: three gigabytes are not read to name them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1 << 20)
        file.seek(max(0, size - (1 << 20)))
        return hashlib.sha256(head + file.read() + str(size).encode()).hexdigest()[:12]
