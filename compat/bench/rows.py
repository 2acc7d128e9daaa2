"""Figures, and the table of the documentation that shows them."""

import datetime
import os
import platform
import statistics
import time


class Row:
    """Figures of one thing for several servers, in one unit."""

    def __init__(self, name, unit):
        self.name, self.unit, self.figures = name, unit, {}

    def add(self, who, value):
        self.figures.setdefault(who, []).append(value)

    def median(self, who):
        return statistics.median(self.figures[who])

    def text(self, who):
        values = self.figures[who]
        digits = 2 if statistics.median(values) < 10 else 0
        return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def timed(action):
    """Return the milliseconds that something takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def where():
    """Return when and on what was measured."""
    date = datetime.datetime.now(datetime.UTC).date()
    return f"{date}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"


def report(rows, rounds):
    """Return a table of rows."""
    lines = [
        f"{where()}, medians of {rounds} interleaved rounds with their spread.",
        "",
        "| what | unit | who | figure | s3ish / it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        for who in row.figures:
            ratio = (
                "" if who == "s3ish" or "s3ish" not in row.figures else f"{row.median('s3ish') / row.median(who):.2f}"
            )
            lines.append(f"| {row.name} | {row.unit} | {who} | {row.text(who)} | {ratio} |")
    return "\n".join(lines)
