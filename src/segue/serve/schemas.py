"""Shapes of requests and answers. Requests are strict: no coercion, no unknown fields, no NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from segue.core.types import EVENT_KINDS, ITEM_KINDS, Event, Item, Outlook, Reason, Scored

MAX_BATCH = 1000
MAX_K = 200
# Control characters are never meant, and PostgreSQL cannot store NUL.
Id = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
RailName = Literal["for-you", "because", "new", "media"]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class EventIn(_Strict):
    """One thing a person did."""

    event_id: Id
    user_id: Id
    item_id: Id
    kind: Literal[EVENT_KINDS]  # type: ignore[valid-type]
    value: float | None = None
    time: Annotated[float, Field(ge=0, description="Unix seconds; now when left out")] | None = None
    platform: Annotated[str, Field(max_length=60)] = ""
    session: Annotated[str, Field(max_length=100)] = ""
    position: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    model_version: Annotated[str, Field(max_length=100)] = ""

    @model_validator(mode="after")
    def _rating_has_value(self) -> EventIn:
        if self.kind == "rating" and self.value is None:
            raise ValueError("a rating needs a value")
        return self

    def event(self, now: float) -> Event:
        """The stored form."""
        fields = self.model_dump()
        return Event(**fields | {"time": now if self.time is None else self.time})


class EventBatch(_Strict):
    """Up to 1000 events; a repeated ``event_id`` changes nothing."""

    events: Annotated[list[EventIn], Field(min_length=1, max_length=MAX_BATCH)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class KAsked(_Asked):
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10


class RecommendationsAsked(KAsked):
    kinds: Annotated[
        str | None, Field(max_length=200, description=f"comma-separated: {', '.join(ITEM_KINDS)}")
    ] = None
    rail: RailName = "for-you"
    platform: Annotated[
        str | None, Field(max_length=60, description="only what this source of items has")
    ] = None


class ReasonsAsked(_Asked):
    language: Annotated[
        str, Field(max_length=20, pattern=r"^[A-Za-z-]*$", description="reworded in it: en, zh")
    ] = ""


class UsersAsked(_Asked):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    q: Annotated[str, Field(max_length=100)] = ""


class HistoryAsked(_Asked):
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class SearchAsked(KAsked):
    q: Annotated[str, Field(min_length=1, max_length=200)]


class Problem(BaseModel):
    message: str
    field: str | None = None


class ErrorOut(BaseModel):
    error: Problem


class WrittenOut(BaseModel):
    added: int
    known: int


class DeletedOut(BaseModel):
    deleted: int


class LastOut(BaseModel):
    item_id: str
    title: str


class UserOut(BaseModel):
    user_id: str
    gender: str | None
    age: int | None
    occupation: str | None
    events: int
    last: list[LastOut]


class UsersOut(BaseModel):
    users: list[UserOut]


class PlaceOut(BaseModel):
    """Where a work can be had; ``item_id`` is the row of ours that says so."""

    platform: str
    external_id: str
    item_id: str


class ItemOut(BaseModel):
    """An item with where its picture and file are, when it has any.

    ``work`` is the id of the item that stands for its work; lists show that one alone.
    """

    item_id: str
    title: str
    kind: str
    description: str
    tags: list[str]
    creators: list[str]
    year: int | None
    language: str | None
    duration_s: float | None
    source: str
    licence: str
    poster: str | None
    keyframes: int
    media: str | None
    work: str
    available_on: list[PlaceOut]


class ReasonOut(BaseModel):
    kind: str
    text: str
    share: float
    item_ids: list[str]

    @staticmethod
    def of(reason: Reason) -> ReasonOut:
        return ReasonOut(
            kind=reason.kind, text=reason.text, share=reason.share, item_ids=list(reason.item_ids)
        )


class ScoredOut(BaseModel):
    item_id: str
    title: str
    kind: str
    score: float
    reasons: list[ReasonOut]
    available_on: list[str]  # platforms

    @staticmethod
    def of(entry: Scored, item: Item, platforms: Sequence[str] = ()) -> ScoredOut:
        return ScoredOut(
            available_on=list(platforms),
            item_id=entry.id,
            title=item.title,
            kind=item.kind,
            score=entry.score,
            reasons=[ReasonOut.of(reason) for reason in entry.reasons],
        )


class RecommendationsOut(BaseModel):
    model_version: str
    strategy: str
    items: list[ScoredOut]


class ExploredOut(RecommendationsOut):
    """With ``[explore]`` on: the id under which the propensities of this list are logged."""

    request_id: str


class ReasonsOut(BaseModel):
    item_id: str
    title: str
    reasons: list[ReasonOut]


class OutlookAsked(_Asked):
    items: Annotated[str, Field(max_length=4000, description="item ids, comma-separated")] = ""


class OutlookOut(BaseModel):
    """Calibrated probabilities; null where the events say nothing, with the reason in unknown."""

    next_kind: dict[str, float] | None
    returns: float | None
    horizon_days: float
    fractions: dict[str, float] | None
    unknown: dict[str, str]

    @staticmethod
    def of(found: Outlook) -> OutlookOut:
        return OutlookOut(
            next_kind=None if found.next_kind is None else dict(found.next_kind),
            returns=found.returns,
            horizon_days=found.horizon_days,
            fractions=None if found.fractions is None else dict(found.fractions),
            unknown=dict(found.unknown),
        )


class MomentOut(BaseModel):
    """Where to begin an item: seconds, a picture of that scene, and the item that speaks for it."""

    item_id: str
    start_s: float
    end_s: float
    keyframe: str | None
    text: str
    because: str | None


class SceneOut(BaseModel):
    start_s: float
    end_s: float
    keyframe: str | None


class LabelOut(BaseModel):
    kind: str
    label: str
    score: float
    model: str
    start_s: float | None
    end_s: float | None


class MeasureOut(BaseModel):
    name: str
    value: float
    model: str
    start_s: float | None


class CueOut(BaseModel):
    start_s: float
    end_s: float
    text: str
    model: str


class NoteOut(BaseModel):
    """A text about the item; ``generated`` by a language model, so it may be wrong."""

    kind: str
    text: str
    language: str
    generated: bool
    model: str


class CopyOut(BaseModel):
    item_id: str
    title: str
    score: float
    evidence: dict[str, Any]
    status: str


class StepOut(BaseModel):
    step: str
    model: str
    status: str
    reason: str


class InsightsOut(BaseModel):
    """All that understanding found in an item; times are seconds from its beginning."""

    item_id: str
    scenes: list[SceneOut]
    shots: list[tuple[float, float]]
    labels: list[LabelOut]
    measures: list[MeasureOut]
    cues: list[CueOut]
    notes: list[NoteOut]
    copies: list[CopyOut]
    steps: list[StepOut]


class SceneFoundOut(BaseModel):
    """A scene that words found."""

    item_id: str
    title: str
    start_s: float
    end_s: float
    keyframe: str | None
    score: float


class ScenesFoundOut(BaseModel):
    scenes: list[SceneFoundOut]


class FoundOut(BaseModel):
    item_id: str
    title: str
    kind: str
    score: float
    by: Literal["title", "meaning"]


class SearchOut(BaseModel):
    items: list[FoundOut]


class SeenOut(BaseModel):
    item_id: str
    title: str
    kind: str
    value: float | None
    time: float


class HistoryOut(BaseModel):
    events: list[SeenOut]


class HealthOut(BaseModel):
    status: Literal["ok"]
    version: str


class ReadyOut(BaseModel):
    status: Literal["ready"]
    model_version: str
    strategy: str
    items: int
