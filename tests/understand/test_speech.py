"""Speech: where it is, what is said and when. The real models hear real recordings."""

from __future__ import annotations

import pickle
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.errors import BadInput, BadSettings, SegueError, UnreadableMedia
from segue.core.types import Floats
from segue.datasets.fetch import Unavailable, get
from segue.understand.findings import Findings
from segue.understand.sound.recording import RATE_HZ, Recording
from segue.understand.sources import Clip, Cue, ItemSource
from segue.understand.speech import (
    Speech,
    Subtitles,
    Transcript,
    read_webvtt,
    speech_steps,
    to_webvtt,
)
from segue.understand.speech.cues import CueRule, Word, to_cues, width
from segue.understand.speech.recognise import Doubt, Whisper
from segue.understand.speech.transcript import in_script
from segue.understand.speech.vad import Span, Voice, speech_spans, windows
from segue.understand.steps import Task, work

LINES = "sense_and_sensibility_01_austen_64kb-{}.wav"
SECOND = RATE_HZ


def package(name: str) -> Path:
    try:
        return get(name)
    except SegueError as error:
        pytest.skip(f"{name} cannot be had here: {error}")


@pytest.fixture(scope="module")
def lines() -> Callable[[int], Path]:
    folder = package("media-librivox")
    return lambda number: folder / LINES.format(f"{number:04}")


@pytest.fixture(scope="module")
def step() -> Transcript:
    """Whisper base, loaded once."""
    package("whisper-base")
    return Transcript()


def item(sound: Path | None = None, subtitles: Path | None = None) -> ItemSource:
    def clips(path: Path | None) -> tuple[Clip, ...]:
        return () if path is None else (Clip(path.name, path),)

    return ItemSource(1, "", (), clips(sound), subtitles=clips(subtitles))


def write(path: Path, samples: Floats) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def samples(path: Path) -> Floats:
    with Recording(path) as recording:
        return recording.read(0, len(recording))


def silence(seconds: float) -> Floats:
    return np.zeros(int(seconds * SECOND), dtype=np.float32)


def test_a_recording_becomes_cues_at_the_right_times(
    tmp_path: Path, lines: Callable[[int], Path], step: Transcript
) -> None:
    """Two sentences, the second one 12 s after the beginning of the file."""
    first, second = samples(lines(880)), samples(lines(930))
    between = silence(12 - len(first) / SECOND)
    path = write(tmp_path / "two.wav", np.concatenate([first, between, second, silence(2)]))
    told: list[tuple[float, float]] = []
    step._watch = lambda done_s, total_s: told.append((done_s, total_s))
    found = step.run([item(path)])[0]
    assert found.language == "en"
    early = " ".join(cue.text.lower() for cue in found.cues if cue.end_s < 5)
    late = [cue for cue in found.cues if cue.start_s >= 11.5]
    assert "young man" in early
    assert "amiable himself" in " ".join(cue.text.lower() for cue in late)
    assert late[-1].end_s <= 12.5 + len(second) / SECOND
    assert all(a.end_s <= b.start_s for a, b in pairwise(found.cues))
    assert told == [(pytest.approx(told[-1][0]), pytest.approx((len(second)) / SECOND + 14))]


def test_what_whisper_makes_of_silence_is_left_out(tmp_path: Path, step: Transcript) -> None:
    with Recording(write(tmp_path / "silence.wav", silence(5))) as recording:
        spans = [Span(0, len(recording))]
        assert list(step._whisper.words(recording, spans, "en")) == []
        believing = Whisper(doubt=Doubt(-99.0, 99.0, 2.0, -99.0))
        believing.__dict__["_whisper"] = step._whisper._whisper
        assert list(believing.words(recording, spans, "en")), "nothing was invented"


def test_signs_of_doubt() -> None:
    doubt = Doubt()
    assert not doubt.refuses(-0.3, 1.5, 0.01)
    assert not doubt.refuses(-0.3, 1.5, 0.9)  # sure of its words
    assert doubt.refuses(-0.7, 1.5, 0.9)
    assert doubt.refuses(-1.2, 1.5, 0.01)
    assert doubt.refuses(-0.3, 3.0, 0.01)


