"""A newcomer tells what they like, item by item."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from segue.serve import onboarding, schemas
from segue.serve import schemas_onboarding as shapes
from segue.serve.routes.api import item_out
from segue.serve.routes.parts import Serving, answer
from segue.serve.service import Service

router = APIRouter(
    prefix="/v1", responses={code: {"model": schemas.ErrorOut} for code in (404, 422, 503)}
)
UserId = Annotated[str, Path(max_length=300, min_length=1)]


def _out(service: Service, user_id: str, k: int) -> shapes.OnboardingOut:
    found = onboarding.onboarding(service, user_id, k)
    return shapes.OnboardingOut(
        questions=[item_out(service, item) for item in found.questions],
        known=found.known,
        unknown=found.unknown,
        enough=found.enough,
    )


@router.get("/users/{user_id:path}/onboarding", response_model=shapes.OnboardingOut)
async def get_onboarding(
    user_id: UserId, asked: Annotated[shapes.OnboardingAsked, Query()], service: Serving
) -> Response:
    """The items whose answers would tell most of a person's taste, given what is known so far."""
    return answer(_out(service, user_id, asked.k))


@router.post("/users/{user_id:path}/onboarding", response_model=shapes.AnsweredListOut)
async def post_onboarding(user_id: UserId, given: shapes.AnswersIn, service: Serving) -> Response:
    """Store answers; the next questions and the new list come back."""
    told = [(one.item_id, one.answer) for one in given.answers]
    stored = onboarding.answer_onboarding(service, user_id, told)
    found = service.recommend(user_id, given.k_items)
    out = shapes.AnsweredListOut(
        answered=[shapes.AnsweredOut(**asdict(one)) for one in stored],
        onboarding=_out(service, user_id, given.k),
        recommendations=schemas.RecommendationsOut(
            model_version=found.version,
            strategy=found.strategy,
            items=[schemas.ScoredOut.of(e, service.item(e.id)) for e in found.ranking],
        ),
    )
    return answer(out)
