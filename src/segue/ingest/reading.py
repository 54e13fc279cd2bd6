"""Reads csv, tsv, jsonl and parquet into text columns; a damaged row never stops the rest."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from segue.core.errors import BadInput
from segue.ingest.mapping import Layout
from segue.ingest.rejects import ROW, gather, rejects

BAD_LETTER = "\ufffd"  # what a byte that is no text in the named encoding becomes


@dataclass(frozen=True)
class RawTable:
    """A file as text columns plus ``ROW``, and the rows that could not be read."""

    frame: pl.DataFrame
    refused: pl.DataFrame


def read_table(path: Path, layout: Layout) -> RawTable:
    """All columns of a file as text; times of parquet as ISO 8601."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    name = layout.format_of(path)
    if name == "parquet":
        return _read_parquet(path, layout)
    data = path.read_bytes()
    try:
        text, damaged = data.decode(layout.encoding), False
    except UnicodeDecodeError:
        text, damaged = data.decode(layout.encoding, errors="replace"), True
    del data
    text = text.removeprefix("\ufeff")
    bad, refused = _set_aside(text, layout.encoding) if damaged else (set[int](), [])
    if name == "jsonl":
        frame, more = _read_jsonl(text, bad, layout)
    else:
        separator = layout.separator or {"csv": ",", "tsv": "\t"}[name]
        if layout.quotes and '"' in text:
            frame, more = _read_quoted(path, text, bad, separator, layout)
        else:
            frame, more = _read_plain(path, text, bad, separator, layout)
    return RawTable(frame, gather([*refused, *more]))


def _set_aside(text: str, encoding: str) -> tuple[set[int], list[pl.DataFrame]]:
    lines = text.split("\n")
    bad = [row for row, line in enumerate(lines, 1) if BAD_LETTER in line]
    values = pl.Series([lines[row - 1].strip() for row in bad], dtype=pl.String)
    reason = f"wrong encoding: not {encoding}; set encoding in the mapping (latin-1, gb18030, …)"
    return set(bad), [rejects(pl.Series(bad, dtype=pl.Int64), "", reason, values)]


def _read_parquet(path: Path, layout: Layout) -> RawTable:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInput(f"{path.name}: not a parquet file that can be read: {error}") from error
    frame = frame.drop(ROW, strict=False)
    columns = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype.is_temporal():
            columns.append(column.dt.to_string("iso"))
        elif dtype.base_type() in (pl.List, pl.Array):
            columns.append(column.cast(pl.List(pl.String)).list.join(layout.list_separator))
        elif dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            continue
        elif dtype.is_float():  # ids often come as 7.0
            whole = pl.when(column == column.floor()).then(column.cast(pl.Int64, strict=False))
            columns.append(pl.coalesce(whole.cast(pl.String), column.cast(pl.String)).alias(name))
        else:
            columns.append(column.cast(pl.String))
    frame = frame.select(columns).with_row_index(ROW, offset=1)
    return RawTable(frame.with_columns(pl.col(ROW).cast(pl.Int64)), gather([]))


