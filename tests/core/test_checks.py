"""Settings are refused with their name and value."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from segue.core.checks import above, at_least, within
from segue.core.errors import BadSettings

SETTINGS = SimpleNamespace(one=1, zero=0, half=0.5, off=None, nan=float("nan"))


def test_what_fits_and_what_is_off_passes() -> None:
    at_least(SETTINGS, 1, "one", "off")
    above(SETTINGS, 0, "one", "half", "off")
    within(SETTINGS, 0, 1, "zero", "half", "off")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: at_least(SETTINGS, 1, "one", "zero"), "zero must be >= 1, got 0"),
        (lambda: above(SETTINGS, 0, "zero"), "zero must be > 0, got 0"),
        (lambda: within(SETTINGS, 0, 1, "one"), r"one must be in \[0, 1\), got 1"),
        (lambda: above(SETTINGS, 0, "nan"), "nan must be > 0, got nan"),
        (lambda: at_least(SETTINGS, 1, "nan"), "nan must be >= 1, got nan"),
        (lambda: within(SETTINGS, 0, 1, "nan"), "nan must be in"),
    ],
)
def test_what_does_not_is_named(check, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadSettings, match=words):
        check()
