"""Draw plots: ``draw.py NUMBERS.json ...`` writes an SVG beside each. Runs in an environment that has matplotlib.

The same numbers give the same file. Nothing is behind the lines, and their colours are of medium lightness, so that
they are readable on light and on dark pages.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

INK = "#808890"
COLOURS = ("#2f81f7", "#e0730d", "#2da44e", "#b35ad6")
STYLE = {
    "svg.hashsalt": "s3ish",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
}


def number(value, _):
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def draw(source):
    told = json.loads(source.read_text())
    panels = told["panels"]
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.4 * max(len(panels), 1.3), 3.4), squeeze=False, layout="constrained"
    )
    for place, panel in zip(axes[0], panels, strict=True):
        (x, x_scale), (y, y_scale) = panel["x"], panel["y"]
        for name, points in panel["lines"].items():
            marker = "o" if x_scale == "log" else None
            place.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3, linewidth=1.5)
        place.set(title=panel["title"], xlabel=x, ylabel=y, xscale=x_scale, yscale=y_scale)
        place.yaxis.set_major_formatter(FuncFormatter(number))
        place.xaxis.set_major_formatter(FuncFormatter(number))
        place.yaxis.set_minor_formatter(NullFormatter())
        if panel["ticks"]:
            values, texts = zip(*panel["ticks"], strict=True)
            place.set_xticks(values, texts)
            place.xaxis.set_minor_locator(NullLocator())
        if y_scale == "linear":
            place.set_ylim(bottom=0)
        place.grid(visible=True)
        place.legend(fontsize=9)
    figure.savefig(source.with_suffix(".svg"), transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


with mpl.rc_context(STYLE):
    for path in map(Path, sys.argv[1:]):
        draw(path)
