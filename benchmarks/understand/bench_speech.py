"""Speech: word errors, language, invented words on music, speed and memory on one core.

    python benchmarks/understand/bench_speech.py [wer] [languages] [music] [speed] [long]

All parts without an argument. Sounds and reference texts come from packages, fetched and verified
as everything else. The peer is faster-whisper's own `transcribe` with the same weights.
"""

from __future__ import annotations

import re
import resource
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from segue.core.types import Floats
from segue.datasets.fetch import cache_folder, get
from segue.ingest.decode import Sound
from segue.ingest.limits import MediaLimits
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sources import Clip, ItemSource
from segue.understand.speech import Speech, Transcript
from segue.understand.speech.recognise import Whisper
from segue.understand.speech.vad import Span, speech_spans, windows

LANGUAGES = ("es", "fr", "it", "ru")
MUSIC = ("media-singularity", "media-moh")
MORE_MUSIC = (("media-openboard", "Sonata para piano.mp3"), ("media-arcade", "funkyrobot.mp3"),
              ("media-arcade", "1918.mp3"), ("media-pyo", "drumloop.wav"),
              ("media-pyo", "flute.aif"), ("media-pyo", "ounkmaster.aif"))  # fmt: skip
FIGURES = "zero one two three four five six seven eight nine ten"
NUMBERS = {str(n): word for n, word in enumerate(FIGURES.split(" "))}
LINE = re.compile(r"<s>(.*)</s>\s*\((\S+)\)")


def sound_file(source: Path) -> Path:
    """The 16 kHz mono wav file that `segue ingest` would make of it, kept in the cache."""
    folder = cache_folder() / "bench" / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{source.parent.name}-{source.stem}.wav"
    if not target.is_file():
        sound = Sound(MediaLimits())
        with av.open(str(source)) as container:
            for frame in container.decode(audio=0):
                sound.offer(frame)
        target.write_bytes(sound.wav())
    return target


def item(path: Path) -> ItemSource:
    return ItemSource(0, "", (), (Clip(path.name, path),))


def said(step: Transcript, path: Path) -> str:
    return " ".join(cue.text for cue in step.run([item(path)])[0].cues)


