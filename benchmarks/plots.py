"""Plot figures as SVG, readable on light and dark pages."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any, NamedTuple

GREY = "#808080"
COLOURS = {"filter": "#2a9d6f", "SDK": "#d1603d", "bare": GREY}
STYLES = {"errors only": "-", "not sampled": ":", "sampled": "--"}
MARKERS = {"errors only": "o", "not sampled": "^", "sampled": "s"}


class Text(NamedTuple):
    """The texts on a plot.

    Attributes:
        title: above it.
        across: the label of the x axis.
        upwards: the label of the y axis, with the unit.
    """

    title: str
    across: str
    upwards: str


def pyplot() -> Any:
    """Return matplotlib's pyplot, set up for reproducible files with real text."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "sentry_paste",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "sans-serif"],
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), GREY),
            **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
        }
    )
    return importlib.import_module("matplotlib.pyplot")


def draw(folder: str, name: str, text: Text, lines: dict[str, dict[int, float]]) -> None:
    """Draw lines into a file.

    Args:
        folder: of the file; created if missing.
        name: of the file, without its suffix.
        text: on the plot.
        lines: by name, which says the middleware and the kind of request.
    """
    plot = pyplot()
    figure, axes = plot.subplots(figsize=(8.4, 4.2))
    for line, points in lines.items():
        middleware, _, kind = line.partition(", ")
        axes.plot(
            list(points),
            list(points.values()),
            label=line,
            color=COLOURS.get(middleware, GREY),
            linestyle=STYLES.get(kind, "-"),
            marker=MARKERS.get(kind, "o"),
            markersize=4,
        )
    scale(axes, lines)
    axes.set_title(text.title)
    axes.set_xlabel(text.across)
    axes.set_ylabel(text.upwards)
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, labelcolor=GREY, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder, f"{name}.svg"), transparent=True, metadata={"Date": None})
    plot.close(figure)


def scale(axes: Any, lines: dict[str, dict[int, float]]) -> None:
    """Make axes logarithmic if all values are positive; the ticks of the x axis are the sizes.

    Args:
        axes: of matplotlib.
        lines: to draw.
    """
    sizes = sorted({size for points in lines.values() for size in points})
    if sizes[0] > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    values = [value for points in lines.values() for value in points.values()]
    if min(values) > 0:
        axes.set_yscale("log")
        # Whole decades: each has a label.
        axes.set_ylim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values))))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
