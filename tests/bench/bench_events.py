"""What events cost: ``python -m tests.bench.bench_events``.

Processor time of all threads, so that what else the machine does hardly shows; medians of several rounds with their
spread. Nothing is flushed. Figures are stated, never asserted.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from s3ish.api.events import Events
from s3ish.clock import Clock
from s3ish.jobs.deliver import DeliveryJob
from s3ish.jobs.runner import run_once
from s3ish.objects.consequences import Cause, Consequences, Happening
from s3ish.objects.outbox import Targets
from s3ish.observe.observer import Observer
from s3ish.targets.file import File
from tests.objects.support import World, make_bucket, put

ROUNDS, COUNT = 9, 2000
ARN = "arn:s3ish:sqs:us-east-1:1:bench:file"
CAUSE = Cause("PutObject", "someone", "192.0.2.1", "0123456789ABCDEF", "host")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:bench"
DOCUMENT = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Id>i</Id>'
    "<Queue>{arn}</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name>"
    "<Value>{prefix}</Value></FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>"
)
SHAPES = {
    "change, no document": None,
    "change, of no interest": DOCUMENT.format(arn=ARN, prefix="other/"),
    "event for a target": DOCUMENT.format(arn=ARN, prefix=""),
    "event in a queue": DOCUMENT.format(arn=QUEUE, prefix=""),
}


class Nowhere:
    """A target that takes everything."""

    batch, in_flight = 1, 8

    async def send(self, messages):
        pass


def show(name, rounds):
    each = [seconds / COUNT * 1e6 for seconds in rounds]
    print(f"{name:32} {statistics.median(each):8.1f} µs  ({min(each):.1f} to {max(each):.1f})")


async def timed(work):
    started = time.process_time()
    await work
    return time.process_time() - started


async def main():
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), volumes=1, clock=Clock())
        store = world.open()
        store.consequences = Consequences(Events(store.clock, Targets([ARN])))
        await make_bucket(store)
        version, rounds = await put(store, "key", b"x" * 1024), {}
        plain = (await store.bucket("b")).record
        found = {
            name: replace(plain, documents={"notification": text} if text else {}) for name, text in SHAPES.items()
        }
        targets = {"deliver to a file": File(store.offload, f"{folder}/events"), "deliver to nothing": Nowhere()}
        for _ in range(ROUNDS):
            for name, bucket in found.items():
                started = time.thread_time()
                rows = [store.consequences.of(Happening(bucket, None, version, CAUSE)) for _ in range(COUNT)]
                rounds.setdefault(name, []).append(time.thread_time() - started)
            for name, target in targets.items():
                rows = [
                    store.consequences.of(Happening(found["event for a target"], None, version, CAUSE))
                    for _ in range(COUNT)
                ]
                await store.index.commit([row for some in rows for row in some])
                job = DeliveryJob(store, ARN, target, Observer(), 10**6)
                rounds.setdefault(name, []).append(await timed(run_once(job)))
        for name, seconds in rounds.items():
            show(name, seconds)
        await world.close()


if __name__ == "__main__":
    asyncio.run(main())
