"""The steps over an item's words, which share what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from segue.core.types import Floats
from segue.understand.findings import Findings, Step
from segue.understand.sources import ItemSource
from segue.understand.words.genre import (
    DEFAULT_GENRES,
    SCALE,
    TOLD,
    GenreRule,
    genre_model,
    genres,
    names_genre,
    plot_text,
)
from segue.understand.words.keywords import DEFAULT_KEYWORDS, KeywordRule, keywords
from segue.understand.words.language import by_script
from segue.understand.words.logistic import Logistic
from segue.understand.words.reading import WIDE, Reader
from segue.understand.words.sentences import length
from segue.understand.words.sentiment import (
    DEFAULT_COURSE,
    MODEL,
    CourseRule,
    sentiment_measures,
)
from segue.understand.words.summary import DEFAULT_SUMMARY, SummaryRule, summary
from segue.understand.words.topics import (
    DEFAULT_TOPICS,
    TopicRule,
    digest,
    topic_vectors,
    topics,
)


@dataclass
class LanguageStep:
    """The language of what is said, else of what is written."""

    reader: Reader = field(default_factory=Reader)
    name: str = "language"
    model: str = "py3langid@0.4.0/1"

    def source(self, item: ItemSource) -> str:
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        return [Findings(language=self.reader.read(item).language) for item in items]


@dataclass
class SummaryStep:
    """Two or three sentences of the text (``Note(kind="summary")``)."""

    reader: Reader = field(default_factory=Reader)
    rule: SummaryRule = DEFAULT_SUMMARY
    name: str = "summary"

    @property
    def model(self) -> str:
        return f"{self.reader.name}/extract-1"

    def source(self, item: ItemSource) -> str:
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        out = []
        for item in items:
            reading = self.reader.read(item)
            note = summary(reading, self.rule)
            out.append(Findings(notes=(note,) if note else (), said=reading.said))
        return out


@dataclass
class SentimentStep:
    """How glad or bitter the words are, whole and along the item (``Measure("sentiment")``)."""

    reader: Reader = field(default_factory=Reader)
    rule: CourseRule = DEFAULT_COURSE
    name: str = "sentiment"

    @property
    def model(self) -> str:
        return f"{self.reader.name}/{MODEL}"

    def source(self, item: ItemSource) -> str:
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        readings = [self.reader.read(item) for item in items]
        return [Findings(measures=sentiment_measures(r, self.rule), said=r.said) for r in readings]


@dataclass
class KeywordStep:
    """Up to twelve words and phrases (``Label("keyword")``)."""

    reader: Reader = field(default_factory=Reader)
    rule: KeywordRule = DEFAULT_KEYWORDS
    name: str = "keywords"

    @property
    def model(self) -> str:
        return f"{self.reader.name}/keywords-1"

    def source(self, item: ItemSource) -> str:
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        readings = [self.reader.read(item) for item in items]
        return [Findings(labels=keywords(r, self.rule), said=r.said) for r in readings]


@dataclass
class TopicStep:
    """Up to three topics of the closed list (``Label("topic")``)."""

    reader: Reader = field(default_factory=Reader)
    rule: TopicRule = DEFAULT_TOPICS
    name: str = "topics"
    _encoded: Floats | None = field(default=None, repr=False)

    @property
    def model(self) -> str:
        return f"{self.reader.name}/topics-{digest()}"

    def source(self, item: ItemSource) -> str:
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        if self._encoded is None:
            self._encoded = topic_vectors(self.reader.encoder)
        readings = [self.reader.read(item) for item in items]
        return [Findings(labels=topics(r, self._encoded, self.rule), said=r.said) for r in readings]


@dataclass
class GenreStep:
    """Genres of an item with a plot and without a genre among its tags (``Label("genre")``).

    The first item trains the model, or raises :class:`~segue.datasets.fetch.Unavailable`.
    """

    reader: Reader = field(default_factory=Reader)
    rule: GenreRule = DEFAULT_GENRES
    name: str = "genre"
    _fitted: Logistic | None = field(default=None, repr=False)

    @property
    def model(self) -> str:
        return f"{self.reader.encoder.name}/genres-tmdb-5000-1"

    def source(self, item: ItemSource) -> str:
        """Empty where a tag names a genre already, or there is no plot to speak of."""
        wide = by_script(item.description) in WIDE  # without reading a whole book for it
        told = length(item.description, wide)
        if item.kind not in TOLD or names_genre(item.tags) or told < self.rule.least_words:
            return ""
        return self.reader.source(item)

    def run(self, items: Sequence[ItemSource]) -> list[Findings]:
        """Findings of each item, in order."""
        if self._fitted is None:
            self._fitted = genre_model(self.reader.encoder, self.rule)
        texts = [plot_text(item.title, item.description, self.rule.words) for item in items]
        found = self._fitted.probabilities(self.reader.encoder.encode(texts) * SCALE)
        return [Findings(labels=genres(row, self.rule)) for row in found]


def word_steps(reader: Reader | None = None) -> tuple[Step, ...]:
    """All of them over one reader: language, summary, sentiment, keywords, topics, genre."""
    shared = Reader() if reader is None else reader
    return (
        LanguageStep(shared),
        SummaryStep(shared),
        SentimentStep(shared),
        KeywordStep(shared),
        TopicStep(shared),
        GenreStep(shared),
    )
