"""Sound: speech against music, fingerprints of copies, tempo and key, loudness, speed.

    python benchmarks/understand/bench_sound.py [accuracy] [speed] [copies] [music] [loudness]

Nothing in the timeline was fitted to recordings, so every file here is held out.
"""

from __future__ import annotations

import io
import itertools
import resource
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from scipy.signal import resample_poly

from segue.datasets.demo import demo_media
from segue.datasets.fetch import cache_folder, get
from segue.ingest.loudness import LoudnessMeter
from segue.understand.sound.fingerprint import Candidates, SoundPrint, fingerprint, likeness
from segue.understand.sound.harmony import NAMES, key
from segue.understand.sound.level import loudness
from segue.understand.sound.music import Music
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sound.rhythm import rhythm
from segue.understand.sound.timeline import STATES, Listener, SoundTimeline
from segue.understand.sources import Clip, ItemSource

SPEECH = (
    "media-speech",
    "media-librivox",
    *(f"bench-speech-{x}" for x in ("es", "fr", "it", "ru")),
)
MUSIC = ("media-singularity", "media-moh", "bench-wesnoth")
MORE_MUSIC = (("media-arcade", "1918.mp3"), ("media-arcade", "funkyrobot.mp3"),
              ("media-openboard", "Sonata para piano.mp3"), ("media-pyo", "flute.aif"),
              ("media-pyo", "drumloop.wav"))  # fmt: skip
NO_SPEECH = {"tt-monkeys.wav"}  # monkeys
SOUNDS = {".wav", ".mp3", ".ogg", ".aif", ".mp4", ".webm", ".mpg", ".avi"}
MIDDLE_S = 60  # of a track, for accuracy


def decoded(path: Path | io.BytesIO) -> np.ndarray:
    """(n,) float32 at 16 kHz mono."""
    out = bytearray()
    source = str(path) if isinstance(path, Path) else path
    with av.open(source) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        for frame in container.decode(container.streams.audio[0]):
            frame.pts = None
            for part in resampler.resample(frame):
                out += bytes(part.planes[0])[: 2 * part.samples]
    return np.frombuffer(bytes(out), "<i2").astype(np.float32) / 32768


