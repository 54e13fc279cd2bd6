"""The HTTP server around the application."""

from __future__ import annotations

import uvicorn

from segue.core.errors import BadSettings
from segue.serve.app import create_app
from segue.serve.guard import LOOPBACK
from segue.serve.service import Service


def check_loopback(host: str) -> None:
    """Refuse to listen where others can reach: there are no keys to tell them apart."""
    if host not in LOOPBACK:
        raise BadSettings(
            f"--host {host!r} can be reached by others, and segue has no API keys yet; "
            f"use one of {', '.join(sorted(LOOPBACK))}, and a tunnel to come from elsewhere"
        )


def make_server(service: Service, host: str, port: int, *, log: str = "warning") -> uvicorn.Server:
    """A server that is not running yet; ``run()`` blocks, ``should_exit`` ends it."""
    check_loopback(host)
    config = uvicorn.Config(
        create_app(service),
        host=host,
        port=port,
        log_level=log,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
    )
    return uvicorn.Server(config)
