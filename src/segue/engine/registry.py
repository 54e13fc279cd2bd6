"""Engines by name, as a setting or ``--engine`` gives it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from segue.core.errors import BadSettings
from segue.engine.engine import Engine

ENGINES: Mapping[str, str] = {
    "here": "segue.engine.local:InProcess",
    "cores": "segue.engine.local:Cores",
    "dask": "segue.engine.dask:Dask",
}


def make_engine(name: str, *, workers: int | None = None, address: str | None = None) -> Engine:
    """An engine that has not started yet: ``with make_engine("cores") as engine``.

    ``workers``: how many, for ``cores`` and for a Dask of this process. ``address``: of a Dask
    scheduler, "tcp://host:8786".
    """
    if name not in ENGINES:
        raise BadSettings(f"no engine {name!r}; there are: {', '.join(ENGINES)}")
    if address is not None and name != "dask":
        raise BadSettings(f"only the engine dask has an address, {name} got {address!r}")
    if workers is not None and (name == "here" or address is not None):
        raise BadSettings(
            f"workers={workers}: the engine here is one, and a cluster has those that were started"
        )
    module, _, kind = ENGINES[name].partition(":")
    made = getattr(importlib.import_module(module), kind)
    if name == "here":
        engine: Engine = made()
    elif name == "cores":
        engine = made(workers)
    else:
        engine = made(address, n=workers)
    return engine