def saved(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def as_wav(path: Path) -> Path:
    """The same at 16 kHz mono, kept in the cache."""
    target = cache_folder() / "bench" / "sound" / f"{path.parent.name}-{path.stem}.wav"
    return target if target.is_file() else saved(target, decoded(path))


def item(path: Path, kind: str = "video") -> ItemSource:
    return ItemSource(1, "", (), (Clip(str(path), path),), kind=kind)


def truth() -> Iterator[tuple[str, Path]]:
    for package in SPEECH:
        for path in sorted(get(package).iterdir()):
            if path.name not in NO_SPEECH:
                yield "speech", path
    for package in MUSIC:
        yield from (("music", path) for path in sorted(get(package).iterdir()))
    yield from (("music", get(package) / name) for package, name in MORE_MUSIC)


def excerpt(path: Path) -> np.ndarray:
    with Recording(as_wav(path)) as recording:
        size = MIDDLE_S * RATE_HZ
        return recording.read(max(0, (len(recording) - size) // 2), size)


def states(listener: Listener, samples: np.ndarray, scratch: Path) -> list[str]:
    """The state in the middle of each second."""
    with Recording(saved(scratch, samples)) as recording:
        heard = listener.timeline(Clip(f"{scratch}-{time.perf_counter_ns()}", recording.path))
    seconds = [n + 0.5 for n in range(len(samples) // RATE_HZ)]
    found = (next(s for s in heard.stretches if s.start_s <= at < s.end_s) for at in seconds)
    return [stretch.state for stretch in found]


def accuracy() -> None:
    listener, scratch = Listener(), cache_folder() / "bench" / "sound" / "scratch.wav"
    files, right_files, seconds = [0, 0], [0, 0], np.zeros((2, len(STATES)), dtype=int)
    wrong, pieces = [], []
    for wanted, path in truth():
        samples = excerpt(path)
        said = states(listener, samples, scratch)
        row = ("speech", "music").index(wanted)
        counts = [said.count(state) for state in STATES]
        seconds[row] += counts
        files[row] += 1
        right = counts[row] > counts[1 - row]
        right_files[row] += right
        if not right:
            wrong.append(path.name)
        pieces.append((row, samples[: 15 * RATE_HZ]))
    total = sum(files)
    print(
        f"files: speech {right_files[0]}/{files[0]}, music {right_files[1]}/{files[1]}, "
        f"accuracy {sum(right_files) / total:.4f}; wrong: {wrong}"
    )
    sounding = seconds[:, :3].sum()
    print(
        f"seconds that sound: {sounding}, accuracy {np.trace(seconds[:, :2]) / sounding:.4f} "
        f"(speech: {dict(zip(STATES, seconds[0].tolist(), strict=True))}, music: "
        f"{dict(zip(STATES, seconds[1].tolist(), strict=True))})"
    )
    rng = np.random.default_rng(5)
    joined = [pieces[n] for n in rng.permutation(len(pieces))]
    joined = [(row, piece[: len(piece) // RATE_HZ * RATE_HZ]) for row, piece in joined]
    wanted_rows = np.concatenate([np.full(len(p) // RATE_HZ, row) for row, p in joined])
    said = np.array(
        [STATES.index(s) for s in states(listener, np.concatenate([p for _, p in joined]), scratch)]
    )
    sounds = said != STATES.index("silence")
    share = (said == wanted_rows)[sounds].mean()
    print(f"joined end to end in random order, {len(said)} s, {len(joined)} pieces of <= 15 s: "
          f"accuracy {share:.4f} of the seconds that sound")  # fmt: skip


def demo_sounds() -> list[tuple[Path, str]]:
    found = []
    for path in sorted(demo_media().folder.rglob("*")):
        if path.suffix.lower() in SOUNDS:
            with av.open(str(path)) as container:
                heard, seen = container.streams.audio, container.streams.video
            if heard:
                found.append((as_wav(path), "video" if seen else "track"))
    return found


def speed() -> None:
    listener = Listener()
    steps = [SoundTimeline(listener), Music(listener), SoundPrint()]
    items = [item(path, kind) for path, kind in demo_sounds()]
    seconds = 0.0
    for source in items:
        with Recording(source.sounds[0].path) as recording:
            seconds += recording.duration_s
    for step in steps:  # models are loaded, and converted on first use
        step.run(items[:1])
    listener._kept.clear()
    total = 0.0
    for step in steps:
        began = time.process_time()
        for source in items:
            step.run([source])
        spent = time.process_time() - began
        total += spent
        print(f"{step.name}: {spent:.1f} CPU-s, {seconds / spent:.0f}x real time", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all of {len(items)} files, {seconds:.0f} s: {total:.1f} CPU-s, "
          f"{seconds / total:.0f}x real time, peak {peak:.0f} MiB", flush=True)  # fmt: skip
    two_hours()


def two_hours() -> None:
    path = cache_folder() / "bench" / "sound" / "two-hours.wav"
    source = next(p for p, kind in demo_sounds() if "Coherence" in p.name)
    with Recording(source) as recording, wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        data = (recording.read(0, len(recording)) * 32767).astype("<i2").tobytes()
        for _ in range(int(7200 / recording.duration_s)):
            file.writeframes(data)
    listener = Listener()
    began = time.process_time()
    for step in (SoundTimeline(listener), Music(listener), SoundPrint()):
        step.run([item(path, "track")])
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"two hours: {spent:.1f} CPU-s, {7200 / spent:.0f}x real time, peak {peak:.0f} MiB")
    path.unlink()


def recoded(
    samples: np.ndarray, codec: str, suffix: str, rate_hz: int, bit_rate: int
) -> np.ndarray:
    """Through a lossy codec and back."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=suffix) as container:
        stream = container.add_stream(codec, rate=rate_hz, bit_rate=bit_rate, layout="mono")
        size = stream.codec_context.frame_size or 1152
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate_hz, frame_size=size
        )
        levels = (samples[None] * 32767).astype("<i2")
        for at in range(0, levels.shape[1], RATE_HZ):
            part = np.ascontiguousarray(levels[:, at : at + RATE_HZ])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate = RATE_HZ
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    buffer.seek(0)
    return decoded(buffer)


def copies() -> None:
    """True pairs: 60 s of a recording against its copies. False pairs: all other recordings."""
    scratch = cache_folder() / "bench" / "sound" / "copy.wav"

    def printed(samples: np.ndarray) -> bytes:
        with Recording(saved(scratch, samples)) as recording:
            return fingerprint(recording)

    chosen = [*[p for _, p in truth()][::12], get("media-singularity") / "Coherence.ogg"]
    clips = {path.name: excerpt(path) for path in dict.fromkeys(chosen)}
    clips = {name: clip for name, clip in clips.items() if len(clip) > 4 * RATE_HZ}
    prints = {name: printed(clip) for name, clip in clips.items()}
    scores: dict[str, list[float]] = {}
    offsets: list[float] = []
    pool = dict(enumerate(prints.values()))
    pairs = set()
    for n, (name, clip) in enumerate(clips.items()):
        mp3 = recoded(clip, "mp3", "mp3", 44_100, 64_000)
        opus = recoded(clip, "libopus", "ogg", 48_000, 32_000)
        part = len(clip) // 3
        changed = {
            "mp3 64 kbit/s": (mp3, 0),
            "opus 32 kbit/s": (opus, 0),
            "16 -> 11.025 -> 16 kHz, half as loud": (
                resample_poly(resample_poly(clip, 441, 640), 640, 441) / 2, 0),
            "the middle third of the mp3": (mp3[part : 2 * part], part),
        }  # fmt: skip
        for kind, (samples, start) in changed.items():
            copy = printed(samples)
            match = likeness(prints[name], copy)
            scores.setdefault(kind, []).append(match.score)
            offsets.append(abs(match.offset_s - start / RATE_HZ))
            pairs.add((n, len(pool)))
            pool[len(pool)] = copy
    false = [likeness(prints[a], prints[b]).score for a, b in itertools.combinations(prints, 2)]
    for kind, found in scores.items():
        print(f"{kind}: {len(found)} pairs, least {min(found):.3f}, median {np.median(found):.3f}")
    right = np.concatenate([*scores.values()])
    print(f"others: {len(false)} pairs, most {max(false):.3f}, 99 % {np.percentile(false, 99):.3f}")
    print(f"at 0.3: {(right >= 0.3).mean():.4f} of {len(right)} true pairs found, "
          f"{(np.array(false) >= 0.3).sum()} false; offset right to 0.15 s: "
          f"{(np.array(offsets) < 0.15).mean():.3f}")  # fmt: skip
    began = time.perf_counter()
    proposed = set(Candidates().pairs(pool))
    print(f"proposed by shared words: {len(pairs & proposed)}/{len(pairs)} true pairs, "
          f"{len(proposed)} of {len(pool) * (len(pool) - 1) // 2} in all, "
          f"{time.perf_counter() - began:.2f} s")  # fmt: skip


def music() -> None:
    """Tempo of clicks; does the key of real music move with it when it is played faster?"""
    right = 0
    tempi = np.arange(60, 181, 5)
    t = np.arange(800) / RATE_HZ
    click = 0.5 * np.sin(2 * np.pi * 1000 * t) * np.exp(-80 * t)
    for bpm in tempi:
        samples = np.zeros(30 * RATE_HZ, dtype=np.float32)
        for beat in range(int(29 * bpm / 60)):
            at = int(beat * 60 / bpm * RATE_HZ)
            samples[at : at + 800] += click
        found = rhythm([samples])
        ratio = found.tempo_bpm / bpm if found else 0.0
        right += any(abs(ratio / octave - 1) < 0.01 for octave in (0.5, 1, 2))
    print(f"tempo of clicks at {tempi[0]}-{tempi[-1]} bpm: {right}/{len(tempi)} within 1 %, "
          f"octave aside")  # fmt: skip
    same, total = 0, 0
    for wanted, path in truth():
        clip = excerpt(path)
        if wanted != "music" or len(clip) < 20 * RATE_HZ:
            continue
        before = key([clip])
        steps = 3
        places = np.arange(0, len(clip) - 1, 2 ** (steps / 12))
        after = key([np.interp(places, np.arange(len(clip)), clip).astype(np.float32)])
        if before and after:
            note, _, mode = before.name.partition(" ")
            total += 1
            same += after.name == f"{NAMES[(NAMES.index(note) + steps) % 12]} {mode}"
    print(f"key of music played three semitones higher: moves with it in {same}/{total}")


def loudnesses() -> None:
    """Ours and FFmpeg's meter on the same 16 kHz sound, and FFmpeg's on the original."""
    apart, shift, ranges = [], [], []
    for wanted, path in truth():
        if wanted != "music" or path.parent.name.startswith("bench"):
            continue
        values = []
        for source in (path, as_wav(path)):
            meter = LoudnessMeter()
            with av.open(str(source)) as container:
                for frame in container.decode(audio=0):
                    meter.offer(frame)
            values.append(meter.measures())
        with Recording(as_wav(path)) as recording:
            own = loudness(recording)
        apart.append(abs(own.integrated_lufs - values[1]["loudness_lufs"]))
        ranges.append(abs(own.range_lu - values[1]["loudness_range_lu"]))
        shift.append(values[0]["loudness_lufs"] - own.integrated_lufs)
    print(f"{len(apart)} tracks, same sound: integrated at most {max(apart):.3f} LU and range at "
          f"most {max(ranges):.3f} LU from FFmpeg's; the original is {np.median(shift):+.2f} LU "
          f"(from {min(shift):+.2f} to {max(shift):+.2f}) off the 16 kHz mono sound")  # fmt: skip


PARTS = {
    "accuracy": accuracy, "speed": speed, "copies": copies, "music": music, "loudness": loudnesses,
}  # fmt: skip


if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        began = time.perf_counter()
        PARTS[name]()
        print(f"({name}: {time.perf_counter() - began:.0f} s)\n", flush=True)
