"""Reading words: sentences, language, summaries, sentiment, keywords, topics, genres."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from segue.core.errors import BadInput, BadSettings
from segue.understand.sources import Clip, Cue, ItemSource
from segue.understand.words.genre import GENRES, genres, names_genre
from segue.understand.words.language import language_of
from segue.understand.words.logistic import fit_logistic
from segue.understand.words.reading import Limits, Reader
from segue.understand.words.sentences import body, sentences, spread, telling
from segue.understand.words.step import (
    GenreStep,
    KeywordStep,
    LanguageStep,
    SentimentStep,
    SummaryStep,
    TopicStep,
)
from segue.understand.words.summary import SummaryRule

READER = Reader()
ENGLISH = (
    "Two astronauts travel through space to a distant planet. Their spaceship is damaged by an "
    "asteroid far from Earth. The crew must repair the engine before the oxygen is gone. On the "
    "planet they find the ruins of an alien city. An old computer tells them why its builders left "
    "the planet. The captain decides to stay while the others return to Earth with the news. Back "
    "home nobody believes the story of the crew and their long voyage among the stars."
)
GERMAN = (
    "Ein junger Soldat kämpft im Zweiten Weltkrieg an der Front. Seine Kameraden sterben in der "
    "Schlacht, und die Armee zieht sich zurück."
)
CHINESE = "一个年轻的侦探在雨夜里追查连环杀手的下落。警察在城里发现了第三个受害者，凶手留下了线索。"


def item(
    description: str = "",
    cues: tuple[Cue, ...] = (),
    texts: tuple[Clip, ...] = (),
    title: str = "A title",
    tags: tuple[str, ...] = (),
    kind: str = "movie",
) -> ItemSource:
    return ItemSource(
        1, "", (), (), kind=kind, title=title, description=description, tags=tags, texts=texts,
        cues=cues,
    )  # fmt: skip


def clip(path: Path, text: str) -> Clip:
    path.write_text(text, encoding="utf-8")
    return Clip(hashlib.sha256(text.encode()).hexdigest(), path)


def test_sentences_of_several_languages() -> None:
    assert sentences("Dr. Who came. He saw J. R. Smith! “Why?” she said.\n\nNew part") == [
        "Dr. Who came.", "He saw J. R. Smith!", "“Why?” she said.", "New part",
    ]  # fmt: skip
    assert sentences("他来了。“你好！”她说。再见") == ["他来了。", "“你好！”", "她说。", "再见"]
    assert sentences("") == []


def test_terms_and_headings_tell_nothing() -> None:
    assert telling("The old man walked slowly to the sea.", wide=False)
    assert not telling("This eBook is for the use of anyone anywhere at no cost.", wide=False)
    assert not telling("CHAPTER IV THE HOUSE BY THE RIVER BANK", wide=False)
    assert not telling("Yes.", wide=False)


def test_body_leaves_out_the_notices() -> None:
    text = (
        "Terms of use\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\nCall me Ishmael. Some "
        "years ago I went to sea.\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nDonations"
    )
    assert body(text).strip() == "Call me Ishmael. Some years ago I went to sea."
    assert body("No notices here") == "No notices here"


def test_spread_covers_all() -> None:
    assert spread(3, 5) == [0, 1, 2]
    assert spread(101, 3) == [0, 50, 100]


@pytest.mark.parametrize(
    ("text", "language"),
    [("The cat sat on the mat.", "en"), (GERMAN, "de"), (CHINESE, "zh"), ("爱情故事", "zh"),
     ("猫がいる", "ja"), ("Un père cherche sa fille", "fr"), ("Dos amigos viajan al mar.", "es"),
     ("Un uomo cerca suo figlio", "it"), ("Человек ищет своего сына", "ru"), ("1234 !?", "")],
)  # fmt: skip
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_logistic_regression_finds_the_line() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)).astype(np.float32)
    line = np.asarray([2.0, -1.0, 0.0])
    y = (rng.random(2000) < 1 / (1 + np.exp(-(x @ line + 0.5)))).astype(np.float32)[:, None]
    model = fit_logistic(x, y, strength=0.01)
    np.testing.assert_allclose(model.weights[:, 0], line, atol=0.25)
    assert model.bias[0] == pytest.approx(0.5, abs=0.2)
    # At the minimum without a penalty, mean probability and mean answer agree.
    assert model.probabilities(x).mean() == pytest.approx(float(y.mean()), abs=1e-3)
    with pytest.raises(BadInput, match="answers"):
        fit_logistic(x, y[:5], 1.0)


def test_settings_are_refused() -> None:
    with pytest.raises(BadSettings, match="sentences"):
        SummaryRule(sentences=0)
    with pytest.raises(BadSettings, match="limit"):
        Limits(sentences=0)


def test_summary_stands_in_the_text() -> None:
    (found,) = SummaryStep(READER).run([item(ENGLISH)])
    (note,) = found.notes
    assert (note.kind, note.generated, note.language) == ("summary", False, "en")
    parts = sentences(note.text)
    whole = sentences(ENGLISH)
    assert 2 <= len(parts) <= 3
    assert len(note.text.split()) <= 60
    assert [whole.index(part) for part in parts] == sorted(whole.index(part) for part in parts)


def test_a_short_description_needs_no_summary() -> None:
    for text in (GERMAN, CHINESE):
        assert SummaryStep(READER).run([item(text)])[0].notes == ()


def test_a_book_is_read_in_bounded_time_and_it_says_so(tmp_path: Path) -> None:
    licence = "This eBook is free.\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n"
    tale = "\n\n".join(f"{ENGLISH} It was the year {year} of our voyage." for year in range(900))
    book = item(texts=(clip(tmp_path / "book.txt", licence + tale),), kind="book")
    reading = READER.read(book)
    assert len(licence + tale) > 400_000
    assert len(reading.body) == READER.limits.sentences < reading.total
    assert reading.body[0].share < 0.02
    assert reading.body[-1].share > 0.97
    (found,) = SummaryStep(READER).run([book])
    assert "spread" in found.said
    assert "eBook" not in found.notes[0].text
    names = [m.name for m in SentimentStep(READER).run([book])[0].measures]
    assert names[:2] == ["sentiment", "sentiment_00_percent"]
    assert len(names) == 13


@pytest.mark.parametrize(
    ("good", "bad"),
    [("A wonderful, moving film.", "A boring and terrible film."),
     ("这部电影太精彩了，非常感人。", "这部电影太无聊了，很差。"),
     ("Ein wunderbarer, bewegender Film.", "Ein langweiliger, schrecklicher Film.")],
)  # fmt: skip
def test_sentiment_in_three_languages(good: str, bad: str) -> None:
    found = SentimentStep(READER).run([item(good), item(bad)])
    high, low = (f.measures[0].value for f in found)
    assert -1 <= low < -0.2 < 0.2 < high <= 1


def test_sentiment_has_a_course_along_the_cues() -> None:
    glad, sad = "What a wonderful and happy day this is.", "Everything is horrible and he died."
    cues = tuple(Cue(10.0 * n, 10.0 * n + 9, glad if n < 20 else sad) for n in range(40))
    (found,) = SentimentStep(READER).run([item(cues=cues)])
    course = [m for m in found.measures if m.start_s is not None]
    assert 10 <= len(course) <= 20
    assert [m.start_s for m in course] == sorted(m.start_s or 0 for m in course)
    assert min(m.value for m in course[:5]) > max(m.value for m in course[-5:])


def test_keywords() -> None:
    english, chinese, german = (
        {label.label: label.score for label in found.labels}
        for found in KeywordStep(READER).run([item(ENGLISH), item(CHINESE), item(GERMAN)])
    )
    assert 5 <= len(english) <= 12
    assert max(english.values()) == 1.0
    assert any("planet" in word for word in english)
    assert "the" not in english
    assert {"侦探", "杀手"} & chinese.keys()
    assert "的" not in chinese
    assert any("soldat" in word for word in german)


def test_topics_in_three_languages() -> None:
    texts = [ENGLISH, GERMAN, CHINESE]
    found = TopicStep(READER).run([item(text, title="") for text in texts])
    space, war, crime = ({label.label for label in f.labels} for f in found)
    assert space & {"space travel", "aliens"}
    assert "war" in war
    assert crime & {"serial killers", "detectives"}
    assert all(0.5 <= label.score <= 1 for f in found for label in f.labels)


def test_genre_only_where_none_is_said() -> None:
    step = GenreStep(READER)
    assert step.source(item(ENGLISH))
    assert step.source(item(CHINESE))
    assert step.source(item(ENGLISH, tags=("Sci-Fi",))) == ""
    assert step.source(item("Too short.")) == ""
    assert step.source(item(ENGLISH, kind="track")) == ""
    assert names_genre(("moon", "Horror"))


def test_genres_by_threshold() -> None:
    chances = np.zeros(len(GENRES), dtype=np.float32)
    chances[[0, 3, 5]] = 0.9, 0.2, 0.5
    assert [label.label for label in genres(chances)] == [GENRES[0], GENRES[5]]


@pytest.mark.slow
def test_genres_of_plots_in_three_languages() -> None:
    found = GenreStep(READER).run([item(text, title="") for text in (ENGLISH, GERMAN, CHINESE)])
    space, war, crime = ({label.label for label in f.labels} for f in found)
    assert "science fiction" in space
    assert "war" in war
    assert crime & {"thriller", "crime"}


def test_source_follows_the_words() -> None:
    step = LanguageStep(READER)
    assert step.source(item()) == ""
    assert step.source(item(ENGLISH)) != step.source(item(GERMAN))
    assert step.source(item(ENGLISH)) != step.source(item(ENGLISH, cues=(Cue(0, 1, "Hello"),)))
    assert [f.language for f in step.run([item(ENGLISH), item(CHINESE)])] == ["en", "zh"]