def words(text: str) -> list[str]:
    """Lower case, without punctuation; figures up to ten as words."""
    found = re.findall(r"[\w']+", text.lower().replace("-", " "))
    return ["mister" if word == "mr" else NUMBERS.get(word, word) for word in found]


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Words put in, left out or changed: the edit distance (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def references() -> Iterator[tuple[str, Path, str]]:
    """Set, sound and what is said in it."""
    texts = get("speech-librivox")
    for kind, name, sounds in (
        ("LibriVox", "transcription", get("media-librivox")),
        ("cards", "cards.transcription", texts),
    ):
        for text, clip in LINE.findall((texts / name).read_text()):
            yield kind, sound_file(sounds / f"{clip}.wav"), text


def peer(model: Any) -> Callable[[Path], str]:
    def hear(path: Path) -> str:
        segments, _ = model.transcribe(samples(path), vad_filter=True)
        return " ".join(segment.text for segment in segments)

    return hear


def samples(path: Path) -> Floats:
    with Recording(path) as recording:
        return recording.read(0, len(recording))


def bench_wer() -> None:
    step = Transcript()
    ways = {"segue": lambda path: said(step, path), "faster-whisper": peer(loaded(step))}
    for name, hear in ways.items():
        errors: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for kind, path, text in references():
            reference, heard = words(text), words(hear(path))
            total[kind] += len(reference)
            errors[kind] += word_errors(reference, heard)
            if reference != heard:
                print(f"  {name}: said {' '.join(reference)!r}, heard {' '.join(heard)!r}")
        for kind in total:
            print(f"WER {name:15} {kind:9} {errors[kind]:3}/{total[kind]:3} = "
                  f"{errors[kind] / total[kind]:.3f}")  # fmt: skip


def bench_languages() -> None:
    whisper = Whisper()
    clips = [(code, path) for code in LANGUAGES for path in sorted(get(f"speech-{code}").iterdir())]
    clips += [("en", path) for path in sorted(get("media-speech").glob("*.wav"))]
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for code, source in clips:
        with Recording(sound_file(source)) as recording:
            spans = windows(list(speech_spans(recording)))
            if sum(span.seconds for span in spans) < Speech().least_speech_s:
                print(f"  {code} {source.name}: no speech found")
                continue
            found = whisper.language(recording, spans)
        total[code] += 1
        right[code] += found.code == code
        if found.code != code:
            print(f"  {code} {source.name}: taken for {found.code} ({found.probability:.2f})")
    for code in total:
        print(f"language {code}: {right[code]}/{total[code]}")
    print(
        f"language, all: {sum(right.values()) / sum(total.values()):.3f} of {sum(total.values())}"
    )


def bench_music() -> None:
    step = Transcript()
    sources = [path for name in MUSIC for path in sorted(get(name).iterdir())]
    sources += [get(name) / file for name, file in MORE_MUSIC]
    invented, seconds, began = 0, 0.0, time.process_time()
    for source in sources:
        path = sound_file(source)
        with Recording(path) as recording:
            seconds += recording.duration_s
        text = said(step, path)
        invented += bool(text)
        if text:
            print(f"  {source.name}: {text[:200]!r}")
    used = time.process_time() - began
    print(f"music: words in {invented} of {len(sources)} files ({seconds:.0f} s of music, "
          f"{used / seconds:.3f} CPU-s a second)")  # fmt: skip


def loaded(step: Transcript) -> Any:
    return step._whisper._whisper


def bench_speed() -> None:
    path = sound_file(get("media-openboard") / "wannaworktogether.mp4")
    step = Transcript()
    began = time.process_time()
    model = loaded(step)
    print(f"loading: {time.process_time() - began:.1f} CPU-s, peak {peak_mb():.0f} MB")
    seconds = len(samples(path)) / RATE_HZ
    began = time.process_time()
    with Recording(path) as recording:
        spans = list(speech_spans(recording))
    spoken = sum(span.seconds for span in spans)
    print(f"voice activity: {(time.process_time() - began) / seconds:.4f} of real time")
    for name, hear in (("segue", lambda p: said(step, p)), ("faster-whisper", peer(model))):
        began = time.process_time()
        text = hear(path)
        used = time.process_time() - began
        print(
            f"{name:15} {used / seconds:.3f} of real time on one core ({seconds:.0f} s, "
            f"{spoken:.0f} s of them speech, {len(text.split())} words), peak {peak_mb():.0f} MB"
        )


def bench_long() -> None:
    """Two hours of speech: where it is, all of it; the words of the last two minutes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        part = samples(sound_file(get("media-openboard") / "wannaworktogether.mp4")) * 32767
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            for _ in range(40):
                file.writeframes(part.astype("<i2").tobytes())
        del part
        before, began = peak_mb(), time.process_time()
        with Recording(path) as recording:
            spans = list(speech_spans(recording))
            used = time.process_time() - began
            print(f"long: {recording.duration_s / 60:.0f} min, {len(spans)} spans, "
                  f"{used / recording.duration_s:.4f} of real time, peak {before:.0f} MB before, "
                  f"{peak_mb():.0f} MB after")  # fmt: skip
            heard = list(Whisper().words(recording, last(spans), "en"))
            print(f"long: last words {''.join(w.text for w in heard[-6:])!r} at "
                  f"{heard[-1].end_s:.1f} s, peak {peak_mb():.0f} MB")  # fmt: skip


def last(spans: Sequence[Span]) -> list[Span]:
    return windows(spans)[-8:]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


PARTS = {
    "wer": bench_wer, "languages": bench_languages, "music": bench_music, "speed": bench_speed,
    "long": bench_long,
}  # fmt: skip


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
