"""Settings that are refused, with the value and the remedy. None passes: it means "off"."""

from __future__ import annotations

from segue.core.errors import BadSettings


def at_least(of: object, low: float, *names: str) -> None:
    """Refuse attributes of ``of`` below ``low``."""
    for name, value in _given(of, names):
        if not value >= low:  # so that NaN is refused
            raise BadSettings(f"{name} must be >= {low:g}, got {value}")


def above(of: object, low: float, *names: str) -> None:
    """Refuse attributes of ``of`` that are ``low`` or less."""
    for name, value in _given(of, names):
        if not value > low:
            raise BadSettings(f"{name} must be > {low:g}, got {value}")


def within(of: object, low: float, high: float, *names: str) -> None:
    """Refuse attributes of ``of`` outside ``low <= value < high``."""
    for name, value in _given(of, names):
        if not low <= value < high:
            raise BadSettings(f"{name} must be in [{low:g}, {high:g}), got {value}")


def _given(of: object, names: tuple[str, ...]) -> list[tuple[str, float]]:
    values = [(name, getattr(of, name)) for name in names]
    return [(name, value) for name, value in values if value is not None]
