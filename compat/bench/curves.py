"""What plots show: throughput by the size of objects, latency by the number of clients, memory over time."""

import contextlib
import hashlib
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from compat.bench.load import Request, Stream, wrk, zeros
from compat.bench.peers import peers
from compat.bench.plots import Panel, save, size_text
from compat.bench.rows import Row
from compat.bench.servers import Server, prepare
from tests.torture.crowds import download, transfer_at_once, upload

MIB, GIB = 1 << 20, 1 << 30
SIZES = [1024 << (2 * step) for step in range(11)]
CLIENTS = [1 << step for step in range(9)]
_SIGNED = 2000
"""PUTs that are signed for each second of measuring."""
_MEMORY_BYTES, _MEMORY_PART, _MEMORY_CLIENTS = 5 * GIB, 8 * MIB, 10
_CROWD = 1000
_IDLE_SECONDS, _SAMPLE_SECONDS = 3, 0.25


def sizes(folder, seconds):
    """PUT and GET of one client, one after another, for as long as ``seconds``, of 1 KiB up to 1 GiB."""
    ticks = [(size, size_text(size)) for size in SIZES[::5]]
    puts, gets = (Panel(f"{verb}, one client", "size of the object", "MiB/s", ticks=ticks) for verb in ("PUT", "GET"))
    source = zeros(folder, SIZES[-1])
    with (
        Server("s3ish", f"{folder}/sizes-s3ish") as ours,
        Server("rclone serve s3", f"{folder}/sizes-rclone") as rclone,
        peers() as others,
    ):
        for server in (ours, rclone):
            prepare(server)
        for size in SIZES:
            for server in (ours, rclone, *others):
                stream, number = Stream(server), count()
                took = _repeat(lambda: stream.put(f"/bench/{size}-{next(number)}", source, size), seconds)  # noqa: B023
                puts.add(server.name, size, size / MIB / took)
                took = _repeat(lambda: stream.get(f"/bench/{size}-0"), seconds)  # noqa: B023
                gets.add(server.name, size, size / MIB / took)
    save("sizes", [puts, gets])


def _repeat(action, seconds):
    """Return the median of what an action says that it took."""
    took = [action()]
    while sum(took) < seconds:
        took.append(action())
    return statistics.median(took)


def crowds():
    """What a server's memory grows by when a thousand objects of 8 MiB are transferred at once, on tmpfs."""
    rows = []
    for transfer, direction in ((upload, "up"), (download, "down")):
        figures, wrong = transfer_at_once(transfer, _CROWD)
        if wrong:
            raise RuntimeError("; ".join(wrong))
        rows.append(Row(f"{_CROWD:,} x 8 MiB {direction} at once: resident memory above idle, at the peak", "MiB"))
        rows[-1].add("s3ish", figures["MiB at the most"])
    return rows


def latency(folder, seconds):
    """Percentiles of 4 KiB GETs and PUTs of 1 to 256 clients at once."""
    ticks = [(number, str(number)) for number in CLIENTS[::2]]
    get, put = (Panel(f"{verb} 4 KiB", "clients at once", "ms", ticks=ticks) for verb in ("GET", "PUT"))
    with Server("s3ish", f"{folder}/latency") as server:
        prepare(server)
        for clients in CLIENTS:
            names = [f"/bench/c{clients}-{number}" for number in range(int(_SIGNED * seconds))]
            works = {
                get: [Request(server, "GET", "/bench/small")],
                put: [Request(server, "PUT", name, size=4096) for name in names],
            }
            for panel, requests in works.items():
                load = wrk(server, requests, seconds, connections=clients)
                for name, value in (("p50", load.p50), ("p95", load.p95), ("p99", load.p99)):
                    panel.add(name, clients, value)
    save("latency", [get, put])


def memory(folder):
    """Resident memory while 5 GiB go up, in parts of 8 MiB and ten at once, and come down in one stream."""
    panel = Panel("5 GiB up, then down", "seconds", "resident memory, MiB", x_scale="linear", y_scale="linear")
    source = zeros(folder, _MEMORY_PART)
    with Server("s3ish", f"{folder}/memory") as server:
        prepare(server)
        with _watched(server, panel) as phase:
            phase("idle")
            time.sleep(_IDLE_SECONDS)
            phase("up")
            _put_parts(server, source)
            phase("down")
            Stream(server).get("/bench/five")
            phase("idle again")
            time.sleep(_IDLE_SECONDS)
    idle = statistics.median(value for _, value in panel.lines["idle"])
    save("memory", [panel])
    rows = []
    for name in ("up", "down"):
        rows.append(Row(f"5 GiB {name}: resident memory above idle, at the peak", "MiB"))
        rows[-1].add("s3ish", max(value for _, value in panel.lines[name]) - idle)
    return rows


@contextlib.contextmanager
def _watched(server, panel):
    """Add a server's memory to a panel four times a second, under the name of the phase that was told last."""
    phases, done, started = ["idle"], threading.Event(), time.monotonic()

    def watch():
        while not done.wait(_SAMPLE_SECONDS):
            panel.add(phases[-1], time.monotonic() - started, server.memory_mib())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield phases.append
    finally:
        done.set()
        thread.join()


def _put_parts(server, source):
    s3, opened = server.boto3(), threading.local()
    target = {"Bucket": "bench", "Key": "five"}
    target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]

    def put(number):
        if not hasattr(opened, "stream"):
            opened.stream = Stream(server)
        query = f"partNumber={number}&uploadId={target['UploadId']}"
        opened.stream.put("/bench/five", source, _MEMORY_PART, query=query)

    numbers = range(1, _MEMORY_BYTES // _MEMORY_PART + 1)
    with ThreadPoolExecutor(_MEMORY_CLIENTS) as pool:
        list(pool.map(put, numbers))
    etag = hashlib.md5(bytes(_MEMORY_PART)).hexdigest()
    parts = [{"PartNumber": number, "ETag": etag} for number in numbers]
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
