"""What a person says about themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from segue.core.errors import NotFound
from segue.serve import schemas
from segue.serve.routes.parts import Serving, answer
from segue.store import profiles

router = APIRouter(
    prefix="/v1", responses={code: {"model": schemas.ErrorOut} for code in (404, 422)}
)
UserId = Annotated[str, Path(max_length=300, min_length=1)]
MAX_INTERESTS = 50


def _text(most: int) -> object:
    return Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=1, max_length=most, pattern=r"^[^\x00-\x1f\x7f]+$"
        ),
    ]


class ProfileIn(BaseModel):
    """Only what is sent changes; null empties a field."""

    model_config = ConfigDict(strict=True, extra="forbid")

    gender: _text(20) | None = None  # type: ignore[valid-type]
    age: Annotated[int, Field(ge=0, le=150)] | None = None
    country: _text(60) | None = None  # type: ignore[valid-type]
    language: _text(20) | None = None  # type: ignore[valid-type]
    occupation: _text(100) | None = None  # type: ignore[valid-type]
    device: _text(40) | None = None  # type: ignore[valid-type]
    interests: Annotated[list[_text(200)], Field(max_length=MAX_INTERESTS)] | None = None  # type: ignore[valid-type]
    shares: bool = False  # whether friends may see what the person likes


class ProfileOut(BaseModel):
    user_id: str
    gender: str | None
    age: int | None
    country: str | None
    language: str | None
    occupation: str | None
    device: str | None
    interests: list[str]
    shares: bool
    used: list[str]  # the fields that ranking may use here

    @staticmethod
    def of(user_id: str, told: profiles.Told, used: tuple[str, ...]) -> ProfileOut:
        said = told.profile
        return ProfileOut(
            user_id=user_id,
            gender=said.gender,
            age=said.age,
            country=said.country,
            language=said.language,
            occupation=said.occupation,
            device=said.device,
            interests=list(said.interests),
            shares=told.shares,
            used=list(used),
        )


@router.get("/users/{user_id:path}/profile", response_model=ProfileOut)
async def get_profile(user_id: UserId, service: Serving) -> Response:
    """What a person said, and which of it ranking may use."""
    told = profiles.load(service.engine, user_id)
    if told is None:
        raise NotFound(f"person {user_id!r} is not known")
    return answer(ProfileOut.of(user_id, told, service.profile_use))


@router.put("/users/{user_id:path}/profile", response_model=ProfileOut)
async def put_profile(user_id: UserId, said: ProfileIn, service: Serving) -> Response:
    """Change what is sent and leave the rest; it acts on the next list."""
    sent = {name: getattr(said, name) for name in said.model_fields_set}
    told = profiles.change(service.engine, user_id, sent)
    return answer(ProfileOut.of(user_id, told, service.profile_use))