def test_without_speech_no_model_is_loaded(tmp_path: Path) -> None:
    time = np.arange(20 * SECOND) / SECOND
    chord = sum(0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330))
    step = Transcript(Speech(model="whisper-base"))
    sounds = [write(tmp_path / "chord.wav", np.asarray(chord, dtype=np.float32)),
              write(tmp_path / "silence.wav", silence(3)),
              write(tmp_path / "nothing.wav", silence(0))]  # fmt: skip
    assert step.run([item(sound) for sound in sounds]) == [Findings()] * 3
    assert "_whisper" not in step._whisper.__dict__


def test_blocks_find_the_same_speech_as_the_whole(
    tmp_path: Path, lines: Callable[[int], Path]
) -> None:
    parts = [p for number in (880, 890, 930) for p in (samples(lines(number)), silence(1.5))]
    with Recording(write(tmp_path / "joined.wav", np.concatenate(parts))) as recording:
        whole = list(speech_spans(recording))
        for block_s in (4, 5, 9):
            spans = list(speech_spans(recording, block=block_s * SECOND))
            assert all(a.end <= b.start for a, b in pairwise(spans))
            both = covered(whole, len(recording)) & covered(spans, len(recording))
            either = covered(whole, len(recording)) | covered(spans, len(recording))
            assert both.sum() / either.sum() > 0.9, block_s
        for block_s in (7, 9, 13):  # a block ends in the middle of a line, and none cuts it
            spans = list(speech_spans(recording, block=block_s * SECOND))
            assert len(spans) == len(whole) == 3, block_s
            for mine, its in zip(spans, whole, strict=True):
                assert abs(mine.start - its.start) < 0.3 * SECOND, block_s
                assert abs(mine.end - its.end) < 0.3 * SECOND, block_s
        early = list(speech_spans(recording, until=2 * SECOND))
        assert 0 < max(span.end for span in early) <= 2 * SECOND


def covered(spans: list[Span], size: int) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    for span in spans:
        mask[span.start : span.end] = True
    return mask


def test_windows_join_neighbours_and_no_more() -> None:
    spans = [Span(a * SECOND, b * SECOND) for a, b in ((0, 10), (11, 20), (21, 30), (40, 41))]
    assert windows(spans) == [
        Span(0, 20 * SECOND), Span(21 * SECOND, 30 * SECOND), Span(40 * SECOND, 41 * SECOND)
    ]  # fmt: skip
    assert windows([]) == []


@given(
    st.lists(
        st.tuples(
            st.text("aé漢。.,，!", min_size=1, max_size=9),
            st.floats(0, 2),
            st.floats(0, 1.5),
        ),
        max_size=60,
    )
)
def test_cues_keep_every_word_in_order_and_their_limits(
    raw: list[tuple[str, float, float]],
) -> None:
    words, at = [], 0.0
    for text, pause_s, length_s in raw:
        words.append(Word(at + pause_s, at + pause_s + length_s, " " + text))
        at = words[-1].end_s
    cues = to_cues(words)
    assert "".join(cue.text for cue in cues).replace(" ", "") == "".join(text for text, *_ in raw)
    for cue in cues:
        assert cue.end_s >= cue.start_s
        assert cue.end_s - cue.start_s <= 7.0 + 1e-6
        assert width(cue.text) <= 84
    assert all(a.end_s <= b.start_s for a, b in pairwise(cues))


def test_cues_end_at_sentences_pauses_and_commas() -> None:
    def spoken(text: str, at: float = 0.0) -> list[Word]:
        return [Word(at + n * 0.2, at + n * 0.2 + 0.2, f" {w}") for n, w in enumerate(text.split())]

    two = to_cues(spoken("Here comes Mr. Dashwood again. He was not ill disposed."))
    assert [cue.text for cue in two] == [
        "Here comes Mr. Dashwood again.",
        "He was not ill disposed.",
    ]
    paused = to_cues(spoken("one two") + spoken("three", at=3.0))
    assert [(cue.text, cue.start_s) for cue in paused] == [("one two", 0.0), ("three", 3.0)]
    comma = to_cues(spoken("aaaa bbbb cccc dddd, eeee ffff gggg"), CueRule(most_width=30))
    assert [cue.text for cue in comma] == ["aaaa bbbb cccc dddd,", "eeee ffff gggg"]
    chinese = to_cues([Word(n * 0.1, n * 0.1 + 0.1, "漢") for n in range(50)])
    assert [len(cue.text) for cue in chinese] == [42, 8]


