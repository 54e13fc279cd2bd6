"""Audiences under ``/v1``: whom an item suits, and the record of who was addressed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from segue.serve import audience, schemas
from segue.serve.routes.parts import Serving, answer
from segue.serve.schemas_audience import AudienceAsked, AudienceOut, ContactIn, ContactOut

_ERRORS: dict[int | str, dict[str, object]] = {
    code: {"model": schemas.ErrorOut} for code in (404, 422, 503)
}
router = APIRouter(prefix="/v1", responses=_ERRORS)
ItemId = Annotated[str, Path(max_length=300)]


@router.get("/items/{item_id:path}/audience", response_model=AudienceOut)
async def get_audience(
    item_id: ItemId, asked: Annotated[AudienceAsked, Query()], service: Serving
) -> Response:
    """The ``k`` people most likely to take an item, each with a probability, and segments in words.

    Who took it already, or turned it away, is left out and counted.
    """
    found = await run_in_threadpool(
        audience.ask, service, item_id, k=asked.k, at=asked.at, takers=asked.takers
    )
    return answer(AudienceOut.model_validate(found.as_dict()))


@router.post("/items/{item_id:path}/audience/contacts", response_model=ContactOut)
async def post_contacts(item_id: ItemId, given: ContactIn, service: Serving) -> Response:
    """The ``k`` likeliest people who may be addressed now, recorded as addressed by a campaign.

    The settings ``[contact]`` say how often that may be.
    """
    found, recorded = await run_in_threadpool(
        audience.contact, service, item_id, k=given.k, campaign=given.campaign
    )
    out = AudienceOut.model_validate(found.as_dict())
    return answer(ContactOut(campaign=given.campaign, recorded=recorded, audience=out))
