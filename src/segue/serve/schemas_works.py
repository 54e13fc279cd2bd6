"""Shapes of works, of what is proposed as one, and of the keys of people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from segue.serve.schemas import Id, PlaceOut
from segue.store.copies import CopyRow
from segue.store.person_keys import MAX_CHARS


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class ProposalsAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class ProposalOut(BaseModel):
    """Two items that may be one work. ``score``: probability in [0, 1]."""

    first: str
    first_title: str
    second: str
    second_title: str
    score: float

    @staticmethod
    def of(row: CopyRow) -> ProposalOut:
        return ProposalOut(
            first=row.first, first_title=row.first_title, second=row.second,
            second_title=row.second_title, score=row.score,
        )  # fmt: skip


class ProposalsOut(BaseModel):
    proposals: list[ProposalOut]
    waiting: int


class DecisionIn(_Strict):
    """What a person says of an item and another."""

    other: Id
    decision: Literal["same", "different"]


class DecisionOut(BaseModel):
    """``item_id`` stands for the work after the decision."""

    item_id: str
    available_on: list[PlaceOut]


class KeyIn(_Strict):
    """A login, address or number of a person. It is hashed with this server's secret and not kept.

    Without ``consent`` nothing is stored: nobody is found by an address they did not offer.
    """

    kind: Literal["login", "email", "phone"]
    value: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
    consent: bool


class KeyOut(BaseModel):
    """``user_id`` stands for the person, ``accounts`` are the others that are they."""

    user_id: str
    accounts: list[str]
    new: bool
