"""Rows that an import refuses: each with its number, field, reason and raw value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

ROW = "_row"  # 1 is the file's first line (its header, where it has one)
SCHEMA = {"row": pl.Int64, "field": pl.String, "reason": pl.String, "value": pl.String}
MAX_VALUE_LETTERS = 200


def rejects(
    rows: pl.Series, field: str, reason: str | pl.Series, values: str | pl.Series | None
) -> pl.DataFrame:
    """One reject a row of ``rows``; ``reason`` and ``values`` are one for all or one a row."""
    frame = pl.DataFrame({"row": rows.cast(pl.Int64)})
    return frame.with_columns(
        pl.lit(field).alias("field"),
        (reason if isinstance(reason, pl.Series) else pl.lit(reason)).alias("reason"),
        (values if isinstance(values, pl.Series) else pl.lit(values, pl.String))
        .cast(pl.String)
        .str.head(MAX_VALUE_LETTERS)
        .alias("value"),
    ).select(list(SCHEMA))


def gather(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All rejects of a file in row order."""
    found = [part for part in parts if len(part)]
    if not found:
        return pl.DataFrame(schema=SCHEMA)
    return pl.concat(found).sort("row", maintain_order=True)


def write_rejects(folder: Path, name: str, what: str, found: pl.DataFrame) -> Path | None:
    """``<name>-<what>.csv`` in ``folder``; an older one goes away when nothing was refused."""
    target = folder / f"{name}-{what}.csv"
    if not len(found):
        target.unlink(missing_ok=True)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    found.write_csv(target)
    return target
