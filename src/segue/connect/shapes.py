"""Fields of somebody else's JSON: each is what it should be, or counts as absent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from segue.core.errors import BadSettings

MAX_ID_CHARS = 200
MAX_TITLE_CHARS = 1_000
MAX_TEXT_CHARS = 50_000
MAX_LIST = 200
EARLIEST_S, LATEST_S = 0.0, 4_102_444_800.0  # 1970 to 2100


def text(row: Mapping[str, Any], key: str, most: int = MAX_TITLE_CHARS) -> str:
    """A text, cut to ``most`` letters; "" where there is none. Whole numbers are texts too: some
    servers give ids as numbers."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    # A NUL cannot be stored by every database; half of a surrogate pair by none.
    clean = value.replace("\0", "").encode("utf-8", "ignore").decode().strip()
    return clean[:most]


def texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The texts of a list, each once."""
    value = row.get(key)
    if not isinstance(value, list):
        return ()
    found = (text({"it": part}, "it") for part in value[:MAX_LIST])
    return tuple(dict.fromkeys(part for part in found if part))


def rows(row: Any, key: str) -> list[Mapping[str, Any]]:
    """The objects of a list. One object alone counts as a list of one: XML-minded servers do so."""
    value = row.get(key) if isinstance(row, Mapping) else None
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list):
        return []
    return [part for part in value if isinstance(part, Mapping)]


def table(row: Any, key: str) -> Mapping[str, Any]:
    """An object inside another; empty where there is none."""
    value = row.get(key) if isinstance(row, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def number(row: Mapping[str, Any], key: str, low: float = 0.0, high: float = 1e15) -> float | None:
    """A finite number in [low, high]; texts that are numbers count."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and low <= found <= high else None


def whole(row: Mapping[str, Any], key: str, low: int = 0, high: int = 10**9) -> int | None:
    """A whole number in [low, high]."""
    found = number(row, key, low, high)
    return None if found is None or found != int(found) else int(found)


def year(row: Mapping[str, Any], key: str) -> int | None:
    """A year from 1000 to 2100; the first four digits of a date do."""
    value = row.get(key)
    if isinstance(value, str) and len(value) > 4 and value[4] == "-":
        value = value[:4]
    return whole({"it": value}, "it", 1000, 2100)


def zone_of(name: str) -> tzinfo:
    """A time zone by its name in the IANA database."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSettings(
            f"zone {name!r} is not known; write it like Europe/Berlin (where no zone is known, "
            "pip install tzdata)"
        ) from error


def instant(value: Any, zone: tzinfo = UTC, formats: Sequence[str] = ()) -> float | None:
    """Unix seconds of an ISO 8601 text or one of ``formats``; None where it is no sane time.

    A time without an offset is in ``zone``; a day alone is noon of that day there, so that it
    stays the same day for most who look at it.
    """
    if not isinstance(value, str) or not value.strip():
        return None
    found = _parsed(value.strip(), formats)
    if found is None:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    try:
        seconds = found.timestamp()
    except (OverflowError, ValueError, OSError):
        return None
    return seconds if EARLIEST_S < seconds < LATEST_S else None


def _parsed(value: str, formats: Sequence[str]) -> datetime | None:
    for pattern in formats:
        try:
            return datetime.strptime(value, pattern)
        except ValueError:
            continue
    # Servers write seven or nine decimals; Python 3.11 reads any number of them.
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(hour=12) if len(value) == 10 else found
