"""How long a server for tests takes for a snapshot, a restore, a reset, a fork: ``tests/bench/bench_snapshots.py``.

Prints medians of 20 with their spread, by the clock and in processor time of the server, beside what the same takes by
deleting and uploading again; in memory, and on drives, below the folder that is named (``--drives 1 3 --below /mnt``; 0
is memory). The load of the machine is told before and after: on a busy one the processor time alone says something.
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

from s3ish.testing import Running

OBJECTS, ROUNDS = 10_000, 20


class Watch:
    """Times what a server is asked.

    Args:
        process: that supervises it, or is it.
    """

    def __init__(self, process):
        self._process = process
        self._taken = {}

    def time(self, what, work):
        before, start = self._processor_ms(), time.perf_counter()
        work()
        took = (time.perf_counter() - start) * 1000
        self._taken.setdefault(what, []).append((took, self._processor_ms() - before))

    def show(self):
        """Print a line of a table for each."""
        print("| what | by the clock | processor time |\n| --- | --- | --- |")
        for what, taken in self._taken.items():
            print(f"| {what} | {_told([it[0] for it in taken])} | {_told([it[1] for it in taken])} |", flush=True)

    def _processor_ms(self):
        """Return the processor time that the threads of the server and its workers have taken."""
        total = 0
        for number in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                parent = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
                if self._process.pid in (int(number), parent):
                    threads = Path(f"/proc/{number}/task").iterdir()
                    total += sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
        return total / 1e6


def _told(values):
    def unit(value):
        return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"

    spread = f" ({unit(min(values))} to {unit(max(values))})" if len(values) > 1 else ""
    return unit(statistics.median(values)) + spread


def fill(s3, body):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: s3.put_object(Bucket="bench", Key=f"k/{number}", Body=body), range(OBJECTS)))


def empty(s3):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bench"):
        s3.delete_objects(Bucket="bench", Delete={"Objects": [{"Key": it["Key"]} for it in page["Contents"]]})


def measure(server, watch, size, changes=10):
    """Measure with so many objects that are overwritten, and as many new ones, before each restore."""
    s3 = boto3.client("s3", **server.client_arguments)
    fill(s3, b"x" * size)
    server.snapshot("full")
    for turn in range(ROUNDS):
        watch.time("snapshot", lambda: server.snapshot("full"))
        for number in range(changes):
            s3.put_object(Bucket="bench", Key=f"k/{(turn * changes + number) % OBJECTS}", Body=b"y" * size)
            s3.put_object(Bucket="bench", Key=f"new/{number}", Body=b"y" * size)
        watch.time(f"restore; {changes} were overwritten, {changes} are new", lambda: server.restore("full"))
        s3.put_object(Bucket="bench", Key="another", Body=b"x")
        watch.time("reset to the snapshot; 1 is new", lambda: server.reset(snapshot="full"))
        watch.time("fork", lambda: server.fork("full", "fork"))
    server.world("fork").leave()
    watch.time("delete all, in batches of 1,000", lambda: empty(s3))
    watch.time("restore of all, which were deleted", lambda: server.restore("full"))
    watch.time("reset to the start, which was empty", server.reset)
    watch.time("upload all again, 8 at a time", lambda: fill(s3, b"x" * size))


@contextlib.contextmanager
def serving(drives, below):
    """A server of its own on so many folders, or in memory; yields it, its process and the first of the folders."""
    folder = tempfile.mkdtemp(dir=below)
    roots = [f"{folder}/drive{number}" for number in range(drives)]
    for root in roots:
        os.mkdir(root)
    command = [sys.executable, "-m", "s3ish", "serve", *(roots or ["--test"]), "--bucket", "bench", "--port", "0"]
    keys = {"S3ISH_ACCESS_KEY": "bench", "S3ISH_SECRET_KEY": "bench-secret"}
    process = subprocess.Popen(
        command,
        env=os.environ | keys | {"S3ISH_TEST_CONTROLS": str(bool(drives)).lower(), "S3ISH_LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        found = next(filter(None, (re.search(r"http://[0-9.]+:[0-9]+", line) for line in process.stdout)))
        yield Running(found[0], *keys.values()), process, roots[0] if roots else ""
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drives", type=int, nargs="+", default=[0, 1, 3])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 40_000])
    parser.add_argument("--below")
    chosen = parser.parse_args()
    for size in chosen.sizes:
        for count in chosen.drives:
            where = f"on {count} drives" if count else "in memory"
            print(f"{where}, {OBJECTS} objects of {size} bytes, load {os.getloadavg()[0]:.1f}", flush=True)
            with serving(count, chosen.below) as (server, process, root):
                watch = Watch(process)
                measure(server, watch, size)
                if root:
                    watch.time("`rm -rf` of them on one drive", lambda root=root: shutil.rmtree(f"{root}/bench"))
                watch.show()
            print(f"load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
