"""What routes share: the service of a request, and answers made without a second validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from segue.serve.files import Served
from segue.serve.guard import FILE_POLICY
from segue.serve.service import Service


class ApiError(Exception):
    """A refusal with its status and the field at fault."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


async def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]


def answer(model: BaseModel, status: int = 200) -> Response:
    """The model as JSON, serialised once: the framework would validate and dump it again."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def url_id(item_id: str) -> str:
    """An id as part of a URL."""
    return quote(item_id, safe="")


def send_file(served: Served, headers: Mapping[str, str] | None = None) -> FileResponse:
    """A file with range support, unable to run anything."""
    response = FileResponse(
        served.path,
        media_type=served.media_type,
        filename=None if served.inline else served.path.name,
        headers=dict(headers or {}) | {"content-security-policy": FILE_POLICY},
    )
    response.headers.setdefault("cache-control", "private, max-age=600")
    return response
