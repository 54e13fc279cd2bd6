"""What MusiCNN's 50 + 50 tags mean: kinds of label, and names that mean the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from segue.core.types import Floats
from segue.understand.findings import Label

# In the order of the nets' outputs.
MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "hip-hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "progressive rock", "60s", "rnb", "indie pop",
    "sad", "house", "happy",
)  # fmt: skip
MTT_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
SAME = {
    "female vocals": ("female vocalists", "female vocalist", "female", "woman", "female vocal",
                      "female voice"),
    "male vocals": ("male vocalists", "male", "male vocal", "man", "male voice"),
    "vocals": ("vocal", "singing", "voice"),
    "instrumental": ("no vocals", "no vocal", "no voice"),
    "choir": ("choral",),
    "classical": ("classic",),
    "beat": ("beats",),
}  # fmt: skip
MOODS = (
    "beautiful", "mellow", "chill", "party", "sexy", "catchy", "sad", "happy", "slow", "fast",
    "loud", "quiet", "soft", "weird",
)  # fmt: skip
INSTRUMENTS = (
    "female vocals", "male vocals", "vocals", "instrumental", "choir", "guitar", "acoustic",
    "strings", "drums", "piano", "violin", "synth", "harpsichord", "flute", "sitar", "harp",
    "cello", "beat", "solo",
)  # fmt: skip
ERAS = ("60s", "70s", "80s", "90s", "00s")

_NAMES = {tag: name for name, tags in SAME.items() for tag in tags}


def kind_of(name: str) -> str:
    """genre | mood | instrument | era"""
    for kind, names in (("mood", MOODS), ("instrument", INSTRUMENTS), ("era", ERAS)):
        if name in names:
            return kind
    return "genre"


def joined(probabilities: Floats) -> dict[str, float]:
    """From (100,) of both nets: a net's best tag of one meaning, then the mean over the nets
    that know the meaning."""
    heads: dict[str, dict[int, float]] = defaultdict(dict)
    for head, (name, score) in _tagged(probabilities):
        heads[name][head] = max(score, heads[name].get(head, 0.0))
    return {name: sum(scores.values()) / len(scores) for name, scores in heads.items()}


def _tagged(probabilities: Floats) -> Iterator[tuple[int, tuple[str, float]]]:
    tags = [(0, tag) for tag in MSD_TAGS] + [(1, tag) for tag in MTT_TAGS]
    for (head, tag), score in zip(tags, probabilities, strict=True):
        yield head, (_NAMES.get(tag, tag), float(score))


def labels(probabilities: Floats, most: int, least: float) -> tuple[Label, ...]:
    """Up to ``most`` of each kind that score at least ``least``, best first."""
    kinds: dict[str, list[Label]] = defaultdict(list)
    for name, score in sorted(joined(probabilities).items(), key=lambda pair: -pair[1]):
        kind = kind_of(name)
        if score >= least and len(kinds[kind]) < most:
            kinds[kind].append(Label(kind, name, score))
    return tuple(label for found in kinds.values() for label in found)
