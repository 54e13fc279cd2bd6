"""Import of tables: catalogues, people, events and social graphs that lie in files.

Good rows go in, each bad row is written to a rejects file with its number and reason, and a
second import of the same file changes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from segue.core.errors import BadInput
from segue.core.types import Item, Profile, User
from segue.ingest.checks import LISTS, YES, Check, check, refuse, to_ours
from segue.ingest.mapping import DEFAULT, REQUIRED, WHATS, Layout, Mapping
from segue.ingest.presets import preset as load_preset
from segue.ingest.reading import read_table
from segue.ingest.rejects import ROW, gather, write_rejects
from segue.store import catalogue, events, profiles, schema
from segue.store.workspace import Workspace

What = Literal["items", "users", "events", "edges"]
Progress = Callable[[str, int, int], None]
CHUNK_ROWS = 50_000
# Each transaction of new events touches most pages of the id index: few large ones write less.
EVENT_CHUNK_ROWS = 200_000
_ID_LIMIT = 300


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows of one import."""

    rows: int  # rows read, good and bad
    added: int
    changed: int
    unchanged: int
    rejected: int  # entries in the rejects files
    rejects: tuple[Path, ...]  # one file for each imported file that had bad rows
    seconds: float

    @property
    def rejects_path(self) -> Path | None:
        """The rejects file, or the folder of several; None when every row was good."""
        if len(self.rejects) > 1:
            return self.rejects[0].parent
        return self.rejects[0] if self.rejects else None


@dataclass(frozen=True)
class _Done:
    rows: int
    stored: catalogue.Upserted
    refused: pl.DataFrame


