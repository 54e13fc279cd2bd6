"""Turns text columns into ours and says of every row that does not fit why. All vectorised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from segue.core.errors import BadInput
from segue.core.types import EVENT_KINDS, ITEM_KINDS
from segue.ingest.mapping import ALIASES, COLUMNS, REQUIRED, Layout, near
from segue.ingest.rejects import ROW, gather, rejects

EDGE_KINDS = ("follow", "friend", "trust")
KINDS = {"items": ITEM_KINDS, "events": EVENT_KINDS, "edges": EDGE_KINDS}
MAX_ID_LETTERS = 300  # what the store keeps
LATEST_TIME_S = 4_102_444_800.0  # 2100: anything later is milliseconds or a mistake
YES, NO = ("1", "true", "yes"), ("0", "false", "no")  # what ``shares`` may read
LISTS = ("tags", "creators", "interests")
NUMBERS = {  # field: lowest, highest, whole
    "year": (1000, 2100, True),
    "duration_s": (0, 1e9, False),
    "age": (0, 150, True),
    "position": (0, 1e9, True),
    "weight": (-1e9, 1e9, False),
}
TIMES = ("time", "released_at", "added_at")
_ISO = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@dataclass(frozen=True)
class Check:
    """Rows where ``fails`` is true are refused with ``reason``."""

    field: str
    fails: pl.Expr
    reason: str


@dataclass(frozen=True)
class Checked:
    """Good rows in our columns (text, numbers, times in Unix seconds) and the refused ones."""

    good: pl.DataFrame
    refused: pl.DataFrame


def to_ours(raw: pl.DataFrame, what: str, layout: Layout, path: Path) -> Checked:
    """Our columns as text. Without a mapping, columns are taken by name and others reported."""
    theirs = [name for name in raw.columns if name != ROW]
    columns, unknown = dict(layout.columns), list[str]()
    if not columns:
        columns, unknown = _by_name(theirs, what)
    elif len(raw):
        _refuse_missing(columns, theirs, path)
    out = raw.select(
        ROW,
        *(_clean(name).alias(ours) for ours, name in columns.items()),
        *(_flags(raw, names, layout).alias(ours) for ours, names in layout.flags.items()),
    )
    for ours, table in layout.values.items():
        if ours in out.columns and ours not in LISTS:
            out = out.with_columns(pl.col(ours).replace(dict(table)).replace({"": None}))
    for ours, text in _constants(columns, what, layout).items():
        out = out.with_columns(_constant(text, out.columns).alias(ours))
    absent = [name for name in REQUIRED[what] if name not in out.columns]
    if absent and len(raw):
        raise BadInput(
            f"{path.name}: no column for {', '.join(absent)} of {what}; the file has "
            f"{', '.join(theirs)}. Name them in a mapping (columns or constants)"
        )
    return Checked(out, _report_unknown(raw, unknown, what))


def _by_name(theirs: Sequence[str], what: str) -> tuple[dict[str, str], list[str]]:
    """(ours = theirs) for the columns whose names tell, and the names that tell nothing."""
    columns: dict[str, str] = {}
    unknown = []
    # Our own names first, so that an alias never takes the place of the real column.
    for name in sorted(theirs, key=lambda name: name not in COLUMNS[what]):
        ours = name if name in COLUMNS[what] else ALIASES[what].get(name, "")
        if ours and ours not in columns:
            columns[ours] = name
        else:
            unknown.append(name)
    return columns, unknown


def _constants(columns: dict[str, str], what: str, layout: Layout) -> dict[str, str]:
    given = dict(layout.constants)
    if what == "events":
        if "rating" in columns.get("value", "") and "kind" not in columns:
            given.setdefault("kind", "rating")
        if layout.platform:
            given.setdefault("platform", layout.platform)
    return given


def _refuse_missing(columns: dict[str, str], theirs: Sequence[str], path: Path) -> None:
    for ours, name in columns.items():
        if name not in theirs:
            raise BadInput(
                f"{path.name}: the mapping takes {ours} from column {name!r}, which the file does "
                f"not have{near(name, theirs)}; it has {', '.join(theirs)}"
            )


def _report_unknown(raw: pl.DataFrame, unknown: Sequence[str], what: str) -> pl.DataFrame:
    parts = []
    for name in unknown:
        first = raw.filter(pl.col(name).is_not_null())[ROW].head(1)
        row = 1 if first.is_empty() else max(1, int(first[0]) - 1)
        known = COLUMNS[what]
        reason = f"unknown column{near(name, known)}, left out; {what} have {', '.join(known)}"
        parts.append(rejects(pl.Series([row]), name, reason, None))
    return gather(parts)


def _clean(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)


def _flags(raw: pl.DataFrame, names: Sequence[str], layout: Layout) -> pl.Expr:
    known = [name for name in names if name in raw.columns]
    set_ones = [pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in known]
    return pl.concat_str(*set_ones, separator=layout.list_separator, ignore_nulls=True)


def _constant(text: str, columns: Sequence[str]) -> pl.Expr:
    for name in columns:
        if f"{{{name}}}" in text:
            before, after = text.split(f"{{{name}}}", 1)
            return pl.lit(before) + pl.col(name) + pl.lit(after)
    return pl.lit(text)


def check(frame: pl.DataFrame, what: str, layout: Layout) -> Checked:
    """Parse and validate every column that is there; each refused row has its first reason."""
    checks: list[Check] = []
    parsed: dict[str, pl.Expr] = {}
    for name in frame.columns:
        if name in TIMES:
            parsed[name], more = _time(frame[name], name, layout)
        elif name in NUMBERS:
            parsed[name], more = _number(name, *NUMBERS[name])
        elif name == "value":
            parsed[name], more = _value(layout)
        else:
            continue
        checks += more
    # Parsed first: what cannot be parsed is null from here on and must not read as empty.
    refused, passed = refuse(frame, [*checks, *_text_checks(frame, what)], parsed)
    return Checked(passed, refused)


def _text_checks(frame: pl.DataFrame, what: str) -> list[Check]:
    checks = [
        Check(name, pl.col(name).is_null(), f"empty {name}")
        for name in REQUIRED[what]
        if name in frame.columns
    ]
    for name in ("id", "event_id", "user_id", "item_id", "src", "dst"):
        if name in frame.columns:
            long = pl.col(name).str.len_chars() > MAX_ID_LETTERS
            checks.append(Check(name, long, f"{name} is longer than {MAX_ID_LETTERS} letters"))
    if "shares" in frame.columns:
        unclear = ~pl.col("shares").str.to_lowercase().is_in([*YES, *NO])
        checks.append(Check("shares", unclear, f"neither of {', '.join((*YES, *NO))}"))
    if what in KINDS:
        allowed = KINDS[what]
        unknown = ~pl.col("kind").is_in(list(allowed))
        checks.append(Check("kind", unknown, f"unknown kind; known: {', '.join(allowed)}"))
    if what == "edges":
        checks.append(Check("dst", pl.col("src") == pl.col("dst"), "an edge to oneself"))
    return checks


def refuse(
    frame: pl.DataFrame, checks: Sequence[Check], parsed: dict[str, pl.Expr] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rejects, rows that pass with ``parsed`` in place). Rejects show the text as it was."""
    if not checks:
        return gather([]), frame
    kept = {f"_text_{name}": pl.col(name) for name in parsed or {}}
    with_texts = frame.with_columns(**kept).with_columns(**(parsed or {}))
    first = pl.coalesce(
        *(pl.when(c.fails.fill_null(False)).then(pl.lit(i)) for i, c in enumerate(checks))
    )
    marked = with_texts.with_columns(first.alias("_failed"))
    failed = marked.filter(pl.col("_failed").is_not_null())
    parts = []
    for i in failed["_failed"].unique():
        mine, one = failed.filter(pl.col("_failed") == i), checks[i]
        shown = f"_text_{one.field}" if f"_text_{one.field}" in mine.columns else one.field
        parts.append(rejects(mine[ROW], one.field, one.reason, mine[shown].cast(pl.String)))
    passed = marked.filter(pl.col("_failed").is_null()).drop("_failed", *kept)
    return gather(parts), passed


