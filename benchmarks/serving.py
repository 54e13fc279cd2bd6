"""A real server in a thread, for the scripts of this folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from segue.serve.server import make_server
from segue.serve.service import Service


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The address of ``service`` on a free loopback port."""
    server = make_server(service, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
