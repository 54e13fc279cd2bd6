"""An audience as a picture: how much of the response the likeliest people are."""

from __future__ import annotations

from pathlib import Path

from segue.audience import Audience


def draw_gains(found: Audience, path: Path) -> None:
    """The cumulative gain curve, as PNG."""
    # Loaded only when somebody wants a picture.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    asked, gained = found.curve.gains()
    figure = Figure(figsize=(5.0, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(asked * 100, gained * 100, color="#1f6f8b", label="likeliest first")
    axes.plot([0, 100], [0, 100], color="#999999", linestyle="--", label="at random")
    axes.set_xlabel("people addressed (%)")
    axes.set_ylabel("expected takers reached (%)")
    axes.set_title(f"{found.title}: {found.expected:,.0f} expected of {found.people:,}")
    axes.legend(frameon=False)
    figure.savefig(path, format="png")