def _number(name: str, low: float, high: float, whole: bool) -> tuple[pl.Expr, list[Check]]:
    number = pl.col(name).cast(pl.Float64, strict=False)
    wrong = pl.col(f"_text_{name}").is_not_null() & pl.col(name).is_null()
    outside = ~pl.col(name).is_between(low, high)
    checks = [
        Check(name, wrong, f"{name} is not a {'whole ' if whole else ''}number"),
        Check(name, outside, f"{name} is not within {low:g} and {high:g}"),
    ]
    if whole:
        number = pl.when(number == number.floor()).then(number.cast(pl.Int64, strict=False))
    else:
        number = pl.when(number.is_finite()).then(number)
    return number, checks


def _value(layout: Layout) -> tuple[pl.Expr, list[Check]]:
    low, high = layout.rating_range
    number = pl.col("value").cast(pl.Float64, strict=False)
    rating, progress = pl.col("kind") == "rating", pl.col("kind") == "progress"
    value = pl.col("value")
    return pl.when(number.is_finite()).then(number), [
        Check("value", pl.col("_text_value").is_not_null() & value.is_null(), "not a number"),
        Check("value", rating & value.is_null(), "a rating without a value"),
        Check(
            "value",
            rating & ~value.is_between(low, high),
            f"rating out of range {low:g} to {high:g}; another range is rating_range in a mapping",
        ),
        Check("value", progress & ~value.is_between(0, 1), "progress is a fraction from 0 to 1"),
    ]


