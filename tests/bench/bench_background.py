"""What requests notice of work in the background: ``python -m tests.bench.bench_background [--only lifecycle]``.

One client sends GET of 1 KiB and PUT of 4 KiB in turns to a server of one worker, in windows with the work and without
it in turns, so that what else the machine does hits both alike. Printed are the 50th and 99th percentile of all
requests of each, and the median, with the least and the greatest, of the ratios of a window to the one beside it.

A million versions are rows that go straight into the index (``compat.bench.filling``). First it is shown how long a
pass of lifecycle rules over them keeps the event loop from all else, in processor time, which other work on the machine
does not change. Nothing is asserted.
"""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3

from compat.bench import filling
from compat.bench.load import Client, Request
from compat.bench.servers import Server
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.objects.lifecycle import Rule

ROLE = "arn:aws:iam::000000000000:role/r"
LIFECYCLE = {
    "Rules": [
        {
            "ID": "far",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 3650},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3650, "NewerNoncurrentVersions": 3},
        }
    ]
}
LEAST = 20
"""Requests that a window must have had for its percentiles to mean something."""
KEYS_PUT = 50
IDLE_OBJECTS, CALM_SECONDS = 3000, 4
"""How many objects are replicated while nothing is asked of the server, which knows that some time after a request."""


class Foreground:
    """The requests of the client, and how long each took."""

    def __init__(self, server, bucket):
        self._server, self._bucket, self._client = server, bucket, Client(server)

    def window(self, seconds):
        """Send requests for so long; return the milliseconds of each kind."""
        get = Request(self._server, "GET", f"/{self._bucket}/small")
        puts = [Request(self._server, "PUT", f"/{self._bucket}/p{n}", size=4096) for n in range(KEYS_PUT)]
        took = {"GET": [], "PUT": []}
        ends, number = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            took["GET"].append(self._client.timed(get))
            took["PUT"].append(self._client.timed(puts[number % KEYS_PUT]))
            number += 1
        return took


def steps(server, job):
    """Return how many steps a job has done, and how long they took together."""
    text = urllib.request.urlopen(f"{server.endpoint}/-/metrics").read().decode()
    found = [re.search(rf's3ish_job_{what}_total{{name="{job}"}} (\S+)', text) for what in ("steps", "seconds")]
    return [float(match[1]) if match else 0.0 for match in found]


def replicated(server):
    """Return how many replicas a server has made."""
    text = urllib.request.urlopen(f"{server.endpoint}/-/metrics").read().decode()
    return sum(map(float, re.findall(r"s3ish_replicated_total{[^}]*} (\S+)", text)))


