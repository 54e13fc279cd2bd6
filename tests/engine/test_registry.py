"""Engines by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from segue.core.errors import BadSettings
from segue.engine.dask import Dask
from segue.engine.engine import Engine
from segue.engine.local import Cores, InProcess
from segue.engine.registry import ENGINES, make_engine


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_resolves(name):
    assert isinstance(make_engine(name), Engine)


def test_settings_reach_the_engine():
    assert type(make_engine("here")) is InProcess
    cores = make_engine("cores", workers=3)
    assert (type(cores), cores.n_workers) == (Cores, 3)
    dask = make_engine("dask", address="tcp://127.0.0.1:8786")
    assert isinstance(dask, Dask)
    assert dask.address == "tcp://127.0.0.1:8786"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "spark"}, "no engine 'spark'; there are: here, cores, dask"),
        ({"name": "cores", "address": "tcp://a:1"}, "only the engine dask has an address"),
        ({"name": "here", "workers": 2}, "workers=2: the engine here is one"),
        ({"name": "dask", "workers": 2, "address": "tcp://a:1"}, "workers=2: .*a cluster has"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(BadSettings, match=words):
        make_engine(**settings)


def test_engines_of_this_machine_need_no_dask_and_dask_says_how_to_get_it():
    code = (
        "import sys; sys.modules['distributed'] = None\n"  # as if it were not installed
        "from segue.core.errors import MissingExtra\n"
        "from segue.engine.registry import make_engine\n"
        "make_engine('cores'), make_engine('here')\n"
        "assert not {'dask', 'numpy', 'pebble'} & set(sys.modules), sorted(sys.modules)\n"
        "try:\n    make_engine('dask')\n"
        "except MissingExtra as error:\n    print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "a Dask cluster needs the package: pip install 'segue[dask]'"
