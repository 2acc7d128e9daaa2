"""Plots of the documentation: the numbers as JSON in ``docs/plots``, and beside them what ``draw.py`` makes of them.

``python -m compat.bench.run --draw`` draws all of them anew, without measuring.
"""

import json
import subprocess
from pathlib import Path

from compat import environments
from compat.bench.rows import where

FOLDER = Path(__file__).parent.parent.parent / "docs" / "plots"
_REQUIRES = ["matplotlib==3.11.2"]
UNITS = ("B", "KiB", "MiB", "GiB")


class Panel:
    """One diagram: lines of points by name, over axes with a label and a scale, "linear" or "log"."""

    def __init__(self, title, x, y, *, x_scale="log", y_scale="log", ticks=()):
        self.title, self.x, self.y = title, (x, x_scale), (y, y_scale)
        self.ticks, self.lines = list(ticks), {}

    def add(self, line, x, y):
        self.lines.setdefault(line, []).append([round(x, 2), float(f"{y:.4g}")])


def size_text(size):
    """Return a size as people write it."""
    power = min((size.bit_length() - 1) // 10, 3)
    return f"{size >> (10 * power)} {UNITS[power]}"


def save(name, panels):
    """Write the numbers of a plot, and draw it."""
    lines = [json.dumps({"measured": where()})[:-1] + ', "panels": [']
    for panel in panels:
        head = json.dumps({"title": panel.title, "x": panel.x, "y": panel.y, "ticks": panel.ticks})[:-1]
        each = ",\n".join(f"  {json.dumps(line)}: {json.dumps(points)}" for line, points in panel.lines.items())
        lines.append(f'{head}, "lines": {{\n{each}}}}}' + ("," if panel is not panels[-1] else ""))
    text = "\n".join([*lines, "]}"])
    print(text)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text + "\n")
    draw([FOLDER / f"{name}.json"])


def draw(files=None):
    """Draw plots from their numbers: all if none are given."""
    python = environments.prepare("plots", _REQUIRES)
    chosen = sorted(FOLDER.glob("*.json")) if files is None else files
    subprocess.run([python, Path(__file__).parent / "draw.py", *chosen], check=True)
