"""The application: routes, the guard before them, one shape of error."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import segue
from segue.core.errors import BadInput, NotFound, SegueError
from segue.serve.guard import LOOPBACK, Guard
from segue.serve.routes import api, audience, files, onboarding, page, profile, social, taste, works
from segue.serve.routes.parts import ApiError
from segue.serve.service import NoModel, Service

STATIC = Path(__file__).parent / "page" / "static"


def _problem(status: int, message: str, field: str | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "field": field}}, status)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return _problem(error.status, str(error), error.field)


async def _segue_error(_request: Request, error: Exception) -> JSONResponse:
    status = 500
    for kind, code in ((NotFound, 404), (NoModel, 503), (BadInput, 422)):
        if isinstance(error, kind):
            status = code
    return _problem(status, str(error))


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = _problem(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """The first fault, with the path of the field; what was sent is not echoed."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(place[1:] if place[0] in ("body", "query", "path") else place)
    more = len(error.errors()) - 1
    message = f"{field or 'body'}: {first['msg']}" + (f" (and {more} more)" if more else "")
    return _problem(422, message, field or None)


def create_app(service: Service, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """The whole server over injected parts. ``hosts`` are the names it answers to."""
    app = FastAPI(
        title="segue",
        version=segue.__version__,
        description="Recommendations with their reasons.",
        # The stock page loads scripts from elsewhere; routes.page renders one of our own.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(social.router)
    app.include_router(profile.router)
    app.include_router(taste.router)
    app.include_router(onboarding.router)
    app.include_router(audience.router)
    app.include_router(works.router)
    app.include_router(api.router)
    app.include_router(files.router)
    app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(SegueError, _segue_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Guard, hosts=hosts)
    return app
