"""Items of several platforms as one work, and accounts of several platforms as one person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from segue.serve import schemas, schemas_works, works
from segue.serve.routes.parts import ApiError, Serving, answer
from segue.store import person_keys

router = APIRouter(
    prefix="/v1", responses={code: {"model": schemas.ErrorOut} for code in (404, 422)}
)
UserId = Annotated[str, Path(max_length=300, min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]
ItemId = Annotated[str, Path(max_length=300)]


@router.get("/works/proposals", response_model=schemas_works.ProposalsOut)
async def get_proposals(
    asked: Annotated[schemas_works.ProposalsAsked, Query()], service: Serving
) -> Response:
    """Pairs of items that may be one work and that nobody has decided, the surest first."""
    found = works.proposals(service)
    out = schemas_works.ProposalsOut(
        proposals=[schemas_works.ProposalOut.of(row) for row in found[: asked.limit]],
        waiting=len(found),
    )
    return answer(out)


@router.post("/works/{item_id:path}/decision", response_model=schemas_works.DecisionOut)
async def post_decision(
    item_id: ItemId, said: schemas_works.DecisionIn, service: Serving
) -> Response:
    """Say that an item and another are one work, or are not; lists follow at once."""
    same = said.decision == "same"
    # Reading the catalogue anew takes a second where it is large.
    stands = await run_in_threadpool(works.decide, service, item_id, said.other, same=same)
    places = [schemas.PlaceOut(**asdict(place)) for place in works.places(service, item_id)]
    return answer(schemas_works.DecisionOut(item_id=stands, available_on=places))


@router.post("/users/{user_id:path}/keys", response_model=schemas_works.KeyOut)
async def post_key(user_id: UserId, key: schemas_works.KeyIn, service: Serving) -> Response:
    """Offer a login, e-mail or phone by which other accounts of the same person are found."""
    if not key.consent:
        raise ApiError(422, "without the person's consent no key is stored", "consent")
    kept = person_keys.keep(service.workspace, user_id, key.kind, key.value, at=service.clock())
    out = schemas_works.KeyOut(user_id=kept.user_id, accounts=list(kept.joined), new=kept.new)
    return answer(out)


@router.delete("/users/{user_id:path}/keys", response_model=schemas.DeletedOut)
async def delete_keys(
    user_id: UserId, service: Serving, kind: Literal["login", "email", "phone"] | None = None
) -> Response:
    """Withdraw consent: the keys go, and the accounts that only they joined part again."""
    return answer(schemas.DeletedOut(deleted=person_keys.forget(service.workspace, user_id, kind)))
