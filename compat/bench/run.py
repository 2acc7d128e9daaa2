"""``make bench``: s3ish beside its limits and its peers, on this machine, in one run.

Every row is measured in interleaved rounds; the tables show medians with their spread and the ratios that the goals
are stated in. Writes ``docs/performance.md`` and ``docs/scaling.md`` between two marks, and the plots in
``docs/plots``; what stands outside the marks is written by people. ``--only`` measures a part: of it the plot is
written, if it has one, and the table of ``scale``, but not that of the others.
"""

import argparse
import tempfile
from pathlib import Path

from compat.bench import curves, encrypted, large, medium, plots, scale, small
from compat.bench.pages import put_between_marks
from compat.bench.rows import report

TABLED = ("start", "small", "medium", "list", "streams", "encrypted", "metadata", "coding", "memory", "crowds")
PLOTTED = ("sizes", "latency")
PAGE = Path(__file__).parent.parent.parent / "docs" / "performance.md"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", choices=(*TABLED, *PLOTTED, "scale"))
    parser.add_argument("--draw", action="store_true", help="draw the plots from their numbers, and measure nothing")
    chosen = parser.parse_args()
    rounds, seconds = chosen.rounds, chosen.seconds
    if chosen.draw:
        plots.draw()
        return
    with tempfile.TemporaryDirectory(prefix="s3ish-bench-") as folder:
        parts = {
            "start": lambda: small.starts(rounds, folder),
            "small": lambda: small.small_requests(rounds, seconds, folder),
            "medium": lambda: medium.medium_requests(rounds, seconds, folder),
            "list": lambda: small.listings(rounds, seconds, folder),
            "streams": lambda: large.streams(rounds, folder),
            "encrypted": lambda: encrypted.encrypted(rounds, folder),
            "metadata": lambda: large.metadata(rounds, folder),
            "coding": lambda: large.coding(rounds),
            "memory": lambda: curves.memory(folder),
            "crowds": curves.crowds,
            "sizes": lambda: curves.sizes(folder, 0.3),
            "latency": lambda: curves.latency(folder, 1),
        }
        rows = []
        for name in parts if not chosen.only else parts.keys() & {chosen.only}:
            print(f"measuring: {name}", flush=True)
            found = parts[name]()
            if name in TABLED:
                print(report(found, rounds), flush=True)
                rows += found
        if not chosen.only:
            put_between_marks(PAGE, report(rows, rounds))
        if chosen.only in (None, "scale"):
            scale.run(folder)


main()