def compare(name, server, foreground, begin, end, job, chosen):
    """Measure windows with the work and without it in turns, and print what requests took."""
    windows, worked = {True: [], False: []}, 0.0
    for turn in range(chosen.turns):
        for busy in (False, True) if turn % 2 else (True, False):
            if busy:
                before = steps(server, job)[0] if job else 0
                begin(turn)
                while job and steps(server, job)[0] < before + 3:
                    time.sleep(0.1)
            counted = steps(server, job)[1] if job else 0
            windows[busy].append(foreground.window(chosen.seconds))
            if busy:
                worked += steps(server, job)[1] - counted if job else 0
                end()
                time.sleep(1)
    shown = f", the job worked {worked / chosen.turns / chosen.seconds:.0%} of the time" if job else ""
    print(f"{name}{shown}")
    for kind in ("GET", "PUT"):
        for p in (50, 99):
            plain, beside = (percentile([ms for it in windows[busy] for ms in it[kind]], p) for busy in (False, True))
            both = zip(windows[False], windows[True], strict=True)
            pairs = [
                pair for pair in both if all(len(it[kind]) >= LEAST for it in pair)
            ]  # a busy machine may stand still
            ratios = sorted(percentile(two[kind], p) / percentile(one[kind], p) for one, two in pairs)
            print(
                f"  {kind} p{p}: {plain:.2f} ms, beside it {beside:.2f} ms; ratio {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


def percentile(values, p):
    return statistics.quantiles(values, n=100)[p - 1]


def lifecycle(server, chosen):
    s3 = server.boto3()

    def begin(turn):
        rules = [{**LIFECYCLE["Rules"][0], "ID": f"far{turn}"}]
        s3.put_bucket_lifecycle_configuration(Bucket="aged", LifecycleConfiguration={"Rules": rules})

    def end():
        s3.delete_bucket_lifecycle(Bucket="aged")

    name = f"lifecycle, {chosen.versions} versions"
    compare(name, server, Foreground(server, "plain"), begin, end, "lifecycle", chosen)


def replication(server, chosen):
    """Existing objects of 4 KiB go to another bucket: the rule of each window is about its own ones."""
    s3 = server.boto3()
    for bucket in ("originals", "copies"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client, made = Client(server), dict.fromkeys(range(chosen.turns), chosen.seconds * chosen.objects)
    for folder, count in {"idle": IDLE_OBJECTS, **made}.items():
        for number in range(count):
            client.timed(Request(server, "PUT", f"/originals/{folder}/{number}", size=4096))

    def begin(folder):
        rule = {
            "ID": f"rule-{folder}",
            "Status": "Enabled",
            "Priority": 1,
            "Filter": {"Prefix": f"{folder}/"},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "ExistingObjectReplication": {"Status": "Enabled"},
            "Destination": {"Bucket": "arn:aws:s3:::copies"},
        }
        before = replicated(server)
        s3.put_bucket_replication(Bucket="originals", ReplicationConfiguration={"Role": ROLE, "Rules": [rule]})
        while replicated(server) == before:
            time.sleep(0.05)  # the rules of buckets are looked at every few seconds
        began.append((time.monotonic(), before))

    def end():
        rates.append((replicated(server) - began[-1][1]) / (time.monotonic() - began[-1][0]))
        s3.delete_bucket_replication(Bucket="originals")

    began, rates = [], []
    begin("idle")
    time.sleep(CALM_SECONDS)
    began.append((time.monotonic(), replicated(server)))
    while replicated(server) < IDLE_OBJECTS:
        time.sleep(0.05)
    end()
    print(f"replication while nothing is asked: {rates.pop():.0f} versions a second", flush=True)
    compare("replication to another bucket", server, Foreground(server, "plain"), begin, end, "replication", chosen)
    print(f"  {', '.join(f'{rate:.0f}' for rate in rates)} versions a second in the windows")


def events(server, chosen):
    """Each PUT of the client has an event in a queue."""
    s3 = server.boto3()
    keys = server.keys.access_key, server.keys.secret_key
    sqs = boto3.client(
        "sqs", server.region, endpoint_url=server.endpoint, aws_access_key_id=keys[0], aws_secret_access_key=keys[1]
    )
    sqs.create_queue(QueueName="bench")
    wanted = {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:bench", "Events": ["s3:ObjectCreated:*"]}

    def set_to(*documents):
        s3.put_bucket_notification_configuration(
            Bucket="plain", NotificationConfiguration={"QueueConfigurations": list(documents)}
        )

    compare("an event for each PUT", server, Foreground(server, "plain"), lambda _: set_to(wanted), set_to, "", chosen)


def turns(folder):
    """Show how long the event loop is kept by each of its turns during a pass over the versions in a folder."""
    lasted = []

    class Loop(asyncio.SelectorEventLoop):
        """Notes the processor time from one look at what is ready to the next."""

        def _run_once(self):
            began = time.thread_time()
            super()._run_once()
            lasted.append(1000 * (time.thread_time() - began))

    async def run():
        async with filling.opened(folder) as store:
            job = LifecycleJob(store, lambda _: [Rule(id="far", days=3650, noncurrent_days=3650)])
            lasted.clear()
            began = time.process_time()
            while (await job.step()).more:
                pass
            return time.process_time() - began

    with asyncio.Runner(loop_factory=Loop) as runner:
        took = runner.run(run())
    print(f"a pass took {took:.2f} s of processor time; turns of the event loop that took some of it:")
    p50, p99 = (percentile([ms for ms in lasted if ms > 0.01], p) for p in (50, 99))
    print(f"  p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {max(lasted):.2f} ms", flush=True)


PARTS = {"lifecycle": lifecycle, "replication": replication, "events": events}


@contextlib.contextmanager
def filled(chosen):
    folder = Path(tempfile.mkdtemp(dir=chosen.below))
    try:
        contents = {}
        if "lifecycle" in chosen.only:
            keys = chosen.versions // 4
            contents = {"aged": (f"k{number:07}" for number in range(keys) for _ in range(4))}
        filling.make(folder, {"plain": ["small"], **contents}, versioned=("aged",))
        yield folder
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--versions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=15, help="of a window")
    parser.add_argument("--turns", type=int, default=6, help="windows of each kind")
    parser.add_argument("--objects", type=int, default=400, help="to be replicated, for each second of a window")
    parser.add_argument("--below", help="the folder in which the store is made")
    chosen = parser.parse_args()
    with filled(chosen) as folder:
        if "lifecycle" in chosen.only:
            turns(folder)
        os.environ["S3ISH_LOG_LEVEL"] = "error"
        with Server("s3ish, 1 worker", folder) as server:
            server.settle()
            for part in chosen.only:
                PARTS[part](server, chosen)


if __name__ == "__main__":
    main()
