"""How long a stack for tests takes for a snapshot, a restore and a reset: ``python tests/bench/bench_snapshots.py``.

Prints medians of 20 with their spread, beside what the same takes by deleting and uploading again.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import boto3

from s3ish.testing import Server

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


def main(size):
    print(f"{OBJECTS} objects of {size} bytes")
    with Server(buckets=("bench",)) as server:
        s3 = boto3.client("s3", **server.client_arguments)
        fill(s3, b"x" * size)
        taken, restored, reset = [], [], []
        for _ in range(ROUNDS):
            taken.append(timed(lambda: server.snapshot("full")))
            s3.put_object(Bucket="bench", Key="another", Body=b"x")
            reset.append(timed(server.reset))
            restored.append(timed(lambda: server.restore("full")))
        show("snapshot", taken)
        show("restore", restored)
        show("reset", reset)
        show("delete all, in batches of 1,000", [timed(lambda: empty(s3))])
        show("upload all again, 8 at a time", [timed(lambda: fill(s3, b"x" * size))])


if __name__ == "__main__":
    main(1024)
    main(40_000)
