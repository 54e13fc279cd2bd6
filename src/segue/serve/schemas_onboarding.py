"""Requests and answers of the onboarding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from segue.serve.schemas import Id, ItemOut, RecommendationsOut, _Asked, _Strict

MAX_ANSWERS = 50


class OnboardingAsked(_Asked):
    k: Annotated[int, Field(ge=1, le=50, description="questions")] = 5


class AnswerIn(_Strict):
    item_id: Id
    answer: Literal["like", "dislike", "unknown"]


class AnswersIn(_Strict):
    """Answers, and how many further questions and items of the new list are wanted."""

    answers: Annotated[list[AnswerIn], Field(min_length=1, max_length=MAX_ANSWERS)]
    k: Annotated[int, Field(ge=1, le=50)] = 5
    k_items: Annotated[int, Field(ge=1, le=200)] = 10


class AnsweredOut(BaseModel):
    """``DELETE /v1/events/{event_id}`` takes the answer back."""

    item_id: str
    answer: str
    event_id: str


class OnboardingOut(BaseModel):
    """Questions, most telling first; ``enough`` when further answers would tell little."""

    questions: list[ItemOut]
    known: int
    unknown: int
    enough: bool


class AnsweredListOut(BaseModel):
    answered: list[AnsweredOut]
    onboarding: OnboardingOut
    recommendations: RecommendationsOut
