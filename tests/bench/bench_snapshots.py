"""How long a stack for tests takes for a snapshot, a restore and a reset: ``python tests/bench/bench_snapshots.py``.

Prints medians of 20 with their spread, beside what the same takes by deleting and uploading again; in memory, and of a
server on drives, below the folder that is named (``--drives 1 3 --below /mnt``; 0 is memory).
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

import boto3

from s3ish.testing import Running, Server

OBJECTS, ROUNDS = 10_000, 20


def show(name, values):
    print(f"{name:40} {statistics.median(values):9.1f} ms ({min(values):.1f} to {max(values):.1f})")


def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def fill(s3, body):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: s3.put_object(Bucket="bench", Key=f"k/{number}", Body=body), range(OBJECTS)))


def empty(s3):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bench"):
        s3.delete_objects(Bucket="bench", Delete={"Objects": [{"Key": it["Key"]} for it in page["Contents"]]})


def measure(server, size, changes=10):
    """Measure with so many objects that are overwritten, and as many new ones, before each restore."""
    s3 = boto3.client("s3", **server.client_arguments)
    fill(s3, b"x" * size)
    taken, restored, reset = [], [], []
    for turn in range(ROUNDS):
        taken.append(timed(lambda: server.snapshot("full")))
        for number in range(changes):
            s3.put_object(Bucket="bench", Key=f"k/{(turn * changes + number) % OBJECTS}", Body=b"y" * size)
            s3.put_object(Bucket="bench", Key=f"new/{number}", Body=b"y" * size)
        restored.append(timed(lambda: server.restore("full")))
        s3.put_object(Bucket="bench", Key="another", Body=b"x")
        reset.append(timed(lambda: server.reset(snapshot="full")))
    show("snapshot", taken)
    show(f"restore, {changes} overwritten, {changes} new", restored)
    show("reset to it, 1 new", reset)
    show("delete all, in batches of 1,000", [timed(lambda: empty(s3))])
    show("restore of all that was deleted", [timed(lambda: server.restore("full"))])
    show("reset to the start, which was empty", [timed(server.reset)])
    show("upload all again, 8 at a time", [timed(lambda: fill(s3, b"x" * size))])


@contextlib.contextmanager
def on_drives(count, below):
    """A server of its own on so many folders, and the first of them."""
    folder = tempfile.mkdtemp(dir=below)
    roots = [f"{folder}/drive{number}" for number in range(count)]
    for root in roots:
        os.mkdir(root)
    command = [sys.executable, "-m", "s3ish", "serve", *roots, "--bucket", "bench", "--port", "0"]
    process = subprocess.Popen(
        command,
        env=os.environ | {"S3ISH_TEST_CONTROLS": "true", "S3ISH_LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        found = next(filter(None, (re.search(r"http://[0-9.]+:[0-9]+", line) for line in process.stdout)))
        yield Running(found[0], "s3ishadmin", "s3ishadmin"), roots[0]
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
            print(f"{f'on {count} drives' if count else 'in memory'}, {OBJECTS} objects of {size} bytes", flush=True)
            if not count:
                with Server(buckets=("bench",)) as server:
                    measure(server, size)
                continue
            with on_drives(count, chosen.below) as (server, root):
                measure(server, size)
                show("rm -rf of them on one drive", [timed(lambda: shutil.rmtree(f"{root}/bench"))])


if __name__ == "__main__":
    main()