def _time(column: pl.Series, name: str, layout: Layout) -> tuple[pl.Expr, list[Check]]:
    unit = layout.time_unit
    number = pl.col(name).cast(pl.Float64, strict=False)
    if unit == "s":
        time = number
    elif unit == "ms":
        time = number / 1000
    elif unit in ("iso", "auto"):
        plain = unit == "auto" and column.cast(pl.Float64, strict=False).null_count() == (
            column.null_count()
        )
        time = number if plain else _iso(name)
        if unit == "auto" and not plain:
            time = pl.coalesce(number, time)
    else:
        time = _seconds(pl.col(name).str.strptime(pl.Datetime("us"), unit, strict=False))
    wrong = pl.col(f"_text_{name}").is_not_null() & pl.col(name).is_null()
    outside = ~pl.col(name).is_between(-1e11, LATEST_TIME_S)
    hint = "seconds since 1970 or ISO 8601" if unit == "auto" else unit
    late = 'out of range (after 2100?); are these milliseconds (time_unit = "ms")?'
    return pl.when(time.is_finite()).then(time), [
        Check(name, wrong, f"unparsable {name}, expected {hint}"),
        Check(name, outside, f"{name} is {late}"),
    ]


def _iso(name: str) -> pl.Expr:
    text = pl.col(name).str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    tries = []
    for pattern in _ISO:
        if pattern.endswith("z"):
            parsed = text.str.strptime(pl.Datetime("us", "UTC"), pattern, strict=False)
            parsed = parsed.dt.replace_time_zone(None)
        elif "%H" in pattern:
            parsed = text.str.strptime(pl.Datetime("us"), pattern, strict=False)
        else:
            parsed = text.str.strptime(pl.Date, pattern, strict=False).cast(pl.Datetime("us"))
        tries.append(_seconds(parsed))
    return pl.coalesce(*tries)


def _seconds(parsed: pl.Expr) -> pl.Expr:
    return parsed.dt.epoch("us").cast(pl.Float64) / 1e6
