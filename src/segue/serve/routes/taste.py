"""A person's taste: interests in words, and what the person says of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool

from segue.serve import schemas, schemas_taste, tastes
from segue.serve.routes.parts import Serving, answer
from segue.store import tastes as stored

router = APIRouter(
    prefix="/v1", responses={code: {"model": schemas.ErrorOut} for code in (404, 422)}
)
UserId = Annotated[str, Path(max_length=300, min_length=1)]


@router.get("/users/{user_id:path}/taste", response_model=schemas_taste.TasteOut)
async def get_taste(user_id: UserId, service: Serving) -> Response:
    """The interests of a person, each with a label, its share and the items that show it."""
    # Grouping takes tens of milliseconds: other requests must not wait for it.
    found = await run_in_threadpool(tastes.taste_of, service, user_id)
    out = schemas_taste.TasteOut(
        interests=[schemas_taste.InterestOut.of(shown) for shown in found.interests],
        edits=[schemas_taste.EditOut.of(edit) for edit in found.edits],
    )
    return answer(out)


@router.get("/users/{user_id:path}/taste/edits", response_model=schemas_taste.EditsOut)
async def get_edits(user_id: UserId, service: Serving) -> Response:
    """What a person said of their taste, oldest first."""
    found = stored.edits(service.engine, user_id)
    return answer(schemas_taste.EditsOut(edits=[schemas_taste.EditOut.of(e) for e in found]))


@router.post("/users/{user_id:path}/taste/edits", response_model=schemas_taste.EditOut)
async def post_edit(user_id: UserId, said: schemas_taste.EditIn, service: Serving) -> Response:
    """Say "more of this", "not my taste" or "I lent my account"; the next list answers."""
    made = await run_in_threadpool(tastes.edit_taste, service, user_id, said.said())
    return answer(schemas_taste.EditOut.of(made))


@router.delete("/users/{user_id:path}/taste/edits/{num}", response_model=schemas.DeletedOut)
async def delete_edit(
    user_id: UserId, num: Annotated[int, Path(ge=1, le=2**62)], service: Serving
) -> Response:
    """Take an edit back: lists are what they were before it."""
    return answer(schemas.DeletedOut(deleted=int(tastes.take_back_edit(service, user_id, num))))
