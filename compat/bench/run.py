"""``make bench``: s3ish beside its limits and its peers, on this machine, in one run.

Every row is measured in interleaved rounds; the table shows medians with their spread and the ratios that the goals
are stated in. Writes ``docs/performance.md`` between two marks; what stands outside them is written by people.
"""

import argparse
import tempfile
from pathlib import Path

from compat.bench import large, scale, small
from compat.bench.pages import put_between_marks
from compat.bench.rows import report

PAGE = Path(__file__).parent.parent.parent / "docs" / "performance.md"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", choices=("start", "small", "list", "streams", "metadata", "coding", "scale"))
    chosen = parser.parse_args()
    rounds, seconds = chosen.rounds, chosen.seconds
    with tempfile.TemporaryDirectory(prefix="s3ish-bench-") as folder:
        if chosen.only == "scale":
            scale.run(folder)
            return
        parts = {
            "start": lambda: small.starts(rounds, folder),
            "small": lambda: small.small_requests(rounds, seconds, folder),
            "list": lambda: small.listings(rounds, seconds, folder),
            "streams": lambda: large.streams(rounds, folder),
            "metadata": lambda: large.metadata(rounds, folder),
            "coding": lambda: large.coding(rounds),
        }
        rows = []
        for name in [chosen.only] if chosen.only else parts:
            print(f"measuring: {name}", flush=True)
            found = parts[name]()
            print(report(found, rounds), flush=True)
            rows += found
    if not chosen.only:
        put_between_marks(PAGE, report(rows, rounds))


main()
