"""Whom a person follows."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from segue.serve import schemas
from segue.serve.routes.parts import Serving, answer
from segue.store import social

router = APIRouter(
    prefix="/v1", responses={code: {"model": schemas.ErrorOut} for code in (404, 422)}
)
UserId = Annotated[str, Path(max_length=300, min_length=1)]
Kind = Literal["follow", "friend", "trust"]
MAX_WEIGHT = 1e9


class FollowIn(BaseModel):
    """A tie; of several kinds to one person the strongest counts."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    kind: Kind = "follow"
    weight: Annotated[float, Field(gt=0, le=MAX_WEIGHT)] = 1.0


class FollowsAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=social.FOLLOWED)] = 1000


class UnfollowAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind | None = None


class FollowOut(BaseModel):
    user_id: str
    kind: Kind
    weight: float
    time: float | None  # since when, Unix seconds
    shares: bool  # whether they let be seen what they like

    @staticmethod
    def of(found: social.Following) -> FollowOut:
        return FollowOut.model_validate(vars(found))


class FollowsOut(BaseModel):
    follows: list[FollowOut]


@router.get("/users/{user_id:path}/follows", response_model=FollowsOut)
async def get_follows(
    user_id: UserId, asked: Annotated[FollowsAsked, Query()], service: Serving
) -> Response:
    """Whom a person follows, the strongest tie first."""
    found = social.follows(service.engine, user_id, asked.limit)
    return answer(FollowsOut(follows=[FollowOut.of(one) for one in found]))


@router.put("/users/{user_id:path}/follows/{other:path}", response_model=FollowOut)
async def put_follow(user_id: UserId, other: UserId, tie: FollowIn, service: Serving) -> Response:
    """Follow a person, or change the weight of a tie; it acts on the next list."""
    made = social.follow(
        service.engine, user_id, other, tie.kind, tie.weight, service.clock()
    )  # fmt: skip
    return answer(FollowOut.of(made))


@router.delete("/users/{user_id:path}/follows/{other:path}", response_model=schemas.DeletedOut)
async def delete_follow(
    user_id: UserId,
    other: UserId,
    asked: Annotated[UnfollowAsked, Query()],
    service: Serving,
) -> Response:
    """End a tie, of one kind or of every kind."""
    gone = social.unfollow(service.engine, user_id, other, asked.kind)
    return answer(schemas.DeletedOut(deleted=gone))