def test_webvtt_is_read_as_it_was_written(tmp_path: Path) -> None:
    cues = (Cue(0.5, 2.25, "你好,世界 & <you>"), Cue(3.0, 4.0, "It's five → six."))
    written = to_webvtt(cues)
    assert written.startswith("WEBVTT")
    path = tmp_path / "a.vtt"
    path.write_text(written, encoding="utf-8")
    assert read_webvtt(path) == cues
    with pytest.raises(UnreadableMedia, match=r"gone\.vtt"):
        read_webvtt(tmp_path / "gone.vtt")
    path.write_bytes(bytes(range(256)) * 20)
    assert read_webvtt(path) == ()


def test_subtitles_are_preferred_to_recognition(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nin two\nlines\n", encoding="utf-8")
    both = item(sound=tmp_path / "a.wav", subtitles=path)
    subtitles, transcript = speech_steps()
    assert subtitles.source(both) == "a.vtt"
    assert transcript.source(both) == ""
    assert subtitles.run([both])[0].cues == (Cue(1.0, 2.0, "in two lines"),)
    assert subtitles.source(item(sound=tmp_path / "a.wav")) == ""
    assert transcript.source(item()) == ""


def test_settings_change_the_source_and_threads_do_not(tmp_path: Path) -> None:
    heard = item(sound=tmp_path / "a.wav")

    def source(**settings: object) -> str:
        return Transcript(Speech(**settings)).source(heard)  # type: ignore[arg-type]

    assert source() == source(threads=2) != source(chinese="traditional")
    assert source(max_s=60.0) != source()
    assert source(model="none") == ""
    assert [type(one) for one in speech_steps(Speech(model="none"))] == [Subtitles]


def test_chinese_script_is_a_setting() -> None:
    cues = [Cue(0.0, 1.0, "頭髮與發現,乾燥與幹部")]
    assert in_script(cues, "simplified")[0].text == "头发与发现,干燥与干部"
    assert in_script(cues, "as heard") == cues
    assert in_script([Cue(0.0, 1.0, "头发与发现")], "traditional")[0].text == "頭髮與發現"


def test_a_missing_model_is_said_and_does_not_count_against_the_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Callable[[int], Path]
) -> None:
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    tried = work(Task(Transcript(), (item(lines(880)),)))[0]
    assert tried.missing
    assert "segue data get whisper-base" in tried.reason


def test_models_that_are_none_are_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"model\.bin, config\.json, tokenizer\.json not there"):
        Transcript(Speech(model=str(tmp_path)))
    with pytest.raises(BadSettings, match="did you mean 'whisper-base'"):
        Transcript(Speech(model="wisper-base"))
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    broken = Transcript(Speech(model=str(tmp_path)))
    assert broken.model.startswith(tmp_path.name[:60] + "@")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        _ = broken._whisper._whisper


def test_a_step_goes_to_another_process_without_its_model(step: Transcript) -> None:
    step._watch = None
    _ = step._whisper._batched
    packed = pickle.dumps(step)
    assert len(packed) < 5_000
    assert pickle.loads(packed).model == step.model  # noqa: S301 - our own, a line above


@pytest.mark.parametrize(
    "settings", [{"chinese": "both"}, {"threads": 0}, {"max_s": 0.0}, {"model": ""}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(BadSettings, match="speech: "):
        Speech(**settings)  # type: ignore[arg-type]


def test_voice_out_of_range_is_refused() -> None:
    for bad in ({"threshold": 1.0}, {"window_s": 40.0}, {"pad_s": -1.0}):
        with pytest.raises(BadInput, match="voice: "):
            Voice(**bad)
