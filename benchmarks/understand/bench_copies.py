"""Are copies found? Real clips re-encoded, scaled, cut, barred and dubbed, among all other clips.

Every copy goes through ingest as any file would; a pair is right when both come from one work.
Works are parted by the hash of their name: the rule's numbers were chosen on ``tune``, and what is
reported is ``held``. Clips by video models add to the few real ones; recordings are of packages.

.venv/bin/python benchmarks/understand/bench_copies.py [--part tune|held|all] [--synthetic N]
    [--kind videos|stills|sound] [--keep FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import os
import pickle
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import _generated
import av
import bench_sound
import numpy as np
from _clips import EDITS, copy, even, picture_edits, videos
from _pictures import truths
from PIL import Image
from scipy.signal import resample_poly

from segue.datasets.fetch import cache_folder
from segue.ingest.decode import examine_stream
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Blob
from segue.understand.copies import DEFAULT_RULE, CopyRule, Fingerprints, propose
from segue.understand.sight.phash import HashTrack, track
from segue.understand.sound.fingerprint import SoundPrint
from segue.understand.sound.recording import RATE_HZ
from segue.understand.sources import Clip, ItemSource

ORIGINAL = "original"
LEAST_SOUND_S = 12.0
PARTS = ("tune", "held", "all")


def part_of(work: str) -> str:
    return "tune" if hashlib.sha256(work.encode()).digest()[0] % 2 else "held"


def chosen(work: str, part: str) -> bool:
    return part in ("all", part_of(work))


@dataclass(frozen=True)
class Made:
    """One item of the test: which work it is, how it was made, and what it is known by."""

    work: str
    how: str
    prints: Fingerprints


def film(num: int, work: str, how: str, path: Path) -> Made:
    """A video as ingest keeps it and the step sees it: keyframes with their times, no title."""
    with Blob(os.open(path, os.O_RDONLY)) as blob:
        found = examine_stream(blob, MediaLimits())
    frames = [a for a in found.assets if a.kind == "keyframe"]
    seen = track([(a.time_s, Image.open(io.BytesIO(a.data))) for a in frames])
    heard = [heard_in(a.data) for a in found.assets if a.kind == "audio16k"]
    prints = Fingerprints(num, seen.to_bytes(), *heard[:1], duration_s=found.duration_s)
    return Made(work, how, prints)


def heard_in(wav: bytes) -> bytes:
    """The sound's fingerprint, by the step that ingest's sound goes through."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(wav)
        file.flush()
        clip = Clip(hashlib.sha256(wav).hexdigest(), Path(file.name))
        (said,) = SoundPrint().run([ItemSource(0, "", (), (clip,))])
    return said.prints[0].data if said.prints else b""


def originals() -> dict[str, Path]:
    """Real clips, and one clip by a video model of each thing that those show."""
    first = {place: name for name, place in reversed(_generated.PLACES.items())}
    made = {name: path for name, path in _generated.clips().items() if name in first.values()}
    return videos() | {name: as_video(path) for name, path in made.items()}


def as_video(path: Path) -> Path:
    """A moving WebP as H.264, made once and kept in the cache."""
    folder = cache_folder() / "bench" / "copies"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.stem}.mp4"
    if target.is_file():
        return target
    part = folder / f"part-{target.name}"
    pictures = list(_generated.frames(path))
    rate = Fraction(round((len(pictures) - 1) / pictures[-1][0]))
    with av.open(str(part), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        first = pictures[0][1]
        stream.width, stream.height = even(first.width), even(first.height)
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "crf": "18"}
        for number, (_, frame) in enumerate(pictures):
            shown = frame.reformat(stream.width, stream.height, "yuv420p")
            shown.pts, shown.time_base = number, 1 / rate
            out.mux(stream.encode(shown))
        out.mux(stream.encode(None))
    part.replace(target)
    return target


def films(start: int, part: str) -> list[Made]:
    music = [path for kind, path in bench_sound.truth() if kind == "music"]  # one for each work
    numbers, made = itertools.count(start), []
    for n, (work, path) in enumerate(originals().items()):
        if not chosen(work, part):
            continue
        made.append(film(next(numbers), work, ORIGINAL, path))
        for how, edit in EDITS.items():
            sound = music[n % len(music)] if edit.other_sound else None
            made.append(film(next(numbers), work, how, copy(path, edit, sound)))
    return made


def stills(start: int, part: str) -> list[Made]:
    """Every still picture of the hand-labelled set, and edits of it as JPEG of quality 40."""
    numbers, made = itertools.count(start), []
    for truth in truths():
        work = f"{truth.package}/{truth.file}"
        if truth.time_s is not None or not chosen(work, part):
            continue
        original = truth.picture()
        for how, change in {ORIGINAL: lambda p: p, **picture_edits()}.items():
            out = io.BytesIO()
            change(original).save(out, "JPEG", quality=90 if how == ORIGINAL else 40)
            seen = track([(None, Image.open(out))])
            made.append(Made(work, how, Fingerprints(next(numbers), seen.to_bytes())))
    return made


