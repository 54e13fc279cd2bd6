"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue.evaluate.report import Report

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "td,th{padding:.25rem .6rem;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
    "table.lines tbody tr:first-child td{font-weight:600}"
    "p.note{color:#555;max-width:48rem}"
)
SHOWN = 12  # strategies in a plot


def write_html(report: Report, path: Path, pictures: Mapping[str, bytes] | None = None) -> None:
    """One page with tables and plots inside; ``pictures`` are further PNGs by title."""
    served = report.lines[0].name
    body = [
        "<h1>How good is the ranking?</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in report.summary()),
    ]
    if report.steps:
        body += [
            "<h2>Before and after</h2>",
            _note("Each step was chosen on validation; test was looked at once, at the end."),
            _table(*report.step_rows()),
            _image("NDCG@10 of each step with intervals", _steps(report)),
        ]
    if report.goals is not None:
        body += [
            "<h2>What the mix of goals changes</h2>",
            _note(
                "What lists of ten achieve on test, a person: the blend that counts all that is "
                "consumed alike, and the one that serves. Of their lists "
                f"{report.goals.overlap.mean:.0%} is the same."
            ),
            _table(*report.goals.rows()),
        ]
    body += [
        "<h2>Every strategy on test</h2>",
        _table(*report.rows(), kind="lines"),
        _image("NDCG@10 with intervals, and coverage", _accuracy(report)),
    ]
    if report.segments:
        body += [
            "<h2>Which strategy wins where</h2>",
            _note(
                "On validation. Cold users have at most 5 entries of history, heavy ones the most; "
                "new items were first seen in the last 30 days; the tail makes up a fifth of the "
                "events. No difference: the paired interval of best minus runner-up holds zero."
            ),
            _table(*report.segment_rows()),
        ]
    if report.tuned:
        body += [
            "<h2>Tuning</h2>",
            _note("Mean NDCG@10 over past windows and validation; nets on validation alone."),
            _table(*report.tuned_rows()),
            _image("Best NDCG@10 so far after each trial", _tuning(report)),
        ]
    body += [
        "<h2>What lists are like besides accurate</h2>",
        _table(*report.beyond_rows(), kind="lines"),
        f"<h2>What was tried before {html.escape(served)} was chosen</h2>",
        _table(("blend", "validation NDCG@10"), [(n, f"{v:.4f}") for n, v in report.tried]),
    ]
    for title, picture in (pictures or {}).items():
        body += [f"<h2>{html.escape(title)}</h2>", _image(title, picture)]
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>segue: report</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>" + "".join(body),
        "utf-8",
    )


def _note(text: str) -> str:
    return f"<p class=note>{html.escape(text)}</p>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table class='{kind}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _image(title: str, picture: bytes) -> str:
    data = base64.b64encode(picture).decode()
    return f"<img alt='{html.escape(title, quote=True)}' src='data:image/png;base64,{data}'>"


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 heavy
    from matplotlib.figure import Figure  # noqa: PLC0415 heavy

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _accuracy(report: Report) -> bytes:
    """NDCG@10 with intervals, and accuracy against coverage."""
    figure = _figure(11, max(3.0, 0.28 * len(report.lines) + 1))
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
    return _png(figure)


def _steps(report: Report) -> bytes:
    figure = _figure(9, 0.5 * len(report.steps) + 1.2)
    axes = figure.subplots()
    steps = report.steps[::-1]
    for offset, part, colour in ((-0.15, "valid", "#999"), (0.15, "test", "#c33")):
        found = [getattr(step, part) for step in steps]
        spread = [[m.mean - m.low for m in found], [m.high - m.mean for m in found]]
        places = [n + offset for n in range(len(steps))]
        axes.errorbar([m.mean for m in found], places, xerr=spread, fmt="o", color=colour,
                      label="validation" if part == "valid" else part)  # fmt: skip
    axes.set_yticks(range(len(steps)), [f"{step.label}: {step.name}" for step in steps])
    axes.set_xlabel("NDCG@10 with 95 % interval")
    axes.legend()
    return _png(figure)


def _tuning(report: Report) -> bytes:
    figure = _figure(9, 4)
    axes = figure.subplots()
    for tuned in sorted(report.tuned, key=lambda t: -t.best)[:SHOWN]:
        axes.plot(range(1, len(tuned.curve) + 1), tuned.curve, marker=".", label=tuned.strategy)
    axes.set_xlabel("trial")
    axes.set_ylabel("best NDCG@10 so far")
    axes.legend(fontsize=8)
    return _png(figure)
