"""The report of one training: as values, JSON and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segue.core.errors import BadInput
from segue.evaluate.compare import Interval
from segue.evaluate.metrics import METRICS


@dataclass(frozen=True)
class Line:
    """One strategy on the test part. ``versus`` is the blend's NDCG@10 minus this one's."""

    name: str
    metrics: Mapping[str, Interval]  # by key of METRICS
    coverage: float
    valid_ndcg: float
    versus: Interval | None = None


@dataclass(frozen=True)
class Report:
    """What was measured, on what, and how it was chosen."""

    lines: tuple[Line, ...]  # the blend first, then the rest by validation NDCG@10
    settings: Mapping[str, Any]  # of the chosen blend
    tried: tuple[tuple[str, float], ...]  # (settings, validation NDCG@10)
    seed: int
    data_hash: str
    split_hash: str
    n_events: tuple[int, int, int]  # train, validation, test
    n_people: tuple[int, int]  # measured on validation, on test
    n_items: int
    seconds: float

    @property
    def headline(self) -> dict[str, float]:
        """The blend's figures, flat, for a model's manifest."""
        first = self.lines[0]
        out = {METRICS[key]: round(value.mean, 5) for key, value in first.metrics.items()}
        return {**out, "coverage": round(first.coverage, 5)}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Report:
        """The inverse of :meth:`as_dict`, also after a round trip through JSON."""
        lines = tuple(
            Line(
                name=line["name"],
                metrics={key: Interval(**value) for key, value in line["metrics"].items()},
                coverage=line["coverage"],
                valid_ndcg=line["valid_ndcg"],
                versus=None if line["versus"] is None else Interval(**line["versus"]),
            )
            for line in data["lines"]
        )
        rest = {key: value for key, value in data.items() if key != "lines"}
        rest["tried"] = tuple((str(name), float(value)) for name, value in data["tried"])
        rest["n_events"] = tuple(data["n_events"])
        rest["n_people"] = tuple(data["n_people"])
        return Report(lines=lines, **rest)

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """(header, rows) of the table as text, for a terminal, Markdown or HTML."""
        header = ("strategy", *METRICS.values(), "coverage", "valid NDCG@10", "blend minus it")
        out = []
        for line in self.lines:
            cells = [f"{m.mean:.4f} ± {m.half_width:.4f}" for m in line.metrics.values()]
            versus = line.versus
            gap = (
                ""
                if versus is None
                else f"{versus.mean:+.4f} [{versus.low:+.4f}, {versus.high:+.4f}]"
            )
            out.append((line.name, *cells, f"{line.coverage:.3f}", f"{line.valid_ndcg:.4f}", gap))
        return header, out

    def summary(self) -> tuple[str, ...]:
        """Lines of text on data, split, choice and time."""
        return (
            f"test on {self.n_people[1]:,} people, validation on {self.n_people[0]:,}; "
            f"{self.n_items:,} items; full ranking over everything not seen",
            f"events: {self.n_events[0]:,} train, {self.n_events[1]:,} validation, "
            f"{self.n_events[2]:,} test, split by time",
            f"seed {self.seed}, data {self.data_hash}, split {self.split_hash}",
            f"blend chosen on validation only, of {len(self.tried)}: {self.settings}",
            f"{self.seconds:.0f} s; ± and brackets: 95 % bootstrap intervals over people",
        )


def write_json(report: Report, path: Path) -> None:
    """Write atomically, so that a reader never meets half a report."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(report.as_dict(), indent=1), "utf-8")
    part.replace(path)


def read_json(path: Path) -> Report:
    try:
        return Report.from_dict(json.loads(path.read_text("utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path.name}: not a report of this version ({error}); train again"
        ) from error


def write_html(report: Report, path: Path) -> None:
    """One page with the table and two plots inside."""
    header, rows = report.rows()
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows
    )
    text = "".join(f"<p>{html.escape(line)}</p>" for line in report.summary())
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>segue: report</title>"
        "<meta name=viewport content='width=device-width'><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
        "table{border-collapse:collapse;display:block;overflow-x:auto}"
        "td,th{padding:.25rem .6rem;border-bottom:1px solid #ccc;text-align:right}"
        "td,th{white-space:nowrap}"
        "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
        "tr:first-child td{font-weight:600}</style>"
        f"<h1>How good is the ranking?</h1>{text}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<img alt='NDCG@10 with intervals' src='data:image/png;base64,{_plot(report)}'>",
        "utf-8",
    )


def _plot(report: Report) -> str:
    """NDCG@10 with intervals, and accuracy against coverage; base64 PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 heavy
    from matplotlib.figure import Figure  # noqa: PLC0415 heavy

    figure = Figure(figsize=(11, max(3.0, 0.28 * len(report.lines) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    lines = report.lines[::-1]
    ndcg = [line.metrics["ndcg"] for line in lines]
    spread = [[m.mean - m.low for m in ndcg], [m.high - m.mean for m in ndcg]]
    colours = ["#777"] * (len(lines) - 1) + ["#c33"]
    left.barh([line.name for line in lines], [m.mean for m in ndcg], xerr=spread, color=colours)
    left.set_xlabel("NDCG@10 on test")
    right.scatter([line.coverage for line in lines], [m.mean for m in ndcg], color=colours)
    right.set_xlabel("coverage of the catalogue")
    right.set_ylabel("NDCG@10 on test")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return base64.b64encode(buffer.getvalue()).decode()
