"""What the audience routes take and give."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MOST = 100_000  # people in one answer


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AudienceAsked(_Strict):
    k: int = Field(100, ge=1, le=MOST)
    at: float | None = Field(None, description="As of a time, Unix seconds; now when left out.")
    takers: bool = Field(False, description="Also those who took the item already.")


class ContactIn(_Strict):
    campaign: str = Field(min_length=1, max_length=100)
    k: int = Field(100, ge=1, le=MOST)


class MemberOut(BaseModel):
    user_id: str
    probability: float = Field(description="Of taking the item within horizon_days.")


class SegmentOut(BaseModel):
    words: str
    people: int
    expected: float
    rate: float
    rate_low: float
    rate_high: float
    lift: float
    lift_low: float
    lift_high: float


class AudienceOut(BaseModel):
    item_id: str
    title: str
    model_version: str
    at: float
    horizon_days: float
    met: bool = Field(description="False: nobody took it yet; told from its content alone.")
    people: int
    expected: float
    base_rate: float
    lift_top_5_percent: float
    left_out: dict[str, int]
    users: list[MemberOut]
    segments: list[SegmentOut]
    segments_too_small: int


class ContactOut(BaseModel):
    campaign: str
    recorded: int
    audience: AudienceOut
