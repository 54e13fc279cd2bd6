"""Speech, music and silence over time; music; fingerprints; on made and on real sounds."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from segue.core.errors import BadInput, BadPackage, UnreadableMedia
from segue.core.types import Floats
from segue.datasets.fetch import Unavailable, get
from segue.understand.audio import read_wav
from segue.understand.sound import timeline as tl
from segue.understand.sound.checkpoint import read_checkpoint
from segue.understand.sound.fingerprint import (
    Candidates,
    SoundPrint,
    fingerprint,
    likeness,
    words_of,
)
from segue.understand.sound.harmony import NAMES, key
from segue.understand.sound.level import loudness
from segue.understand.sound.music import Music
from segue.understand.sound.musicnn import MusiCnn, spread
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sound.rhythm import rhythm
from segue.understand.sound.tags import MSD_TAGS, MTT_TAGS, joined, labels
from segue.understand.sources import Clip, ItemSource


def fetched(name: str) -> Path:
    try:
        return get(name)
    except Unavailable as error:
        pytest.skip(f"cannot be had here: {error}")


def save(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def real(package: str, name: str) -> Floats:
    """A clip of a package at 16 kHz."""
    with wave.open(str(fetched(package) / name)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        rate = file.getframerate()
    return np.asarray(resample_poly(data, RATE_HZ, rate), dtype=np.float32)


@pytest.fixture(scope="module")
def speech() -> Floats:
    return real("media-librivox", "sense_and_sensibility_01_austen_64kb-0870.wav")


@pytest.fixture(scope="module")
def music() -> Floats:
    return real("media-moh", "manolo_camp-morning_coffee.wav")[5 * RATE_HZ : 45 * RATE_HZ]


@pytest.fixture(scope="module")
def listener() -> tl.Listener:
    fetched("yamnet")
    return tl.Listener()


def item(path: Path, kind: str = "video") -> ItemSource:
    return ItemSource(1, "", (), (Clip(path.name, path),), kind=kind)


def chord(root: int, third: int, seconds: float = 1.0) -> np.ndarray:
    """A triad on a MIDI note, five partials a tone."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    hertz = [440 * 2 ** ((root + n - 69) / 12) for n in (0, third, 7)]
    partials = [np.sin(2 * np.pi * f * h * t) / h for f in hertz for h in range(1, 6)]
    return 0.05 * np.sum(partials, axis=0) * np.minimum(1, 20 * np.minimum(t, seconds - t))


def test_a_recording_is_read_in_blocks_that_overlap_and_miss_nothing(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10_007).astype(np.float32)
    with Recording(save(tmp_path / "a.wav", samples)) as recording:
        blocks = list(recording.blocks(1_000, overlap=50))
        whole = recording.read(0, len(recording))
    assert len(whole) == 10_007
    np.testing.assert_array_equal(np.concatenate([b.samples[:1_000] for b in blocks]), whole)
    np.testing.assert_array_equal(blocks[3].samples, whole[3_000:4_050])
    np.testing.assert_allclose(whole, samples, atol=1e-4)


