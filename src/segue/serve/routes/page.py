"""The page for people: rendered here, kept lively by one script that swaps rendered parts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

import segue
from segue.core.types import Item, Reason
from segue.serve import onboarding, people, tastes
from segue.serve.insight_view import view
from segue.serve.routes.api import item_out, keyframe_url, moment_text
from segue.serve.routes.parts import Serving, url_id
from segue.serve.schemas import ItemOut
from segue.serve.service import MomentFound, NoModel, Rail, Service
from segue.store import events

RAIL_LENGTH = 14
MORE_LENGTH = 10
PEOPLE_LENGTH = 40
FOUND_LENGTH = 24
HISTORY_LENGTH = 16
SIMILAR_LENGTH = 8
SCENES_LENGTH = 6
INTEREST_LENGTH = 3
ASKED_LENGTH = 7
VISITOR = "visitor-"

router = APIRouter(include_in_schema=False)
UserId = Annotated[str, Query(max_length=300)]
Words = Annotated[str, Query(max_length=200)]


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def _minutes(duration_s: float | None) -> str:
    if duration_s is None:
        return ""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02}" if hours else f"{minutes}:{seconds:02}"


def _day(at: float) -> str:
    """``3 May 1998`` of Unix seconds, in the server's time zone."""
    when = datetime.fromtimestamp(at).astimezone()
    return f"{when.day} {when:%b %Y}"


def _environment() -> Environment:
    folder = Path(segue.__file__).parent / "serve" / "page" / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "minutes": _minutes,
        "url_id": url_id,
        "day": _day,
    }
    environment.globals["version"] = segue.__version__
    return environment


_TEMPLATES = _environment()


def _html(name: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_TEMPLATES.get_template(name).render(values), status)


def _card(
    service: Service,
    item: Item,
    reasons: tuple[Reason, ...] = (),
    *,
    wide: bool = False,
    moment: MomentFound | None = None,
) -> dict[str, Any]:
    """What a template needs of one item; its picture is that of the ``moment`` to begin with."""
    out = item_out(service, item)
    shape = "wide" if wide else "tall"
    scene = None if moment is None else keyframe_url(item.id, moment.keyframe)
    return {
        "item": out,
        "art": scene or out.poster or f"/covers/{shape}/{url_id(item.id)}",
        "drawn": out.poster is None,
        "reasons": sorted(reasons, key=lambda reason: -reason.share),
    }


def _visitor() -> str:
    return VISITOR + secrets.token_hex(6)


def _shown(service: Service, rail: Rail, moments: Mapping[str, MomentFound]) -> dict[str, Any]:
    cards = [
        _card(
            service,
            service.item(entry.id),
            entry.reasons,
            wide=rail.wide,
            moment=moments.get(entry.id),
        )
        for entry in rail.ranking
    ]
    return {"rail": rail, "cards": cards}


def _rails(service: Service, user: str) -> list[dict[str, Any]]:
    rails = service.rails(user, RAIL_LENGTH, MORE_LENGTH)
    moments = service.moments(user, [entry.id for rail in rails for entry in rail.ranking])
    return [_shown(service, rail, moments) for rail in rails]


def _taste(service: Service, user: str) -> dict[str, Any]:
    """The panel of interests."""
    found = tastes.taste_of(service, user)
    cards = [
        {
            "label": shown.interest.label,
            "share": shown.interest.share,
            "n": len(shown.items),
            "art": [_card(service, item)["art"] for item in shown.items[:INTEREST_LENGTH]],
            "edit": shown.edit,
        }
        for shown in found.interests
    ]
    last = events.recent(service.engine, user, 1)
    return {
        "cards": cards,
        "lent": [edit for edit in found.edits if edit.kind == "lent"],
        "last": last[0].time if last else service.clock(),
    }


def _asking(service: Service, user: str) -> dict[str, Any]:
    """The questions to a newcomer; none once enough is known."""
    found = onboarding.onboarding(service, user, ASKED_LENGTH)
    cards = [] if found.enough else [_card(service, item) for item in found.questions]
    return {"cards": cards, "known": found.known, "enough": onboarding.ENOUGH}


def _person(service: Service, user: str) -> dict[str, Any]:
    """What the head of the page, the history strip and the panels show of the person."""
    seen: list[dict[str, Any]] = []
    for event in events.recent(service.engine, user, HISTORY_LENGTH * 3):
        row = service.catalogue.catalogue.row(event.item_id)
        shown = event.kind != "impression"  # that was not seen
        if shown and row >= 0 and len(seen) < HISTORY_LENGTH:
            seen.append({"event": event, "card": _card(service, service.item(event.item_id))})
    return {
        "person": people.person(service.engine, user),
        "seen": seen,
        "user": user,
        "taste": _taste(service, user),
        "asking": _asking(service, user),
    }


