"""The API for machines, under ``/v1``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

import segue
from segue.core.errors import BadInput
from segue.core.types import ITEM_KINDS, Item
from segue.serve import people, schemas
from segue.serve.routes.parts import ApiError, Serving, answer, url_id
from segue.serve.service import Answer, MomentFound, Service
from segue.store import events

_DAY_S = 86_400.0
_ERRORS: dict[int | str, dict[str, object]] = {
    code: {"model": schemas.ErrorOut} for code in (404, 422, 503)
}
router = APIRouter(prefix="/v1", responses=_ERRORS)
UserId = Annotated[str, Path(max_length=300)]
ItemId = Annotated[str, Path(max_length=300)]


def item_out(service: Service, item: Item) -> schemas.ItemOut:
    pictures = service.shelf.pictures.get(item.id, Counter())
    where = url_id(item.id)
    places = service.availability.of(service.catalogue.catalogue.row(item.id))
    # The file of a work may have come as another item than the one that stands for it.
    file = next(
        (i for i in (item.id, *(p.item_id for p in places)) if i in service.shelf.playable), None
    )
    return schemas.ItemOut(
        item_id=item.id,
        title=item.title,
        kind=item.kind,
        description=item.description,
        tags=list(item.tags),
        creators=list(item.creators),
        year=item.year,
        language=item.language,
        duration_s=item.duration_s,
        source=item.source,
        licence=item.licence,
        poster=f"/assets/{where}/poster/0" if pictures.get("poster") else None,
        keyframes=pictures.get("keyframe", 0),
        media=None if file is None else f"/media/{url_id(file)}",
        work=service.work_of(item.id).id,
        available_on=[schemas.PlaceOut(**asdict(place)) for place in places],
    )


def keyframe_url(item_id: str, position: int | None) -> str | None:
    return None if position is None else f"/assets/{url_id(item_id)}/keyframe/{position}"


def moment_text(found: MomentFound) -> str:
    """Why a scene was chosen, in words."""
    if found.because is None:
        return "the scene most like the whole"
    return f"closest to {found.because.title}"


def _list_out(service: Service, found: Answer) -> Response:
    out = schemas.RecommendationsOut(
        model_version=found.version,
        strategy=found.strategy,
        items=[
            schemas.ScoredOut.of(entry, service.item(entry.id), service.platforms_of(entry.id))
            for entry in found.ranking
        ],
    )
    if found.request_id:
        return answer(schemas.ExploredOut(**dict(out), request_id=found.request_id))
    return answer(out)


def _kinds(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    kinds = frozenset(part.strip() for part in text.split(","))
    for kind in sorted(kinds - set(ITEM_KINDS)):
        raise ApiError(422, f"kind {kind!r} is not one of {', '.join(ITEM_KINDS)}", "kinds")
    return kinds


@router.post("/events", response_model=schemas.WrittenOut)
async def post_events(batch: schemas.EventBatch, service: Serving) -> Response:
    """Store what people did. All of a batch or nothing; on disk before this answers."""
    now = service.clock()
    for position, event in enumerate(batch.events):
        if event.time is not None and event.time > now + _DAY_S:
            raise ApiError(
                422,
                f"event {event.event_id!r}: time {event.time} lies in the future; "
                "send Unix seconds, not milliseconds",
                f"events.{position}.time",
            )
    try:
        written = service.record([event.event(now) for event in batch.events])
    except BadInput as error:
        raise ApiError(422, str(error), "item_id") from error
    return answer(schemas.WrittenOut(added=written.added, known=written.known))


@router.delete("/events/{event_id:path}", response_model=schemas.DeletedOut)
async def delete_event(
    event_id: Annotated[str, Path(max_length=300)], service: Serving
) -> Response:
    """Take one event back, as if it had not been; deleting it again deletes nothing."""
    return answer(schemas.DeletedOut(deleted=int(service.take_back(event_id))))


@router.get("/users", response_model=schemas.UsersOut)
async def get_users(asked: Annotated[schemas.UsersAsked, Query()], service: Serving) -> Response:
    """People in order of arrival; ``q`` narrows by id, occupation, age or gender."""
    found = people.people(service.engine, words=asked.q, limit=asked.limit, offset=asked.offset)
    users = [
        schemas.UserOut(
            user_id=person.user_id,
            gender=person.profile.gender,
            age=person.profile.age,
            occupation=person.profile.occupation,
            events=person.events,
            last=[schemas.LastOut(item_id=i, title=title) for i, title in person.last],
        )
        for person in found
    ]
    return answer(schemas.UsersOut(users=users))


@router.get(
    "/users/{user_id:path}/recommendations/{item_id:path}/reasons",
    response_model=schemas.ReasonsOut,
)
async def get_reasons(
    user_id: UserId,
    item_id: ItemId,
    asked: Annotated[schemas.ReasonsAsked, Query()],
    service: Serving,
) -> Response:
    """Why an item stands where it stands for a person; shares sum to one.

    With ``language`` a configured language model words the reasons; what it may not change is
    which items and shares they name.
    """
    reasons = service.reasons(user_id, item_id)
    if asked.language:
        # A model takes seconds: other requests must not wait for it.
        reasons = await run_in_threadpool(service.reworded, reasons, asked.language)
    out = schemas.ReasonsOut(
        item_id=item_id,
        title=service.item(item_id).title,
        reasons=[schemas.ReasonOut.of(reason) for reason in reasons],
    )
    return answer(out)


@router.get(
    "/users/{user_id:path}/recommendations",
    response_model=schemas.RecommendationsOut | schemas.ExploredOut,
)
async def get_recommendations(
    user_id: UserId, asked: Annotated[schemas.RecommendationsAsked, Query()], service: Serving
) -> Response:
    """The best items for a person. Somebody unknown gets the list labelled ``cold-start``."""
    found = service.recommend(
        user_id, asked.k, kinds=_kinds(asked.kinds), rail=asked.rail, platform=asked.platform
    )
    return _list_out(service, found)


@router.get("/users/{user_id:path}/outlook", response_model=schemas.OutlookOut)
async def get_outlook(
    user_id: UserId, asked: Annotated[schemas.OutlookAsked, Query()], service: Serving
) -> Response:
    """What a person is likely to do next, and how much of each item they would watch."""
    items = [item for item in asked.items.split(",") if item]
    return answer(schemas.OutlookOut.of(service.outlook(user_id, items)))


@router.get("/users/{user_id:path}/items/{item_id:path}/moment", response_model=schemas.MomentOut)
async def get_moment(user_id: UserId, item_id: ItemId, service: Serving) -> Response:
    """The scene of an item that fits a person best, and its picture."""
    found = service.moment(user_id, item_id)
    out = schemas.MomentOut(
        item_id=item_id,
        start_s=found.start_s,
        end_s=found.end_s,
        keyframe=keyframe_url(item_id, found.keyframe),
        text=moment_text(found),
        because=None if found.because is None else found.because.id,
    )
    return answer(out)


@router.get("/users/{user_id:path}/history", response_model=schemas.HistoryOut)
async def get_history(
    user_id: UserId, asked: Annotated[schemas.HistoryAsked, Query()], service: Serving
) -> Response:
    """What a person did last, newest first."""
    seen = events.recent(service.engine, user_id, asked.limit)
    out = [
        schemas.SeenOut(item_id=s.item_id, title=s.title, kind=s.kind, value=s.value, time=s.time)
        for s in seen
    ]
    return answer(schemas.HistoryOut(events=out))


@router.get("/items/{item_id:path}/similar", response_model=schemas.RecommendationsOut)
async def get_similar(
    item_id: ItemId, asked: Annotated[schemas.KAsked, Query()], service: Serving
) -> Response:
    """Items most like one item."""
    return _list_out(service, service.similar(item_id, asked.k))


@router.get("/items/{item_id:path}/insights", response_model=schemas.InsightsOut)
async def get_insights(item_id: ItemId, service: Serving) -> Response:
    """Scenes, transcript, labels with the models that gave them, measures and likely copies."""
    found = service.insights(item_id)
    out = schemas.InsightsOut(
        item_id=item_id,
        scenes=[
            schemas.SceneOut(
                start_s=s.start_s, end_s=s.end_s, keyframe=keyframe_url(item_id, s.keyframe)
            )
            for s in found.scenes
        ],
        shots=list(found.shots),
        labels=[schemas.LabelOut(**asdict(label)) for label in found.labels],
        measures=[schemas.MeasureOut(**asdict(measure)) for measure in found.measures],
        cues=[schemas.CueOut(**asdict(cue)) for cue in found.cues],
        notes=[schemas.NoteOut(**asdict(note)) for note in found.notes],
        copies=[schemas.CopyOut(**asdict(copy)) for copy in found.copies],
        steps=[
            schemas.StepOut(step=s.step, model=s.model, status=s.status, reason=s.reason)
            for s in found.steps
        ],
    )
    return answer(out)


@router.get("/items/{item_id:path}", response_model=schemas.ItemOut)
async def get_item(item_id: ItemId, service: Serving) -> Response:
    """One item with its picture and file, and where its work can be had."""
    return answer(item_out(service, service.item(item_id)))


@router.get("/search", response_model=schemas.SearchOut)
async def get_search(asked: Annotated[schemas.SearchAsked, Query()], service: Serving) -> Response:
    """Items by words, in any language that the text encoder knows."""
    # Encoding a text takes tens of milliseconds: other requests must not wait for it.
    found = await run_in_threadpool(service.find, asked.q, asked.k)
    out = []
    for hit in found:
        item = service.item(hit.item_id)
        out.append(
            schemas.FoundOut(
                item_id=hit.item_id, title=item.title, kind=item.kind, score=hit.score, by=hit.by
            )
        )
    return answer(schemas.SearchOut(items=out))


@router.get("/search/scenes", response_model=schemas.ScenesFoundOut)
async def get_scenes(asked: Annotated[schemas.SearchAsked, Query()], service: Serving) -> Response:
    """Scenes by words: what is seen, said or heard in them."""
    found = await run_in_threadpool(service.find_scenes, asked.q, asked.k)
    out = [
        schemas.SceneFoundOut(
            item_id=hit.item_id,
            title=service.item(hit.item_id).title,
            start_s=hit.start_s,
            end_s=hit.end_s,
            keyframe=keyframe_url(hit.item_id, hit.keyframe),
            score=hit.score,
        )
        for hit in found
    ]
    return answer(schemas.ScenesFoundOut(scenes=out))


@router.get("/health", response_model=schemas.HealthOut)
async def get_health() -> Response:
    """The process answers."""
    return answer(schemas.HealthOut(status="ok", version=segue.__version__))


@router.get("/ready", response_model=schemas.ReadyOut)
async def get_ready(service: Serving) -> Response:
    """Recommendations can be had; 503 with the reason until then."""
    model = service.model()
    out = schemas.ReadyOut(
        status="ready",
        model_version=model.version,
        strategy=model.strategy,
        items=len(service.catalogue.catalogue),
    )
    return answer(out)