def _read_jsonl(
    text: str, bad: set[int], layout: Layout
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    rows, numbers, broken, raw = [], [], [], []
    for number, line in enumerate(text.split("\n"), 1):
        if number in bad or not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            broken.append(number)
            raw.append(line.strip())
            continue
        rows.append({key: _text(value, layout) for key, value in row.items()})
        numbers.append(number)
    names = dict.fromkeys(name for row in rows for name in row if name != ROW)
    frame = pl.DataFrame(
        {ROW: pl.Series(numbers, dtype=pl.Int64)}
        | {n: pl.Series([row.get(n) for row in rows], dtype=pl.String) for n in names}
    )
    refused = rejects(
        pl.Series(broken, dtype=pl.Int64), "", "not a JSON object", pl.Series(raw, dtype=pl.String)
    )
    return frame, [refused]


def _text(value: Any, layout: Layout) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return layout.list_separator.join(str(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def _names(path: Path, first: list[str], layout: Layout) -> list[str]:
    """Column names of a text file whose first record is ``first``."""
    if not layout.header:
        return list(layout.names) or [str(i + 1) for i in range(len(first))]
    names = [name.strip() for name in first]
    repeated = {name for name in names if names.count(name) > 1}
    if ROW in names:
        raise BadInput(f"{path.name}: a column may not be called {ROW!r}; rename it")
    if repeated:
        raise BadInput(f"{path.name}: the header names {sorted(repeated)} more than once")
    return names


def _read_plain(
    path: Path, text: str, bad: set[int], separator: str, layout: Layout
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """No quotes: a record is a line, and a split does it."""
    frame = pl.DataFrame({"line": pl.Series([text]).str.split("\n").explode()})
    frame = frame.with_row_index(ROW, offset=1).with_columns(
        pl.col(ROW).cast(pl.Int64), pl.col("line").str.strip_chars_end("\r")
    )
    frame = frame.filter(pl.col("line").str.strip_chars() != "")
    if bad:
        frame = frame.filter(~pl.col(ROW).is_in(list(bad)))
    if not len(frame):
        return pl.DataFrame({ROW: pl.Series([], dtype=pl.Int64)}), []
    names = _names(path, frame["line"][0].split(separator), layout)
    parts = frame[int(layout.header) :].with_columns(pl.col("line").str.split(separator))
    width = pl.col("line").list.len()
    fits = parts.filter(width == len(names)).select(
        ROW, *(pl.col("line").list.get(i).alias(name) for i, name in enumerate(names))
    )
    wrong = parts.filter(width != len(names))
    return fits, [_ragged(wrong[ROW], wrong["line"], separator, len(names))]


def _ragged(rows: pl.Series, fields: pl.Series, separator: str, width: int) -> pl.DataFrame:
    counts = fields.list.len()
    told = [
        f"unknown column: {n} fields where the file has {width}"
        if n > width
        else f"missing column: {n} fields where the file has {width}"
        for n in counts
    ]
    return rejects(rows, "", pl.Series(told, dtype=pl.String), fields.list.join(separator))


def _read_quoted(
    path: Path, text: str, bad: set[int], separator: str, layout: Layout
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    if len(separator) != 1:
        raise BadInput(
            f"{path.name}: separator {separator!r} is longer than one letter, which goes only "
            f"with quotes = false in the mapping"
        )
    lines = [
        "" if number in bad else line + "\n" for number, line in enumerate(text.split("\n"), 1)
    ]
    names: list[str] | None = None if layout.header or not layout.names else list(layout.names)
    rows, numbers, refused = [], [], []
    for number, fields in _records(lines, separator):
        if isinstance(fields, str):
            refused.append((number, fields, lines[number - 1].strip()))
            continue
        if names is None:
            names = _names(path, fields, layout)
            if layout.header:
                continue
        if len(fields) == len(names):
            rows.append(fields)
            numbers.append(number)
        else:
            kind = "unknown" if len(fields) > len(names) else "missing"
            reason = f"{kind} column: {len(fields)} fields where the file has {len(names)}"
            refused.append((number, reason, separator.join(fields)))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names or [], pl.String), orient="row")
    frame = frame.with_columns(pl.Series(ROW, numbers, dtype=pl.Int64))
    parts = [rejects(pl.Series([n]), "", reason, value) for n, reason, value in refused]
    return frame, parts


def _records(lines: list[str], separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """(line number, fields), or (line number, reason) where quotes do not close.

    After a stray quote reading goes on at the next line, so that it costs one row, not the rest.
    """
    at = 0
    while at < len(lines):
        reader = csv.reader(islice(lines, at, None), delimiter=separator, strict=True)
        start = at
        try:
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield start + 1, fields
                start = at + reader.line_num
            return
        except csv.Error as error:
            yield start + 1, f"broken quotes: {error}"
            at = start + 1