@router.get("/")
async def get_page(service: Serving, user: UserId = "") -> HTMLResponse:
    """The whole page for one person; without a name, for a new visitor."""
    user = user or _visitor()
    try:
        rails = _rails(service, user)
    except NoModel as error:
        return _html("unready.html", 503, message=str(error))
    model = service.model()
    return _html(
        "page.html",
        rails=rails,
        model=model,
        items=len(service.catalogue.catalogue),
        visitor=user.startswith(VISITOR),
        **_person(service, user),
    )


@router.get("/new")
async def get_new() -> RedirectResponse:
    """A new visitor, with an id that a reload keeps."""
    return RedirectResponse("/?" + urlencode({"user": _visitor()}), 303)


@router.get("/page/rails")
async def get_rails(service: Serving, user: UserId) -> HTMLResponse:
    """The rows and the history strip, to swap in after an event."""
    return _html("rails.html", rails=_rails(service, user), **_person(service, user))


@router.get("/page/first")
async def get_first(service: Serving, user: UserId) -> HTMLResponse:
    """The first row alone, which an event changes at once; the others follow."""
    rail = service.first_rail(user, RAIL_LENGTH)
    moments = service.moments(user, [entry.id for entry in rail.ranking])
    return _html("rail.html", part=_shown(service, rail, moments))


@router.get("/page/people")
async def get_people(service: Serving, q: Words = "") -> HTMLResponse:
    """The list to choose a person from."""
    found = people.people(service.engine, words=q, limit=PEOPLE_LENGTH)
    return _html("people.html", people=found)


@router.get("/page/search")
async def get_search(service: Serving, q: Words) -> HTMLResponse:
    """Search results as cards."""
    found = await run_in_threadpool(service.find, q, FOUND_LENGTH)
    cards = [_card(service, service.item(hit.item_id)) | {"by": hit.by} for hit in found]
    hits = await run_in_threadpool(service.find_scenes, q, SCENES_LENGTH)
    scenes = [
        {
            "item_id": hit.item_id,
            "title": service.item(hit.item_id).title,
            "start_s": hit.start_s,
            "art": keyframe_url(hit.item_id, hit.keyframe),
        }
        for hit in hits if hit.keyframe is not None
    ]  # fmt: skip
    return _html("search.html", cards=cards, words=q, scenes=scenes)


@router.get("/page/item")
async def get_item(
    service: Serving, item: Annotated[str, Query(max_length=300)], user: UserId
) -> HTMLResponse:
    """Details, player, reasons and similar items of one item, for the dialog."""
    known = service.item(item)
    reasons = service.reasons(user, item)
    near = service.similar(item, SIMILAR_LENGTH).ranking
    found = service.moments(user, [item]).get(item)
    moment = None if found is None else {"start_s": found.start_s, "text": moment_text(found)}
    return _html(
        "item.html",
        card=_card(service, known, reasons),
        similar=[_card(service, service.item(entry.id), entry.reasons) for entry in near],
        player=_player(service, item_out(service, known)),
        moment=moment,
        about=view(service.insights(item), known.duration_s, known.extra),
    )


def _player(service: Service, item: ItemOut) -> str:
    """Which element plays the file: video, audio, img, link, or nothing."""
    kind = service.shelf.playable.get(item.item_id, "").partition("/")[0]
    if not kind:
        return ""
    return {"video": "video", "audio": "audio", "image": "img"}.get(kind, "link")


@router.get("/favicon.ico")
async def get_favicon() -> Response:
    """The browser asks for it unasked."""
    return RedirectResponse("/static/icon.svg", 308)


def _fields(schema: dict[str, Any], spec: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and types of an object schema, references followed one level."""
    if "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [(name, _type_name(value)) for name, value in schema.get("properties", {}).items()]


def _type_name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_name(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_name(schema.get('items', {}))}"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return str(schema.get("type", "any"))


def _operations(spec: dict[str, Any]) -> list[dict[str, Any]]:
    out = []
    for path, methods in spec["paths"].items():
        for method, told in methods.items():
            body = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            reply = told["responses"].get("200", {}).get("content", {}).get("application/json", {})
            parameters = [
                (p["name"], p["in"], _type_name(p.get("schema", {})), p.get("required", False))
                for p in told.get("parameters", [])
            ]
            out.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "about": told.get("description", ""),
                    "parameters": parameters,
                    "body": _fields(body.get("schema", {}), spec),
                    "reply": _fields(reply.get("schema", {}), spec),
                }
            )
    return out


@router.get("/docs")
async def get_docs(request: Request) -> HTMLResponse:
    """The OpenAPI document as a page, without scripts from elsewhere."""
    spec = request.app.openapi()
    schemas = {
        name: _fields(schema, spec)
        for name, schema in sorted(spec["components"]["schemas"].items())
    }
    return _html("docs.html", operations=_operations(spec), schemas=schemas)
