"""Fixtures that several folders of tests share."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from segue.core.errors import SegueError
from segue.core.types import Training
from segue.evaluate.split import cut_time, temporal
from segue.recommend.blend import Blend, BlendSettings
from segue.recommend.pipeline import Pipeline
from segue.recommend.windows import build

DATA = Path(__file__).parent.parent / "benchmarks" / "_data.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_benchmark_data", DATA)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def ml100k() -> Training:
    """MovieLens-100K with titles, years, genres as tags and content, and profiles."""
    try:
        return _module().ml100k()
    except SegueError as error:
        pytest.skip(f"MovieLens-100K cannot be had here: {error}")


@pytest.fixture(scope="session")
def before_test(ml100k: Training) -> Training:
    """MovieLens-100K as it was known when its test window began."""
    return ml100k.before(temporal(ml100k.interactions).test_from)


@pytest.fixture(scope="session")
def pipeline(before_test: Training) -> Pipeline:
    """The whole recommender, fitted as of the test window's beginning."""
    seen = before_test.interactions
    cuts = [cut_time(seen, share) for share in (0.5, 0.65, 0.8)] + [before_test.at]
    past = [build(before_test, a, b, max_users=100, seed=0) for a, b in pairwise(cuts)]
    blend = Blend(BlendSettings())
    blend.fit(past, seed=0)
    return Pipeline.fit(before_test, blend, seen.hash, seed=0)
