"""segue serve: the API and the page."""

from __future__ import annotations

import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segue.cli.shared import workspace_option

if TYPE_CHECKING:
    import uvicorn

    from segue.store.workspace import Workspace


@click.command("serve")
@workspace_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def command(workspace: Path, host: str, port: int, open_page: bool) -> None:
    """Serve the API and the page of a workspace, to this machine only."""
    from segue.store.workspace import Workspace

    run(Workspace.open(workspace), host, port, open_page=open_page)


def run(workspace: Workspace, host: str, port: int, *, open_page: bool) -> None:
    """Serve until Ctrl-C."""
    from segue.serve.opening import open_service
    from segue.serve.server import check_loopback, make_server

    check_loopback(host)
    service = open_service(workspace)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if service.recommender is None:
        click.echo("no model yet: the page says so; run segue train", err=True)
    click.echo(f"serving {len(service.catalogue.catalogue):,} items on {address} (Ctrl-C stops)")
    server = make_server(service, host, port)
    if open_page:
        threading.Thread(target=_open_when_up, args=(server, address), daemon=True).start()
    server.run()


def _open_when_up(server: uvicorn.Server, address: str) -> None:
    while not server.started:
        time.sleep(0.05)
    webbrowser.open(address)
