"""Media, pictures and generated covers of items. Ids come in, never paths."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from segue.serve import covers, files
from segue.serve.routes.parts import Serving, send_file

router = APIRouter()
AssetKind = Literal["poster", "keyframe", "text", "subtitle"]
_COVER_HEADERS = {"cache-control": "private, max-age=86400"}


@router.get("/media/{item_id:path}", response_class=FileResponse)
async def get_media(
    item_id: Annotated[str, Path(max_length=300)], service: Serving
) -> FileResponse:
    """The file of an item; understands ``Range`` (206, 416)."""
    return send_file(files.media(service.engine, item_id))


@router.get("/assets/{item_id:path}/{kind}/{position}", response_class=FileResponse)
async def get_asset(
    item_id: Annotated[str, Path(max_length=300)],
    kind: AssetKind,
    position: Annotated[int, Path(ge=0, le=100_000)],
    service: Serving,
) -> FileResponse:
    """A poster, keyframe, text or subtitle made from an item's file."""
    return send_file(service.shelf.asset(service.engine, item_id, kind, position))


@router.get("/covers/{shape}/{item_id:path}", include_in_schema=False)
async def get_cover(
    shape: Literal["tall", "wide"],
    item_id: Annotated[str, Path(max_length=300)],
    request: Request,
    service: Serving,
) -> Response:
    """A cover drawn from title and genres, for items without a picture."""
    item = service.item(item_id)
    etag = covers.etag(item, wide=shape == "wide")
    headers = _COVER_HEADERS | {"etag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    svg = covers.cover(item, wide=shape == "wide")
    return Response(svg, media_type="image/svg+xml", headers=headers)