def sounds(start: int, part: str) -> list[Made]:
    """A minute of every piece of music and the longer speech, in other encodings and in part."""
    numbers, made = itertools.count(start), []
    for work, path in {path.name: path for _, path in bench_sound.truth()}.items():
        if not chosen(work, part):
            continue
        whole = bench_sound.excerpt(path)
        if len(whole) < LEAST_SOUND_S * RATE_HZ:
            continue
        cut = len(whole) // 4
        ways = {
            ORIGINAL: whole,
            "mp3 64 kbit/s": bench_sound.recoded(whole, "mp3", "mp3", 44_100, 64_000),
            "opus 32 kbit/s": bench_sound.recoded(whole, "libopus", "ogg", 48_000, 32_000),
            "half as loud, 11 kHz between": resample_poly(
                resample_poly(whole, 441, 640), 640, 441
            ) / 2,
            "first quarter cut, opus": bench_sound.recoded(
                whole[cut:], "libopus", "ogg", 48_000, 32_000
            ),
            "the middle half": whole[cut : 3 * cut],
        }  # fmt: skip
        for how, samples in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                heard = heard_in(bench_sound.saved(Path(folder) / "a.wav", samples).read_bytes())
            prints = Fingerprints(
                next(numbers), sound=heard, duration_s=round(len(samples) / RATE_HZ, 3)
            )
            made.append(Made(work, how, prints))
    return made


def judge(name: str, made: list[Made], rule: CopyRule) -> None:
    """Precision and recall over pairs, recall of each edit against its original."""
    start = time.perf_counter()
    pairs = propose([m.prints for m in made], rule)
    took = time.perf_counter() - start
    by_num = {m.prints.num: m for m in made}
    right = [p for p in pairs if by_num[p.first].work == by_num[p.second].work]
    works = Counter(m.work for m in made)
    truth = sum(n * (n - 1) // 2 for n in works.values())
    unrelated = len(made) * (len(made) - 1) // 2 - truth
    print(
        f"\n{name}: {len(made)} items of {len(works)} works, {unrelated:,} unrelated pairs; "
        f"{len(pairs)} proposed in {took:.2f} s"
    )
    print(f"  precision {len(right) / max(1, len(pairs)):.3f}, recall {len(right) / truth:.3f}")
    wrong = [p for p in pairs if p not in right]
    works_wrong = Counter(
        " ~ ".join(sorted((by_num[p.first].work, by_num[p.second].work))) for p in wrong
    )
    print(f"  wrong: {dict(works_wrong.most_common(12))}")
    originals = {m.work: m.prints.num for m in made if m.how == ORIGINAL}
    found = {frozenset((p.first, p.second)) for p in right}
    for how in dict.fromkeys(m.how for m in made if m.how != ORIGINAL):
        mine = [m for m in made if m.how == how]
        hits = [m for m in mine if frozenset((m.prints.num, originals[m.work])) in found]
        missed = sorted({m.work for m in mine} - {m.work for m in hits})
        print(f"  {how:24} {len(hits):3}/{len(mine)}  missed: {', '.join(missed)}")


def large(n: int, seed: int = 0) -> None:
    """Time for many items: ``n`` made-up works of ten random frames, a tenth of them copied with
    a few bits changed. What is measured is the search, not the recognition."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (n, 10), dtype=np.uint64) | np.uint64(2**63)
    copies = n // 10
    flips = rng.random((copies, 10, 64)) < 4 / 64
    masks = np.packbits(flips, axis=2, bitorder="little").view(np.uint64)[..., 0]
    hashes[n - copies :] = hashes[:copies] ^ masks
    times = np.arange(10) * 10.0
    items = [Fingerprints(row, HashTrack(times, h).to_bytes()) for row, h in enumerate(hashes)]
    start = time.perf_counter()
    pairs = propose(items)
    took = time.perf_counter() - start
    right = sum(p.second - p.first == n - copies for p in pairs)
    print(
        f"\n{n:,} made-up items of ten frames: {took:.1f} s; recall {right / copies:.3f}, "
        f"precision {right / max(1, len(pairs)):.3f}"
    )


KINDS: dict[str, Callable[[int, str], list[Made]]] = {
    "videos": films, "stills": stills, "sound": sounds
}  # fmt: skip


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="held")
    parser.add_argument("--kind", choices=tuple(KINDS))
    parser.add_argument("--synthetic", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="all fingerprints, to try rules on")
    options = parser.parse_args(None if arguments is None else list(arguments))
    kept: dict[str, list[Made]] = {}
    for name, make in KINDS.items():
        if options.kind not in (None, name):
            continue
        kept[name] = make(0, options.part)
        judge(f"{name}, {options.part}", kept[name], DEFAULT_RULE)
    if options.keep:
        options.keep.write_bytes(pickle.dumps(kept))
    large(options.synthetic)


if __name__ == "__main__":
    main()
