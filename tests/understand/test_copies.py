"""Near-duplicates: what is one work is proposed, and what is not is left alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segue.core.errors import BadSettings
from segue.understand.copies import (
    CopyRule,
    Fingerprints,
    candidates,
    compare,
    picture_likeness,
    plain,
    propose,
    text_likeness,
)
from segue.understand.sight.phash import HashTrack, PicturePrint
from segue.understand.sources import Clip, ItemSource, Span, Still

RULE = CopyRule()


def works(count: int, frames: int = 8, seed: int = 0) -> list[HashTrack]:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (count, frames), dtype=np.uint64) | np.uint64(2**63)
    return [HashTrack(np.arange(frames) * 10.0 + 5, row) for row in hashes]


def changed(track: HashTrack, bits: int, seed: int = 1) -> HashTrack:
    """``bits`` of each hash turned, as another encoding would."""
    rng = np.random.default_rng(seed)
    turned = track.hashes.copy()
    for row in range(len(turned)):
        for bit in rng.choice(63, bits, replace=False):
            turned[row] ^= np.uint64(1) << np.uint64(bit)
    return HashTrack(track.times_s, turned)


def part(track: HashTrack, first: int, last: int, later_s: float = 0.0) -> HashTrack:
    return HashTrack(track.times_s[first:last] + later_s, track.hashes[first:last])


def item(num: int, track: HashTrack | None = None, title: str = "", **rest: object) -> Fingerprints:
    data = b"" if track is None else track.to_bytes()
    return Fingerprints(num, data, title=title, **rest)  # type: ignore[arg-type]


def test_a_reencoded_work_is_proposed_and_nothing_else() -> None:
    tracks = works(30)
    items = [item(n, track) for n, track in enumerate(tracks)]
    items.append(item(77, changed(tracks[4], 4)))
    (pair,) = propose(items)
    assert (pair.first, pair.second) == (4, 77)
    assert pair.score > 0.9
    assert pair.evidence["picture"] > 0.95
    assert pair.evidence["offset_s"] == pytest.approx(0)


def test_a_cut_start_is_told_as_an_offset() -> None:
    (track,) = works(1)
    later = part(track, 3, 8, -30.0)
    score, offset_s = picture_likeness(track, later, RULE)
    assert score > 0.9
    assert offset_s == pytest.approx(-30)
    pair = compare(item(9, later), item(2, track), later, track)
    assert (pair.first, pair.second) == (2, 9)
    assert pair.evidence["offset_s"] == pytest.approx(-30)


def test_the_same_frames_in_another_order_are_weaker_evidence() -> None:
    (track,) = works(1)
    mixed = HashTrack(track.times_s, track.hashes[::-1].copy())
    assert picture_likeness(track, mixed, RULE)[0] < 0.4 < picture_likeness(track, track, RULE)[0]


def test_one_shared_frame_among_many_is_not_a_copy() -> None:
    one, other = works(2)
    shared = other.hashes.copy()
    shared[2] = one.hashes[5]
    assert picture_likeness(one, HashTrack(other.times_s, shared), RULE)[0] < 0.35
    pair = compare(item(1, one), item(2, other), one, HashTrack(other.times_s, shared))
    assert pair.score < 0.8 * RULE.min_score


def test_the_further_the_frames_the_weaker_the_evidence() -> None:
    (track,) = works(1)
    scores = [picture_likeness(track, changed(track, bits), RULE)[0] for bits in (2, 10, 13, 20)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.9
    assert scores[-1] == 0


def test_pictures_without_times_are_compared_as_sets() -> None:
    (track,) = works(1, frames=3)
    timeless = HashTrack(np.full(3, np.nan), track.hashes)
    score, offset_s = picture_likeness(timeless, changed(timeless, 3), RULE)
    assert score > 0.9
    assert np.isnan(offset_s)
    pairs = propose([item(1, timeless), item(2, timeless)])
    assert "offset_s" not in pairs[0].evidence


def test_a_title_alone_proposes_nothing_but_helps_weak_pictures() -> None:
    one, other = works(2)
    assert propose([item(1, one, "Alien"), item(2, other, "Alien")]) == []
    faint = changed(one, 13)
    assert propose([item(1, one), item(2, faint)]) == []
    named = [
        item(1, one, "Alien", duration_s=90.0),
        item(2, faint, "ALIEN!", duration_s=90.0),
    ]
    (pair,) = propose(named)
    assert pair.evidence["title"] == 1
    assert pair.evidence["duration"] == 1


def test_texts_are_compared_without_case_accents_and_signs() -> None:
    assert plain("Amélie: Le Film!") == "amelielefilm"
    assert text_likeness("Amélie", "AMELIE ") == 1
    assert text_likeness("外星人", "外星人。") == 1
    assert text_likeness("Alien", "Brazil") < 0.3
    assert text_likeness("", "") == 0


def test_every_near_pair_is_a_candidate_as_brute_force_finds_it() -> None:
    tracks = works(60, frames=5)
    tracks += [changed(track, 3, seed=n) for n, track in enumerate(tracks[:20])]
    items = [item(n, track) for n, track in enumerate(tracks)]
    found = set(candidates(items, tracks, [""] * len(items), RULE))
    near = {
        (a, b)
        for a, b in itertools.combinations(range(len(tracks)), 2)
        if (np.bitwise_count(tracks[a].hashes[:, None] ^ tracks[b].hashes) <= RULE.most_bits).any()
    }
    assert found == near
    assert len(near) == 20


def test_a_picture_that_stands_everywhere_does_not_make_everything_a_candidate() -> None:
    tracks = works(400, frames=2)
    for track in tracks:
        track.hashes[0] = np.uint64(2**63 + 12345)  # one logo before each
    items = [item(n, track) for n, track in enumerate(tracks)]
    assert candidates(items, tracks, ["news"] * len(items), RULE) == []
    assert propose([]) == []


def test_the_print_is_of_every_keyframe_at_its_own_time(tmp_path) -> None:
    """Not of scenes alone, whose middles move when a copy is cut."""
    stills = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8)).astype(np.uint8)
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(pixels).resize((160, 120)).save(path)
        stills.append(Still(Clip(str(number), path), 2.0 * number + 0.5))
    clip = stills[1].clip
    made = ItemSource(1, "", (), (), scenes=(Span(0.0, 6.0, clip),), stills=tuple(stills))
    (found,) = PicturePrint().run([made])
    assert HashTrack.from_bytes(found.prints[0].data).times_s.tolist() == [0.5, 2.5, 4.5]
    few = PicturePrint(most_frames=2)
    (found,) = few.run([made])
    assert HashTrack.from_bytes(found.prints[0].data).times_s.tolist() == [0.5, 4.5]
    moved = replace(made, stills=(replace(stills[0], time_s=1.0), *stills[1:]))
    assert few.source(moved) != few.source(made)


def test_odd_rules_are_refused() -> None:
    with pytest.raises(BadSettings, match="min_score"):
        CopyRule(min_score=0)
    with pytest.raises(BadSettings, match="near_bits"):
        CopyRule(near_bits=20)
    with pytest.raises(BadSettings, match="most_key_bits"):
        CopyRule(most_key_bits=40)
