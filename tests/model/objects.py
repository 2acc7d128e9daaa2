"""Random requests about objects, with all that can be said of them, held against plain dictionaries.

``python -m tests.model.objects --seeds 1000 --seed 1`` plays many sequences. The server is the real one below HTTP:
SQLite, three volumes, erasure code, encryption. Among the rules are restarts, days that pass, jobs, and an index that
is thrown away and built anew from the sidecars.
"""

import argparse
import sys
import time
from collections import Counter

import structlog

from s3ish.objects import multipart
from tests.model.changing import Changing
from tests.model.growing import Growing
from tests.model.locking import Locking
from tests.model.play import play
from tests.model.reading import Reading
from tests.model.removing import Removing
from tests.model.writing import Writing


class Objects(Growing, Removing, Changing, Locking, Reading):
    """Everything that a client can do to an object."""


class Kept(Removing, Locking, Writing):
    """What is written and removed, and what keeps it."""


class Named(Growing, Changing, Reading):
    """What grows, changes in place and gets other names."""


MACHINES = Objects, Kept, Named


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="how many sequences of each machine")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    multipart.MIN_PART_BYTES = 0
    started, told, wrong = time.monotonic(), Counter(), 0
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        for machine in MACHINES:
            try:
                play(machine, seed, told)
            except AssertionError as error:
                wrong += 1
                print(error, flush=True)
    steps, seconds = sum(told.values()), time.monotonic() - started
    count = chosen.seeds * len(MACHINES)
    print(f"seeds {chosen.seed} and on: {count} sequences, {steps} steps, {wrong} wrong, {seconds:.0f} s")
    print(", ".join(f"{count} {name}" for name, count in sorted(told.items())))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