def import_table(
    workspace: Workspace,
    what: What,
    files: Sequence[Path | str],
    *,
    mapping: Mapping | None = None,
    preset: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import files of one kind. ``progress`` gets (file name, rows done, rows in all).

    Raises :class:`BadInput` where a whole file cannot be used (no such file, a required column is
    missing, an unknown format); a bad row is never an error.
    """
    if what not in WHATS:
        raise BadInput(f"what must be one of {WHATS}, got {what!r}")
    if mapping is not None and preset is not None:
        raise BadInput(f"give a mapping or the preset {preset!r}, not both")
    chosen = (
        load_preset(preset) if preset is not None else (DEFAULT if mapping is None else mapping)
    )
    started = time.perf_counter()
    paths = [Path(file) for file in files]
    # All layouts first: a file that nobody knows must not stop an import half way.
    layouts = [chosen.layout(what, path) for path in paths]
    done, written = [], []
    for path, layout, name in zip(paths, layouts, _names(paths), strict=True):
        one = _import_file(workspace, what, path, layout, progress or (lambda *_: None))
        target = write_rejects(workspace.rejects, name, what, one.refused)
        done.append(one)
        written += [target] if target is not None else []
    return ImportReport(
        rows=sum(d.rows for d in done),
        added=sum(d.stored.added for d in done),
        changed=sum(d.stored.changed for d in done),
        unchanged=sum(d.stored.unchanged for d in done),
        rejected=sum(len(d.refused) for d in done),
        rejects=tuple(dict.fromkeys(written)),
        seconds=time.perf_counter() - started,
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """File names, with the folder's name before those that several files share."""
    plain = [path.name for path in paths]
    return [
        name if plain.count(name) == 1 else f"{path.absolute().parent.name}-{name}"
        for path, name in zip(paths, plain, strict=True)
    ]


def _import_file(
    workspace: Workspace, what: What, path: Path, layout: Layout, progress: Progress
) -> _Done:
    raw = read_table(path, layout)
    ours = to_ours(raw.frame, what, layout, path)
    rows = len(raw.frame) + len(raw.refused)
    parts = [raw.refused, ours.refused]
    if not len(ours.good) or not set(REQUIRED[what]) <= set(ours.good.columns):
        return _Done(rows, catalogue.Upserted(0, 0, 0), gather(parts))
    checked = check(ours.good, what, layout)
    parts.append(checked.refused)
    tell = _Teller(path.name, progress, rows)
    store = {"items": _items, "users": _users, "events": _events, "edges": _edges}[what]
    stored, refused = store(workspace, checked.good, layout, tell)
    progress(path.name, rows, rows)
    return _Done(rows, stored, gather([*parts, refused]))


@dataclass(frozen=True)
class _Teller:
    name: str
    progress: Progress
    total: int

    def __call__(self, done: int) -> None:
        self.progress(self.name, done, self.total)


_Stored = tuple[catalogue.Upserted, pl.DataFrame]


def _one_an_id(frame: pl.DataFrame, ids: Sequence[str], layout: Layout) -> tuple[
    pl.DataFrame, pl.DataFrame
]:  # fmt: skip
    """The first row of each id; later ones are rejects unless the layout expects them."""
    if layout.distinct:
        return gather([]), frame.unique(list(ids), keep="first", maintain_order=True)
    later = ~pl.struct(list(ids)).is_first_distinct()
    reason = "duplicate id: an earlier row of this file has it"
    return refuse(frame, [Check(ids[0], later, reason)])


def _lists(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Text of list columns as lists, with values replaced and empty ones left out."""
    for name in [n for n in LISTS if n in frame.columns]:
        element = pl.element().str.strip_chars()
        table = layout.values.get(name)
        element = element.replace(dict(table)) if table else element
        parts = pl.col(name).fill_null("").str.split(layout.list_separator)
        parts = parts.list.eval(element).list.eval(pl.element().filter(pl.element() != ""))
        frame = frame.with_columns(parts.list.unique(maintain_order=True).alias(name))
    return frame


def _dicts(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = frame.rows(named=True)
    return [{k: tuple(v) if k in LISTS else v for k, v in row.items()} for row in rows]


def _year_from_title(frame: pl.DataFrame) -> pl.DataFrame:
    year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64, strict=False)
    given = pl.col("year") if "year" in frame.columns else pl.lit(None, pl.Int64)
    title = pl.col("title").str.replace(r"\s*\(\d{4}\)\s*$", "")
    return frame.with_columns(pl.coalesce(year, given).alias("year"), title.alias("title"))


def _items(workspace: Workspace, frame: pl.DataFrame, layout: Layout, tell: _Teller) -> _Stored:
    if layout.year_from_title:
        frame = _year_from_title(frame)
    refused, frame = _one_an_id(frame, ["id"], layout)
    frame = _lists(frame, layout).drop(ROW)
    texts = [n for n in ("description", "source", "licence") if n in frame.columns]
    frame = frame.with_columns(pl.col(n).fill_null("") for n in texts)
    fields = [n for n in frame.columns if n != "id"]
    stored = catalogue.Upserted(0, 0, 0)
    for start in range(0, len(frame), CHUNK_ROWS):
        rows = _dicts(frame[start : start + CHUNK_ROWS])
        items = [Item(**row) for row in rows]
        stored += catalogue.put_items(workspace.engine, items, fields=fields)
        tell(start + len(rows))
    return stored, refused


def _users(workspace: Workspace, frame: pl.DataFrame, layout: Layout, tell: _Teller) -> _Stored:
    refused, frame = _one_an_id(frame, ["id"], layout)
    frame = _lists(frame, layout).drop(ROW)
    frame, shares = frame.drop("shares", strict=False), _shares(frame)
    fields = [n for n in frame.columns if n != "id"]
    stored = catalogue.Upserted(0, 0, 0)
    for start in range(0, len(frame), CHUNK_ROWS):
        rows = _dicts(frame[start : start + CHUNK_ROWS])
        people = [User(row.pop("id"), Profile(**row)) for row in rows]
        stored += catalogue.put_users(workspace.engine, people, fields=fields)
        tell(start + len(rows))
    profiles.put_shares(workspace.engine, shares)
    return stored, refused


def _shares(frame: pl.DataFrame) -> dict[str, bool]:
    """Who said whether friends may see what they like."""
    if "shares" not in frame.columns:
        return {}
    said = frame.filter(pl.col("shares").is_not_null())
    yes = said["shares"].str.to_lowercase().is_in(list(YES))
    return dict(zip(said["id"], yes, strict=True))


def _with_nums(frame: pl.DataFrame, nums: dict[str, int], column: str, out: str) -> pl.DataFrame:
    """Adds the database key of each id in ``column``; null where it is unknown."""
    ids = pl.Series(column, list(nums), dtype=pl.String)
    table = pl.DataFrame({column: ids, out: pl.Series(list(nums.values()), dtype=pl.Int64)})
    return frame.join(table, on=column, how="left", maintain_order="left")


def _user_nums(workspace: Workspace, ids: pl.Series) -> dict[str, int]:
    """Keys of all people, those named in ``ids`` added where they are not known yet."""
    known = events.keys(workspace.engine, schema.users)
    new = [User(i) for i in ids.unique(maintain_order=True) if i not in known]
    if not new:
        return known
    catalogue.put_users(workspace.engine, new, fields=())
    return events.keys(workspace.engine, schema.users)


def _events(workspace: Workspace, frame: pl.DataFrame, layout: Layout, tell: _Teller) -> _Stored:
    frame = _complete_events(frame)
    frame = _with_nums(frame, events.keys(workspace.engine, schema.items), "item_id", "item_num")
    unknown = Check("item_id", pl.col("item_num").is_null(), "unknown item; import items first")
    refused, frame = refuse(frame, [unknown])
    duplicates, frame = _one_an_id(frame, ["event_id"], layout)
    people = _user_nums(workspace, frame["user_id"])
    frame = _with_nums(frame, people, "user_id", "user_num")
    frame = frame.with_columns(pl.col("time") + layout.time_shift_s)
    added = 0
    for start in range(0, len(frame), EVENT_CHUNK_ROWS):
        rows = frame[start : start + EVENT_CHUNK_ROWS].select(events.BULK_COLUMNS).rows()
        added += events.write_rows(workspace.engine, rows).added
        tell(start + len(rows))
    return catalogue.Upserted(added, 0, len(frame) - added), gather([refused, duplicates])


def _complete_events(frame: pl.DataFrame) -> pl.DataFrame:
    """All columns of an event; ids that are missing are derived from what the row says."""
    missing = {
        "value": pl.lit(None, pl.Float64), "position": pl.lit(None, pl.Int64),
        "event_id": pl.lit(None, pl.String),
    }  # fmt: skip
    for name in ("platform", "session", "model_version"):
        missing[name] = pl.lit("")
    frame = frame.with_columns(
        **{name: value for name, value in missing.items() if name not in frame.columns}
    ).with_columns(pl.col("platform", "session", "model_version").fill_null(""))
    if frame["event_id"].null_count():
        derived = frame.select(_derived_id())["event_id"]
        long = derived.str.len_chars() > _ID_LIMIT
        if long.any():
            digests = [hashlib.sha256(i.encode()).hexdigest() for i in derived.filter(long)]
            derived = derived.scatter(long.arg_true(), digests)
        frame = frame.with_columns(pl.col("event_id").fill_null(derived))
    return frame


def _derived_id() -> pl.Expr:
    """platform:user:item:kind:time:value, with ':' inside a part escaped so that none collide."""

    def part(name: str) -> pl.Expr:
        text = pl.col(name).str.replace_all("%", "%25", literal=True)
        return text.str.replace_all(":", "%3A", literal=True)

    def number(name: str) -> pl.Expr:
        value = pl.col(name)
        whole = pl.when(value == value.floor()).then(value.cast(pl.Int64, strict=False))
        return pl.coalesce(whole.cast(pl.String), value.cast(pl.String), pl.lit(""))

    return pl.concat_str(
        part("platform"), part("user_id"), part("item_id"), pl.col("kind"), number("time"),
        number("value"), separator=":",
    ).alias("event_id")  # fmt: skip


def _edges(workspace: Workspace, frame: pl.DataFrame, layout: Layout, tell: _Teller) -> _Stored:
    refused, frame = _one_an_id(frame, ["src", "dst", "kind"], layout)
    people = _user_nums(workspace, pl.concat([frame["src"], frame["dst"]]))
    frame = _with_nums(frame, people, "src", "src_num")
    frame = _with_nums(frame, people, "dst", "dst_num")
    weight = pl.col("weight").fill_null(1.0) if "weight" in frame.columns else pl.lit(1.0)
    when = pl.col("time") + layout.time_shift_s if "time" in frame.columns else pl.lit(None)
    frame = frame.with_columns(weight.alias("weight"), when.cast(pl.Float64).alias("time"))
    rows = frame.select("src_num", "dst_num", "kind", "weight", "time").rows()
    stored = catalogue.put_edges(workspace.engine, rows)
    tell(len(rows))
    return stored, refused
