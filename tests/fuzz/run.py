"""Fuzzing by plain mutation, for as long as one likes: ``python -m tests.fuzz.run --seconds 600 --seed 1``.

First every parser in turn, with seeds from the corpus; then changed requests, of which none may be accepted. A failure
prints the input and how to make it again. Exit code 1 if there was one.
"""

import argparse
import asyncio
import random
import signal
import sys
import time

from tests.fuzz.mutation import Mutator
from tests.fuzz.parsers import PARSERS, seeds

LIMIT_SECONDS = 5.0
"""The most processor time that an input of bounded length may take, far above what any should."""

_BATCH = 500
_KEPT = 300


def fuzz(name, generator, *, rounds):
    """Feed a parser with mutations of its corpus.

    Returns how many, and the most seconds that one took. Raises AssertionError with the input for any failure.
    """
    parser = PARSERS[name]
    pool = list(seeds(name).values())
    mutator = Mutator(generator, parser.words)
    slowest = 0.0
    for _ in range(rounds):
        data = mutator.mutate(generator.choice(pool), pool)
        begun = time.thread_time()
        try:
            accepted = parser.run(data)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error} for {data!r} (seed given)") from error
        slowest = max(slowest, time.thread_time() - begun)
        assert slowest < LIMIT_SECONDS, f"{name}: {slowest:.1f} s for {data!r}"
        if accepted and len(pool) < _KEPT:
            pool.append(data)  # what gets in leads further
    return rounds, slowest


def fuzz_parsers(seconds, seed):
    """Fuzz all parsers in turn for so long; print what was done."""
    generator = random.Random(seed)
    counts, slowest = dict.fromkeys(PARSERS, 0), dict.fromkeys(PARSERS, 0.0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in PARSERS:
            ran, took = fuzz(name, generator, rounds=_BATCH)
            counts[name] += ran
            slowest[name] = max(slowest[name], took)
    for name, count in counts.items():
        print(f"{name:16} {count:10,} inputs, slowest {slowest[name] * 1000:8.1f} ms")
    return sum(counts.values())


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60, help="for the parsers")
    options.add_argument("--requests", type=int, default=100_000, help="how many changed requests")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is temporary is removed
    begun = time.monotonic()
    try:
        inputs = fuzz_parsers(given.seconds, given.seed)
        from tests.fuzz.access import ask_under_policies
        from tests.fuzz.requests import change_requests

        changed, neutral = asyncio.run(change_requests(given.requests, given.seed))
        opened, shut, refused = asyncio.run(ask_under_policies(given.requests, given.seed))
    except AssertionError as error:
        print(f"FAILED (seed {given.seed}): {error}", file=sys.stderr)
        sys.exit(1)
    print(f"{changed:,} changed requests, none accepted; {neutral:,} changes without a meaning were left out")
    print(f"under random policies: {opened:,} requests allowed, {shut:,} denied, {refused:,} changed ones refused")
    print(f"{inputs:,} inputs, seed {given.seed}, {time.monotonic() - begun:.0f} s: no failure")


if __name__ == "__main__":
    main()
