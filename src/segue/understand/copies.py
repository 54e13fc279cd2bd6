"""Near-duplicates: one work in another encoding, size, cut or language. Proposed, never merged.

Candidates come from tables of keys (sampled bits of picture hashes, keys of the sound, titles), so
the work grows with the number of items, not with its square. Each candidate pair is then looked
at: pictures aligned in time, sound, duration and text, and what was found is kept as evidence.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.core.errors import BadSettings
from segue.understand.sight.phash import HashTrack
from segue.understand.sound.fingerprint import Candidates, likeness

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]
Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """All that copies are looked for by; what is not there is empty."""

    num: int
    picture: bytes = b""  # a HashTrack
    sound: bytes = b""
    title: str = ""
    description: str = ""
    duration_s: float | None = None


@dataclass(frozen=True)
class Pair:
    """Two items that look like one work, ``first < second``. ``score`` is in [0, 1].

    ``evidence``: shares in [0, 1] by name (picture, sound, title, description, duration), and
    under ``offset_s`` how much later the same picture or sound comes in the second.
    """

    first: int
    second: int
    score: float
    evidence: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CopyRule:
    """When two items are proposed, and how much is tried to find them."""

    min_score: float = 0.5
    most_bits: int = 14  # of 64 that two hashes of one picture may differ in
    near_bits: int = 10  # up to here nothing is taken off
    tables: int = 16
    most_key_bits: int = 18  # fewer for fewer hashes: about two share a bucket by chance
    most_in_bucket: int = 64  # fuller ones are pictures or titles that tell nothing
    min_tolerance_s: float = 1.5  # keyframes of one moment may be taken so far apart
    picture_weight: float = 0.95
    sound_weight: float = 0.95
    chance_sound: float = 0.2  # likeness that other recordings reach too: .12 at most in the bench
    sure_sound: float = 0.6  # copies there: .76 at least
    length_weight: float = 0.35  # of equal durations, where pictures or sound agree at all
    text_weight: float = 0.45  # a title alone proposes nothing
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.min_score <= 1:
            raise BadSettings(f"copies: min_score must be in (0, 1], got {self.min_score}")
        if not 0 <= self.near_bits < self.most_bits < 32:
            raise BadSettings(
                f"copies: 0 <= near_bits < most_bits < 32, got {self.near_bits}, {self.most_bits}"
            )
        if not 1 <= self.most_key_bits <= 32:
            raise BadSettings(f"copies: most_key_bits must be in [1, 32], got {self.most_key_bits}")


DEFAULT_RULE = CopyRule()


def propose(
    items: Sequence[Fingerprints],
    rule: CopyRule = DEFAULT_RULE,
) -> list[Pair]:
    """Pairs that look like one work, best first."""
    tracks = [HashTrack.from_bytes(item.picture) for item in items]
    titles = [plain(item.title) for item in items]
    found = []
    for a, b in candidates(items, tracks, titles, rule):
        pair = compare(items[a], items[b], tracks[a], tracks[b], rule)
        if pair.score >= rule.min_score:
            found.append(pair)
    return sorted(found, key=lambda pair: (-pair.score, pair.first, pair.second))


def candidates(
    items: Sequence[Fingerprints],
    tracks: Sequence[HashTrack],
    titles: Sequence[str],
    rule: CopyRule,
) -> list[tuple[int, int]]:
    """Pairs of rows that share a key, each once, in order."""
    pairs = set(_picture_pairs(tracks, rule))
    pairs |= set(_bucket_pairs(((t, row) for row, t in enumerate(titles) if t), rule))
    row_of = {item.num: row for row, item in enumerate(items)}
    heard = Candidates().pairs({item.num: item.sound for item in items if item.sound})
    pairs |= {(min(row_of[a], row_of[b]), max(row_of[a], row_of[b])) for a, b in heard}
    return sorted(pairs)


def _bucket_pairs(keyed: Iterable[tuple[object, int]], rule: CopyRule) -> Iterator[tuple[int, int]]:
    buckets: dict[object, set[int]] = defaultdict(set)
    for key, row in keyed:
        buckets[key].add(row)
    for bucket in buckets.values():
        if 1 < len(bucket) <= rule.most_in_bucket:
            rows = sorted(bucket)
            yield from ((a, b) for n, a in enumerate(rows) for b in rows[n + 1 :])


def _picture_pairs(tracks: Sequence[HashTrack], rule: CopyRule) -> Iterator[tuple[int, int]]:
    """Rows with hashes that agree in one table's sampled bits and are near in all of them.

    Bit sampling is the locality-sensitive family for Hamming distance (Indyk and Motwani 1998).
    """
    lengths = [len(track.hashes) for track in tracks]
    rows = np.repeat(np.arange(len(tracks), dtype=np.int64), lengths)
    if len(rows) < 2:
        return
    hashes = np.concatenate([track.hashes for track in tracks])
    rng = np.random.default_rng(rule.seed)
    count = int(np.clip(np.log2(len(hashes)) - 1, 1, rule.most_key_bits))
    for _ in range(rule.tables):
        bits = rng.choice(63, count, replace=False)  # the highest bit is always set
        key = np.zeros(len(hashes), dtype=np.uint64)
        for place, bit in enumerate(bits):
            key |= ((hashes >> np.uint64(bit)) & np.uint64(1)) << np.uint64(place)
        yield from _near_in_table(key, hashes, rows, rule)


def _near_in_table(
    key: Hashes, hashes: Hashes, rows: Numbers, rule: CopyRule
) -> Iterator[tuple[int, int]]:
    """Compares neighbours at a distance of 1, 2, … in the order of the keys, all at once."""
    order = np.argsort(key, kind="stable")
    key, hashes, rows = key[order], hashes[order], rows[order]
    starts = np.flatnonzero(np.diff(key, prepend=key[:1] ^ np.uint64(1)))
    sizes = np.diff(starts, append=len(key))
    useful = np.repeat(sizes <= rule.most_in_bucket, sizes)
    for step in range(1, min(rule.most_in_bucket, int(sizes.max(initial=1)))):
        same = (key[:-step] == key[step:]) & useful[step:] & (rows[:-step] != rows[step:])
        at = np.flatnonzero(same)
        near = np.bitwise_count(hashes[at] ^ hashes[at + step]) <= rule.most_bits
        pairs = np.sort(np.stack([rows[at[near]], rows[at[near] + step]], axis=1), axis=1)
        yield from map(tuple, np.unique(pairs, axis=0).tolist())


def compare(
    a: Fingerprints,
    b: Fingerprints,
    track_a: HashTrack,
    track_b: HashTrack,
    rule: CopyRule = DEFAULT_RULE,
) -> Pair:
    """Evidence that two items are one work, and its sum as noisy or: any one strong piece is
    enough, as a dubbed film shares pictures alone and a lyric video sound alone."""
    if a.num > b.num:
        return compare(b, a, track_b, track_a, rule)
    evidence = _text_evidence(a, b)
    picture, offset_s = picture_likeness(track_a, track_b, rule)
    if picture > 0:
        evidence["picture"] = picture
    if a.sound and b.sound:
        match = likeness(a.sound, b.sound)
        span = rule.sure_sound - rule.chance_sound
        heard = float(np.clip((match.score - rule.chance_sound) / span, 0.0, 1.0))
        evidence["sound"] = heard
        # The match says where the second begins on the clock of the first.
        offset_s = offset_s if picture >= heard else -match.offset_s
    if evidence.keys() & {"picture", "sound"} and np.isfinite(offset_s):
        evidence["offset_s"] = round(float(offset_s), 2)
    return Pair(a.num, b.num, _score(evidence, rule), evidence)


def _score(evidence: dict[str, float], rule: CopyRule) -> float:
    """Text counts with the share by which the durations agree: a sequel has the title too. That
    two works last equally long to a hundredth is evidence of its own, but never alone."""
    text = max(evidence.get("title", 0.0), evidence.get("description", 0.0))
    picture, heard = evidence.get("picture", 0.0), evidence.get("sound", 0.0)
    duration = evidence.get("duration", 0.5)
    doubt = (1 - rule.picture_weight * picture) * (1 - rule.sound_weight * heard)
    if duration > 0.99 and max(picture, heard) > 0:
        doubt *= 1 - rule.length_weight
    return float(1 - doubt * (1 - rule.text_weight * text * duration))


def _text_evidence(a: Fingerprints, b: Fingerprints) -> dict[str, float]:
    evidence = {}
    for name in ("title", "description"):
        alike = text_likeness(getattr(a, name), getattr(b, name))
        if alike >= 0.5:
            evidence[name] = alike
    if a.duration_s and b.duration_s:
        evidence["duration"] = min(a.duration_s, b.duration_s) / max(a.duration_s, b.duration_s)
    return evidence


def picture_likeness(a: HashTrack, b: HashTrack, rule: CopyRule) -> tuple[float, float]:
    """How surely two tracks show the same pictures, in [0, 1], and by how much b is later.

    Matching frames vote for their offset; the frames that agree on the best one count, as a share
    of the frames that overlap at it, or of half the shorter track where less than that overlaps.
    One frame may be chance: each further one halves the doubt.
    """
    if not len(a.hashes) or not len(b.hashes):
        return 0.0, np.nan
    distance = np.bitwise_count(a.hashes[:, None] ^ b.hashes[None, :]).astype(np.int64)
    i, j = np.nonzero(distance <= rule.most_bits)
    if not len(i):
        return 0.0, np.nan
    offsets = b.times_s[j] - a.times_s[i]
    tolerance_s = max(rule.min_tolerance_s, _spacing_s(a) / 2, _spacing_s(b) / 2)
    if not np.isfinite(offsets).all():
        offsets, tolerance_s = np.zeros(len(i)), np.inf  # times unknown: any order will do
    weight = np.clip(
        (rule.most_bits + 1 - distance[i, j]) / (rule.most_bits + 1 - rule.near_bits), 0.0, 1.0
    )
    least = (min(len(a.hashes), len(b.hashes)) + 1) // 2
    best, offset_s = 0.0, np.nan
    for centre in np.unique(np.round(offsets, 1)):
        agreed = np.abs(offsets - centre) <= tolerance_s
        of = max(least, _overlap(a, b, centre))
        score = _agreement(i[agreed], j[agreed], weight[agreed], of)
        if score > best:
            best, offset_s = score, float(np.median(offsets[agreed]))
    return best, offset_s if np.isfinite(tolerance_s) else np.nan


def _agreement(
    i: Numbers, j: Numbers, weight: np.ndarray[tuple[int], np.dtype[np.float64]], of: int
) -> float:
    """Score of matched frames among ``of`` that could have matched."""
    best: dict[int, float] = {}
    for row, value in zip(i.tolist(), weight.tolist(), strict=True):
        best[row] = max(best.get(row, 0.0), value)
    # Two frames that match the same one are one witness.
    kept = np.array(sorted(best.values(), reverse=True)[: len(np.unique(j))])
    count = np.arange(1, len(kept) + 1)
    matched = np.cumsum(kept)
    # The root: a copy's keyframes need not be those of the original. The best few decide, so that
    # a weak match beside strong ones takes nothing away.
    scores = matched / count * np.sqrt(np.minimum(1.0, count / of)) * (1 - 0.5 ** (matched + 1))
    return float(scores.max())


def _overlap(a: HashTrack, b: HashTrack, offset_s: float) -> int:
    """Frames of the sparser one within the other's span of time, once a is moved by the offset."""
    if not (np.isfinite(a.times_s).all() and np.isfinite(b.times_s).all()):
        return min(len(a.hashes), len(b.hashes))
    slack = max(_spacing_s(a), _spacing_s(b)) / 2
    moved = a.times_s + offset_s
    in_b = (moved >= b.times_s.min() - slack) & (moved <= b.times_s.max() + slack)
    in_a = (b.times_s >= moved.min() - slack) & (b.times_s <= moved.max() + slack)
    return int(min(in_b.sum(), in_a.sum()))


def _spacing_s(track: HashTrack) -> float:
    """Median time between frames; 0 for one frame or unknown times."""
    times = track.times_s[np.isfinite(track.times_s)]
    return float(np.median(np.diff(np.sort(times)))) if len(times) > 1 else 0.0


def plain(text: str) -> str:
    """Letters and digits alone, without case and accents: what two titles are compared by."""
    split = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in split if c.isalnum())


def text_likeness(a: str, b: str) -> float:
    """Jaccard likeness of the texts' triples of letters, in [0, 1]; 0 where one is empty."""
    one, two = (_triples(plain(text)) for text in (a, b))
    return len(one & two) / len(one | two) if one and two else 0.0


def _triples(text: str) -> set[str]:
    return {text[n : n + 3] for n in range(max(1, len(text) - 2))} if text else set()