def test_a_cut_recording_is_as_long_as_what_is_there(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", np.full(5_000, 0.25))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 1_234 + 1])
    with Recording(path) as recording:
        assert len(recording) == 1_234
        assert len(recording.read(1_200, 500)) == 34
        assert len(recording.read(9_000, 10)) == 0
    (tmp_path / "b.wav").write_bytes(b"RIFF of nothing")
    with pytest.raises(UnreadableMedia, match="not a readable wav"):
        Recording(tmp_path / "b.wav")


def test_levels_are_decibels_of_full_scale() -> None:
    quiet = tl.levels_dbfs(np.array([0.5] * 100 + [0.0] * 50, dtype=np.float32), 100)
    np.testing.assert_allclose(quiet, [20 * np.log10(0.5), tl.QUIET_DBFS], atol=1e-4)


def test_one_odd_cell_does_not_break_a_run_but_a_long_change_does() -> None:
    sure = {"speech": (0.9, 0.05, 0.1, 0.0), "music": (0.05, 0.9, 0.1, 0.0)}
    doubtful = (0.4, 0.5, 0.1, 0.0)
    scores = [sure["speech"]] * 5 + [doubtful] + [sure["speech"]] * 5 + [sure["music"]] * 6
    states = tl._path(np.array(scores, dtype=np.float32), 2.0)
    assert states.tolist() == [tl.SPEECH] * 11 + [tl.MUSIC] * 6
    free = tl._path(np.array(scores, dtype=np.float32), 0.0)
    assert free[5] == tl.MUSIC


def test_speech_music_and_silence_are_told_apart_over_time(
    listener: tl.Listener, speech: Floats, music: Floats, tmp_path: Path
) -> None:
    quiet = np.zeros(4 * RATE_HZ, dtype=np.float32)
    parts = [speech, quiet, music[: 12 * RATE_HZ], speech]
    path = save(tmp_path / "mixed.wav", np.concatenate(parts))
    found = tl.SoundTimeline(listener).run([item(path)])[0]
    states = [label.label for label in found.labels if label.end_s - label.start_s > 1.5]
    assert states == ["speech", "silence", "music", "speech"]
    edges = np.cumsum([len(part) for part in parts]) / RATE_HZ
    long = [label for label in found.labels if label.end_s - label.start_s > 1.5]
    np.testing.assert_allclose([label.end_s for label in long], edges, atol=1.0)
    shares = {m.name: m.value for m in found.measures}
    assert shares["music_share"] == pytest.approx(12 / edges[-1], abs=0.05)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


def test_every_second_cell_of_a_long_recording_tells_the_same(
    listener: tl.Listener, speech: Floats, music: Floats, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.wav", np.concatenate([speech, music[: 10 * RATE_HZ]]))
    with Recording(path) as recording:
        coarse = tl.listen(recording, listener.net, tl.TimelineRule(whole_s=1.0, block=3))
        fine = tl.listen(recording, listener.net, tl.TimelineRule())
    assert len(coarse.states) == len(fine.states)
    assert (coarse.states == fine.states).mean() > 0.85


def test_an_empty_recording_has_an_empty_timeline(listener: tl.Listener, tmp_path: Path) -> None:
    found = tl.SoundTimeline(listener).run([item(save(tmp_path / "e.wav", np.zeros(0)))])[0]
    assert found.labels == ()
    assert {m.value for m in found.measures} == {0.0}


@pytest.mark.parametrize(
    ("head", "tags", "features", "total"),
    [
        # Of the package's own code under TensorFlow 2.15, for the input below.
        (
            "musicnn-msd",
            [0.061728925, 0.023389362, 0.023442706, 0.000663308, 0.043585289, 0.003067031],
            [-0.177176, 0.957065, -0.284826, 2.855607],
            1.197971,
        ),
        (
            "musicnn-mtt",
            [0.000195115, 0.004603730, 0.001316713, 0.255134284, 0.014606829, 0.115009740],
            [0.176781, 1.386457, -0.092263, 2.659574],
            2.280482,
        ),
    ],
)
def test_the_nets_say_what_they_say_under_tensorflow(
    head: str, tags: list[float], features: list[float], total: float
) -> None:
    fetched(head)
    mel = (np.random.default_rng(7).random((2, 187, 96)) * 3).astype(np.float32)
    net = MusiCnn()._sessions[head]
    found_features, found_tags = net.run(["features", "tags"], {"mel": mel})
    np.testing.assert_allclose(found_tags[1, : len(tags)], tags, rtol=1e-4)
    np.testing.assert_allclose(found_features[1, : len(features)], features, atol=1e-4)
    assert float(found_tags.sum()) == pytest.approx(total, rel=1e-4)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = fetched("musicnn-msd")
    (data,) = folder.glob(".data-*")
    table = (folder / ".index").read_bytes()
    weights = read_checkpoint(folder / ".index", data)
    assert weights["dense_1/kernel"].shape == (200, 50)
    index = tmp_path / "index"
    for broken in (table[:-1], table[:200] + table[-48:], b"", b"\xff" * len(table)):
        index.write_bytes(broken)
        with pytest.raises(BadPackage):
            read_checkpoint(index, data)
    index.write_bytes(table)
    (tmp_path / "data").write_bytes(data.read_bytes()[:1000])
    with pytest.raises(BadPackage, match="does not fit"):
        read_checkpoint(index, tmp_path / "data")


def test_tags_of_one_meaning_become_one_label() -> None:
    scores = np.zeros(100, dtype=np.float32)
    scores[MSD_TAGS.index("rock")] = 0.8
    scores[50 + MTT_TAGS.index("rock")] = 0.4
    scores[50 + MTT_TAGS.index("woman")] = 0.5
    scores[50 + MTT_TAGS.index("female voice")] = 0.7
    merged = joined(scores)
    assert merged["rock"] == pytest.approx(0.6)
    assert merged["female vocals"] == pytest.approx(0.35)
    found = {(x.kind, x.label) for x in labels(scores, 3, 0.3)}
    assert found == {("genre", "rock"), ("instrument", "female vocals")}


def test_patches_are_spread_and_a_short_span_gives_one() -> None:
    assert spread([(0, 10)], 5) == [0]
    starts = spread([(0, 16_000 * 600)], 4)
    assert len(starts) == 4
    assert starts == sorted(starts)
    assert starts[0] < 16_000 * 100
    assert starts[-1] > 16_000 * 500


def test_music_has_tags_a_key_a_tempo_and_speech_has_none(
    listener: tl.Listener, speech: Floats, music: Floats, tmp_path: Path
) -> None:
    for head in ("musicnn-msd", "musicnn-mtt"):
        fetched(head)
    step = Music(listener)
    played = item(save(tmp_path / "m.wav", music))
    said = item(save(tmp_path / "s.wav", speech))
    found, nothing = step.run([played, said])
    assert (nothing.labels, nothing.measures) == ((), ())
    kinds = {x.kind for x in found.labels}
    assert {"genre", "instrument", "key"} <= kinds
    assert "piano" in {x.label for x in found.labels}
    values = {m.name: m.value for m in found.measures}
    assert -40 < values["loudness_mono_lufs"] < -10
    assert 0 < values["energy"] < 1
    # What an item is decides too: the hash must change with it.
    assert step.source(said) != step.source(item(said.sounds[0].path, kind="track"))
    assert step.source(ItemSource(2, "", (), ())) == ""


@pytest.mark.parametrize("bpm", [72.0, 100.0, 128.0])
def test_the_tempo_of_clicks_is_found(bpm: float) -> None:
    samples = np.zeros(RATE_HZ * 20, dtype=np.float32)
    t = np.arange(800) / RATE_HZ
    click = (0.5 * np.sin(2 * np.pi * 1000 * t) * np.exp(-80 * t)).astype(np.float32)
    for beat in range(int(19 * bpm / 60)):
        at = int(beat * 60 / bpm * RATE_HZ)
        samples[at : at + 800] += click
    found = rhythm([samples])
    assert found is not None
    assert found.tempo_bpm == pytest.approx(bpm, abs=0.6)
    # The click at 0 s rises from nothing that was heard.
    assert found.onsets_hz == pytest.approx((int(19 * bpm / 60) - 1) / 20, rel=0.01)
    assert rhythm([np.zeros(RATE_HZ * 10, dtype=np.float32)]) is None
    assert rhythm([samples[:RATE_HZ]]) is None


@pytest.mark.parametrize("tonic", [0, 3, 7, 10])
@pytest.mark.parametrize("minor", [False, True])
def test_the_key_of_a_cadence_is_found_at_any_pitch(tonic: int, minor: bool) -> None:
    third = 3 if minor else 4
    cadence = [(0, third), (5, third), (7, 4), (0, third)] * 2
    played = np.concatenate([chord(60 + tonic + degree, t) for degree, t in cadence])
    found = key([played.astype(np.float32)])
    assert found is not None
    assert found.name == f"{NAMES[tonic]} {'minor' if minor else 'major'}"
    # A fifth of a semitone away, and it is still that key.
    slower = np.interp(np.arange(0, len(played), 2 ** (0.2 / 12)), np.arange(len(played)), played)
    assert key([slower.astype(np.float32)]).name == found.name  # type: ignore[union-attr]
    assert key([np.zeros(RATE_HZ, dtype=np.float32)]) is None


def test_loudness_is_that_of_the_standard(tmp_path: Path) -> None:
    t = np.arange(20 * RATE_HZ) / RATE_HZ
    sine = np.sin(2 * np.pi * 997 * t)
    with Recording(save(tmp_path / "a.wav", sine * 10 ** (-20 / 20))) as recording:
        found = loudness(recording)
    # BS.1770: a 997 Hz sine of full scale in one channel measures -3.01 LKFS.
    assert found.integrated_lufs == pytest.approx(-23.01, abs=0.05)
    assert found.range_lu < 0.1
    steps = np.concatenate([sine * 0.1, sine * 0.01])  # EBU Tech 3342, case 1: 20 LU apart
    with Recording(save(tmp_path / "b.wav", steps)) as recording:
        assert loudness(recording).range_lu == pytest.approx(20, abs=1)
    with Recording(save(tmp_path / "c.wav", np.zeros(RATE_HZ))) as recording:
        assert loudness(recording).integrated_lufs == -70.0


def print_of(path: Path) -> bytes:
    with Recording(path) as recording:
        return fingerprint(recording)


def test_a_louder_noisy_copy_and_a_part_are_found_where_they_lie(
    music: Floats, speech: Floats, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.003, len(music))
    original = print_of(save(tmp_path / "a.wav", music))
    copy = likeness(original, print_of(save(tmp_path / "b.wav", 0.6 * music + noise)))
    assert copy.score > 0.6
    assert abs(copy.offset_s) < 0.1
    start = 11.3
    part = music[int(start * RATE_HZ) : int((start + 12) * RATE_HZ)]
    cut = print_of(save(tmp_path / "c.wav", part))
    assert likeness(original, cut).score > 0.6
    assert likeness(original, cut).offset_s == pytest.approx(start, abs=0.1)
    assert likeness(cut, original).offset_s == pytest.approx(-start, abs=0.1)
    other = print_of(save(tmp_path / "d.wav", speech))
    assert likeness(original, other).score < 0.25
    assert likeness(original, original).score > 0.999
    assert Candidates().pairs({7: cut, 3: original, 5: other}) == [(3, 7)]
    assert Candidates().pairs({}) == []


def test_where_blocks_end_leaves_no_mark(
    music: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.wav", music[: 15 * RATE_HZ])
    whole = print_of(path)
    monkeypatch.setattr("segue.understand.sound.fingerprint.BLOCK_FRAMES", 9)
    np.testing.assert_array_equal(words_of(print_of(path)), words_of(whole))


def test_silence_has_no_print_and_damage_is_refused(tmp_path: Path) -> None:
    found = SoundPrint().run([item(save(tmp_path / "a.wav", np.zeros(5 * RATE_HZ)))])[0]
    assert found.prints == ()
    assert "silent" in found.said
    empty = print_of(save(tmp_path / "b.wav", np.zeros(10)))
    assert likeness(empty, empty).score == 0.0
    for broken in (b"", b"SEG1", b"xxxx\x01\x00\x00\x00abcd", b"SEG1\x02\x00\x00\x00abcd"):
        with pytest.raises(BadInput, match="fingerprint"):
            words_of(broken)


def test_a_whole_file_is_read_as_before(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", np.linspace(-1, 1, 999))
    np.testing.assert_allclose(read_wav(path), np.linspace(-1, 1, 999), atol=1e-4)
