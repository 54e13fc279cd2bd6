"""Are copies found? Real clips re-encoded, scaled, cut, barred and dubbed, among all other clips.

Every copy goes through ingest as any file would; a pair is right when both come from one work.

.venv/bin/python benchmarks/understand/bench_copies.py [--synthetic N]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _clips import EDITS, copy, picture_edits, videos
from _pictures import truths
from PIL import Image

from segue.datasets.demo import demo_media
from segue.ingest.decode import examine_stream
from segue.ingest.limits import MediaLimits
from segue.ingest.media import Blob
from segue.understand.copies import DEFAULT_RULE, CopyRule, Fingerprints, propose
from segue.understand.sight.phash import HashTrack, track
from segue.understand.sound.fingerprint import SoundPrint
from segue.understand.sources import Clip, ItemSource

ORIGINAL = "original"


@dataclass(frozen=True)
class Made:
    """One item of the test: which work it is, how it was made, and what it is known by."""

    work: str
    how: str
    prints: Fingerprints


def film(num: int, work: str, how: str, path: Path) -> Made:
    """A video as ingest keeps it: keyframes with their times, no title."""
    with Blob(os.open(path, os.O_RDONLY)) as blob:
        found = examine_stream(blob, MediaLimits())
    frames = [a for a in found.assets if a.kind == "keyframe"]
    # As the step sees an item: one keyframe a scene, in the middle of the scene.
    spans = [
        ((s.start_s + s.end_s) / 2, frames[s.keyframe])
        for s in found.scenes
        if s.keyframe is not None
    ]
    seen = track(
        [(t, Image.open(io.BytesIO(a.data))) for t, a in spans or [(a.time_s, a) for a in frames]]
    )
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


def films(start: int) -> list[Made]:
    music = sorted((demo_media().folder / "music").glob("*.ogg"))
    numbers, made = itertools.count(start), []
    for n, (work, path) in enumerate(videos().items()):
        made.append(film(next(numbers), work, ORIGINAL, path))
        for how, edit in EDITS.items():
            sound = music[n % len(music)] if edit.other_sound else None
            made.append(film(next(numbers), work, how, copy(path, edit, sound)))
    return made


def stills(start: int) -> list[Made]:
    """Every still picture of the hand-labelled set, and edits of it as JPEG of quality 40."""
    numbers, made = itertools.count(start), []
    for truth in truths():
        if truth.time_s is not None:
            continue
        original = truth.picture()
        work = f"{truth.package}/{truth.file}"
        for how, change in {ORIGINAL: lambda p: p, **picture_edits()}.items():
            out = io.BytesIO()
            change(original).save(out, "JPEG", quality=90 if how == ORIGINAL else 40)
            seen = track([(None, Image.open(out))])
            made.append(Made(work, how, Fingerprints(next(numbers), seen.to_bytes())))
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


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synthetic", type=int, default=20_000)
    options = parser.parse_args(None if arguments is None else list(arguments))
    judge("videos", films(0), DEFAULT_RULE)
    judge("still pictures", stills(10_000), DEFAULT_RULE)
    large(options.synthetic)


if __name__ == "__main__":
    main()
